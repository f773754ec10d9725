#include "ssdq/distributed/world.h"

#include <charconv>
#include <cstdint>
#include <cstdlib>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr int kHighestPort = 65535;

std::optional<int64_t> to_number(const std::string& text) {
  int64_t value = 0;
  const auto* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) {
    return std::nullopt;
  }
  return value;
}

class Variables {
 public:
  explicit Variables(const Environment& environment) : environment_(environment) {}

  std::optional<std::string> text(const std::string& name) const {
    auto value = environment_(name);
    return value && !value->empty() ? value : std::nullopt;
  }

  bool has(const std::string& name) const { return text(name).has_value(); }

  std::optional<int> number(const std::string& name, int64_t lowest = 0,
                            int64_t highest = INT32_MAX) const {
    const auto value = text(name);
    if (!value) {
      return std::nullopt;
    }
    const auto parsed = to_number(*value);
    SSDQ_CHECK_CONFIG(parsed && *parsed >= lowest && *parsed <= highest,
                      "{} is \"{}\" in the environment; expected a whole number {}", name, *value,
                      highest == INT32_MAX ? fmt::format("from {}", lowest)
                                           : fmt::format("from {} to {}", lowest, highest));
    return static_cast<int>(*parsed);
  }

  int required(const std::string& name, const std::string& because, int64_t lowest = 0) const {
    const auto value = number(name, lowest);
    SSDQ_CHECK_CONFIG(value, "{} is not set in the environment but {} is; set both or none", name,
                      because);
    return *value;
  }

 private:
  const Environment& environment_;
};

// Names of the variables that one launcher sets; of the local ones each may be unset.
struct Names {
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
};

constexpr Names kTorchrun{"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"};
constexpr Names kOpenMpi{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                         "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"};
constexpr Names kPmi{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};

void check_place(const World& world, const Names& names) {
  SSDQ_CHECK_CONFIG(world.rank < world.size,
                    "{} is {} and {} is {} in the environment; ranks count from 0", names.rank,
                    world.rank, names.size, world.size);
  SSDQ_CHECK_CONFIG(world.local_size <= world.size,
                    "{} is {} and {} is {} in the environment; a machine has no more than all",
                    names.local_size, world.local_size, names.size, world.size);
}

World read_place(const Variables& variables, const Names& names) {
  World world;
  world.rank = variables.required(names.rank, names.size);
  world.size = variables.required(names.size, names.rank, 1);
  world.local_rank = variables.number(names.local_rank).value_or(0);
  const auto local_size = variables.number(names.local_size, 1);
  world.local_size = local_size.value_or(1);
  SSDQ_CHECK_CONFIG(!local_size || world.local_rank < *local_size,
                    "{} is {} and {} is {} in the environment; ranks count from 0",
                    names.local_rank, world.local_rank, names.local_size, world.local_size);
  check_place(world, names);
  return world;
}

// Job steps that srun did not start are numbered from the top (slurm.h): the batch script, the
// interactive shell.
bool started_by_srun(const Variables& variables) {
  constexpr int64_t kFirstSpecial = 0xfffffff0;
  const auto step = variables.text("SLURM_STEP_ID");
  const auto number = step ? to_number(*step) : std::nullopt;
  return variables.has("SLURM_PROCID") && number && *number < kFirstSpecial;
}

// How many tasks the node of this index runs, from a list as "4(x2),3".
std::optional<int> tasks_on_node(const std::string& list, int node) {
  for (const auto& part : split(list, ',')) {
    const auto open = part.find("(x");
    const auto tasks = to_number(part.substr(0, open));
    const auto repeated = open == std::string::npos
                              ? std::optional<int64_t>(1)
                              : to_number(part.substr(open + 2, part.size() - open - 3));
    if (!tasks || !repeated) {
      return std::nullopt;
    }
    if (node < *repeated) {
      return static_cast<int>(*tasks);
    }
    node -= static_cast<int>(*repeated);
  }
  return std::nullopt;
}

World read_slurm(const Variables& variables) {
  const char* size_name =
      variables.has("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
  World world;
  world.rank = variables.required("SLURM_PROCID", size_name);
  world.size = variables.required(size_name, "SLURM_PROCID", 1);
  world.local_rank = variables.number("SLURM_LOCALID").value_or(0);
  auto list = variables.text("SLURM_STEP_TASKS_PER_NODE");
  list = list ? list : variables.text("SLURM_TASKS_PER_NODE");
  auto local = list ? tasks_on_node(*list, variables.number("SLURM_NODEID").value_or(0))
                    : variables.number("SLURM_NTASKS_PER_NODE", 1);
  world.local_size = local.value_or(1);
  check_place(world, {"SLURM_PROCID", size_name, "SLURM_LOCALID", "SLURM_TASKS_PER_NODE"});
  return world;
}

// Fits below the ports that systems give out by themselves.
int port_of_job(const Variables& variables) {
  constexpr int64_t kLowest = 15000, kCount = 16000, kBetweenSteps = 101;
  const auto job = to_number(variables.text("SLURM_JOB_ID").value_or(""));
  const auto step = to_number(variables.text("SLURM_STEP_ID").value_or("")).value_or(0);
  SSDQ_CHECK_CONFIG(job, "SLURM_JOB_ID is not set in the environment; set MASTER_PORT");
  return static_cast<int>(kLowest + (*job + step % kCount * kBetweenSteps) % kCount);
}

void read_address(const Variables& variables, const char* launcher, World& world) {
  if (world.size == 1 && !variables.has("MASTER_ADDR")) {
    return;
  }
  auto nodes = variables.text("SLURM_STEP_NODELIST");
  nodes = nodes ? nodes : variables.text("SLURM_JOB_NODELIST");
  const auto host = variables.text("MASTER_ADDR");
  const auto port = variables.number("MASTER_PORT", 1, kHighestPort);
  if (world.size == 1 && !port) {
    return;
  }
  SSDQ_CHECK_CONFIG(host || nodes,
                    "{} started {} ranks but MASTER_ADDR is not set in the environment; set it to "
                    "the host of rank 0, and MASTER_PORT to a free port there",
                    launcher, world.size);
  SSDQ_CHECK_CONFIG(port || nodes,
                    "{} started {} ranks but MASTER_PORT is not set in the environment; set it to "
                    "a free port on {}",
                    launcher, world.size, host.value_or(""));
  world.host = host ? *host : first_host(*nodes);
  world.port = port ? *port : port_of_job(variables);
}

// torchrun may keep the ranks' store in its agent; keys of each restart have a prefix.
void read_agent(const Variables& variables, World& world) {
  if (variables.text("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True") {
    world.agent_listens = true;
    world.prefix = "/worker/attempt_" + variables.text("TORCHELASTIC_RESTART_COUNT").value_or("0");
  }
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::make_optional<std::string>(value);
  };
}

World world_from_environment(const Environment& environment) {
  const Variables variables(environment);
  World world;
  const char* launcher = "WORLD_SIZE says that the launcher";
  if (variables.has("RANK")) {
    world = read_place(variables, kTorchrun);
    read_agent(variables, world);
  } else if (variables.has(kOpenMpi.rank) || variables.has(kOpenMpi.size)) {
    world = read_place(variables, kOpenMpi);
    launcher = "mpirun";
  } else if (variables.has(kPmi.rank)) {
    world = read_place(variables, kPmi);
    launcher = "mpiexec";
  } else if (started_by_srun(variables)) {
    world = read_slurm(variables);
    launcher = "srun";
  } else {
    SSDQ_CHECK_CONFIG(variables.number(kTorchrun.size, 1).value_or(1) == 1,
                      "WORLD_SIZE is set in the environment but RANK is not; set both or none");
    return world;
  }
  read_address(variables, launcher, world);
  return world;
}

std::string first_host(const std::string& list) {
  std::string host;
  for (size_t i = 0; i < list.size() && list[i] != ','; ++i) {
    if (list[i] != '[') {
      host += list[i];
      continue;
    }
    const auto close = list.find(']', i);
    SSDQ_CHECK_CONFIG(close != std::string::npos,
                      "\"{}\" in the environment is no list of hosts: a bracket is not closed",
                      list);
    const auto range = list.substr(i + 1, close - i - 1);
    host += range.substr(0, range.find_first_of("-,"));
    i = close;
  }
  SSDQ_CHECK_CONFIG(!host.empty(), "\"{}\" in the environment is no list of hosts", list);
  return host;
}

}  // namespace ssdq

#pragma once

#include <functional>
#include <optional>
#include <string>

namespace ssdq {

// Where a process stands in a run of several.
struct World {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  // on its machine
  int local_size = 1;  // ranks on its machine; 1 where that is not known
  std::string host;    // where rank 0 listens
  int port = 0;
  // torchrun's agent listens at that address in the place of rank 0; the ranks share its keys under
  // this prefix.
  bool agent_listens = false;
  std::string prefix;
};

// The value of an environment variable; empty where it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

Environment process_environment();

// The place that whoever started this process gave it in its environment; of several the first of
//   RANK, WORLD_SIZE   torchrun, train_net --num-procs, or by hand; with MASTER_ADDR, MASTER_PORT
//   OMPI_COMM_WORLD_*  Open MPI's mpirun
//   PMI_RANK           MPICH's and Intel's mpiexec
//   SLURM_PROCID       srun
// MASTER_ADDR and MASTER_PORT say where rank 0 listens; inside a Slurm job they may be missing: the
// first node of the step, and a port that follows from the job's number. The shell and the batch
// script of a Slurm job, which srun did not start, are runs of one process, as are those where
// nothing is set. Throws ConfigError naming the variable that is missing or contradicts another.
World world_from_environment(const Environment& environment = process_environment());

// The first host of a list as Slurm writes them: "node03" of "node[03-05,9],login1".
std::string first_host(const std::string& list);

}  // namespace ssdq

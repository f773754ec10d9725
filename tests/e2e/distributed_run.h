#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "process.h"
#include "shapes_dataset.h"

namespace ssdq::testing {

using Variables = std::map<std::string, std::string>;

// Sets variables of this process and those it starts, while it lives.
class EnvironmentScope {
 public:
  explicit EnvironmentScope(const Variables& variables);
  ~EnvironmentScope();
  EnvironmentScope(const EnvironmentScope&) = delete;
  EnvironmentScope& operator=(const EnvironmentScope&) = delete;

 private:
  Variables variables_;
};

// The shapes with 21 images to train on and 7 to test on, which two or three ranks cannot share
// evenly, and runs of train_net with one compute thread.
class DistributedRun : public ShapesTest {
 protected:
  using Arguments = std::vector<std::string>;

  void SetUp() override;

  // Of train_net, writing to the folder `name`. Ranks 0: without --num-procs.
  Arguments arguments(const std::string& name, int ranks, const Arguments& more = {}) const;
  // Expects it to succeed.
  ProcessResult train(const std::string& name, int ranks, const Arguments& more = {}) const;

  std::string final_weights(const std::string& name) const {
    return output(name + "/model_final.safetensors");
  }
  std::string content(const std::string& name) const;

  // Running processes of this test's runs: those with its folder on their command line.
  std::vector<pid_t> processes() const;
  // That of a rank that a launcher has started, once there is one; 0 after a minute.
  pid_t process_of_rank(int rank) const;
  // False after a minute.
  bool wait_for_file(const std::string& name) const;
};

// Of two checkpoints: the tensor whose largest difference, in units of the largest of its numbers,
// is the largest.
struct Difference {
  double relative = 0;  // infinite where names, types, shapes or whole numbers differ
  std::string tensor;
};
Difference largest_difference(const std::string& expected, const std::string& found);

// Whether all tensors are the same to the bit.
bool same_bits(const std::string& a, const std::string& b);

}  // namespace ssdq::testing

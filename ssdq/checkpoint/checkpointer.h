#pragma once

#include <optional>
#include <string>

#include "ssdq/checkpoint/checkpoint.h"

namespace ssdq {

// The checkpoints of one run in one folder: model_0001000.safetensors after 1000 steps,
// model_final.safetensors, model_best.safetensors, and last_checkpoint.txt, which names the one to
// resume from. At every moment, a crash or a full disk included, the latest checkpoint on disk is
// whole: older ones are removed only after a newer one is safe. Failures throw Error.
class Checkpointer {
 public:
  struct Best {
    std::string metric;
    double value = 0;
  };

  // Creates the folder. `keep_last` numbered checkpoints stay, all if it is not positive. Without
  // `resumed` a model_best.safetensors of an earlier run does not count.
  Checkpointer(std::string folder, int keep_last, bool resumed = false);

  // Writes the numbered checkpoint of checkpoint.iteration and returns its path. Checkpoints of
  // later iterations, left by another run, are not touched.
  std::string save(const Checkpoint& checkpoint);

  // Writes model_final.safetensors and returns its path.
  std::string save_final(const Checkpoint& checkpoint);

  // Writes model_best.safetensors if `value` is more than the best so far of the same metric (NaN
  // never is) and returns whether it did. The file's extra holds "best_metric" and "best_value".
  bool save_best(const std::string& metric, double value, Checkpoint checkpoint);
  const std::optional<Best>& best() const { return best_; }

  // Path of the checkpoint to resume from: the one last_checkpoint.txt names, or, if that is
  // missing or damaged, the sound one of most iterations; nothing if there is none.
  std::optional<std::string> latest() const;

 private:
  std::string path_of(const std::string& name) const;
  std::string save_as(const std::string& name, const Checkpoint& checkpoint);
  void remove_older(int64_t iteration) const;

  std::string folder_;
  int keep_last_;
  std::optional<Best> best_;
};

}  // namespace ssdq

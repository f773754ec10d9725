#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "ssdq/data/loader.h"

namespace ssdq {

// Batches filled item by item by worker threads, in order, at most `ahead` of the one to be taken.
// Idle workers sleep. Without workers next() fills the batch itself, on up to `own_threads`
// threads.
class BatchQueue {
 public:
  struct Source {
    int64_t first = 0;           // number of the first batch
    std::optional<int64_t> end;  // number after the last; unset: endless
    std::function<void(int64_t batch, Batch& out)>
        open;  // sets size and buffers; one call at a time
    std::function<void(int64_t batch, int item, Batch& out)> fill;  // from several threads
  };

  BatchQueue(Source source, int num_workers, int ahead, int own_threads = 1);
  ~BatchQueue();
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  // The next batch, nullopt after the last. Throws what its first failing item threw; the next call
  // goes on with the batch after it.
  std::optional<Batch> next();

  // Gives a batch's memory back for a later one.
  void recycle(Batch&& batch);

 private:
  struct Slot {
    int64_t number = 0;
    Batch batch;
    int taken = 0;
    int done = 0;
    int failed_item = -1;
    std::exception_ptr error;
  };

  void work();
  void open_slot();
  bool can_open() const;
  std::optional<Batch> fill_here();

  Source source_;
  size_t ahead_;
  int own_threads_;
  int64_t next_to_open_;
  std::mutex mutex_;
  std::condition_variable work_ready_, batch_ready_;
  std::deque<Slot> slots_;  // oldest first; deque: growing at the ends moves nothing
  std::vector<Batch> spare_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace ssdq

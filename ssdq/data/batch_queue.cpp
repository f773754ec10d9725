#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "ssdq/data/loader.h"

namespace ssdq {

struct BatchQueue::Shared {
  struct Slot {
    Batch batch;
    std::exception_ptr error;
  };

  Make make;
  int64_t next_out = 0;
  int64_t next_in = 0;
  int64_t limit = 0;  // batches ahead of next_out that may be begun
  bool stop = false;
  std::map<int64_t, Slot> ready;
  std::mutex mutex;
  std::condition_variable room;
  std::condition_variable filled;
  std::vector<std::thread> workers;

  Slot produce(int64_t number) const {
    Slot slot;
    try {
      slot.batch = make(number);
    } catch (...) {
      slot.error = std::current_exception();
    }
    return slot;
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      room.wait(lock, [&] { return stop || next_in < next_out + limit; });
      if (stop) {
        return;
      }
      const int64_t number = next_in++;
      lock.unlock();
      Slot slot = produce(number);
      lock.lock();
      ready.emplace(number, std::move(slot));
      filled.notify_one();
    }
  }

  Slot take() {
    if (workers.empty()) {
      return produce(next_out++);
    }
    std::unique_lock lock(mutex);
    filled.wait(lock, [&] { return ready.count(next_out) != 0; });
    Slot slot = std::move(ready.extract(next_out).mapped());
    ++next_out;
    room.notify_all();
    return slot;
  }
};

BatchQueue::BatchQueue(Make make, int64_t first, int num_workers, int prefetch) : shared_(std::make_unique<Shared>()) {
  shared_->make = std::move(make);
  shared_->next_out = first;
  shared_->next_in = first;
  shared_->limit = std::max(1, prefetch);
  for (int i = 0; i < num_workers; ++i) {
    shared_->workers.emplace_back([shared = shared_.get()] { shared->work(); });
  }
}

BatchQueue::~BatchQueue() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
  }
  shared_->room.notify_all();
  for (auto& worker : shared_->workers) {
    worker.join();
  }
}

Batch BatchQueue::next() {
  auto slot = shared_->take();
  if (slot.error) {
    std::rethrow_exception(slot.error);
  }
  return std::move(slot.batch);
}

}  // namespace ssdq

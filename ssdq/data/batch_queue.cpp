#include "ssdq/data/batch_queue.h"

#include <algorithm>
#include <utility>

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

namespace ssdq {

BatchQueue::BatchQueue(Source source, int num_workers, int ahead, int own_threads)
    : source_(std::move(source)),
      ahead_(static_cast<size_t>(std::max(1, ahead))),
      own_threads_(own_threads),
      next_to_open_(source_.first) {
  for (int i = 0; i < num_workers; ++i) {
    workers_.emplace_back([this] { work(); });
  }
}

BatchQueue::~BatchQueue() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  work_ready_.notify_all();
  for (std::thread& worker : workers_) {
    worker.join();
  }
}

bool BatchQueue::can_open() const {
  return slots_.size() < ahead_ && (!source_.end || next_to_open_ < *source_.end);
}

void BatchQueue::open_slot() {
  Slot& slot = slots_.emplace_back();
  slot.number = next_to_open_++;
  if (!spare_.empty()) {
    slot.batch = std::move(spare_.back());
    spare_.pop_back();
  }
  try {
    source_.open(slot.number, slot.batch);
  } catch (...) {
    slot.error = std::current_exception();
    slot.batch.size = 0;
  }
}

void BatchQueue::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    Slot* slot = nullptr;
    work_ready_.wait(lock, [&] {
      const auto open = std::find_if(slots_.begin(), slots_.end(),
                                     [](const Slot& s) { return s.taken < s.batch.size; });
      slot = open == slots_.end() ? nullptr : &*open;
      return stopping_ || slot != nullptr || can_open();
    });
    if (stopping_) {
      return;
    }
    if (slot == nullptr) {
      open_slot();
      work_ready_.notify_all();
      batch_ready_.notify_all();
      continue;
    }
    const int item = slot->taken++;
    lock.unlock();
    std::exception_ptr error;
    try {
      source_.fill(slot->number, item, slot->batch);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error && (!slot->error || item < slot->failed_item)) {
      slot->error = error;
      slot->failed_item = item;
    }
    if (++slot->done == slot->batch.size) {
      batch_ready_.notify_all();
    }
  }
}

std::optional<Batch> BatchQueue::fill_here() {
  if (!can_open()) {
    return std::nullopt;
  }
  open_slot();
  Slot slot = std::move(slots_.front());
  slots_.pop_front();
  if (slot.error) {
    std::rethrow_exception(slot.error);
  }
  const auto fill = [&](int item) { source_.fill(slot.number, item, slot.batch); };
  const int size = static_cast<int>(slot.batch.size);
  if (own_threads_ > 1) {
    tbb::task_arena arena(own_threads_);
    arena.execute([&] { tbb::parallel_for(0, size, fill); });
  } else {
    for (int item = 0; item < size; ++item) {
      fill(item);
    }
  }
  return std::move(slot.batch);
}

std::optional<Batch> BatchQueue::next() {
  if (workers_.empty()) {
    return fill_here();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  if (slots_.empty() && !can_open()) {
    return std::nullopt;
  }
  batch_ready_.wait(
      lock, [&] { return !slots_.empty() && slots_.front().done == slots_.front().batch.size; });
  Slot slot = std::move(slots_.front());
  slots_.pop_front();
  lock.unlock();
  work_ready_.notify_all();
  if (slot.error) {
    std::rethrow_exception(slot.error);
  }
  return std::move(slot.batch);
}

void BatchQueue::recycle(Batch&& batch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (spare_.size() < 2) {
    spare_.push_back(std::move(batch));
  }
}

}  // namespace ssdq

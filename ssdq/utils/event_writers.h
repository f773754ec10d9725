#pragma once

#include <cstdint>
#include <string>

#include "ssdq/utils/event_storage.h"
#include "ssdq/utils/log.h"

namespace ssdq {

// Carries what a run reports to somewhere. Writers put each value once: write() handles what was
// put since the writer's previous write().
class EventWriter {
 public:
  virtual ~EventWriter() = default;
  virtual void write(const EventStorage& storage) = 0;

  // Called after every iteration, between the writes; must be cheap.
  virtual void tick(const EventStorage& /*storage*/) {}

  // Nothing is written afterwards.
  virtual void close() {}
};

// metrics.jsonl, the interface for programs: a JSON object a line, {"iteration": 120, "loss": 3.2,
// ...}; NaN and infinities are null. Each line is in the file when write() returns; a failure
// throws Error and leaves whole lines only.
class JsonlWriter : public EventWriter {
 public:
  // Appends to `path`. Lines of iteration `first_iteration` and later, and a line torn by a crash,
  // are removed first: they belong to a part of the run that will be done again, and a new run
  // (0) starts an empty file.
  JsonlWriter(std::string path, int64_t first_iteration);
  ~JsonlWriter() override;
  JsonlWriter(const JsonlWriter&) = delete;
  JsonlWriter& operator=(const JsonlWriter&) = delete;

  void write(const EventStorage& storage) override;
  void close() override;

 private:
  void append(const std::string& line);

  std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
  uint64_t seen_ = 0;
};

// The status line, such as
// "eta 0:12:03  iter 120/4000  loss 3.21 (cls 2, loc 1.21)  0.412 s/it (data 0.003)  lr 1.0e-3
// mem 812 MB" (medians of the last EventStorage::kWindow values; in sparsity training, before the
// memory, "sparsity 43% of scales near 0, 512 below the 50% cut"), logged by write(). On a terminal
// tick() redraws a progress bar below it.
class ConsoleWriter : public EventWriter {
 public:
  ConsoleWriter(Log& log, int64_t max_iteration);

  void write(const EventStorage& storage) override;
  void tick(const EventStorage& storage) override;
  void close() override;

 private:
  Log& log_;
  int64_t max_iteration_;
};

// The text ConsoleWriter logs, without its time stamp. `memory_mb` in MB of 2^20 bytes. What the
// storage does not know is left out.
std::string status_line(const EventStorage& storage, int64_t max_iteration, double memory_mb);

}  // namespace ssdq

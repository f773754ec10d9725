#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

#include "ssdq/utils/event_writers.h"

namespace ssdq {

// An event file that TensorBoard shows: every scalar as a curve, every picture with its caption as
// description. Each write() is flushed, so a crash loses nothing that was written. The name is
// events.out.tfevents.<seconds>.<host>.<process>[.<n>]; a run leaves one file each time it is
// started. docs/formats.md describes the bytes.
class TensorBoardWriter : public EventWriter {
 public:
  // Creates the file in `folder`, which must exist. With `first_iteration` > 0 the file asks
  // TensorBoard to forget what earlier files of the run say from that iteration on. Throws Error if
  // the file cannot be written.
  TensorBoardWriter(const std::string& folder, int64_t first_iteration);

  void write(const EventStorage& storage) override;
  void close() override;

  const std::string& path() const { return path_; }

 private:
  void append_event(int64_t step, std::string_view field);
  void flush();

  std::string path_;
  std::ofstream file_;
  uint64_t seen_ = 0;
};

// CRC-32C (Castagnoli), RFC 3720 appendix B.4.
uint32_t crc32c(std::string_view bytes);

}  // namespace ssdq

#include "ssdq/utils/memory.h"

#include <sys/resource.h>

namespace ssdq {

double peak_rss_mb() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;  // Linux counts in KiB
}

}  // namespace ssdq

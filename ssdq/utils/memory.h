#pragma once

namespace ssdq {

// The most memory this process has had resident so far, in MB of 2^20 bytes.
double peak_rss_mb();

}  // namespace ssdq

#include "ssdq/engine/launch.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <exception>
#include <iostream>
#include <new>
#include <string>

#include <c10/util/Exception.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

int report(const char* name, const std::string& message, int status) {
  std::cerr << name << ": " << message << std::endl;
  return status;
}

// Every step frees and takes the same large tensors. glibc would hand them back to the system and
// have it clear their pages again, a quarter of a MobileNetV2 step.
void keep_freed_memory() {
#if defined(__GLIBC__)
  constexpr int kNever = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kNever);
  mallopt(M_TRIM_THRESHOLD, kNever);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace

int run_tool(const char* name, const std::function<int()>& body) {
  keep_freed_memory();
  try {
    return body();
  } catch (const ConfigError& error) {
    return report(name, error.what(), kExitUsage);
  } catch (const c10::Error& error) {
    return report(name, std::string("LibTorch refused: ") + error.what_without_backtrace(),
                  kExitFailed);
  } catch (const std::bad_alloc&) {
    return report(name, "out of memory; a smaller SOLVER.BATCH_SIZE or TEST.BATCH_SIZE needs less",
                  kExitFailed);
  } catch (const std::exception& error) {
    return report(name, error.what(), kExitFailed);
  }
}

}  // namespace ssdq

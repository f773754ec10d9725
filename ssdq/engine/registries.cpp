#include "ssdq/engine/registries.h"

#include "ssdq/data/catalog.h"
#include "ssdq/evaluation/results.h"

namespace ssdq {

Registries builtin_registries() { return {builtin_heads(), builtin_quantizers()}; }

}  // namespace ssdq

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ssdq/config/validate.h"
#include "ssdq/engine/importances.h"
#include "ssdq/graph/heads.h"
#include "ssdq/quantization/registry.h"

namespace ssdq {

// Every component that a configuration can name. Made in a tool's main() and passed down; there is
// no global one.
struct Registries {
  HeadRegistry heads;
  QuantizerRegistry quantizers;
  ImportanceRegistry importances;
};

// The components of the core, in a fixed order.
Registries builtin_registries();

// Names that the configuration may use, for validate().
KnownNames known_names(const Registries& registries);

struct ComponentList {
  std::string kind;                                          // "quantizers"
  std::string key;                                           // "QUANTIZATION.TYPE"
  std::vector<std::pair<std::string, std::string>> entries;  // name, summary
};

// All components with a line each, for `list`.
std::vector<ComponentList> list_components(const Registries& registries);

}  // namespace ssdq

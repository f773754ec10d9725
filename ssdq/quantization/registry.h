#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/quantization/quantizer.h"

namespace ssdq {

// Quantization methods by the name that QUANTIZATION.TYPE gives; case does not count.
class QuantizerRegistry {
 public:
  using Factory = std::function<std::shared_ptr<QuantizationMethod>(const QuantizationConfig&)>;

  // Throws Error if `name` is taken.
  void add(const std::string& name, std::string summary, Factory make);

  // Throws ConfigError naming the known methods if there is no `name`.
  std::shared_ptr<QuantizationMethod> create(const std::string& name,
                                             const QuantizationConfig& config) const;

  std::vector<std::string> names() const;  // sorted
  const std::string& summary(const std::string& name) const;

 private:
  struct Entry {
    std::string summary;
    Factory make;
  };

  const Entry& find(const std::string& name) const;

  std::map<std::string, Entry> entries_;
};

}  // namespace ssdq

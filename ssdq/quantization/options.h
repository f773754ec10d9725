#pragma once

#include <set>
#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/quantization/quantizer.h"

namespace ssdq {

// Reads QUANTIZATION.OPTIONS for a method. All functions throw ConfigError naming the key, what was
// found and what is accepted.
class OptionReader {
 public:
  OptionReader(std::string method, const Options& options)
      : method_(std::move(method)), options_(options) {}

  double number(const std::string& key, double standard, double least, double most);
  bool flag(const std::string& key, bool standard);
  std::string choice(const std::string& key, const std::string& standard,
                     const std::vector<std::string>& choices);  // in lower case

  // Refuses the keys that nothing above asked for.
  void finish() const;

 private:
  const std::string* find(const std::string& key);

  std::string method_;
  const Options& options_;
  std::set<std::string> known_;
};

// Code widths that a method takes for a tensor.
struct Widths {
  int least = 2;
  int most = 16;
};

// False when `spec` leaves the tensor as it is (32). Throws ConfigError naming the node for a width
// that `method` refuses; `what` is "weights" or "activations".
bool is_quantized(const TensorSpec& spec, const std::string& method, const std::string& what,
                  Widths widths);

}  // namespace ssdq

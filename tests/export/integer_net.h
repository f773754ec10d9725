#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace ssdq::testing {

// A reader of docs/export_integers.md that uses nothing of SSDQ: loops over the manifest's nodes
// with 64-bit accumulators.
class IntegerNet {
 public:
  using Map = std::vector<double>;     // [C, H, W] of one image
  using Codes = std::vector<int64_t>;  // the same
  explicit IntegerNet(const std::string& path);

  const nlohmann::json& manifest() const { return manifest_; }
  const nlohmann::json& node(const std::string& name) const;

  // The whole network: the output of each node.
  std::map<std::string, Map> run(const Map& image) const;

  // Pieces, for comparing one layer at a time.
  static Codes encode(const nlohmann::json& code, const Map& x);
  static Map decode(const nlohmann::json& code, const Codes& codes);
  // x before rounding, in codes.
  static Map positions(const nlohmann::json& code, const Map& x);
  // Sums over the taps inside the map; the node must have an input_code with a whole zero point.
  Codes accumulate(const nlohmann::json& node, const Codes& input) const;
  // The output after the activation, from codes of the input.
  Map convolve_codes(const nlohmann::json& node, const Codes& input) const;
  // The consumer's codes by integer arithmetic alone.
  Codes requantize(const nlohmann::json& node, const nlohmann::json& to,
                   const Codes& accumulators) const;
  // The output of a node that is no convolution, of the values of its inputs.
  Map apply(const nlohmann::json& node, const std::vector<const Map*>& inputs) const;

  std::vector<int64_t> integers(const nlohmann::json& blob) const;
  std::vector<double> reals(const nlohmann::json& blob) const;

 private:
  Map sum_taps(const nlohmann::json& node, const Map& weight, const Map& input) const;
  Map convolve(const nlohmann::json& node, const Map& input) const;
  Map finish(const nlohmann::json& node, Map sums) const;
  std::vector<int64_t> input_shape(const nlohmann::json& node) const;

  nlohmann::json manifest_;
  std::string bytes_;
  std::map<std::string, nlohmann::json> nodes_;
};

}  // namespace ssdq::testing

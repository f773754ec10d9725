#include "integer_net.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace ssdq::testing {
namespace {

using nlohmann::json;

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Calls body(output index, input index, tap) for each tap inside the map; taps are numbered as
// the weight [out, in / groups, kh, kw] is.
template <typename Body>
void for_taps(const json& node, const std::vector<int64_t>& in, Body body) {
  const auto out = node["output_shape"].get<std::vector<int64_t>>();
  const auto weight = node["weight"]["shape"].get<std::vector<int64_t>>();
  const int64_t groups = node["groups"], per_group = out[0] / groups;
  for (int64_t c = 0; c < out[0]; ++c) {
    for (int64_t y = 0; y < out[1]; ++y) {
      for (int64_t x = 0; x < out[2]; ++x) {
        for (int64_t k = 0; k < weight[1]; ++k) {
          for (int64_t i = 0; i < weight[2]; ++i) {
            for (int64_t j = 0; j < weight[3]; ++j) {
              const int64_t row = y * node["stride"][0].get<int64_t>() -
                                  node["padding"][0].get<int64_t>() +
                                  i * node["dilation"][0].get<int64_t>();
              const int64_t column = x * node["stride"][1].get<int64_t>() -
                                     node["padding"][1].get<int64_t>() +
                                     j * node["dilation"][1].get<int64_t>();
              if (row >= 0 && row < in[1] && column >= 0 && column < in[2]) {
                const int64_t channel = c / per_group * weight[1] + k;
                body((c * out[1] + y) * out[2] + x, (channel * in[1] + row) * in[2] + column,
                     ((c * weight[1] + k) * weight[2] + i) * weight[3] + j);
              }
            }
          }
        }
      }
    }
  }
}

double activated(const json& node, double x) {
  const std::string activation = node["activation"];
  if (activation == "linear") {
    return x;
  }
  if (activation == "relu" || activation == "relu6") {
    return std::min(std::max(x, 0.0), activation == "relu" ? 1e300 : 6.0);
  }
  if (activation == "leaky") {
    return x < 0 ? x * node["leaky_slope"].get<double>() : x;
  }
  throw std::runtime_error("activation " + activation);
}

}  // namespace

IntegerNet::IntegerNet(const std::string& path) {
  manifest_ = json::parse(bytes_of(path + ".json"));
  if (manifest_["format"] != "ssdq-integers" || manifest_["version"] != 1) {
    throw std::runtime_error("another format");
  }
  bytes_ = bytes_of(path);
  for (const json& node : manifest_["nodes"]) {
    nodes_[node["name"]] = node;
  }
}

const json& IntegerNet::node(const std::string& name) const { return nodes_.at(name); }

// Bit i of an element is bit i % 8 of byte i / 8 of the whole tensor.
std::vector<int64_t> IntegerNet::integers(const json& blob) const {
  const std::string type = blob["type"];
  const bool is_signed = type[0] != 'u';
  const int bits = std::stoi(type.substr(type.find("int") + 3));
  const size_t start = blob["offset"];
  size_t count = 1;
  for (const json& side : blob["shape"]) {
    count *= side.get<size_t>();
  }
  std::vector<int64_t> values;
  for (size_t n = 0; n < count; ++n) {
    int64_t value = 0;
    for (int i = 0; i < bits; ++i) {
      const size_t at = n * static_cast<size_t>(bits) + static_cast<size_t>(i);
      const int bit = static_cast<unsigned char>(bytes_.at(start + at / 8)) >> at % 8 & 1;
      value += (is_signed && i == bits - 1 ? -1 : 1) * (int64_t{bit} << i);
    }
    values.push_back(value);
  }
  return values;
}

std::vector<double> IntegerNet::reals(const json& blob) const {
  std::vector<double> values;
  const bool wide = blob["type"] == "float64";
  const size_t size = wide ? 8 : 4, start = blob["offset"];
  for (size_t i = 0; i < blob["bytes"].get<size_t>() / size; ++i) {
    double number = 0;
    float narrow = 0;
    std::memcpy(wide ? static_cast<void*>(&number) : &narrow, bytes_.data() + start + i * size,
                size);
    values.push_back(wide ? number : static_cast<double>(narrow));
  }
  return values;
}

IntegerNet::Map IntegerNet::positions(const json& code, const Map& x) {
  const double zero = code["zero_point"], scale = code["encode_scale"];
  Map result;
  for (const double value : x) {
    result.push_back(value / scale + zero);
  }
  return result;
}

IntegerNet::Codes IntegerNet::encode(const json& code, const Map& x) {
  const double zero = code["zero_point"], scale = code["encode_scale"];
  const bool whole = zero == std::nearbyint(zero);
  Codes result;
  for (const double value : x) {
    const double nearest =
        whole ? std::nearbyint(value / scale) + zero : std::nearbyint(value / scale + zero);
    result.push_back(static_cast<int64_t>(
        std::clamp(nearest, code["low"].get<double>(), code["high"].get<double>())));
  }
  return result;
}

IntegerNet::Map IntegerNet::decode(const json& code, const Codes& codes) {
  Map result;
  for (const int64_t one : codes) {
    result.push_back(code["scale"].get<double>() *
                     (static_cast<double>(one) - code["zero_point"].get<double>()));
  }
  return result;
}

std::vector<int64_t> IntegerNet::input_shape(const json& node) const {
  return nodes_.at(node["inputs"][0])["output_shape"].get<std::vector<int64_t>>();
}

IntegerNet::Codes IntegerNet::accumulate(const json& node, const Codes& input) const {
  const auto zero = static_cast<int64_t>(node["input_code"]["zero_point"].get<double>());
  const auto weight = integers(node["weight"]);
  const auto shape = node["output_shape"].get<std::vector<int64_t>>();
  const auto shift = node["shift"].get<std::vector<int64_t>>();
  const size_t length = weight.size() / static_cast<size_t>(shape[0]);
  Codes values;
  for (size_t i = 0; i < weight.size(); ++i) {
    values.push_back(node["multiplier"].get<int64_t>() * weight[i] +
                     shift[shift.size() == 1 ? 0 : i / length]);
  }
  Codes sums(static_cast<size_t>(shape[0] * shape[1] * shape[2]));
  for_taps(node, input_shape(node), [&](int64_t to, int64_t from, int64_t tap) {
    sums[static_cast<size_t>(to)] +=
        values[static_cast<size_t>(tap)] * (input[static_cast<size_t>(from)] - zero);
  });
  for (const json& channel : node["constant_channels"]) {
    const auto begin = sums.begin() + channel.get<int64_t>() * shape[1] * shape[2];
    std::fill(begin, begin + shape[1] * shape[2], 0);
  }
  return sums;
}

IntegerNet::Map IntegerNet::sum_taps(const json& node, const Map& weight, const Map& input) const {
  const auto shape = node["output_shape"].get<std::vector<int64_t>>();
  Map sums(static_cast<size_t>(shape[0] * shape[1] * shape[2]));
  for_taps(node, input_shape(node), [&](int64_t to, int64_t from, int64_t tap) {
    sums[static_cast<size_t>(to)] +=
        weight[static_cast<size_t>(tap)] * input[static_cast<size_t>(from)];
  });
  return sums;
}

// scale sum + bias, activated.
IntegerNet::Map IntegerNet::finish(const json& node, Map sums) const {
  const auto scale = reals(node["scale"]), bias = reals(node["real_bias"]);
  const size_t area = sums.size() / scale.size();
  for (size_t i = 0; i < sums.size(); ++i) {
    sums[i] = activated(node, sums[i] * scale[i / area] + bias[i / area]);
  }
  return sums;
}

IntegerNet::Map IntegerNet::convolve_codes(const json& node, const Codes& input) const {
  if (node["integer"].get<bool>()) {
    const Codes sums = accumulate(node, input);
    return finish(node, Map(sums.begin(), sums.end()));
  }
  const double zero = node["input_code"]["zero_point"];
  Map values;
  for (const int64_t code : input) {
    values.push_back(static_cast<double>(code) - zero);
  }
  return convolve(node, values);
}

// Of values in units of the input's scale.
IntegerNet::Map IntegerNet::convolve(const json& node, const Map& input) const {
  Map weight;
  if (node["weight"]["type"] == "float32") {
    weight = reals(node["weight"]);
  } else {
    const auto codes = integers(node["weight"]);
    const auto shift = node["shift"].get<std::vector<int64_t>>();
    const size_t length = codes.size() / node["output_shape"][0].get<size_t>();
    for (size_t i = 0; i < codes.size(); ++i) {
      weight.push_back(static_cast<double>(node["multiplier"].get<int64_t>() * codes[i] +
                                           shift[shift.size() == 1 ? 0 : i / length]));
    }
  }
  return finish(node, sum_taps(node, weight, input));
}

// Halves to even.
IntegerNet::Codes IntegerNet::requantize(const json& node, const json& to,
                                         const Codes& accumulators) const {
  const auto bias = integers(node["bias"]), mantissa = integers(to["mantissa"]),
             shift = integers(to["shift"]);
  const size_t area = accumulators.size() / bias.size();
  Codes result;
  for (size_t i = 0; i < accumulators.size(); ++i) {
    const size_t c = i / area;
    const int64_t product = (accumulators[i] + bias[c]) * mantissa[c];
    const int64_t below = product >> shift[c], rest = product - (below << shift[c]);
    const int64_t half = shift[c] == 0 ? 0 : int64_t{1} << (shift[c] - 1);
    const bool up = shift[c] > 0 && (rest > half || (rest == half && below % 2 != 0));
    result.push_back(std::clamp(below + (up ? 1 : 0) + to["zero_point"].get<int64_t>(),
                                to["low"].get<int64_t>(), to["high"].get<int64_t>()));
  }
  return result;
}

IntegerNet::Map IntegerNet::apply(const json& node, const std::vector<const Map*>& inputs) const {
  const std::string kind = node["kind"];
  if (kind == "input" || kind == "output") {
    return *inputs[0];
  }
  const auto out = node["output_shape"].get<std::vector<int64_t>>();
  Map result;
  if (kind == "add") {
    result.assign(inputs[0]->size(), 0.0);
    for (size_t k = 0; k < inputs.size(); ++k) {
      const json& code = node["input_codes"][k];
      const Map x = code.is_null() ? *inputs[k] : decode(code, encode(code, *inputs[k]));
      std::transform(x.begin(), x.end(), result.begin(), result.begin(), std::plus<>());
    }
    for (double& value : result) {
      value = activated(node, value);
    }
    return result;
  }
  if (kind != "max_pool") {
    throw std::runtime_error("kind " + kind);
  }
  const auto in = input_shape(node);
  for (int64_t c = 0; c < out[0]; ++c) {
    for (int64_t y = 0; y < out[1]; ++y) {
      for (int64_t x = 0; x < out[2]; ++x) {
        double most = -1e300;
        for (int64_t i = 0; i < node["kernel"][0].get<int64_t>(); ++i) {
          for (int64_t j = 0; j < node["kernel"][1].get<int64_t>(); ++j) {
            const int64_t row = y * node["stride"][0].get<int64_t>() + i,
                          column = x * node["stride"][1].get<int64_t>() + j;
            if (row < in[1] && column < in[2]) {
              most = std::max(
                  most, (*inputs[0])[static_cast<size_t>((c * in[1] + row) * in[2] + column)]);
            }
          }
        }
        result.push_back(most);
      }
    }
  }
  return result;
}

std::map<std::string, IntegerNet::Map> IntegerNet::run(const Map& image) const {
  std::map<std::string, Map> maps;
  for (const json& node : manifest_["nodes"]) {
    std::vector<const Map*> inputs;
    for (const json& input : node["inputs"]) {
      inputs.push_back(&maps.at(input));
    }
    if (inputs.empty()) {
      inputs.push_back(&image);
    }
    const std::string name = node["name"];
    if (node.contains("weight") && node.contains("scale")) {
      const json& code = node["input_code"];
      maps[name] = code.is_null() ? convolve(node, *inputs[0])
                                  : convolve_codes(node, encode(code, *inputs[0]));
    } else {
      maps[name] = apply(node, inputs);
    }
  }
  return maps;
}

}  // namespace ssdq::testing

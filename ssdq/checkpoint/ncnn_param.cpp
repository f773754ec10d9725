#include "ssdq/checkpoint/ncnn_param.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "ssdq/checkpoint/printable.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr std::string_view kMagic = "7767517";
constexpr int64_t kMostLayers = 100'000;
constexpr int kListKeys = -23300;  // a parameter of key k that is a list has the key -23300 - k
constexpr int kMostKey = 10'000;

std::optional<int64_t> whole_number(std::string_view word) {
  int64_t value = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
}

// The words of a text, line by line.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  // Goes to the next line that is not blank. False at the end of the text.
  bool next_line() {
    line_ = {};
    while (!rest_.empty() && line_.find_first_not_of(kBlank) == line_.npos) {
      const size_t end = rest_.find('\n');
      line_ = rest_.substr(0, end);
      rest_.remove_prefix(end == rest_.npos ? rest_.size() : end + 1);
      ++number_;
    }
    return line_.find_first_not_of(kBlank) != line_.npos;
  }

  // The next word of the line, or nothing.
  std::string_view word() {
    line_.remove_prefix(std::min(line_.find_first_not_of(kBlank), line_.size()));
    const std::string_view word = line_.substr(0, line_.find_first_of(kBlank));
    line_.remove_prefix(word.size());
    return word;
  }

  int64_t count(const char* what) {
    const std::string_view text = word();
    const auto value = whole_number(text);
    if (!value || *value < 0 || *value > kMostLayers) {
      fail("line {}: expected the number of {}, up to {}, got '{}'", number_, what, kMostLayers,
           printable(text));
    }
    return *value;
  }

  int number() const { return number_; }

 private:
  static constexpr std::string_view kBlank = " \t\r";

  std::string_view rest_, line_;
  int number_ = 0;
};

// "9=3" or, a list, "-23310=2,0.0,6.0".
void read_parameter(std::string_view word, const Words& words, NcnnLayer& layer) {
  const size_t equals = word.find('=');
  const auto key = whole_number(word.substr(0, equals));
  const bool plain = key && *key >= 0 && *key <= kMostKey;
  const bool list = key && *key <= kListKeys && *key >= kListKeys - kMostKey;
  SSDQ_CHECK(equals != word.npos && (plain || list),
             "line {}: expected a parameter as 'number=value', got '{}'", words.number(),
             printable(word));
  const int number = static_cast<int>(plain ? *key : kListKeys - *key);
  SSDQ_CHECK(layer.parameters.emplace(number, word.substr(equals + 1)).second,
             "line {}: parameter {} is given twice", words.number(), number);
}

NcnnLayer read_layer(Words& words) {
  NcnnLayer layer;
  layer.type = words.word();
  layer.name = words.word();
  const int64_t inputs = words.count("inputs");
  const int64_t outputs = words.count("outputs");
  for (int64_t i = 0; i < inputs + outputs; ++i) {
    SSDQ_CHECK(!words.word().empty(), "line {}: names {} maps, fewer than the {} it should",
               words.number(), i, inputs + outputs);
  }
  for (std::string_view word = words.word(); !word.empty(); word = words.word()) {
    read_parameter(word, words, layer);
  }
  return layer;
}

}  // namespace

int64_t NcnnLayer::integer(int key, int64_t fallback, int64_t least, int64_t most) const {
  const auto found = parameters.find(key);
  if (found == parameters.end()) {
    return fallback;
  }
  const auto value = whole_number(found->second);
  SSDQ_CHECK(value && *value >= least && *value <= most,
             "layer '{}': parameter {} should be a whole number in {}..{}, got '{}'",
             printable(name), key, least, most, printable(found->second));
  return *value;
}

std::vector<NcnnLayer> parse_ncnn_param(std::string_view text) {
  Words words(text);
  const bool begun = words.next_line();
  SSDQ_CHECK(begun && words.word() == kMagic && words.word().empty(),
             "is not the text form of an ncnn network: its first line should be {}", kMagic);
  SSDQ_CHECK(words.next_line(), "the file is truncated: it ends before the number of layers");
  const int64_t layers = words.count("layers");
  words.count("maps");
  std::vector<NcnnLayer> result;
  while (words.next_line()) {
    SSDQ_CHECK(static_cast<int64_t>(result.size()) < layers,
               "line {}: there are more than the {} layers that line 2 announces", words.number(),
               layers);
    result.push_back(read_layer(words));
  }
  SSDQ_CHECK(static_cast<int64_t>(result.size()) == layers,
             "the file is truncated: it has {} of the {} layers that line 2 announces",
             result.size(), layers);
  return result;
}

}  // namespace ssdq

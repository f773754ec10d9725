#pragma once

#include <string>
#include <vector>

namespace ssdq {

// Where a value was written. Line and column count from 1; line 0 is a place without lines.
struct Place {
  int order = 0;  // of the source among those read, for sorting
  std::string source;
  int line = 0;
  int column = 0;

  std::string text() const;  // "file:line:column" or the source alone
};

// A value of YAML as written. Scalars are text: what they mean is up to the field that they set.
struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string text;  // of a scalar
  Place place;
  std::vector<YamlNode> keys;    // of a map: scalars, duplicates kept
  std::vector<YamlNode> values;  // of a map or list
};

// Mistakes found so far, reported all at once.
class Problems {
 public:
  void add(const Place& place, const std::string& what);

  // Throws ConfigError with a line for each problem, in the order of sources, lines and columns.
  void throw_if_any() const;

 private:
  struct Problem {
    Place place;
    std::string what;
  };
  std::vector<Problem> problems_;
};

// Reads one document of YAML. What cannot be parsed is a problem and gives a null node.
YamlNode parse_document(const std::string& yaml, int order, const std::string& source,
                        Problems& problems);

// Reads a value of the command line; text that is no YAML is a scalar.
YamlNode parse_value(const std::string& text, const Place& place);

// Reads a Python tuple or list that a scalar holds: `("a", )`, `((2,), (2, 3))`, `[1, 2]`. True and
// the list in `node` if the scalar is one; a scalar that is not stays as it is.
bool expand_tuple(YamlNode& node);

// On one line, for messages and free-form options.
std::string flow_text(const YamlNode& node);

}  // namespace ssdq

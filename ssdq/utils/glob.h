#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ssdq {

// Whether the whole of `text` is what `pattern` describes: '*' stands for any letters, none
// included, '?' for one, others for themselves.
bool glob_matches(std::string_view pattern, std::string_view text);

// Whether one of `patterns` does.
bool matches_any(const std::vector<std::string>& patterns, std::string_view text);

}  // namespace ssdq

#pragma once

#include <string>
#include <string_view>

namespace ssdq {

// A name out of a file nobody vouches for, as an error message can show it: on one line, short.
std::string printable(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace ssdq

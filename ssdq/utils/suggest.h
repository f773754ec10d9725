#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ssdq {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, ignoring
// case.
int edit_distance(std::string_view a, std::string_view b);

// The known name that `name` is most likely a slip of: at most one edit in three letters, the first
// of equals. Nothing when none is near.
std::optional<std::string> nearest_name(std::string_view name,
                                        const std::vector<std::string>& known);

// End of an error message about an unknown name: "; did you mean 'dorefa'? (known: bwn, dorefa)".
std::string suggestion(std::string_view name, const std::vector<std::string>& known);

}  // namespace ssdq

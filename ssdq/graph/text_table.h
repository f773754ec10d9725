#pragma once

#include <string>
#include <vector>

namespace ssdq {

enum class TableStyle { kText, kMarkdown };

// Rows of equal length as aligned columns, the first row being the header: the first `left` columns
// to the left, the others to the right. Markdown escapes '|'. No line ends in blanks.
std::string text_table(const std::vector<std::vector<std::string>>& rows, std::size_t left,
                       TableStyle style);

}  // namespace ssdq

#include "ssdq/graph/text_table.h"

#include <algorithm>

#include <fmt/format.h>

namespace ssdq {
namespace {

using Row = std::vector<std::string>;

std::string escaped(const std::string& cell) {
  std::string text;
  for (const char c : cell) {
    text += c == '|' ? "\\|" : std::string(1, c);
  }
  return text;
}

std::string line(const Row& row, const std::vector<std::size_t>& widths, std::size_t left,
                 TableStyle style) {
  const bool markdown = style == TableStyle::kMarkdown;
  std::string text = markdown ? "|" : "";
  for (std::size_t i = 0; i < row.size(); ++i) {
    const std::string cell = i < left ? fmt::format("{:<{}}", row[i], widths[i])
                                      : fmt::format("{:>{}}", row[i], widths[i]);
    text += markdown ? " " + cell + " |" : (i == 0 ? "" : "  ") + cell;
  }
  const std::size_t end = text.find_last_not_of(' ');
  return text.substr(0, end == std::string::npos ? 0 : end + 1) + "\n";
}

// "|:---|---:|", as wide as the columns.
std::string rule(const std::vector<std::size_t>& widths, std::size_t left) {
  std::string text = "|";
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const std::string dashes(widths[i] + 1, '-');
    text += i < left ? ":" + dashes + "|" : dashes + ":|";
  }
  return text + "\n";
}

}  // namespace

std::string text_table(const std::vector<std::vector<std::string>>& rows, std::size_t left,
                       TableStyle style) {
  std::vector<Row> cells = rows;
  std::vector<std::size_t> widths(rows.empty() ? 0 : rows.front().size(), 1);
  for (Row& row : cells) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (style == TableStyle::kMarkdown) row[i] = escaped(row[i]);
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    text += line(cells[i], widths, left, style);
    if (i == 0 && style == TableStyle::kMarkdown) text += rule(widths, left);
  }
  return text;
}

}  // namespace ssdq

#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ssdq {

// The bytes of a file; throws Error when it is missing, a directory, or unreadable.
std::string read_text(const std::filesystem::path& path);

std::string_view trim(std::string_view text);

// A finite number and nothing else, whitespace around it aside.
std::optional<double> parse_number(std::string_view text);

// An image side as an annotation gives it, cut to whole pixels; 0 (unknown) when it cannot be one.
int whole_pixels(double value);

struct TextLine {
  int number = 0;  // from 1
  std::string text;
};

// The lines of a file that are not blank, trimmed. Throws as read_text.
std::vector<TextLine> read_lines(const std::filesystem::path& path);

// Number from 1 of the line that holds byte `offset` of `text`.
int line_at(std::string_view text, std::size_t offset);

}  // namespace ssdq

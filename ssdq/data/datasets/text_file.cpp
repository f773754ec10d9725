#include "ssdq/data/datasets/text_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>

#include "ssdq/utils/error.h"

namespace ssdq {

std::string read_text(const std::filesystem::path& path) {
  std::error_code code;
  SSDQ_CHECK(!std::filesystem::is_directory(path, code), "{}: is a directory, a file was expected",
             path.string());
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  SSDQ_CHECK(file.good(), "{}: {}", path.string(),
             std::filesystem::exists(path, code) ? "cannot be opened for reading"
                                                 : "there is no such file");
  std::string text(static_cast<std::size_t>(file.tellg()), '\0');
  file.seekg(0);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  SSDQ_CHECK(file.good() || text.empty(), "{}: cannot be read to its end", path.string());
  return text;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\f\v";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::optional<double> parse_number(std::string_view text) {
  text = trim(text);
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() ||
      !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

int whole_pixels(double value) {
  constexpr double kMost = 1e6;
  return value >= 1 && value <= kMost ? static_cast<int>(value) : 0;
}

std::vector<TextLine> read_lines(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  std::vector<TextLine> lines;
  int number = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = trim(std::string_view(text).substr(start, end - start));
    ++number;
    if (!line.empty()) {
      lines.push_back({number, std::string(line)});
    }
    start = end + 1;
  }
  return lines;
}

int line_at(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  return 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n'));
}

}  // namespace ssdq

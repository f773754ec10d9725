#include "ssdq/distributed/agreement.h"

#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include "ssdq/distributed/peers.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

std::string value_of(const Facts& facts, const std::string& name) {
  const auto found = facts.find(name);
  return found == facts.end() ? "" : found->second;
}

std::string quote_line(const std::vector<std::string>& lines, size_t index) {
  return index < lines.size() ? fmt::format("\"{}\"", trim(lines[index])) : "nothing";
}

std::string first_difference(const std::string& text, const std::string& expected) {
  const auto lines = split(text, '\n'), expected_lines = split(expected, '\n');
  size_t i = 0;
  while (i < lines.size() && i < expected_lines.size() && lines[i] == expected_lines[i]) {
    ++i;
  }
  const bool one_line = lines.size() == 1 && expected_lines.size() == 1;
  return fmt::format("{}{} and {} on rank 0",
                     one_line ? std::string() : fmt::format("line {} is ", i + 1),
                     quote_line(lines, i), quote_line(expected_lines, i));
}

}  // namespace

std::string describe_disagreement(const std::vector<Facts>& facts) {
  std::set<std::string> names;
  for (const auto& of_rank : facts) {
    for (const auto& [name, value] : of_rank) {
      names.insert(name);
    }
  }
  for (const auto& name : names) {
    const auto expected = value_of(facts.front(), name);
    std::vector<int> differing;
    for (size_t rank = 1; rank < facts.size(); ++rank) {
      if (value_of(facts[rank], name) != expected) {
        differing.push_back(static_cast<int>(rank));
      }
    }
    if (!differing.empty()) {
      const auto first = static_cast<size_t>(differing.front());
      return fmt::format(
          "the {} of {} differs from rank 0's: on rank {} {}; start all ranks with the same", name,
          list_ranks(differing), first, first_difference(value_of(facts[first], name), expected));
    }
  }
  return "";
}

void check_agreement(ProcessGroup& group, const Facts& facts) {
  // Binary, because a configuration may have names of files that are not UTF-8.
  nlohmann::json own = nlohmann::json::object();
  for (const auto& [name, value] : facts) {
    own[name] = nlohmann::json::binary({value.begin(), value.end()});
  }
  const auto packed = nlohmann::json::to_cbor(own);
  std::vector<Facts> all;
  for (const auto& bytes : group.all_gather({packed.begin(), packed.end()})) {
    auto& of_rank = all.emplace_back();
    const auto json = nlohmann::json::from_cbor(bytes);
    for (const auto& [name, value] : json.items()) {
      const auto& text = value.get_binary();
      of_rank[name] = {text.begin(), text.end()};
    }
  }
  const auto message = describe_disagreement(all);
  SSDQ_CHECK(message.empty(), "{}", message);
}

}  // namespace ssdq

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ssdq {
namespace {

namespace fs = std::filesystem;

// Who may include whom: the table of docs/architecture.md. A folder may always include itself.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"utils", {}},
    {"structures", {"utils"}},
    {"config", {"utils", "structures"}},
    {"graph", {"utils", "structures"}},
    {"detection", {"utils", "structures", "config"}},
    {"data", {"utils", "structures", "config", "detection"}},
    {"evaluation", {"utils", "structures", "config", "data"}},
    {"visualization", {"utils", "structures"}},
    {"kernels", {}},
    {"quantization", {"utils", "structures", "config", "graph", "kernels"}},
    {"layers", {"utils", "structures", "graph", "kernels", "quantization"}},
    {"solver", {"utils", "structures", "config", "quantization", "checkpoint"}},
    {"checkpoint", {"utils"}},
    {"modeling",
     {"utils", "structures", "config", "graph", "quantization", "layers", "checkpoint"}},
    {"pruning", {"utils", "structures", "graph", "layers", "checkpoint", "modeling"}},
    {"distributed", {"utils", "structures", "config", "evaluation", "quantization"}},
    {"importing", {"utils", "structures", "graph", "quantization", "checkpoint"}},
    {"engine",
     {"utils", "structures", "config", "graph", "detection", "data", "evaluation", "visualization",
      "quantization", "layers", "solver", "checkpoint", "modeling", "pruning", "importing",
      "distributed"}},
    {"export",
     {"utils", "structures", "config", "graph", "detection", "quantization", "layers", "checkpoint",
      "modeling"}},
};

// Folders whose files must compile without LibTorch: they make up ssdq::core.
const std::set<std::string> kNoTorch = {"utils", "structures", "config",     "graph",
                                        "data",  "detection",  "evaluation", "visualization"};

struct Include {
  std::string place;   // ssdq/a/b.h:4
  std::string folder;  // a
  std::string target;  // what stands between the quotes or brackets
  bool header = false;
};

std::vector<Include> includes_below(const fs::path& root) {
  static const std::regex kLine(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"])");
  std::vector<Include> found;
  for (const auto& entry : fs::recursive_directory_iterator(root / "ssdq")) {
    const auto extension = entry.path().extension();
    if (extension != ".h" && extension != ".cpp") {
      continue;
    }
    const auto relative = entry.path().lexically_relative(root);
    const std::string folder = std::next(relative.begin())->string();
    std::ifstream file(entry.path());
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
      std::smatch match;
      if (std::regex_search(line, match, kLine)) {
        found.push_back({relative.string() + ":" + std::to_string(number), folder, match[1],
                         extension == ".h"});
      }
    }
  }
  return found;
}

std::vector<std::string> wrong_directions(const std::vector<Include>& includes) {
  std::vector<std::string> wrong;
  for (const auto& include : includes) {
    if (include.target.rfind("ssdq/", 0) != 0) {
      continue;
    }
    const std::string target = include.target.substr(5, include.target.find('/', 5) - 5);
    const auto allowed = kMayInclude.find(include.folder);
    if (allowed == kMayInclude.end()) {
      wrong.push_back(include.place + ": folder " + include.folder + " is not in the table");
    } else if (target != include.folder && allowed->second.count(target) == 0) {
      wrong.push_back(include.place + " includes " + include.target + ": " + include.folder +
                      " may not include " + target);
    }
  }
  return wrong;
}

TEST(Includes, FollowTheTable) {
  EXPECT_THAT(wrong_directions(includes_below(SSDQ_SOURCE_DIR)), testing::IsEmpty());
}

TEST(Includes, CheckFindsAWrongDirection) {
  const std::vector<Include> includes = {
      {"ssdq/utils/log.h:4", "utils", "ssdq/config/config.h", true}};
  EXPECT_THAT(
      wrong_directions(includes),
      testing::ElementsAre(
          "ssdq/utils/log.h:4 includes ssdq/config/config.h: utils may not include config"));
}

TEST(Includes, CoreFoldersDoNotSeeLibTorch) {
  std::vector<std::string> wrong;
  for (const auto& include : includes_below(SSDQ_SOURCE_DIR)) {
    const bool torch = std::regex_search(include.target, std::regex("^(torch|ATen|c10)/"));
    if (torch && kNoTorch.count(include.folder) != 0) {
      wrong.push_back(include.place);
    }
  }
  EXPECT_THAT(wrong, testing::IsEmpty());
}

TEST(Includes, HeadersDoNotTakeAllOfLibTorch) {
  std::vector<std::string> wrong;
  for (const auto& include : includes_below(SSDQ_SOURCE_DIR)) {
    if (include.header && (include.target == "torch/torch.h" || include.target == "torch/all.h")) {
      wrong.push_back(include.place);
    }
  }
  EXPECT_THAT(wrong, testing::IsEmpty());
}

// Two headers that define a type of one name break the one-definition rule as soon as a program
// holds both, and the linker does not say so.
TEST(Types, AreDefinedInOneHeader) {
  static const std::regex kDefinition(R"(^(struct|class|enum class) ([A-Z]\w*)[^;]*$)");
  std::map<std::string, std::string> places;
  std::vector<std::string> twice;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(SSDQ_SOURCE_DIR) / "ssdq")) {
    if (entry.path().extension() != ".h") {
      continue;
    }
    std::ifstream file(entry.path());
    std::smatch match;
    for (std::string line; std::getline(file, line);) {
      if (std::regex_search(line, match, kDefinition) &&
          !places.emplace(match[2], entry.path().string()).second) {
        twice.push_back(match[2].str() + ": " + places[match[2]] + " and " + entry.path().string());
      }
    }
  }
  EXPECT_THAT(twice, testing::IsEmpty());
}

}  // namespace
}  // namespace ssdq

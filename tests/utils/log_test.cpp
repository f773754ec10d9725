#include "ssdq/utils/log.h"

#include <regex>
#include <sstream>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

TEST(Log, WarningsGoToTheErrorStreamAndLowLevelsNowhere) {
  std::ostringstream out;
  std::ostringstream err;
  Log log(out, err, false);
  log.message(LogLevel::kDebug, "hidden");
  log.message(LogLevel::kInfo, "hello");
  log.message(LogLevel::kWarning, "careful");
  log.message(LogLevel::kError, "broken");
  EXPECT_THAT(out.str(), MatchesRegex("\\[..:..:..\\] hello\n"));
  EXPECT_THAT(err.str(),
              MatchesRegex("\\[..:..:..\\] warning: careful\n\\[..:..:..\\] error: broken\n"));
  log.set_level(LogLevel::kDebug);
  log.message(LogLevel::kDebug, "shown");
  EXPECT_THAT(out.str(), HasSubstr("debug: shown\n"));
}

TEST(Log, TheFileIsAppendedToWithDateAndLevel) {
  const TempFolder folder;
  write_text(folder / "log.txt", "earlier\n");
  std::ostringstream out;
  Log log(out, out, false);
  log.open_file(folder / "log.txt");
  log.message(LogLevel::kWarning, "careful");
  EXPECT_TRUE(std::regex_match(
      read_text(folder / "log.txt"),
      std::regex("earlier\n\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d WARNING careful\n")));
}

TEST(Log, MessagesGoAboveTheStatusLine) {
  std::ostringstream out;
  Log log(out, out, true);
  log.set_status("50%");
  EXPECT_EQ(out.str(), "\r\x1b[K50%");
  out.str("");
  log.message(LogLevel::kInfo, "hello");
  EXPECT_THAT(out.str(), ::testing::StartsWith("\r\x1b[K["));
  EXPECT_THAT(out.str(), ::testing::EndsWith("hello\n50%"));
}

TEST(Log, StatusIsNotWrittenToAFileOrPipe) {
  std::ostringstream out;
  Log log(out, out, false);
  log.set_status("50%");
  EXPECT_EQ(out.str(), "");
}

TEST(Log, LinesOfSeveralThreadsStayWhole) {
  const TempFolder folder;
  std::ostringstream out;
  Log log(out, out, false);
  log.open_file(folder / "log.txt");
  constexpr int kThreads = 4;
  constexpr int kLines = 200;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&log] {
      for (int i = 0; i < kLines; ++i) {
        log.message(LogLevel::kInfo, std::string(40, 'x'));
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  std::istringstream lines(read_text(folder / "log.txt"));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    ASSERT_EQ(line.substr(19), " INFO    " + std::string(40, 'x'));
  }
  EXPECT_EQ(count, kThreads * kLines);
}

TEST(Log, AFullDiskIsReportedOnceAndLoggingGoesOn) {
  const TempFolder folder;
  std::ostringstream out;
  std::ostringstream err;
  Log log(out, err, false);
  log.open_file(folder / "log.txt");
  {
    const FileSizeLimit limit(10);
    log.message(LogLevel::kInfo, "first");
    log.message(LogLevel::kInfo, "second");
  }
  EXPECT_EQ(err.str(), "warning: " + folder / "log.txt" +
                           ": the log file is no longer written: File too large\n");
  EXPECT_THAT(out.str(), HasSubstr("second\n"));
}

TEST(Log, AnUnwritableFileIsOneSentence) {
  const TempFolder folder;
  write_text(folder / "file", "");
  std::ostringstream out;
  Log log(out, out, false);
  EXPECT_EQ(message_of<Error>([&] { log.open_file(folder / "file/log.txt"); }),
            folder / "file/log.txt: cannot write the log file: Not a directory");
}

}  // namespace
}  // namespace ssdq::testing

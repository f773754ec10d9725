#include "ssdq/utils/event_writers.h"

#include <limits>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

void put_losses(EventStorage& storage, int64_t iteration, double loss) {
  storage.set_iteration(iteration);
  storage.put("loss", loss);
}

TEST(JsonlWriter, WritesALineAtATimeAndEachValueOnce) {
  const TempFolder folder;
  JsonlWriter writer(folder / "metrics.jsonl", 0);
  EventStorage storage;
  put_losses(storage, 1, 0.1);
  storage.put("mAP", 0.5);
  writer.write(storage);
  EXPECT_EQ(read_text(folder / "metrics.jsonl"), "{\"iteration\":1,\"loss\":0.1,\"mAP\":0.5}\n");
  put_losses(storage, 2, 3);
  writer.write(storage);
  writer.write(storage);
  EXPECT_EQ(read_text(folder / "metrics.jsonl"),
            "{\"iteration\":1,\"loss\":0.1,\"mAP\":0.5}\n{\"iteration\":2,\"loss\":3.0}\n");
}

TEST(JsonlWriter, NonFiniteNumbersAreNull) {
  const TempFolder folder;
  JsonlWriter writer(folder / "m", 0);
  EventStorage storage;
  storage.put("a", std::numeric_limits<double>::quiet_NaN());
  storage.put("b", -std::numeric_limits<double>::infinity());
  writer.write(storage);
  EXPECT_EQ(read_text(folder / "m"), "{\"iteration\":0,\"a\":null,\"b\":null}\n");
}

TEST(JsonlWriter, ResumingDropsWhatWillBeDoneAgainAndATornLine) {
  const TempFolder folder;
  write_text(folder / "m",
             "{\"iteration\":9,\"loss\":1.5}\n{\"iteration\":10}\n{\"iteration\":11}\n{\"iterat");
  JsonlWriter writer(folder / "m", 10);
  EXPECT_EQ(read_text(folder / "m"), "{\"iteration\":9,\"loss\":1.5}\n");
  EventStorage storage;
  put_losses(storage, 10, 2);
  writer.write(storage);
  EXPECT_EQ(read_text(folder / "m"),
            "{\"iteration\":9,\"loss\":1.5}\n{\"iteration\":10,\"loss\":2.0}\n");
}

TEST(JsonlWriter, ANewRunStartsAnEmptyFile) {
  const TempFolder folder;
  write_text(folder / "m", "{\"iteration\":0}\n{\"iteration\":1}\n");
  const JsonlWriter writer(folder / "m", 0);
  EXPECT_EQ(read_text(folder / "m"), "");
}

TEST(JsonlWriter, AFullDiskIsOneSentenceAndLeavesWholeLines) {
  const TempFolder folder;
  JsonlWriter writer(folder / "m", 0);
  EventStorage storage;
  put_losses(storage, 1, 1);
  writer.write(storage);
  const std::string before = read_text(folder / "m");
  std::string message;
  {
    const FileSizeLimit limit(before.size() + 5);
    put_losses(storage, 2, 2);
    message = message_of<Error>([&] { writer.write(storage); });
  }
  EXPECT_EQ(message, folder / "m" + ": cannot write the metrics: File too large");
  EXPECT_EQ(read_text(folder / "m"), before);
  writer.write(storage);
  EXPECT_EQ(read_text(folder / "m"), before + "{\"iteration\":2,\"loss\":2.0}\n");
}

TEST(JsonlWriter, AnUnwritablePathIsOneSentence) {
  const TempFolder folder;
  write_text(folder / "file", "");
  EXPECT_EQ(message_of<Error>([&] { const JsonlWriter writer(folder / "file/m", 0); }),
            folder / "file/m: cannot write the metrics: Not a directory");
}

TEST(ConsoleWriter, StatusLineReadsAsDocumented) {
  EventStorage storage;
  storage.set_iteration(120);
  storage.put("loss", 3.21);
  storage.put("loss/cls", 2.0);
  storage.put("loss/loc", 1.2103);
  storage.put("time", 0.4124);
  storage.put("data_time", 0.003);
  storage.put("lr", 1e-3, false);
  storage.put("mAP", 0.8, false);
  // 3880 * 0.4124 s = 1600 s
  EXPECT_EQ(status_line(storage, 4000, 812.3),
            "eta 0:26:40  iter 120/4000  loss 3.21 (cls 2, loc 1.21)  0.412 s/it (data 0.003)"
            "  lr 1.0e-3  mem 812 MB");
}

TEST(ConsoleWriter, StatusLineTellsOfSparsity) {
  EventStorage storage;
  storage.put("sparsity/near_zero", 0.426, false);
  EXPECT_EQ(status_line(storage, 10, 5), "iter 0/10  sparsity 43% of scales near 0  mem 5 MB");
  storage.put("sparsity/below_50", 512, false);
  EXPECT_EQ(status_line(storage, 10, 5),
            "iter 0/10  sparsity 43% of scales near 0, 512 below the 50% cut  mem 5 MB");
}

TEST(ConsoleWriter, StatusLineLeavesOutWhatIsUnknown) {
  EventStorage storage;
  EXPECT_EQ(status_line(storage, 10, 5), "iter 0/10  mem 5 MB");
  storage.put("loss/cls", 2);
  EXPECT_EQ(status_line(storage, 10, 5), "iter 0/10  loss (cls 2)  mem 5 MB");
}

TEST(ConsoleWriter, RedrawsABarOnATerminalOnly) {
  EventStorage storage;
  storage.set_iteration(5);
  storage.put("time", 2);
  std::ostringstream terminal_text;
  std::ostringstream plain_text;
  Log terminal(terminal_text, terminal_text, true);
  Log plain(plain_text, plain_text, false);
  ConsoleWriter(terminal, 10).tick(storage);
  EXPECT_EQ(terminal_text.str(), "\r\x1b[Keta 0:00:10  [===============>              ] 5/10");
  ConsoleWriter writer(plain, 10);
  writer.tick(storage);
  writer.write(storage);
  writer.close();
  EXPECT_THAT(plain_text.str(), Not(HasSubstr("\x1b")));
  EXPECT_THAT(plain_text.str(), MatchesRegex("\\[..:..:..\\] eta 0:00:10  iter 5/10 .* MB\n"));
}

TEST(ConsoleWriter, CloseRemovesTheBar) {
  std::ostringstream text;
  Log log(text, text, true);
  ConsoleWriter writer(log, 10);
  writer.tick(EventStorage());
  text.str("");
  writer.close();
  EXPECT_EQ(text.str(), "\r\x1b[K");
}

}  // namespace
}  // namespace ssdq::testing

#include "ssdq/checkpoint/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"
#include "tests/checkpoint/pickle_bytes.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::StartsWith;
using Kind = PickleNode::Kind;

std::string complaint_about(const std::string& bytes) {
  return message_of<Error>([&] { parse_pickle(bytes); });
}

// The single values of a list.
std::string shown(const Pickle& pickle, PickleId id) {
  const PickleNode& node = pickle[id];
  std::string all;
  switch (node.kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return node.integer != 0 ? "True" : "False";
    case Kind::kInt:
      return std::to_string(node.integer);
    case Kind::kBigInt:
      return "long of " + std::to_string(node.text.size());
    case Kind::kFloat:
      return std::to_string(node.real);
    case Kind::kString:
      return "'" + std::string(node.text) + "'";
    case Kind::kBytes:
      return "b'" + std::string(node.text) + "'";
    case Kind::kGlobal:
      return std::string(pickle[node.callable].text) + "." + std::string(node.text);
    case Kind::kObject:
      all = shown(pickle, node.callable) + shown(pickle, node.args);
      break;
    case Kind::kPersistent:
      return "persistent" + shown(pickle, node.args);
    default:
      break;
  }
  if (node.kind == Kind::kObject && node.items.empty()) {
    return all + (node.state == 0 ? "" : "|" + shown(pickle, node.state));
  }
  all += node.kind == Kind::kTuple ? "(" : node.kind == Kind::kList ? "[" : "{";
  for (const PickleId item : node.items) {
    all += shown(pickle, item) + " ";
  }
  return all + (node.kind == Kind::kTuple ? ")" : node.kind == Kind::kList ? "]" : "}");
}

std::string shown(const std::string& bytes) {
  const Pickle pickle = parse_pickle(bytes);
  EXPECT_EQ(pickle.end, bytes.size());
  return shown(pickle, pickle.root);
}

// The pickles of these two tests are what Python's pickle module writes.
TEST(PickleReader, ReadsTheTextProtocol) {
  EXPECT_EQ(
      shown("(lp0\nI1\naI01\naL-5L\naF0.5\naVab\np1\naNa(I1\nI2\ntp2\nag1\na(dp3\nVk\nI7\nsa."),
      "[1 True -5 0.500000 'ab' None (1 2 ) 'ab' {'k' 7 } ]");
  EXPECT_EQ(shown("S'x'\n."), "'x'");
}

TEST(PickleReader, ReadsTheBinaryProtocols) {
  using namespace std::string_literals;
  EXPECT_EQ(shown("\x80\x02]q\0(K\x01J\xFF\xFF\xFF\xFFM\0\x01\x8A\0\x8A\x01\xFF\x8A\x02\0\x01"
                  "G?\xE0\0\0\0\0\0\0\x88\x89Ne."s),
            "[1 -1 256 0 -1 256 0.500000 True False None ]");
  EXPECT_EQ(shown("\x80\x02\x8A\x09\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0."s), "long of 9");
  EXPECT_EQ(shown("\x80\x04\x95\x11\0\0\0\0\0\0\0\x8C\x01m\x94\x8C\x01n\x93\x94)\x81}\x8C\x01k"
                  "C\x02xysb."s),
            "m.n()|{'k' b'xy' }");
  EXPECT_EQ(shown("\x80\x02"
                  "cm\nn\n(K\x01K\x02tR(K\x03K\x04u."s),
            "m.n(1 2 ){3 4 }");
  EXPECT_EQ(shown("\x80\x04\x8F(K\x01K\x02\x90."s), "{1 2 }");
  EXPECT_EQ(shown("\x80\x02K\x01K\x02\x86Q."s), "persistent(1 2 )");
  EXPECT_EQ(shown("\x80\x02(K\x01(K\x02"
                  "002t."s),
            "(1 1 )");
}

TEST(PickleReader, DamageIsOneSentenceWithItsPlace) {
  EXPECT_EQ(complaint_about(""), "damaged file: its pickle is cut off in the value at byte 0");
  EXPECT_EQ(complaint_about("N\xF0"),
            "damaged file: its pickle has the unknown opcode 0xf0 at byte 1");
  EXPECT_EQ(message_of<Error>([] { parse_pickle("N\xF0", 100); }),
            "damaged file: its pickle has the unknown opcode 0xf0 at byte 101");
  for (const char* bytes : {"0",
                            "R",
                            "NR",
                            "a",
                            "]a",
                            "(a",
                            "u",
                            "}(Nu",
                            "}s",
                            "NNs",
                            "t",
                            "\x85",
                            "e",
                            "b",
                            "NNb",
                            "h\x01",
                            "q\x01",
                            "Nr\xFF\xFF\xFF\xFF",
                            "j\xFF\xFF\xFF\xFF",
                            "o",
                            "(o",
                            "K",
                            "I1x\n",
                            "X\xFF\xFF\xFF\xFF"
                            "a",
                            "\x8D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
                            "\x80\x06",
                            "N\x93",
                            "\x95\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
                            "cmodule",
                            "Np-1\n",
                            "\x82\x01"}) {
    EXPECT_THAT(complaint_about(bytes), StartsWith("damaged file: its pickle ")) << bytes;
  }
}

TEST(PickleReader, DepthCostsNoStack) {
  const std::string deep(1000000, ']');
  EXPECT_EQ(parse_pickle(deep + std::string(999999, 'a') + ".").nodes.size(), 1000001U);
  EXPECT_THAT(complaint_about(std::string(3000000, ']') + "."),
              StartsWith("damaged file: its pickle has more values"));
  EXPECT_THAT(complaint_about(std::string(3000000, '(') + "."), StartsWith("damaged file: "));
}

TEST(PickleReader, ValuesMayContainThemselves) {
  const Pickle pickle = parse_pickle(
      "]q\x01h\x01"
      "a.");
  EXPECT_EQ(pickle[pickle.root].items, std::vector<PickleId>{pickle.root});
}

}  // namespace
}  // namespace ssdq::testing

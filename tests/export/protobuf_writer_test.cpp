#include <string>

#include <gtest/gtest.h>

#include "ssdq/export/protobuf_writer.h"

namespace ssdq {
namespace {

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(byte) >> 4U];
    text += kDigits[static_cast<unsigned char>(byte) & 15U];
  }
  return text;
}

// The first three are the examples of the format's own description.
TEST(ProtobufWriter, WritesTheExamplesOfTheFormat) {
  ProtobufWriter inner;
  inner.integer(1, 150);
  EXPECT_EQ(hex(inner.text()), "089601");
  ProtobufWriter text;
  text.bytes(2, "testing");
  EXPECT_EQ(hex(text.text()), "120774657374696e67");
  ProtobufWriter outer;
  outer.message(3, inner);
  EXPECT_EQ(hex(outer.text()), "1a03089601");
}

TEST(ProtobufWriter, NegativeNumbersTakeTenBytes) {
  ProtobufWriter out;
  out.integer(1, -2);
  EXPECT_EQ(hex(out.text()), "08feffffffffffffffff01");
}

TEST(ProtobufWriter, NumbersChangeLengthAtSevenBits) {
  ProtobufWriter out;
  out.integer(1, 0);
  out.integer(1, 127);
  out.integer(1, 128);
  EXPECT_EQ(hex(out.text()), "0800087f088001");
}

TEST(ProtobufWriter, RealsAreLittleEndianAndHighFieldsTakeTwoBytes) {
  ProtobufWriter out;
  out.real(2, 1.0F);
  out.real(20, -0.5F);
  EXPECT_EQ(hex(out.text()), "150000803fa501000000bf");
}

TEST(ProtobufWriter, LongTextsHaveLongLengths) {
  ProtobufWriter out;
  out.bytes(1, std::string(300, 'x'));
  EXPECT_EQ(hex(out.text().substr(0, 4)), "0aac0278");
  EXPECT_EQ(out.text().size(), 303);
}

}  // namespace
}  // namespace ssdq

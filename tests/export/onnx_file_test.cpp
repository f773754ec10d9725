#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../utils/temp_folder.h"
#include "onnx_testing.h"
#include "ssdq/export/onnx_file.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using ::testing::HasSubstr;

OnnxModel identity_model() {
  OnnxBuilder onnx(13);
  onnx.model.ir_version = 7;
  onnx.model.graph_name = "g";
  onnx.model.metadata = {{"key", "value"}};
  onnx.input("x", OnnxType::kFloat, {"batch", int64_t{2}});
  onnx.node("Identity", "y", {"x"});
  onnx.output("y", OnnxType::kFloat, {"batch", int64_t{2}});
  return std::move(onnx.model);
}

// A whole file by hand, field by field of onnx.proto.
TEST(OnnxFile, HoldsTheBytesOfTheSchema) {
  using namespace std::string_literals;
  const std::string value_type =
      "\x12\x13\x0a\x11\x08\x01\x12\x0d\x0a\x07\x12\x05"s + "batch" + "\x0a\x02\x08\x02"s;
  const std::string node = "\x0a\x13\x0a\x01x\x12\x01y\x1a\x01y\x22\x08Identity"s;
  const std::string graph =
      node + "\x12\x01g"s + "\x5a\x18\x0a\x01x"s + value_type + "\x62\x18\x0a\x01y"s + value_type;
  const std::string expected = "\x08\x07\x12\x00\x1a\x00\x3a\x4c"s + graph +
                               "\x42\x04\x0a\x00\x10\x0d"s + "\x72\x0c\x0a\x03key\x12\x05value"s;
  EXPECT_EQ(serialize(identity_model()), expected);
}

TEST(OnnxFile, PythonReadsBackEveryKindOfField) {
  SSDQ_NEEDS_CHECKER();
  OnnxBuilder onnx(17);
  onnx.model.producer_name = "SSDQ";
  onnx.floats("f", {2, 1}, {1.5F, -2.0F});
  onnx.int64s("i64", {2}, {-1, int64_t{1} << 40U});
  onnx.int32s("i32", {1}, {-7});
  onnx.int8s("i8", {3}, {-128, 0, 127});
  onnx.uint8s("u8", {2}, {0, 255});
  onnx.scalar("s", 0.25);
  onnx.floats("none", {0}, {});
  onnx.node("Any", "n", {"f", "", "s"},
            {OnnxAttribute::integer("i", -3),
             OnnxAttribute::real("r", 0.5),
             OnnxAttribute::text("t", "word"),
             OnnxAttribute::integers("is", {1, -1}),
             {"rs", std::vector<float>{0.5F, 2.0F}}});
  EXPECT_EQ(testing::python_about(onnx.model,
                                  "import onnx, sys\n"
                                  "from onnx import numpy_helper as h\n"
                                  "m = onnx.load(sys.argv[1])\n"
                                  "for t in m.graph.initializer:\n"
                                  "  a = h.to_array(t); print(t.name, a.dtype, a.tolist())\n"
                                  "n = m.graph.node[0]\n"
                                  "print(n.op_type, n.name, list(n.input), list(n.output))\n"
                                  "for a in n.attribute:\n"
                                  "  print(a.name, onnx.helper.get_attribute_value(a))\n"
                                  "print(m.producer_name, m.opset_import[0].version)\n"),
            "f float32 [[1.5], [-2.0]]\n"
            "i64 int64 [-1, 1099511627776]\n"
            "i32 int32 [-7]\n"
            "i8 int8 [-128, 0, 127]\n"
            "u8 uint8 [0, 255]\n"
            "s float32 0.25\n"
            "none float32 []\n"
            "Any n ['f', '', 's'] ['n']\n"
            "i -3\n"
            "r 0.5\n"
            "t b'word'\n"
            "is [1, -1]\n"
            "rs [0.5, 2.0]\n"
            "SSDQ 17\n");
}

TEST(OnnxFile, RefusesAModelThatReadersWouldNotTake) {
  OnnxModel model = identity_model();
  const auto size = serialize(model).size();
  EXPECT_EQ(serialize(model, size).size(), size);
  EXPECT_THAT(testing::message_of<Error>([&] { serialize(model, size - 1); }),
              HasSubstr("more than the " + std::to_string(size - 1)));
}

TEST(OnnxFile, RefusesTwoValuesOfOneNameAndMissingOutputs) {
  OnnxBuilder onnx(17);
  onnx.scalar("a", 1);
  EXPECT_THAT(testing::message_of<Error>([&] { onnx.node("Relu", "a", {"a"}); }), HasSubstr("'a'"));
  EXPECT_THROW(onnx.output("b", OnnxType::kFloat, {}), Error);
  EXPECT_THROW(onnx.floats("c", {2, 2}, {1, 2, 3}), Error);
}

}  // namespace
}  // namespace ssdq

#include "ssdq/quantization/registry.h"

#include <string>

#include <gtest/gtest.h>

#include "ssdq/quantization/build.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

QuantizationConfig with_type(const std::string& type) {
  QuantizationConfig config;
  config.type = type;
  return config;
}

TEST(QuantizerRegistry, FindsMethodsInAnyCaseAndNoneAsNull) {
  QuantizerRegistry registry;
  register_quantizers(registry);
  EXPECT_NE(quantization_methods(registry, with_type("DoReFa"))("DoReFa", {}), nullptr);
  EXPECT_FALSE(quantization_methods(registry, with_type("no")));
  EXPECT_FALSE(quantization_methods(registry, with_type("None")));
}

TEST(QuantizerRegistry, NamesTheKnownMethodsForAnUnknownOne) {
  QuantizerRegistry registry;
  register_quantizers(registry);
  try {
    quantization_methods(registry, with_type("doreffa"))("doreffa", {});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("unknown name 'doreffa'"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("dorefa"), std::string::npos);
  }
}

TEST(QuantizationMethods, AreMadeOnceForEachTypeAndOptions) {
  QuantizerRegistry registry;
  register_quantizers(registry);
  const QuantizationMethods methods = quantization_methods(registry, with_type("dorefa"));
  const auto plain = methods("dorefa", {});
  EXPECT_EQ(methods("dorefa", {}), plain);
  EXPECT_NE(methods("dorefa", {{"RESCALE_OUTPUT", "true"}}), plain);
  EXPECT_THROW(methods("doreffa", {}), ConfigError);
}

TEST(QuantizationMethods, AreNoneWithoutAType) {
  const QuantizerRegistry registry;
  EXPECT_FALSE(quantization_methods(registry, with_type("none")));
}

}  // namespace
}  // namespace ssdq

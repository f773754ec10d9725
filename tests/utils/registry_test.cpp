#include "ssdq/utils/registry.h"

#include <functional>
#include <memory>
#include <string>

#include <gmock/gmock.h>

namespace ssdq {
namespace {

using testing::ElementsAre;

struct Product {
  int bits = 0;
};

using Products = Registry<Product, int>;

Products::Factory scaled(int factor) {
  return [factor](int bits) { return std::make_shared<Product>(Product{bits * factor}); };
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Registry, CreatesByNameInAnyCaseWithTheArguments) {
  Products products("QUANTIZATION.TYPE");
  products.add("dorefa", "DoReFa-Net.", scaled(1));
  products.add("IAO", "Integer arithmetic only.", scaled(10));
  EXPECT_EQ(products.create("iao", 4)->bits, 40);
  EXPECT_EQ(products.create("DoReFa", 4)->bits, 4);
  EXPECT_EQ(products.summary("iao"), "Integer arithmetic only.");
}

TEST(Registry, NamesAreAsRegisteredAndSorted) {
  Products products("QUANTIZATION.TYPE");
  products.add("IAO", "", scaled(1));
  products.add("dorefa", "", scaled(1));
  products.add("bwn", "", scaled(1));
  EXPECT_THAT(products.names(), ElementsAre("bwn", "dorefa", "IAO"));
}

TEST(Registry, DuplicateNamesBothPlaces) {
  Products products("QUANTIZATION.TYPE");
  products.add("iao", "", scaled(1), "first.cpp", 3);
  EXPECT_EQ(message_of([&] { products.add("IAO", "", scaled(2), "second.cpp", 9); }),
            "second.cpp:9: QUANTIZATION.TYPE 'IAO' is already registered at first.cpp:3");
  EXPECT_EQ(products.create("iao", 1)->bits, 1);
}

TEST(Registry, PlaceIsTheCallOfAdd) {
  Products products("KEY");
  products.add("a", "", scaled(1));
  EXPECT_THAT(
      message_of([&] { products.add("a", "", scaled(1)); }),
      testing::ContainsRegex("registry_test.cpp:[0-9]+: .* at .*registry_test.cpp:[0-9]+$"));
}

TEST(Registry, UnknownNameIsAConfigErrorWithASuggestion) {
  Products products("QUANTIZATION.TYPE");
  products.add("bwn", "", scaled(1));
  products.add("dorefa", "", scaled(1));
  EXPECT_THROW(products.create("doreffa", 8), ConfigError);
  EXPECT_EQ(
      message_of([&] { products.create("doreffa", 8); }),
      "QUANTIZATION.TYPE: unknown name 'doreffa'; did you mean 'dorefa'? (known: bwn, dorefa)");
}

}  // namespace
}  // namespace ssdq

#include <iostream>

#include <ssdq/engine/registries.h>

int main() {
  const auto registries = ssdq::builtin_registries();
  for (const auto& list : ssdq::list_components(registries)) {
    std::cout << list.kind << ": " << list.entries.size() << '\n';
  }
  return 0;
}

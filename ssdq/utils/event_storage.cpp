#include "ssdq/utils/event_storage.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

namespace ssdq {
namespace {

double median_of(std::vector<double> values) {
  if (std::any_of(values.begin(), values.end(), [](double value) { return std::isnan(value); })) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  if (values.size() % 2 == 1 || values[middle - 1] == values[middle]) {
    return values[middle];
  }
  return values[middle - 1] / 2 + values[middle] / 2;
}

}  // namespace

void EventStorage::put(const std::string& name, double value, bool smooth) {
  Scalar& scalar = scalars_[name];
  scalar.value = value;
  scalar.iteration = iteration_;
  scalar.version = ++version_;
  scalar.smooth = smooth;
  scalar.window.push_back(value);
  if (scalar.window.size() > kWindow) {
    scalar.window.pop_front();
  }
}

void EventStorage::put_image(const std::string& name, std::string png, int width, int height,
                             std::string caption) {
  images_[name] = {std::move(png), width, height, std::move(caption), iteration_, ++version_};
}

const EventStorage::Scalar* EventStorage::find(const std::string& name) const {
  const auto found = scalars_.find(name);
  return found == scalars_.end() ? nullptr : &found->second;
}

std::optional<double> EventStorage::latest(const std::string& name) const {
  const Scalar* scalar = find(name);
  return scalar == nullptr ? std::nullopt : std::optional<double>(scalar->value);
}

std::optional<double> EventStorage::median(const std::string& name) const {
  const Scalar* scalar = find(name);
  if (scalar == nullptr) {
    return std::nullopt;
  }
  return median_of({scalar->window.begin(), scalar->window.end()});
}

std::optional<double> EventStorage::mean(const std::string& name) const {
  const Scalar* scalar = find(name);
  if (scalar == nullptr) {
    return std::nullopt;
  }
  const auto& window = scalar->window;
  return std::accumulate(window.begin(), window.end(), 0.0) / static_cast<double>(window.size());
}

std::optional<double> EventStorage::displayed(const std::string& name) const {
  const Scalar* scalar = find(name);
  return scalar != nullptr && scalar->smooth ? median(name) : latest(name);
}

std::map<std::string, double> EventStorage::snapshot() const {
  std::map<std::string, double> values;
  for (const auto& [name, scalar] : scalars_) {
    if (scalar.iteration == iteration_) {
      values[name] = scalar.value;
    }
  }
  return values;
}

}  // namespace ssdq

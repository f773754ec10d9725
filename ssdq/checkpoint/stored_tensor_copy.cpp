#include <algorithm>
#include <cstring>

#include "ssdq/checkpoint/stored_tensor.h"

namespace ssdq {
namespace {

// Copies elements that are `step` bytes apart.
template <size_t kSize>
void copy_row(const char* from, int64_t step, int64_t count, char* to) {
  for (int64_t i = 0; i < count; ++i, to += kSize) {
    std::memcpy(to, from + i * step, kSize);
  }
}

void copy_row(size_t size, const char* from, int64_t step, int64_t count, char* to) {
  if (step == static_cast<int64_t>(size)) {
    std::memcpy(to, from, static_cast<size_t>(count) * size);
  } else if (size == 1) {
    copy_row<1>(from, step, count, to);
  } else if (size == 2) {
    copy_row<2>(from, step, count, to);
  } else if (size == 4) {
    copy_row<4>(from, step, count, to);
  } else {
    copy_row<8>(from, step, count, to);
  }
}

bool is_contiguous(const StoredTensor& tensor) {
  int64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) {
      return false;
    }
    expected *= tensor.shape[i];
  }
  return true;
}

void copy_strided(const StoredTensor& tensor, const char* from, char* to) {
  std::vector<int64_t> sizes;
  std::vector<int64_t> steps;  // bytes
  const auto unit = static_cast<int64_t>(element_size(tensor.type));
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] > 1) {  // the stride of a dimension of 1 may be anything
      sizes.push_back(tensor.shape[i]);
      steps.push_back(tensor.strides[i] * unit);
    }
  }
  const size_t outer = sizes.size() - 1;
  std::vector<int64_t> index(outer, 0);
  const int64_t count = count_elements(tensor);
  int64_t at = 0;
  for (int64_t done = 0; done < count; done += sizes[outer]) {
    copy_row(element_size(tensor.type), from + at, steps[outer], sizes[outer], to + done * unit);
    for (size_t i = outer; i-- > 0;) {
      at += steps[i];
      if (++index[i] < sizes[i]) {
        break;
      }
      at -= steps[i] * sizes[i];
      index[i] = 0;
    }
  }
}

void swap_bytes(char* bytes, int64_t count, size_t size) {
  for (int64_t i = 0; size > 1 && i < count; ++i, bytes += size) {
    std::reverse(bytes, bytes + size);
  }
}

}  // namespace

void copy_elements(const StoredTensor& tensor, bool big_endian, char* to) {
  const size_t size = element_size(tensor.type);
  const int64_t count = count_elements(tensor);
  if (count == 0) {
    return;
  }
  const char* from = tensor.bytes.data() + tensor.offset * static_cast<int64_t>(size);
  if (is_contiguous(tensor)) {
    std::memcpy(to, from, static_cast<size_t>(count) * size);
  } else {
    copy_strided(tensor, from, to);
  }
  if (big_endian) {
    swap_bytes(to, count, size);
  }
}

}  // namespace ssdq

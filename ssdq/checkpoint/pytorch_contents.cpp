#include "ssdq/checkpoint/pytorch_contents.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "ssdq/checkpoint/pickle_views.h"
#include "ssdq/checkpoint/printable.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using Kind = PickleNode::Kind;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxWork = size_t{1} << 21;
constexpr size_t kMaxTensors = 65536;
constexpr size_t kMaxNameBytes = 1024;
constexpr size_t kMaxHidden = 4096;
constexpr size_t kMaxMetadata = 1024;
constexpr size_t kMaxMetadataTries = 65536;
constexpr size_t kMaxMetadataKey = 256;
constexpr int kMaxContainerDepth = 8;
constexpr size_t kMaxModuleAttributes = 256;  // Module's own come before those of its subclass

// Where projects put the weights in what they save, the likeliest first.
constexpr std::array<std::string_view, 14> kContainers{
    "state_dict",     "model_state_dict", "model_state", "model",     "net",       "network",
    "weights",        "params",           "module",      "model_ema", "ema_model", "ema",
    "state_dict_ema", "detector"};

const PickleEntry* find_entry(const std::vector<PickleEntry>& entries, std::string_view key) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const PickleEntry& entry) {
    return entry.index < 0 && entry.key == key;
  });
  return found == entries.end() ? nullptr : &*found;
}

// The value under a text key, or None.
PickleId find(const std::vector<PickleEntry>& entries, std::string_view key) {
  const PickleEntry* entry = find_entry(entries, key);
  return entry == nullptr ? 0 : entry->value;
}

// A pickled torch.nn.Module: an object whose attributes hold its parameters and submodules.
bool is_module(const Pickle& pickle, PickleId id) {
  const PickleId state = pickle[id].kind == Kind::kObject ? pickle[id].state : 0;
  if (state == 0 || pickle[state].kind != Kind::kDict) {
    return false;
  }
  const auto attributes = mapping_entries(pickle, state, kMaxModuleAttributes);
  return is_mapping(pickle, find(attributes, "_parameters")) &&
         is_mapping(pickle, find(attributes, "_modules"));
}

// The items of a set, which pickles before protocol 4 make of a list.
const std::vector<PickleId>& set_items(const Pickle& pickle, PickleId id) {
  const auto& args = pickle[pickle[id].args].items;
  return pickle[id].kind == Kind::kObject && args.size() == 1 ? pickle[args[0]].items
                                                              : pickle[id].items;
}

// In the order and with the exceptions of Module.state_dict().
std::vector<PickleEntry> module_entries(const Pickle& pickle, PickleId id) {
  const auto attributes = mapping_entries(pickle, pickle[id].state);
  auto entries = mapping_entries(pickle, find(attributes, "_parameters"));
  std::set<std::string_view> hidden;
  const auto& names = set_items(pickle, find(attributes, "_non_persistent_buffers_set"));
  for (size_t i = 0; i < std::min(names.size(), kMaxHidden); ++i) {
    hidden.insert(pickle[names[i]].text.substr(0, kMaxNameBytes));
  }
  for (const auto& buffer : mapping_entries(pickle, find(attributes, "_buffers"))) {
    if (hidden.count(buffer.key) == 0) {
      entries.push_back(buffer);
    }
  }
  const auto modules = mapping_entries(pickle, find(attributes, "_modules"));
  entries.insert(entries.end(), modules.begin(), modules.end());
  return entries;
}

std::vector<PickleEntry> entries_of(const Pickle& pickle, PickleId id) {
  if (is_module(pickle, id)) {
    return module_entries(pickle, id);
  }
  if (is_mapping(pickle, id)) {
    return mapping_entries(pickle, id);
  }
  auto entries = sequence_entries(pickle, id);
  if (pickle[id].kind == Kind::kObject && entries.empty()) {
    entries = mapping_entries(pickle, pickle[id].state);
  }
  return entries;
}

size_t item_count(const Pickle& pickle, PickleId id) {
  return pickle[id].items.size() + set_items(pickle, id).size();
}

// How many items entries_of() looks at.
size_t work_of(const Pickle& pickle, PickleId id) {
  size_t work = 1 + item_count(pickle, id) + item_count(pickle, pickle[id].state);
  if (is_module(pickle, id)) {
    const auto attributes = mapping_entries(pickle, pickle[id].state);
    for (const char* key : {"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"}) {
      work += item_count(pickle, find(attributes, key));
    }
  }
  return work;
}

// Collects the tensors below a value without recursion and within limits: values may contain each
// other in circles, or a few of them may contain each other in exponentially many ways.
class Collector {
 public:
  Collector(const PytorchArchive& archive, size_t file_size)
      : archive_(archive),
        bytes_left_(4 * file_size + (size_t{1} << 20)),
        name_bytes_left_(bytes_left_) {}

  std::vector<StoredTensor> collect(PickleId root) {
    places_.push_back({{{}, -1, root}, 0, 0});
    std::vector<size_t> open{0};
    while (!open.empty()) {
      const size_t at = open.back();
      open.pop_back();
      places_.resize(at + 1);  // those after it are done
      const PickleId value = places_[at].entry.value;
      if (is_tensor(archive_.value, value)) {
        add(at);
        continue;
      }
      const auto entries = visit(at);
      for (size_t i = entries.size(); i-- > 0;) {
        open.push_back(places_.size());
        places_.push_back({entries[i], at, places_[at].depth + 1});
      }
    }
    return std::move(tensors_);
  }

 private:
  struct Place {
    PickleEntry entry;
    size_t parent;
    size_t depth;
  };

  std::vector<PickleEntry> visit(size_t at) {
    const PickleId value = places_[at].entry.value;
    const size_t work = work_of(archive_.value, value);
    SSDQ_CHECK(work <= work_left_, "its values are too many, or nested in each other too often");
    work_left_ -= work;
    auto entries = entries_of(archive_.value, value);
    SSDQ_CHECK(entries.empty() || places_[at].depth < kMaxDepth,
               "its values are nested more than {} deep", kMaxDepth);
    return entries;
  }

  std::string name_of(size_t at) const {
    std::vector<std::string> parts;
    size_t size = 0;
    for (; places_[at].depth > 0; at = places_[at].parent) {
      const PickleEntry& entry = places_[at].entry;
      SSDQ_CHECK(entry.key.size() <= kMaxNameBytes && (size += entry.key.size()) <= kMaxNameBytes &&
                     is_utf8(entry.key),
                 "damaged file: a tensor's name is no text or longer than {} bytes", kMaxNameBytes);
      parts.push_back(entry.index < 0 ? std::string(entry.key) : std::to_string(entry.index));
    }
    std::reverse(parts.begin(), parts.end());
    return parts.empty() ? "tensor" : fmt::format("{}", fmt::join(parts, "."));
  }

  void spend(const std::string& name, int64_t elements, size_t size) {
    SSDQ_CHECK(static_cast<uint64_t>(elements) <= bytes_left_ / size,
               "damaged file: with tensor '{}' its tensors are many times larger than the file",
               printable(name));
    bytes_left_ -= static_cast<uint64_t>(elements) * size;
  }

  void add(size_t at) {
    std::string name = name_of(at);
    SSDQ_CHECK(tensors_.size() < kMaxTensors && name.size() <= name_bytes_left_,
               "it holds more than {} tensors, or names larger than the file", kMaxTensors);
    name_bytes_left_ -= name.size();
    const StoredTensor& tensor = tensors_.emplace_back(
        read_stored_tensor(archive_, places_[at].entry.value, std::move(name)));
    spend(tensor.name, count_elements(tensor),
          tensor.quantized() ? sizeof(float) : element_size(tensor.type));
    for (const auto& channel : tensor.channels) {
      spend(tensor.name, count_elements(channel), element_size(channel.type));
    }
  }

  const PytorchArchive& archive_;
  size_t work_left_ = kMaxWork;
  uint64_t bytes_left_;
  uint64_t name_bytes_left_;
  std::vector<Place> places_;
  std::vector<StoredTensor> tensors_;
};

bool holds_tensor(const Pickle& pickle, const std::vector<PickleEntry>& entries) {
  return std::any_of(entries.begin(), entries.end(),
                     [&](const PickleEntry& entry) { return is_tensor(pickle, entry.value); });
}

// Whether the first of a dict's items have a tensor, or a module, or are such dicts.
bool leads_to_tensors(const Pickle& pickle, PickleId id, int levels) {
  if (is_module(pickle, id)) {
    return true;
  }
  constexpr size_t kLook = 64;
  const auto entries = mapping_entries(pickle, id, kLook);
  return holds_tensor(pickle, entries) ||
         (levels > 0 && std::any_of(entries.begin(), entries.end(), [&](const PickleEntry& entry) {
            return leads_to_tensors(pickle, entry.value, levels - 1);
          }));
}

// The likeliest entry to be, or to lead to, the weights.
const PickleEntry* find_container(const Pickle& pickle, const std::vector<PickleEntry>& entries) {
  for (const std::string_view name : kContainers) {
    const PickleEntry* entry = find_entry(entries, name);
    if (entry != nullptr && leads_to_tensors(pickle, entry->value, 1)) {
      return entry;
    }
  }
  return nullptr;
}

void add_metadata(const Pickle& pickle, const std::vector<PickleEntry>& entries,
                  std::map<std::string, std::string>& metadata) {
  const size_t tries = std::min(entries.size(), kMaxMetadataTries);
  for (size_t i = 0; i < tries && metadata.size() < kMaxMetadata; ++i) {
    const PickleEntry& entry = entries[i];
    if (entry.index >= 0 || entry.key.size() > kMaxMetadataKey || !is_utf8(entry.key)) {
      continue;
    }
    if (const auto text = plain_text(pickle, entry.value)) {
      metadata.emplace(entry.key, *text);
    }
  }
}

PytorchContents descend(const PytorchArchive& archive, size_t file_size) {
  const Pickle& pickle = archive.value;
  PytorchContents contents;
  PickleId at = pickle.root;
  std::string path;
  for (int depth = 0; depth < kMaxContainerDepth && !is_module(pickle, at); ++depth) {
    const auto entries = mapping_entries(pickle, at);
    add_metadata(pickle, entries, contents.metadata);
    const PickleEntry* next = find_container(pickle, entries);
    if (next == nullptr) {
      break;
    }
    path += (path.empty() ? "" : ".") + std::string(next->key);
    at = next->value;
  }
  contents.tensors = Collector(archive, file_size).collect(at);
  if (contents.tensors.empty() && at != pickle.root) {
    path.clear();
    contents.tensors = Collector(archive, file_size).collect(pickle.root);
  }
  if (!path.empty()) {
    contents.metadata["container"] = path;
  }
  return contents;
}

// Names as they were before torch.nn.DataParallel put its prefix to all of them.
void strip_module_prefix(std::vector<StoredTensor>& tensors) {
  constexpr std::string_view kPrefix = "module.";
  const bool all = std::all_of(tensors.begin(), tensors.end(), [&](const StoredTensor& tensor) {
    return tensor.name.size() > kPrefix.size() &&
           tensor.name.compare(0, kPrefix.size(), kPrefix) == 0;
  });
  for (auto& tensor : tensors) {
    tensor.name.erase(0, all ? kPrefix.size() : 0);
  }
}

}  // namespace

PytorchContents read_contents(const PytorchArchive& archive, size_t file_size) {
  const Pickle& pickle = archive.value;
  PytorchContents contents = descend(archive, file_size);
  strip_module_prefix(contents.tensors);
  std::set<std::string_view> names;
  for (const auto& tensor : contents.tensors) {
    SSDQ_CHECK(names.insert(tensor.name).second, "damaged file: two tensors named '{}'",
               printable(tensor.name));
  }
  SSDQ_CHECK(!contents.tensors.empty() ||
                 (is_mapping(pickle, pickle.root) && pickle[pickle.root].items.empty()),
             "it holds no tensors");
  return contents;
}

}  // namespace ssdq

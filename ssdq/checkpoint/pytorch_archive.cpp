#include "ssdq/checkpoint/pytorch_archive.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "ssdq/checkpoint/printable.h"
#include "ssdq/checkpoint/zip_archive.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using Kind = PickleNode::Kind;

constexpr std::string_view kMagic = "\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19";
constexpr size_t kMagicWithin = 32;  // a frame and two opcodes may come before
constexpr int64_t kProtocol = 1001;
constexpr size_t kTarMagic = 257;
constexpr size_t kMaxKeyBytes = 256;  // keys are looked up often

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// The folder all entries lie in, with its slash; torch.save names it after the file.
std::string_view find_folder(const std::vector<ZipEntry>& entries) {
  constexpr std::string_view kPickle = "data.pkl";
  const ZipEntry* found = nullptr;
  for (const auto& entry : entries) {
    if (!ends_with(entry.name, kPickle)) {
      continue;
    }
    const auto folder = entry.name.substr(0, entry.name.size() - kPickle.size());
    if (folder.empty() || folder.find('/') == folder.size() - 1) {
      SSDQ_CHECK(found == nullptr, "damaged file: it holds two data.pkl");
      found = &entry;
    }
  }
  SSDQ_CHECK(found != nullptr,
             "it is a zip archive without a data.pkl, so torch.save did not write it");
  return found->name.substr(0, found->name.size() - kPickle.size());
}

void refuse_script(const std::vector<ZipEntry>& entries, std::string_view folder) {
  for (const auto& entry : entries) {
    const auto name = entry.name.substr(std::min(folder.size(), entry.name.size()));
    SSDQ_CHECK(name != "constants.pkl" && name.substr(0, 5) != "code/",
               "it is a TorchScript program, not a file of weights; load it in Python with "
               "torch.jit.load and save its state_dict() with torch.save");
  }
}

PytorchArchive open_zip(std::string_view file, bool verify) {
  const auto entries = list_zip(file);
  const std::string_view folder = find_folder(entries);
  refuse_script(entries, folder);
  PytorchArchive archive;
  for (const auto& entry : entries) {
    if (entry.name.substr(0, folder.size()) != folder) {
      continue;
    }
    const auto name = entry.name.substr(folder.size());
    SSDQ_CHECK(!entry.packed,
               "its zip archive is compressed or encrypted, which torch.save never does; unpack it "
               "and pack it again without (zip -0)");
    if (name == "data.pkl") {
      SSDQ_CHECK(!verify || matches_crc(entry),
                 "damaged file: the checksum of its data.pkl is wrong");
      archive.value = parse_pickle(entry.data);
    } else if (name == "byteorder") {
      SSDQ_CHECK(entry.data == "little" || entry.data == "big",
                 "damaged file: its byte order should be little or big");
      archive.big_endian = entry.data == "big";
    } else if (name.substr(0, 5) == "data/") {
      const PytorchArchive::Storage storage{entry.data, true, entry.crc};
      SSDQ_CHECK(archive.storages.emplace(name.substr(5), storage).second,
                 "damaged file: two storages of the name '{}'", printable(name.substr(5)));
    }
  }
  return archive;
}

int64_t read_length(std::string_view file, size_t& at) {
  int64_t length = 0;
  SSDQ_CHECK(file.size() - at >= sizeof length, "the file is truncated: its tensors are not whole");
  std::memcpy(&length, file.data() + at, sizeof length);
  at += sizeof length;
  return length;
}

Pickle next_pickle(std::string_view file, size_t& at) {
  Pickle pickle = parse_pickle(file.substr(at), at);
  at += pickle.end;
  return pickle;
}

// The storages the value refers to: key, number of elements and bytes of each. A module's class is
// a persistent value as well, with its source text.
std::map<std::string_view, std::pair<int64_t, size_t>> referred_storages(const Pickle& pickle) {
  std::map<std::string_view, std::pair<int64_t, size_t>> sizes;
  for (PickleId id = 0; id < pickle.nodes.size(); ++id) {
    const auto& args = pickle[pickle[id].args].items;
    const bool is_class = !args.empty() && pickle[args[0]].text == "module";
    if (pickle[id].kind != Kind::kPersistent || is_class) {
      continue;
    }
    const auto storage = read_storage_reference(pickle, id);
    const std::pair<int64_t, size_t> size{storage.elements,
                                          element_size(storage_type(storage.type))};
    const auto known = sizes.emplace(storage.key, size).first->second;
    SSDQ_CHECK(known == size, "damaged file: storage '{}' has two sizes", printable(storage.key));
  }
  return sizes;
}

// A sequence of pickles (magic number, protocol, system, value, keys of the storages), then each
// storage's length and data. The data are little-endian whatever the system was: PyTorch converts
// when it writes, and ignores the system's entry when it reads.
PytorchArchive open_stream(std::string_view file) {
  size_t at = 0;
  next_pickle(file, at);
  const Pickle protocol = next_pickle(file, at);
  SSDQ_CHECK(
      protocol[protocol.root].kind == Kind::kInt && protocol[protocol.root].integer == kProtocol,
      "damaged file: the version of its format should be {}", kProtocol);
  next_pickle(file, at);
  PytorchArchive archive;
  archive.value = next_pickle(file, at);
  const Pickle keys = next_pickle(file, at);
  SSDQ_CHECK(keys[keys.root].kind == Kind::kList, "damaged file: the list of its storages is none");
  const auto sizes = referred_storages(archive.value);
  for (const PickleId id : keys[keys.root].items) {
    const auto size = sizes.find(keys[id].text);
    SSDQ_CHECK(keys[id].kind == Kind::kString && size != sizes.end(),
               "damaged file: it has a storage that nothing refers to");
    const auto [elements, bytes] = size->second;
    SSDQ_CHECK(read_length(file, at) == elements, "damaged file: storage '{}' has two sizes",
               printable(keys[id].text));
    SSDQ_CHECK(static_cast<uint64_t>(elements) <= (file.size() - at) / bytes,
               "the file is truncated: storage '{}' is not whole", printable(keys[id].text));
    const size_t length = static_cast<size_t>(elements) * bytes;
    SSDQ_CHECK(
        archive.storages.emplace(keys[id].text, PytorchArchive::Storage{file.substr(at, length)})
            .second,
        "damaged file: two storages of the name '{}'", printable(keys[id].text));
    at += length;
  }
  return archive;
}

bool is_tar(std::string_view start) {
  return start.size() > kTarMagic + 5 && start.substr(kTarMagic, 5) == "ustar";
}

struct TypeName {
  std::string_view storage;
  ElementType type;
  size_t size;
};

constexpr std::array<TypeName, 13> kTypes{{
    {"BoolStorage", ElementType::kBool, 1},
    {"CharStorage", ElementType::kInt8, 1},
    {"ByteStorage", ElementType::kUInt8, 1},
    {"ShortStorage", ElementType::kInt16, 2},
    {"IntStorage", ElementType::kInt32, 4},
    {"LongStorage", ElementType::kInt64, 8},
    {"HalfStorage", ElementType::kFloat16, 2},
    {"BFloat16Storage", ElementType::kBFloat16, 2},
    {"FloatStorage", ElementType::kFloat32, 4},
    {"DoubleStorage", ElementType::kFloat64, 8},
    {"QInt8Storage", ElementType::kQInt8, 1},
    {"QUInt8Storage", ElementType::kQUInt8, 1},
    {"QInt32Storage", ElementType::kQInt32, 4},
}};

}  // namespace

size_t element_size(ElementType type) { return kTypes[static_cast<size_t>(type)].size; }

ElementType storage_type(std::string_view name) {
  for (const auto& known : kTypes) {
    if (known.storage == name) {
      return known.type;
    }
  }
  // Bytes of any type; the tensor says which.
  SSDQ_CHECK(name == "UntypedStorage",
             "it holds tensors of the type '{}', which SSDQ does not read", printable(name));
  return ElementType::kUInt8;
}

StorageReference read_storage_reference(const Pickle& pickle, PickleId id) {
  const PickleNode& args = pickle[pickle[id].args];
  const bool tuple =
      pickle[id].kind == Kind::kPersistent && args.kind == Kind::kTuple && args.items.size() >= 5;
  SSDQ_CHECK(tuple && pickle[args.items[0]].text == "storage" &&
                 pickle[args.items[1]].kind == Kind::kGlobal &&
                 pickle[args.items[2]].kind == Kind::kString &&
                 pickle[args.items[2]].text.size() <= kMaxKeyBytes &&
                 pickle[args.items[4]].kind == Kind::kInt && pickle[args.items[4]].integer >= 0,
             "damaged file: a tensor does not say where its values are");
  StorageReference storage{pickle[args.items[1]].text, pickle[args.items[2]].text,
                           pickle[args.items[4]].integer};
  if (args.items.size() > 5 && pickle[args.items[5]].kind != Kind::kNone) {
    const PickleNode& view = pickle[args.items[5]];
    SSDQ_CHECK(view.kind == Kind::kTuple && view.items.size() == 3 &&
                   pickle[view.items[1]].kind == Kind::kInt &&
                   pickle[view.items[2]].kind == Kind::kInt,
               "damaged file: a tensor does not say where its values are");
    storage.view_offset = pickle[view.items[1]].integer;
    storage.view_elements = pickle[view.items[2]].integer;
    SSDQ_CHECK(storage.view_offset >= 0 && storage.view_elements >= 0 &&
                   storage.view_offset <= storage.elements &&
                   storage.view_elements <= storage.elements - storage.view_offset,
               "damaged file: a view lies outside its storage");
  }
  return storage;
}

bool looks_like_pytorch(std::string_view start) {
  return start.substr(0, 4) == "PK\x03\x04" || is_tar(start) ||
         start.substr(0, kMagicWithin).find(kMagic) != std::string_view::npos;
}

PytorchArchive open_pytorch(std::string_view file, bool verify) {
  SSDQ_CHECK(!is_tar(file),
             "it is a tar archive as PyTorch wrote before version 0.2; load it in Python with "
             "torch.load and save it again with torch.save");
  if (file.substr(0, 4) == "PK\x03\x04") {
    return open_zip(file, verify);
  }
  SSDQ_CHECK(looks_like_pytorch(file), "torch.save did not write it, or its start is damaged");
  return open_stream(file);
}

}  // namespace ssdq

#include "apply/element_files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "apply/elements.h"
#include "apply/state_files.h"
#include "base/file.h"
#include "ruleset/verify.h"

namespace rolewall::apply {
namespace {

using ruleset::Elements;
using ruleset::Set;
using Json = nlohmann::json;

constexpr std::size_t kMaxList = std::size_t{1} << 20;
constexpr std::size_t kMaxFile = std::size_t{1} << 30;
constexpr std::string_view kList = "elements.json";

struct Entry {
  std::string set;
  std::string file;
  std::uint32_t key_size = 0;
  std::uint64_t count = 0;
  bool ranges = false;
};

// Takes them out: of addresses, without a copy.
std::vector<std::uint8_t> take_bytes(Elements& elements) {
  std::vector<std::uint8_t> bytes = std::move(elements.keys);
  bytes.insert(bytes.end(), elements.key_ends.begin(), elements.key_ends.end());
  elements = {};
  return bytes;
}

std::unexpected<Error> damaged(const std::string& path, std::string_view why) {
  return fail(ErrorKind::Io, fmt::format("{}: {}", path, why));
}

bool take(const Json& json, Entry& entry) {
  try {
    json.at("set").get_to(entry.set);
    json.at("file").get_to(entry.file);
    json.at("key_size").get_to(entry.key_size);
    json.at("count").get_to(entry.count);
    json.at("ranges").get_to(entry.ranges);
  } catch (const Json::exception&) {
    return false;
  }
  return entry.file.starts_with("elements-") && entry.file.find('/') == std::string::npos &&
         entry.key_size != 0 && entry.key_size <= ruleset::Value::kMaxSize &&
         entry.count <= kMaxFile / entry.key_size / 2;
}

Result<std::vector<Entry>> read_list(const std::string& directory, const std::string& folder,
                                     const Seal* seal) {
  const std::string path = fmt::format("{}/{}/{}", directory, folder, kList);
  const Result<std::string> text = read_sealed_file(directory, folder, seal, kList, kMaxList);
  if (!text) return std::unexpected(text.error());
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("sets") || !json["sets"].is_array()) {
    return damaged(path, "no list of sets");
  }
  std::vector<Entry> entries;
  for (const Json& item : json["sets"]) {
    if (!take(item, entries.emplace_back()))
      return damaged(path, "an entry does not describe a set");
  }
  return entries;
}

// Whether `former` has a file of these very bytes, which `path` now is, too.
bool link_former(const std::string& directory, const std::string& former, const Entry& entry,
                 std::string_view bytes, const std::string& path) {
  if (former.empty()) return false;
  const Result<std::vector<Entry>> entries = read_list(directory, former, nullptr);
  if (!entries) return false;
  for (const Entry& other : *entries) {
    if (other.set != entry.set || other.count != entry.count) continue;
    const std::string source = fmt::format("{}/{}", former, other.file);
    const Result<std::string> content = read_state_file(directory, source, kMaxFile);
    return content && *content == bytes &&
           ::link(fmt::format("{}/{}", directory, source).c_str(), path.c_str()) == 0;
  }
  return false;
}

}  // namespace

Result<void> write_elements(const std::string& directory, const std::string& folder,
                            const std::string& former, ruleset::Ruleset& ruleset, Seal& seal) {
  Json sets = Json::array();
  for (ruleset::Table& table : ruleset.tables) {
    for (Set& set : table.sets) {
      if (!is_large(set)) continue;
      const Entry entry{.set = set.name,
                        .file = fmt::format("elements-{}", sets.size()),
                        .key_size = set.elements.key_size,
                        .count = set.elements.count(),
                        .ranges = !set.elements.key_ends.empty()};
      const std::vector<std::uint8_t> taken = take_bytes(set.elements);
      const std::string_view bytes{reinterpret_cast<const char*>(taken.data()), taken.size()};
      const std::string path = fmt::format("{}/{}/{}", directory, folder, entry.file);
      if (!link_former(directory, former, entry, bytes, path)) {
        TRY(write_new_file(path, bytes, kPrivateFile));
      }
      seal[entry.file] = sha256(bytes);
      sets.push_back({{"set", entry.set},
                      {"file", entry.file},
                      {"key_size", entry.key_size},
                      {"count", entry.count},
                      {"ranges", entry.ranges}});
    }
  }
  const std::string list = Json{{"sets", std::move(sets)}}.dump(2) + "\n";
  seal[std::string(kList)] = sha256(list);
  return write_new_file(fmt::format("{}/{}/{}", directory, folder, kList), list, kPrivateFile);
}

Result<void> read_elements(const std::string& directory, const std::string& folder,
                           const Seal* seal, ruleset::Ruleset& ruleset) {
  const Result<std::vector<Entry>> entries = read_list(directory, folder, seal);
  if (!entries) return std::unexpected(entries.error());
  for (const Entry& entry : *entries) {
    const std::string path = fmt::format("{}/{}/{}", directory, folder, entry.file);
    Set* set = nullptr;
    for (ruleset::Table& table : ruleset.tables) {
      const auto at = std::ranges::find(table.sets, entry.set, &Set::name);
      if (at != table.sets.end()) set = &*at;
    }
    if (set == nullptr || set->kind != ruleset::SetKind::Set || !set->elements.empty() ||
        set->key_size() != entry.key_size || (entry.ranges && !set->interval)) {
      return damaged(path, "the snapshot has no set for these elements");
    }
    const Result<std::string> bytes =
        read_sealed_file(directory, folder, seal, entry.file, kMaxFile);
    if (!bytes) return std::unexpected(bytes.error());
    const std::size_t column = entry.count * entry.key_size;
    if (bytes->size() != column * (entry.ranges ? 2 : 1)) {
      return damaged(path, "is damaged: its size is another");
    }
    Elements& elements = set->elements;
    const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes->data());
    elements.key_size = entry.key_size;
    elements.keys.assign(begin, begin + column);
    elements.key_ends.assign(begin + column, begin + bytes->size());
  }
  // What is sealed was verified before it was written. An older format has no seals.
  if (seal == nullptr) {
    if (const auto flaw = ruleset::verify(ruleset)) {
      return damaged(fmt::format("{}/{}", directory, folder), flaw->path + ": " + flaw->what);
    }
  }
  return {};
}

}  // namespace rolewall::apply

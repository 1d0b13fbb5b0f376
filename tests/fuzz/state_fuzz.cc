// The files of the state directory, whatever stands in them: they must not crash a verb, what is
// read of an event is written and read again without loss, and what is damaged is counted or said.
//
// The first byte says which file; the rest is its text. A checksum that fits is nothing that chance
// finds: each line that is JSON gets its own, unless the first byte's highest bit is set.
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "apply/applied_json.h"
#include "apply/ban_log.h"
#include "apply/events.h"
#include "apply/pending.h"
#include "apply/seal.h"
#include "support/memory_kernel.h"

namespace {

using namespace rolewall;  // NOLINT(google-build-using-namespace)

void require(bool condition) {
  if (!condition) std::abort();
}

// Its own folder, with nothing in it but what was written last.
const std::string& directory() {
  static const std::string made = [] {
    std::string name = (std::filesystem::temp_directory_path() / "state-fuzz-XXXXXX").string();
    require(::mkdtemp(name.data()) != nullptr);
    std::atexit([] { std::filesystem::remove_all(directory()); });
    return name;
  }();
  return made;
}

void write(const char* name, std::string_view text) {
  std::FILE* file = std::fopen((directory() + "/" + name).c_str(), "wb");
  require(file != nullptr);
  require(std::fwrite(text.data(), 1, text.size(), file) == text.size());
  require(std::fclose(file) == 0);
}

std::string with_seals(std::string_view text) {
  std::string sealed;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    auto json = nlohmann::json::parse(text.substr(0, end), nullptr, false);
    sealed +=
        json.is_object() ? apply::sealed_line(std::move(json)) : std::string(text.substr(0, end));
    sealed += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return sealed;
}

void events(std::string_view text) {
  write(apply::kHistoryFile, text);
  const auto read = apply::read_events(directory());
  if (!read) return;
  (void)apply::in_force_by(read->all);
  (void)apply::confirmed_by(read->all);
  (void)apply::unconfirmed_by(read->all);
  require(apply::write_events(directory(), read->all).has_value());
  const auto again = apply::read_events(directory());
  require(again && again->damaged == 0 && again->all == read->all);
}

void pending(std::string_view text) {
  write(apply::kPendingFile, text);
  const auto read = apply::read_pending(directory());
  if (read && *read) (void)apply::name_of_waiting(**read);
}

void bans(std::string_view text) {
  static test::MemoryStore store;
  static const test::MemoryWorld world(store);
  write(apply::kBanLog, text);
  (void)apply::look_at_log(directory(), world);
}

void applied(std::string_view text) {
  auto read = apply::applied_from_json("applied.json", text);
  if (!read) return;
  const auto again = apply::applied_from_json("applied.json", apply::to_json(*read));
  require(again.has_value());
}

void kernel(std::string_view text) {
  apply::Applied into;
  apply::take_kernel(text, into);
  (void)apply::where_of(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr std::uint8_t kAsItIs = 0x80;
  constexpr void (*kReaders[])(std::string_view) = {events, pending, bans, applied, kernel};
  const auto read = kReaders[(data[0] & ~kAsItIs) % std::size(kReaders)];
  if ((data[0] & kAsItIs) != 0) {
    read(text);
  } else {
    read(with_seals(text));
  }
  return 0;
}

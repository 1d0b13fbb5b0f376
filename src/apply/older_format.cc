#include "apply/older_format.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "apply/applied_json.h"
#include "apply/events.h"
#include "apply/seal.h"
#include "apply/state_directory.h"
#include "apply/state_files.h"
#include "base/file.h"

namespace rolewall::apply {
namespace {

using Json = nlohmann::json;

constexpr const char* kRolledBackFile = "rolled-back.json";
constexpr std::size_t kMaxOldFile = 64UL * 1024;

// What cannot be read gets no seal, and stays what cannot be read.
Result<void> seal_generation(const std::string& directory, std::uint32_t generation) {
  const std::string folder = fmt::format("generations/{}", generation);
  if (is_there(directory, fmt::format("{}/{}", folder, kSealFile))) return {};
  if (!read_generation(directory, generation)) return {};
  const auto names = list_state_folder(directory, folder);
  if (!names) return std::unexpected(names.error());
  Seal seal;
  for (const std::string& name : *names) {
    const auto content =
        read_state_file(directory, fmt::format("{}/{}", folder, name), kMaxSnapshotSize);
    if (!content) return std::unexpected(content.error());
    seal[name] = sha256(*content);
  }
  return write_file_atomically(fmt::format("{}/{}/{}", directory, folder, kSealFile), to_text(seal),
                               kPrivateFile);
}

// What was rolled back since the last apply.
std::optional<Event> rolled_back(const std::string& directory) {
  const auto text = read_state_file(directory, kRolledBackFile, kMaxOldFile);
  if (!text) return std::nullopt;
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  Event event;
  event.kind = EventKind::RolledBack;
  try {
    event.from = json.at("generation").get<std::uint32_t>();
    if (json.contains("to")) event.to = json.at("to").get<std::uint32_t>();
    json.at("at").get_to(event.at);
    json.at("why").get_to(event.why);
  } catch (const Json::exception&) {
    return std::nullopt;
  }
  return event;
}

// As far as numbers and links tell it.
std::vector<Event> events_of(const std::string& directory, const Kept& kept) {
  std::vector<Event> events;
  std::optional<std::uint32_t> before;
  for (const Applied& applied : kept.applied) {
    Event event;
    event.from = before;
    event.to = applied.generation;
    event.at = applied.at;
    event.by = applied.by;
    event.why = applied.changes;
    events.push_back(std::move(event));
    before = applied.generation;
  }
  if (events.empty()) return events;
  if (auto back = rolled_back(directory)) {
    before = back->to;
    events.push_back(std::move(*back));
  }
  const auto current = current_number(directory);
  if (current && *current != before) {
    Event found;
    found.kind = *current ? EventKind::RolledBack : EventKind::Disabled;
    found.from = before;
    found.to = *current;
    found.at = events.back().at;
    found.why = "found so by a newer rolewall";
    events.push_back(std::move(found));
  }
  const auto boot = boot_number(directory);
  if (current && boot && *current != *boot) events.back().waits = true;
  return events;
}

}  // namespace

Result<void> bring_up_to_date(const std::string& directory) {
  const auto kept = list_kept(directory);
  if (!kept) return std::unexpected(kept.error());
  for (const Applied& applied : kept->applied) {
    TRY(seal_generation(directory, applied.generation));
  }
  TRY(write_events(directory, events_of(directory, *kept)));
  const auto current = current_applied(directory);
  if (!current || !*current) return {};
  return write_file_atomically(fmt::format("{}/{}", directory, kKernelFile),
                               kernel_to_json(**current), kPrivateFile);
}

}  // namespace rolewall::apply

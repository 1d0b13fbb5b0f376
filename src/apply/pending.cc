#include "apply/pending.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace rolewall::apply {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxPendingFile = 64UL * 1024;

// std::nullopt where there is no such file.
Result<std::optional<Json>> read_json(const std::string& directory, const char* name) {
  const std::string path = fmt::format("{}/{}", directory, name);
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  const Result<std::string> text = read_file(path, kMaxPendingFile);
  if (!text) return std::unexpected(text.error());
  Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return fail(ErrorKind::Io, path + ": not a JSON object");
  return json;
}

std::string string_of(const Json& json, const char* key) {
  const auto at = json.find(key);
  return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
}

std::optional<std::uint64_t> number_of(const Json& json, const char* key) {
  const auto at = json.find(key);
  if (at == json.end() || !at->is_number_unsigned()) return std::nullopt;
  return at->get<std::uint64_t>();
}

std::optional<std::uint32_t> generation_of(const Json& json, const char* key) {
  const auto number = number_of(json, key);
  if (!number) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

std::string text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string to_json(const Pending& pending) {
  Json json{{"generation", pending.generation}, {"token", pending.token},
            {"boot_id", pending.boot_id},       {"deadline_ns", pending.deadline_ns},
            {"deadline", pending.deadline},     {"watcher", pending.watcher}};
  if (pending.former) json["former"] = *pending.former;
  return text(json);
}

std::string to_json(const RolledBack& rolled_back) {
  Json json{
      {"generation", rolled_back.generation}, {"at", rolled_back.at}, {"why", rolled_back.why}};
  if (rolled_back.to) json["to"] = *rolled_back.to;
  return text(json);
}

Result<std::optional<Pending>> read_pending(const std::string& directory) {
  const auto json = read_json(directory, kPendingFile);
  if (!json) return std::unexpected(json.error());
  if (!*json) return std::nullopt;
  Pending pending;
  pending.generation = generation_of(**json, "generation").value_or(0);
  pending.former = generation_of(**json, "former");
  pending.token = string_of(**json, "token");
  pending.boot_id = string_of(**json, "boot_id");
  pending.deadline_ns = number_of(**json, "deadline_ns").value_or(0);
  pending.deadline = string_of(**json, "deadline");
  pending.watcher = static_cast<int>(number_of(**json, "watcher").value_or(0));
  return pending;
}

Result<std::optional<RolledBack>> read_rolled_back(const std::string& directory) {
  const auto json = read_json(directory, kRolledBackFile);
  if (!json) return std::unexpected(json.error());
  if (!*json) return std::nullopt;
  RolledBack rolled_back;
  rolled_back.generation = generation_of(**json, "generation").value_or(0);
  rolled_back.to = generation_of(**json, "to");
  rolled_back.at = string_of(**json, "at");
  rolled_back.why = string_of(**json, "why");
  return rolled_back;
}

Result<std::optional<Pending>> waiting(const std::string& directory, const World& world) {
  Result<std::optional<Pending>> pending = read_pending(directory);
  if (pending && *pending && (*pending)->boot_id != world.boot_id()) return std::nullopt;
  return pending;
}

}  // namespace rolewall::apply

#include "apply/applied_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "apply/seal.h"
#include "apply/state_format.h"

namespace rolewall::apply {
namespace {

using Json = nlohmann::json;

constexpr const char* kVersion = "version";

std::vector<std::string> texts_of(const std::vector<net::Prefix>& prefixes) {
  std::vector<std::string> texts;
  for (const net::Prefix& prefix : prefixes) texts.push_back(net::format(prefix));
  return texts;
}

// Whether all of them are prefixes.
bool take_prefixes(const Json& json, std::vector<net::Prefix>& prefixes) {
  for (const Json& entry : json) {
    const auto prefix = net::parse_prefix(entry.get<std::string>());
    if (!prefix) return false;
    prefixes.push_back(*prefix);
  }
  return true;
}

void take_kernel_members(const Json& json, Applied& applied) {
  json.at("boot_id").get_to(applied.boot_id);
  json.at("network_namespace").get_to(applied.network_namespace);
  applied.machine = json.value("machine", std::string());
  json.at("kernel_generation").get_to(applied.mark.generation);
  // An older version wrote nothing of them: they may be there.
  applied.mark.run_time_jumps = json.value("run_time_jumps", true);
  json.at("table_handle").get_to(applied.mark.large_sets.handle);
  for (const Json& set : json.at("large_sets")) {
    netlink::SetState& added = applied.mark.large_sets.sets.emplace_back();
    set.at("set").get_to(added.name);
    set.at("handle").get_to(added.handle);
    set.at("elements").get_to(added.elements);
  }
}

}  // namespace

Result<Applied> applied_from_json(const std::string& path, std::string_view text) {
  const auto damaged = [&](std::string_view why) {
    return fail(ErrorKind::Io, fmt::format("{}: {}", path, why));
  };
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return damaged("not a JSON object");
  Applied applied;
  try {
    const auto version = json.at(kVersion).get<std::uint32_t>();
    if (version < kOldestFormat || version > kStateFormat) {
      return damaged(fmt::format("its `version` is {}, and not {}", version, kStateFormat));
    }
    json.at("applied_at").get_to(applied.at);
    json.at("by").get_to(applied.by);
    json.at("host").get_to(applied.host);
    applied.policies = json.value("policies", std::string());
    json.at("changes").get_to(applied.changes);
    if (json.contains("refreshes")) applied.refreshes = json.at("refreshes").get<std::uint32_t>();
    if (!take_prefixes(json.at("management"), applied.management)) {
      return damaged("`management` holds what is no prefix");
    }
    if (version == kOldestFormat) take_kernel_members(json, applied);
    const Json site = json.value("site", Json::object());
    for (const auto& [name, addresses] : site.items()) {
      if (!take_prefixes(addresses, applied.site[name])) {
        return damaged("`site` holds what is no prefix");
      }
    }
  } catch (const Json::exception&) {
    return damaged("a member is missing or of another kind");
  }
  return applied;
}

std::string to_json(const Applied& applied) {
  Json site = Json::object();
  for (const auto& [name, addresses] : applied.site) site[name] = texts_of(addresses);
  Json json{{kVersion, kStateFormat},
            {"applied_at", applied.at},
            {"by", applied.by},
            {"host", applied.host},
            {"policies", applied.policies},
            {"changes", applied.changes},
            {"management", texts_of(applied.management)},
            {"site", std::move(site)}};
  if (applied.refreshes) json["refreshes"] = *applied.refreshes;
  // Names of users may hold anything.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string kernel_to_json(const Applied& applied) {
  Json sets = Json::array();
  for (const netlink::SetState& set : applied.mark.large_sets.sets) {
    sets.push_back({{"set", set.name}, {"handle", set.handle}, {"elements", set.elements}});
  }
  return sealed_file({{"generation", applied.generation},
                      {"boot_id", applied.boot_id},
                      {"network_namespace", applied.network_namespace},
                      {"machine", applied.machine},
                      {"kernel_generation", applied.mark.generation},
                      {"run_time_jumps", applied.mark.run_time_jumps},
                      {"table_handle", applied.mark.large_sets.handle},
                      {"large_sets", std::move(sets)}});
}

void take_kernel(std::string_view text, Applied& applied) {
  const auto json = unsealed(text);
  if (!json) return;
  Applied filled = applied;
  try {
    if (json->at("generation").get<std::uint32_t>() != applied.generation) return;
    filled.mark = {};
    take_kernel_members(*json, filled);
  } catch (const Json::exception&) {
    return;
  }
  applied = std::move(filled);
}

Where where_of(std::string_view text) {
  const auto json = unsealed(text);
  if (!json) return {};
  const auto said = [&](const char* member) {
    const auto there = json->find(member);
    return there != json->end() && there->is_string() ? there->get<std::string>() : "";
  };
  return {said("boot_id"), said("network_namespace")};
}

}  // namespace rolewall::apply

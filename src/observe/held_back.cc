#include "observe/held_back.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/written.h"
#include "net/built_in_steps.h"

namespace rolewall::observe {
namespace {

// "" where it has none.
std::string default_of(const WrittenPolicy& policy, std::string_view name) {
  const ruleset::Written* defaults = policy.defaults();
  if (defaults == nullptr) return "";
  const auto key = std::ranges::find(defaults->keys, name, &WrittenKey::key);
  return key == defaults->keys.end() || key->values.empty() ? "" : key->values.front();
}

}  // namespace

std::optional<std::uint64_t> met_defaults(const Look& now, const Look& earlier) {
  if (!now.has_table || !earlier.has_table || now.table_handle != earlier.table_handle) {
    return std::nullopt;
  }
  const std::vector<std::uint64_t> gained = gains(now, earlier);
  std::uint64_t packets = 0;
  for (std::size_t i = 0; i < now.rules.size(); ++i) {
    if (now.rules[i].name == net::step::kDefault) packets += gained[i];
  }
  return packets;
}

std::vector<std::string> limits_of_log(const WrittenPolicy& policy) {
  const std::string each = default_of(policy, "log per-source");
  const std::string limit = default_of(policy, "log limit");
  const std::string all = limit.empty() ? "" : fmt::format(" (\"{}\")", limit);
  if (each.empty()) {
    return {fmt::format("The log's `limit`{} holds lines back.", all),
            "Raise it in [defaults] while you look, and apply."};
  }
  return {
      fmt::format("The log's `per-source` (\"{}\") holds lines back, most where this host "
                  "sends: all of that has one source.",
                  each),
      fmt::format("Leave it out of [defaults] while you look, raise `limit`{}, and apply.", all)};
}

}  // namespace rolewall::observe

#include "observe/stats.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include "netlink/netlink.h"

namespace rolewall::observe {
namespace {

// Of a set whose elements must be read to be counted (kernels before 6.16): more than a limit's
// sources can be.
constexpr std::size_t kMostElementsRead = 65536;

// A tree of intervals keeps those whose time is over in its count until the next one comes
// (nft_rbtree_gc_elem() and its callers): they are read and counted. `counted` loses them.
Result<void> count_aging(netlink::Connection& kernel, ruleset::Table& table,
                         std::vector<netlink::SetState>& counted) {
  const auto is_aging = [&](const ruleset::Set& set) {
    const auto known = std::ranges::find(counted, set.name, &netlink::SetState::name);
    return set.interval && set.has_timeout && known != counted.end() && known->elements != 0 &&
           known->elements <= kMostElementsRead;
  };
  if (std::ranges::none_of(table.sets, is_aging)) return {};
  std::vector<std::string> others;
  for (const ruleset::Set& set : table.sets) {
    if (!is_aging(set)) others.push_back(set.name);
  }
  auto read = kernel.dump_table(ruleset::kOwnFamily, ruleset::kOwnTable, true, others);
  if (!read) return std::unexpected(std::move(read).error());
  if (!*read) return {};
  for (ruleset::Set& set : (*read)->sets) {
    const auto of = std::ranges::find(table.sets, set.name, &ruleset::Set::name);
    if (of == table.sets.end() || !is_aging(*of)) continue;
    of->elements = std::move(set.elements);
    std::erase_if(counted, [&](const netlink::SetState& each) { return each.name == of->name; });
  }
  return {};
}

}  // namespace

Result<Look> look_at_table() {
  auto connection = netlink::Connection::open();
  if (!connection) return std::unexpected(std::move(connection).error());
  auto state = connection->table_state(ruleset::kOwnFamily, ruleset::kOwnTable);
  if (!state) return std::unexpected(state.error());
  Look look{.at = std::chrono::steady_clock::now(),
            .rules = {},
            .sets = {},
            .conntrack = conntrack_use()};
  if (!*state) return look;
  std::vector<netlink::UnreadSet> unread;
  std::optional<ruleset::Table> table;
  if ((*state)->sets.empty()) {
    auto read =
        connection->dump_table_in_part(ruleset::kOwnFamily, ruleset::kOwnTable, kMostElementsRead);
    if (!read) return std::unexpected(std::move(read).error());
    if (*read) {
      unread = std::move((*read)->unread);
      table = std::move((*read)->table);
    }
  } else {
    auto read = connection->dump_table(ruleset::kOwnFamily, ruleset::kOwnTable, false);
    if (!read) return std::unexpected(std::move(read).error());
    table = std::move(*read);
    if (table) TRY(count_aging(*connection, *table, (*state)->sets));
  }
  if (!table) return look;
  look.at = std::chrono::steady_clock::now();
  look.has_table = true;
  look.table_handle = table->handle;
  look.audits = audits(*table);
  look.rules = count_rules(*table);
  look.sets = set_fills(*table, (*state)->sets, unread);
  return look;
}

std::vector<std::uint64_t> gains(const Look& now, const Look& earlier) {
  // A rule's own counter goes on whatever the rule does now; another begins anew then.
  using Key = std::tuple<std::string_view, std::string_view, bool, std::optional<Fate>>;
  const auto key_of = [](const RuleCount& count) {
    const bool goes_on = count.chain == count.name && !count.is_excess;
    return Key(count.name, count.chain, count.is_excess,
               goes_on ? std::nullopt : std::optional(count.fate));
  };
  std::map<Key, std::uint64_t> before;
  if (now.table_handle == earlier.table_handle) {
    for (const RuleCount& count : earlier.rules) before.emplace(key_of(count), count.packets);
  }
  std::vector<std::uint64_t> gained;
  gained.reserve(now.rules.size());
  for (const RuleCount& count : now.rules) {
    const auto at = before.find(key_of(count));
    const bool goes_on = at != before.end() && at->second <= count.packets;
    gained.push_back(count.packets - (goes_on ? at->second : 0));
  }
  return gained;
}

}  // namespace rolewall::observe

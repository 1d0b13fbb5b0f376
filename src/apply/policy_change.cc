#include "apply/policy_change.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "net/prefixes.h"

namespace rolewall::apply {
namespace {

using ruleset::kWrittenRule;
using ruleset::Written;

using ByName = std::map<std::pair<std::string_view, std::string_view>, const Written*>;

// A service and a role may have one name. What was a network and is a tag is the same name.
std::string_view space_of(const Written& written) {
  const std::string_view kind = written.kind;
  const bool has_its_own = kind == kWrittenRule || kind == "service" || kind == "interface";
  return has_its_own ? kind : std::string_view();
}

ByName by_name(const std::vector<Written>& all) {
  ByName found;
  for (const Written& each : all) {
    found.emplace(std::pair(space_of(each), std::string_view(each.name)), &each);
  }
  return found;
}

const Written* find(const ByName& names, const Written& like) {
  const auto at = names.find(std::pair(space_of(like), std::string_view(like.name)));
  return at == names.end() ? nullptr : at->second;
}

const std::vector<std::string>& values_of(const Written& written, std::string_view key) {
  static const std::vector<std::string> kNone;
  const auto at = std::ranges::find(written.keys, key, &WrittenKey::key);
  return at == written.keys.end() ? kNone : at->values;
}

std::optional<net::AddressSet> as_addresses(const std::vector<std::string>& values) {
  std::vector<net::Prefix> prefixes;
  for (const std::string& value : values) {
    const auto prefix = net::parse_prefix(value);
    if (!prefix) return std::nullopt;
    prefixes.push_back(*prefix);
  }
  return net::AddressSet::from(prefixes);
}

std::vector<std::string> text_of(const net::AddressSet& set) {
  std::vector<std::string> texts;
  for (const net::Prefix& prefix : net::to_prefixes(set)) texts.push_back(net::format(prefix));
  return texts;
}

std::vector<std::string> those_not_in(const std::vector<std::string>& these,
                                      const std::vector<std::string>& those) {
  std::vector<std::string> rest;
  std::ranges::copy_if(these, std::back_inserter(rest), [&](const std::string& each) {
    return std::ranges::find(those, each) == those.end();
  });
  return rest;
}

KeyChange key_change(std::string key, const std::vector<std::string>& before,
                     const std::vector<std::string>& after) {
  KeyChange change{std::move(key), before, after};
  const auto was = as_addresses(before);
  const auto is = as_addresses(after);
  if (was && is) {
    change.more = text_of(*is - *was);
    change.less = text_of(*was - *is);
    change.some_stays = !(*was & *is).empty();
  } else {
    change.more = those_not_in(after, before);
    change.less = those_not_in(before, after);
    change.some_stays = change.less.size() < before.size();
  }
  return change;
}

std::vector<KeyChange> key_changes(const Written& before, const Written& after) {
  std::vector<KeyChange> changes;
  for (const WrittenKey& is : after.keys) {
    const auto& was = values_of(before, is.key);
    if (was != is.values) changes.push_back(key_change(is.key, was, is.values));
  }
  for (const WrittenKey& was : before.keys) {
    if (values_of(after, was.key).empty() && !was.values.empty()) {
      changes.push_back(key_change(was.key, was.values, {}));
    }
  }
  return changes;
}

// "inbound" of "web.inbound.app".
std::string_view direction_of(std::string_view rule) {
  rule.remove_prefix(std::min(rule.size(), rule.find('.') + 1));
  return rule.substr(0, rule.find('.'));
}

// Of the rules of one direction that are in both, those outside a longest run that kept its order.
void add_moved(std::set<std::string_view>& moved, const std::vector<Written>& before,
               const std::vector<Written>& after, std::string_view direction) {
  std::map<std::string_view, std::size_t> place;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i].kind == kWrittenRule) place.emplace(before[i].name, i);
  }
  std::vector<std::string_view> both;
  for (const Written& rule : after) {
    const bool is_one = rule.kind == kWrittenRule && direction_of(rule.name) == direction;
    if (is_one && place.contains(rule.name)) both.push_back(rule.name);
  }
  // ends[n]: the rule in `both` with which a run of n + 1 ends that leaves most room for another.
  std::vector<std::size_t> ends;
  std::vector<std::size_t> previous(both.size());
  for (std::size_t i = 0; i < both.size(); ++i) {
    const auto at = std::ranges::lower_bound(ends, place[both[i]], {},
                                             [&](std::size_t end) { return place[both[end]]; });
    previous[i] = at == ends.begin() ? i : *(at - 1);
    if (at == ends.end()) {
      ends.push_back(i);
    } else {
      *at = i;
    }
  }
  std::set<std::string_view> stay;
  for (std::size_t i = ends.empty() ? 0 : ends.back(); !ends.empty();) {
    stay.insert(both[i]);
    if (previous[i] == i) break;
    i = previous[i];
  }
  for (const std::string_view rule : both) {
    if (!stay.contains(rule)) moved.insert(rule);
  }
}

// Without what tells the kind of a name, or excludes it: "!role:lb" is "lb".
std::string_view bare(std::string_view word) {
  if (word.starts_with('!')) word.remove_prefix(1);
  for (const std::string_view kind : {"host:", "role:", "tag:", "net:"}) {
    if (word.starts_with(kind)) return word.substr(kind.size());
  }
  return word;
}

bool says(const Written& rule, const Written& name) {
  const auto has = [&](std::string_view key) {
    return std::ranges::any_of(values_of(rule, key),
                               [&](const std::string& word) { return bare(word) == name.name; });
  };
  if (name.kind == "service") return has("service");
  if (name.kind == "interface") return has("in") || has("out");
  return has("from") || has("to");
}

// The names that it consists of, as [site] says them.
std::vector<std::string> parts_of(const Written& written) {
  std::vector<std::string> parts;
  for (const std::string_view key : {"management", "internal"}) {
    for (const std::string& word : values_of(written, key)) parts.emplace_back(bare(word));
  }
  return parts;
}

// A name that is only said to be another because of one that is, too.
void add_causes(std::vector<PolicyChange>& changes, const std::vector<Written>& after) {
  std::set<std::string, std::less<>> changed;
  for (const PolicyChange& change : changes) {
    if (!change.is_rule()) changed.insert(change.name);
  }
  for (PolicyChange& change : changes) {
    if (change.of != "built-in") continue;
    const auto is = std::ranges::find(after, change.name, &Written::name);
    if (is == after.end()) continue;
    for (std::string& part : parts_of(*is)) {
      if (changed.contains(part)) change.caused_by.push_back(std::move(part));
    }
  }
}

PolicyChange change_of(ChangeKind kind, const Written& written) {
  return {.kind = kind,
          .of = written.kind,
          .name = written.name,
          .file = written.file,
          .line = written.line,
          .keys = {},
          .used_by = {}};
}

}  // namespace

std::vector<PolicyChange> policy_changes(const std::vector<Written>& before,
                                         const std::vector<Written>& after) {
  std::vector<PolicyChange> changes;
  const ByName names_before = by_name(before);
  const ByName names_after = by_name(after);
  std::set<std::string_view> moved;
  for (const std::string_view direction : {"inbound", "outbound", "forward", "nat"}) {
    add_moved(moved, before, after, direction);
  }
  for (const Written& is : after) {
    const bool is_rule = is.kind == kWrittenRule;
    const Written* was = find(names_before, is);
    if (was == nullptr) {
      if (is_rule) changes.push_back(change_of(ChangeKind::Added, is));
      continue;
    }
    std::vector<KeyChange> keys = key_changes(*was, is);
    const bool is_moved = is_rule && moved.contains(is.name);
    if (keys.empty() && !is_moved) continue;
    PolicyChange& change =
        changes.emplace_back(change_of(keys.empty() ? ChangeKind::Moved : ChangeKind::Changed, is));
    change.keys = std::move(keys);
    if (is_rule) continue;
    for (const Written& rule : after) {
      const bool stays = rule.kind == kWrittenRule && find(names_before, rule) != nullptr;
      if (stays && says(rule, is)) change.used_by.push_back(rule.name);
    }
  }
  for (const Written& was : before) {
    if (was.kind == kWrittenRule && find(names_after, was) == nullptr) {
      changes.push_back(change_of(ChangeKind::Removed, was));
    }
  }
  add_causes(changes, after);
  return changes;
}

}  // namespace rolewall::apply

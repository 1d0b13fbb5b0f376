#include "apply/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "print/print.h"
#include "ruleset/names.h"
#include "ruleset/table_flags.h"
#include "ruleset/table_index.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;

using Ids = std::set<std::string, std::less<>>;

void add_ids(const Table& table, Ids& ids) {
  for (const Chain& chain : table.chains) {
    for (const Rule& rule : chain.rules) {
      if (!rule.comment.empty()) ids.insert(rule.comment.text());
    }
  }
}

// Chains and sets of a policy rule are named by its id and, behind a slash, what they are for.
std::string owner_of(std::string_view name, const Ids& ids) {
  while (true) {
    if (ids.contains(name)) return std::string(name);
    const std::size_t slash = name.rfind('/');
    if (slash == std::string_view::npos) return "";
    name = name.substr(0, slash);
  }
}

std::string base_text(const std::optional<BaseChain>& base) {
  if (!base) return "no base chain";
  std::string text = fmt::format("type {} hook {} priority {} policy {}", name_of(base->type),
                                 name_of(base->hook), base->priority, name_of(base->policy));
  if (!base->devices.empty()) text += fmt::format(" devices {}", fmt::join(base->devices, ", "));
  return text;
}

// As nft writes it, without its id. `table`: whose rule it is.
std::string text_of(const Table& table, Rule rule) {
  constexpr std::size_t kLongest = 120;
  rule.comment = {};
  std::string text = print::rule_text(table, rule);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

// By its id, or else as nft writes it.
std::string rule_name(const Table& table, const Rule& rule) {
  if (!rule.comment.empty()) return "rule " + rule.comment.text();
  std::string text = text_of(table, rule);
  if (text.starts_with("jump ")) return "the " + text.replace(4, 1, " to ");
  return fmt::format("rule `{}`", text);
}

std::string both_texts(std::string_view kernel, std::string_view policy) {
  return fmt::format(" (kernel: {}; policy: {})", kernel, policy);
}

class Speaker {
 public:
  Speaker(const Table& live, const Difference& difference)
      : live_(live),
        wanted_(difference.table),
        live_names_(live),
        wanted_names_(wanted_),
        change_(difference.change) {
    add_ids(live, ids_);
    add_ids(wanted_, ids_);
  }

  std::vector<ChangeItem> take() {
    if (live_.flags != wanted_.flags) {
      const bool dormant = (live_.flags & ruleset::kTableDormant) != 0;
      say(ChangeKind::Changed,
          fmt::format("{} ({})", table_name(wanted_),
                      dormant ? "it is dormant and filters nothing" : "flags"));
    }
    objects();
    chains();
    rules();
    sets();
    elements();
    return std::move(items_);
  }

 private:
  void say(ChangeKind kind, std::string what, std::string rule = "", bool many = false) {
    items_.push_back({kind, std::move(what), std::move(rule), many});
  }
  // Of things that are taken away and come again under the same name.
  template <class Name>
  void named(std::string_view what, const Name& removed, const std::vector<std::string>& added) {
    const std::set<std::string_view> gone(removed.begin(), removed.end());
    const std::set<std::string_view> there(added.begin(), added.end());
    for (const std::string& name : added) {
      const bool again = gone.contains(name);
      say(again ? ChangeKind::Changed : ChangeKind::Added, fmt::format("{} {}", what, name),
          owner_of(name, ids_));
    }
    for (const std::string& name : removed) {
      if (there.contains(name)) continue;
      say(ChangeKind::Removed, fmt::format("{} {}", what, name), owner_of(name, ids_));
    }
  }

  void objects() {
    std::vector<std::string> removed;
    std::vector<std::string> added;
    for (const auto& object : change_.removed_objects) removed.push_back(object.name);
    for (const std::size_t i : change_.added_objects) added.push_back(wanted_.objects[i].name);
    named("object", removed, added);
  }

  void chains() {
    std::vector<std::string> added;
    for (const std::size_t i : change_.added_chains) {
      const Chain& chain = wanted_.chains[i];
      const Chain* there = live_names_.chain(chain.name);
      if (there != nullptr && there->base != chain.base) {
        base_changes(*there, chain);
      } else {
        added.push_back(chain.name);
      }
    }
    for (const std::size_t i : change_.new_policies) {
      base_changes(*live_names_.chain(wanted_.chains[i].name), wanted_.chains[i]);
    }
    std::vector<std::string> removed;
    for (const std::string& name : change_.removed_chains) {
      const Chain* wanted = wanted_names_.chain(name);
      if (wanted == nullptr || wanted->base == live_names_.chain(name)->base) {
        removed.push_back(name);
      }
    }
    named("chain", removed, added);
  }
  void base_changes(const Chain& live, const Chain& wanted) {
    say(ChangeKind::Changed, fmt::format("chain {}{}", wanted.name,
                                         both_texts(base_text(live.base), base_text(wanted.base))));
  }

  void sets() {
    std::vector<std::string> added;
    for (const std::size_t i : change_.added_sets) added.push_back(wanted_.sets[i].name);
    named("set", change_.removed_sets, added);
  }

  // Rules of chains that stay; the others are their chain's.
  void rules() {
    std::map<std::string, std::vector<const Rule*>, std::less<>> removed;
    for (const auto& removal : change_.removed_rules) {
      const Chain& chain = *live_names_.chain(removal.chain);
      if (wanted_names_.chain(chain.name) == nullptr) continue;
      const auto at = std::ranges::find(chain.rules, removal.handle, &Rule::handle);
      removed[chain.name].push_back(&*at);
    }
    for (const auto& addition : change_.added_rules) {
      const Chain& chain = wanted_.chains[addition.chain];
      if (live_names_.chain(chain.name) == nullptr) continue;
      const Rule& rule = chain.rules[addition.rule];
      const auto [kind, was] = take_counterpart(removed[chain.name], rule);
      std::string what = fmt::format("{} in chain {}", rule_name(wanted_, rule), chain.name);
      if (kind == ChangeKind::Changed) {
        what += both_texts(text_of(live_, *was), text_of(wanted_, rule));
      }
      say(kind, std::move(what), rule.comment.text());
    }
    for (const auto& [chain, rest] : removed) {
      for (const Rule* rule : rest) {
        say(ChangeKind::Removed, fmt::format("{} in chain {}", rule_name(live_, *rule), chain),
            rule->comment.text());
      }
    }
  }
  // What was removed in favour of `rule`, and so what became of it.
  static std::pair<ChangeKind, const Rule*> take_counterpart(std::vector<const Rule*>& removed,
                                                             const Rule& rule) {
    const auto take = [&](auto is_it) -> const Rule* {
      const auto at = std::ranges::find_if(removed, is_it);
      if (at == removed.end()) return nullptr;
      const Rule* taken = *at;
      removed.erase(at);
      return taken;
    };
    const Rule wanted = configuration(rule);
    const auto is_same = [&](const Rule* other) { return configuration(*other) == wanted; };
    if (const Rule* same = take(is_same)) return {ChangeKind::Moved, same};
    const auto has_its_name = [&](const Rule* other) {
      return !rule.comment.empty() && other->comment == rule.comment;
    };
    if (const Rule* other = take(has_its_name)) return {ChangeKind::Changed, other};
    return {ChangeKind::Added, nullptr};
  }

  void elements() {
    std::map<std::size_t, std::pair<const Elements*, const Elements*>> by_set;
    for (const auto& part : change_.removed_elements) by_set[part.set].first = &part.elements;
    for (const auto& part : change_.added_elements) by_set[part.set].second = &part.elements;
    static const Elements kNone;
    for (const auto& [set, parts] : by_set) {
      elements_of(wanted_.sets[set], parts.first != nullptr ? *parts.first : kNone,
                  parts.second != nullptr ? *parts.second : kNone);
    }
  }
  // Elements of equal keys on both sides are changed ones.
  void elements_of(const Set& set, const Elements& removed, const Elements& added) {
    std::unordered_map<std::string, std::size_t> gone;
    for (std::size_t i = 0; i < removed.count(); ++i) gone.emplace(whole_key(removed, i), i);
    Group more(*this, set, added);
    Group other(*this, set, added);
    for (std::size_t i = 0; i < added.count(); ++i) {
      (gone.erase(whole_key(added, i)) != 0 ? other : more).take(i);
    }
    Group less(*this, set, removed);
    for (std::size_t i = 0; i < removed.count(); ++i) {
      if (gone.contains(whole_key(removed, i))) less.take(i);
    }
    more.say(ChangeKind::Added);
    other.say(ChangeKind::Changed);
    less.say(ChangeKind::Removed);
    if (removed.has_catch_all || added.has_catch_all) {
      const ChangeKind kind = !removed.has_catch_all ? ChangeKind::Added
                              : !added.has_catch_all ? ChangeKind::Removed
                                                     : ChangeKind::Changed;
      say(kind, fmt::format("element * of set {}", set.name), owner_of(set.name, ids_));
    }
  }
  static std::string whole_key(const Elements& elements, std::size_t row) {
    std::string key(elements.key(row).begin(), elements.key(row).end());
    key.append(elements.key_end(row).begin(), elements.key_end(row).end());
    return key;
  }

  // Elements of one set that share a fate, by the rule whose they are.
  class Group {
   public:
    Group(Speaker& speaker, const Set& set, const Elements& elements)
        : speaker_(speaker), set_(set), elements_(elements) {}
    void take(std::size_t row) {
      std::string owner =
          elements_.verdicts.empty() ? "" : owner_of(elements_.verdicts[row].chain, speaker_.ids_);
      if (owner.empty()) owner = owner_of(set_.name, speaker_.ids_);
      rows_[std::move(owner)].push_back(row);
    }
    void say(ChangeKind kind) {
      for (const auto& [owner, rows] : rows_) {
        const std::string noun = set_.kind == SetKind::Set ? "set" : "map";
        if (rows.size() <= kNamed) {
          std::vector<std::string> keys;
          for (const std::size_t row : rows) {
            keys.push_back(print::element_text(set_, elements_, row));
          }
          speaker_.say(kind, fmt::format("{} in {} {}", fmt::join(keys, ", "), noun, set_.name),
                       owner, rows.size() > 1);
        } else {
          speaker_.say(kind, fmt::format("{} elements of {} {}", rows.size(), noun, set_.name),
                       owner, true);
        }
      }
    }

   private:
    static constexpr std::size_t kNamed = 3;
    Speaker& speaker_;
    const Set& set_;
    const Elements& elements_;
    std::map<std::string, std::vector<std::size_t>> rows_;
  };

  const Table& live_;
  const Table& wanted_;
  TableIndex live_names_;
  TableIndex wanted_names_;
  const TableChange& change_;
  Ids ids_;
  std::vector<ChangeItem> items_;
};

}  // namespace

std::string table_name(const Table& table) {
  return fmt::format("table {} {}", name_of(table.family), table.name);
}

std::string_view name_of(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::Added:
      return "added";
    case ChangeKind::Removed:
      return "removed";
    case ChangeKind::Changed:
      return "changed";
    case ChangeKind::Moved:
      return "moved";
  }
  return "";
}

std::vector<ChangeItem> in_words(const Table& live, const Difference& difference) {
  return Speaker(live, difference).take();
}

std::string as_drift(const ChangeItem& item) {
  const char* was = item.many ? "were" : "was";
  switch (item.kind) {
    case ChangeKind::Added:
      return fmt::format("{} {} missing", item.what, item.many ? "are" : "is");
    case ChangeKind::Removed:
      return fmt::format("{} {} added", item.what, was);
    case ChangeKind::Changed:
      return fmt::format("{} {} changed", item.what, was);
    case ChangeKind::Moved:
      return fmt::format("{} {} moved", item.what, was);
  }
  return item.what;
}

}  // namespace rolewall::apply

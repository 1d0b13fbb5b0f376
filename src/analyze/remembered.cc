#include "analyze/remembered.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>

#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/table_flags.h"
#include "ruleset/xt_match.h"
#include "ruleset/xt_target.h"

namespace rolewall::analyze {
namespace {

using ruleset::Chain;
using ruleset::Expr;
using ruleset::Host;
using ruleset::Rule;
using ruleset::Ruleset;
using ruleset::Set;
using ruleset::Table;

constexpr std::string_view kSet = "set ";
constexpr std::string_view kIpset = "ip set number ";

std::string table_in_words(const Table& table) {
  return fmt::format("{} {}", ruleset::name_of(table.family), table.name);
}

// --- chains of devices, bridges and ARP, which no packet of the space is run through -------------

bool stands_below(const Table& table, const Chain& chain) {
  if (!chain.base) return false;
  return table.family == ruleset::Family::Bridge || table.family == ruleset::Family::Arp ||
         chain.base->hook == ruleset::Hook::Ingress || chain.base->hook == ruleset::Hook::Egress;
}

// A copy of what a chain does: with all that it calls and names, and nothing else of its table.
class WholeChain {
 public:
  WholeChain(const Table& table, const Chain& base) : table_(table) {
    whole_.family = table.family;
    whole_.name = table.name;
    whole_.flags = table.flags;
    call(base.name);
    for (std::size_t i = 0; i < whole_.chains.size(); ++i) {
      const std::size_t count = whole_.chains[i].rules.size();
      for (std::size_t rule = 0; rule < count; ++rule) {
        ruleset::ExprList exprs = whole_.chains[i].rules[rule].exprs;
        for (Expr& expr : exprs) take(expr);
        whole_.chains[i].rules[rule].exprs = std::move(exprs);
      }
    }
    Ruleset alone;
    alone.tables.push_back(std::move(whole_));
    result_ = ruleset::configuration(std::move(alone));
  }
  const Ruleset& result() const { return result_; }

 private:
  void call(const std::string& name) {
    if (name.empty() || !calls_.insert(name).second) return;
    const Chain* chain = ruleset::find_chain(table_, name);
    if (chain == nullptr) return;
    Chain& copy = whole_.chains.emplace_back(*chain);
    copy.comment = {};
    for (Rule& rule : copy.rules) rule.comment = {};
  }

  void take(Expr& expr) {
    if (auto* lookup = std::get_if<ruleset::Lookup>(&expr)) take_set(lookup->set);
    if (auto* gives = std::get_if<ruleset::ObjectLookup>(&expr)) take_set(gives->set);
    if (auto* dynset = std::get_if<ruleset::Dynset>(&expr)) take_set(dynset->set);
    if (const auto* object = std::get_if<ruleset::ObjectRef>(&expr)) {
      take_object(object->type, object->name);
    }
    if (const auto* verdict = std::get_if<ruleset::ImmediateVerdict>(&expr)) {
      call(verdict->verdict.chain);
    }
  }

  void take_object(std::uint32_t type, const std::string& name) {
    const ruleset::Object* object = ruleset::find_object(table_, type, name);
    if (object != nullptr && objects_.emplace(type, name).second) whole_.objects.push_back(*object);
  }

  // The names of anonymous sets are the kernel's: they are numbered as they are met.
  void take_set(std::string& name) {
    const Set* set = ruleset::find_set(table_, name);
    if (set == nullptr) return;
    const std::string as =
        set->anonymous ? fmt::format("anonymous {}", anonymous_++) : std::string(name);
    if (sets_.insert(as).second) {
      Set& copy = whole_.sets.emplace_back(*set);
      copy.name = as;
      copy.comment = {};
      copy.elements.comments.clear();
      for (const ruleset::Verdict& verdict : set->elements.verdicts) call(verdict.chain);
      call(set->elements.catch_all_verdict.chain);
      for (const std::string& object : set->elements.objects) {
        take_object(set->object_type, object);
      }
    }
    name = as;
  }

  const Table& table_;
  Table whole_;
  Ruleset result_;
  std::set<std::string> calls_;
  std::set<std::string> sets_;
  std::set<std::pair<std::uint32_t, std::string>> objects_;
  std::size_t anonymous_ = 0;
};

std::map<std::string, Ruleset> chains_below(const Ruleset& ruleset) {
  std::map<std::string, Ruleset> all;
  for (const Table& table : ruleset.tables) {
    if ((table.flags & ruleset::kTableDormant) != 0) continue;
    for (const Chain& chain : table.chains) {
      if (!stands_below(table, chain)) continue;
      all.emplace(fmt::format("chain {} of table {}", chain.name, table_in_words(table)),
                  WholeChain(table, chain).result());
    }
  }
  return all;
}

void compare_chains_below(const Ruleset& before, const Ruleset& after,
                          std::vector<std::string>& unlike) {
  const auto was = chains_below(before);
  const auto is = chains_below(after);
  constexpr std::string_view kWhat = "what chains of devices, bridges and ARP let through";
  for (const auto& [name, rules] : was) {
    const auto same = is.find(name);
    if (same == is.end()) {
      unlike.push_back(fmt::format("{}: {} is gone", kWhat, name));
    } else if (!(same->second == rules)) {
      unlike.push_back(fmt::format("{}: {} is another", kWhat, name));
    }
  }
  for (const auto& [name, rules] : is) {
    if (!was.contains(name)) unlike.push_back(fmt::format("{}: {} is new", kWhat, name));
  }
}

// --- sets that rules fill, and what elements hold ------------------------------------------------

// By a set's place: whether rules add to it or take from it, and whether rules ask what it holds.
struct Asked {
  bool is_filled = false;
  bool is_looked_up = false;
};

std::vector<Asked> asked_sets(const ruleset::TableIndex& table) {
  std::vector<Asked> all(table.table().sets.size());
  const auto of = [&](const std::string& name) -> Asked& {
    return all[static_cast<std::size_t>(table.set(name) - table.table().sets.data())];
  };
  for (const Chain& chain : table.table().chains) {
    for (const Rule& rule : chain.rules) {
      for (const Expr& expr : rule.exprs) {
        if (const auto* lookup = std::get_if<ruleset::Lookup>(&expr)) {
          of(lookup->set).is_looked_up = true;
        } else if (const auto* gives = std::get_if<ruleset::ObjectLookup>(&expr)) {
          of(gives->set).is_looked_up = true;
        } else if (const auto* dynset = std::get_if<ruleset::Dynset>(&expr)) {
          of(dynset->set).is_filled = true;
        }
      }
    }
  }
  return all;
}

bool same_declaration(const Set& a, const Set& b) {
  return a.kind == b.kind && a.key == b.key && a.data == b.data && a.interval == b.interval &&
         a.size == b.size && a.has_timeout == b.has_timeout && a.timeout_ms == b.timeout_ms &&
         a.exprs == b.exprs;
}

bool same_elements(const ruleset::Elements& a, const ruleset::Elements& b) {
  return a.keys == b.keys && a.key_ends == b.key_ends && a.data == b.data &&
         a.verdicts == b.verdicts && a.objects == b.objects && a.timeouts_ms == b.timeouts_ms &&
         a.has_catch_all == b.has_catch_all;
}

bool limits_packets(const std::vector<ruleset::StatefulExpr>& exprs) {
  return std::ranges::any_of(exprs, [](const ruleset::StatefulExpr& expr) {
    return !std::holds_alternative<ruleset::Counter>(expr) &&
           !std::holds_alternative<ruleset::Last>(expr);
  });
}
bool holds_limits(const Set& set) {
  return limits_packets(set.exprs) || std::ranges::any_of(set.elements.exprs, limits_packets);
}

// Whether what both hold stays there for the same time. How much of it is over is no difference.
bool end_alike(const Set& a, const Set& b) {
  const auto may_end = [](const Set& set) {
    return set.timeout_ms != 0 || std::ranges::any_of(set.elements.timeouts_ms, std::identity());
  };
  if (!may_end(a) && !may_end(b)) return true;
  const auto stays = [](const Set& set, std::size_t element) {
    const auto& own = set.elements.timeouts_ms;
    return element < own.size() && own[element] != 0 ? own[element] : set.timeout_ms;
  };
  std::map<ruleset::Bytes, std::uint64_t> times;
  for (std::size_t i = 0; i < a.elements.count(); ++i) {
    const auto key = a.elements.key(i);
    times.emplace(ruleset::Bytes(key.begin(), key.end()), stays(a, i));
  }
  for (std::size_t i = 0; i < b.elements.count(); ++i) {
    const auto key = b.elements.key(i);
    const auto same = times.find(ruleset::Bytes(key.begin(), key.end()));
    if (same != times.end() && same->second != stays(b, i)) return false;
  }
  return true;
}

void compare_objects_of_maps(const Table& a, const Table& b, const Asked& asked, const Set& set,
                             std::vector<std::string>& unlike) {
  if (!asked.is_looked_up || set.kind != ruleset::SetKind::ObjectMap) return;
  for (const std::string& name : set.elements.objects) {
    const ruleset::Object* of_a = ruleset::find_object(a, set.object_type, name);
    const ruleset::Object* of_b = ruleset::find_object(b, set.object_type, name);
    if (of_a != nullptr && of_b != nullptr &&
        ruleset::configuration(*of_a).body == ruleset::configuration(*of_b).body) {
      continue;
    }
    unlike.push_back(fmt::format("map {} of table {}: its object {} is another", set.name,
                                 table_in_words(a), name));
  }
}

void compare_sets(const ruleset::TableIndex& a, const ruleset::TableIndex& b,
                  std::vector<std::string>& unlike) {
  const std::vector<Asked> asked_before = asked_sets(a);
  const std::vector<Asked> asked_after = asked_sets(b);
  for (std::size_t s = 0; s < asked_before.size(); ++s) {
    const Asked& before = asked_before[s];
    const Set* was = &a.table().sets[s];
    compare_objects_of_maps(a.table(), b.table(), before, *was, unlike);
    const Set* is = before.is_looked_up ? b.set(was->name) : nullptr;
    if (is == nullptr || was->anonymous || is->anonymous) continue;
    const Asked& after = asked_after[static_cast<std::size_t>(is - b.table().sets.data())];
    if (!after.is_looked_up) continue;
    const auto tell = [&](std::string_view how) {
      unlike.push_back(
          fmt::format("set {} of table {}: {}", was->name, table_in_words(a.table()), how));
    };
    const bool is_filled = before.is_filled && after.is_filled;
    if (!before.is_filled && !after.is_filled && !end_alike(*was, *is)) {
      tell("its elements end at other times");
    }
    const bool gives_objects = was->kind == ruleset::SetKind::ObjectMap;
    if (is_filled && !same_declaration(*was, *is)) {
      tell("rules fill it, and it is declared otherwise");
    } else if ((is_filled || gives_objects) && !same_elements(was->elements, is->elements)) {
      tell(is_filled ? "rules fill it, and it begins with other elements"
                     : "its elements are others");
    } else if ((holds_limits(*was) || holds_limits(*is)) &&
               !(was->exprs == is->exprs && was->elements.exprs == is->elements.exprs &&
                 was->elements.keys == is->elements.keys)) {
      tell("the limits of its elements are others");
    }
  }
}

// --- the sets of ip_set
// ---------------------------------------------------------------------------

// A line of `ipset save` without what it counts, when an element ends, and where the kernel stores
// it.
std::string without_state(const std::string& line) {
  constexpr std::array<std::string_view, 6> kState{"packets", "bytes",    "timeout",
                                                   "initval", "hashsize", "bucketsize"};
  const bool is_element = line.starts_with("add ");
  std::string kept;
  bool skips = false;
  std::size_t at = 0;
  while (at < line.size()) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    const std::string_view word = std::string_view(line).substr(at, end - at);
    at = end + 1;
    if (skips) {
      skips = false;
      continue;
    }
    // A set's own time is how it is declared.
    skips = std::ranges::find(kState, word) != kState.end() && (is_element || word != "timeout");
    if (!skips) kept += fmt::format("{} ", word);
  }
  return kept;
}

// By name, and of a list with what its members hold.
std::vector<std::string> lines_of_ipset(const Host& host, const std::string& name, int depth = 0) {
  constexpr int kDeepest = 8;
  std::vector<std::string> lines;
  bool is_list = false;
  std::vector<std::string> members;
  for (const std::string& line : host.ipsets) {
    const bool creates = line.starts_with(fmt::format("create {} ", name));
    if (!creates && !line.starts_with(fmt::format("add {} ", name))) continue;
    is_list = is_list || (creates && line.find(" list:set") != std::string::npos);
    lines.push_back(without_state(line));
    if (!creates) {
      const std::size_t from = name.size() + 5;
      members.push_back(line.substr(from, line.find(' ', from) - from));
    }
  }
  if (!is_list) std::ranges::sort(lines);
  for (const std::string& member : members) {
    if (!is_list || depth == kDeepest) break;
    std::ranges::move(lines_of_ipset(host, member, depth + 1), std::back_inserter(lines));
  }
  return lines;
}

bool of_iptables(const Expr& expr) {
  return std::holds_alternative<ruleset::XtMatch>(expr) ||
         std::holds_alternative<ruleset::XtTarget>(expr);
}

std::set<std::string> used_ipsets(const Ruleset& ruleset) {
  std::set<std::string> all;
  for (const Table& table : ruleset.tables) {
    for (const Chain& chain : table.chains) {
      for (const Rule& rule : chain.rules) {
        for (const Expr& expr : rule.exprs) {
          if (!of_iptables(expr)) continue;
          for (std::string& what : remembered_by(expr)) {
            if (what.starts_with(kIpset)) all.insert(std::move(what));
          }
        }
      }
    }
  }
  return all;
}

std::string name_of_ipset(const Host& host, const std::string& used) {
  const auto at = std::ranges::find_if(host.ipset_numbers, [&](const ruleset::IpsetNumber& each) {
    return used == fmt::format("{}{}", kIpset, each.number);
  });
  return at == host.ipset_numbers.end() ? "" : at->name;
}

void compare_ipsets(const Remembered::Side& before, const Remembered::Side& after,
                    std::vector<std::string>& unlike) {
  const std::set<std::string> was = used_ipsets(before.ruleset);
  for (const std::string& used : used_ipsets(after.ruleset)) {
    if (!was.contains(used)) continue;
    const std::string of_was = name_of_ipset(before.host, used);
    const std::string of_is = name_of_ipset(after.host, used);
    if (of_was != of_is) {
      unlike.push_back(fmt::format("{} is `{}` before and `{}` after", used, of_was, of_is));
    } else if (lines_of_ipset(before.host, of_was) != lines_of_ipset(after.host, of_is)) {
      unlike.push_back(fmt::format("ip set {}: what it holds is another", of_is));
    }
  }
}

}  // namespace

std::uint32_t Lefts::longer(std::uint32_t before, const Left& left) {
  const auto at = static_cast<std::size_t>(std::ranges::find(all_, left) - all_.begin());
  if (at == all_.size()) all_.push_back(left);
  const auto [number, is_new] =
      numbers_.emplace(std::pair(before, at), static_cast<std::uint32_t>(rows_.size()));
  if (is_new) rows_.emplace_back(before, at);
  return number->second;
}

bool Lefts::has(std::uint32_t number, const std::string& where) const {
  for (; number != 0; number = rows_[number].first) {
    if (all_[rows_[number].second].where == where) return true;
  }
  return false;
}

std::vector<std::string> remembered_by(const Expr& expr) {
  if (const auto* lookup = std::get_if<ruleset::Lookup>(&expr)) {
    return {fmt::format("{}{}", kSet, lookup->set)};
  }
  if (const auto* dynset = std::get_if<ruleset::Dynset>(&expr)) {
    return {fmt::format("{}{}", kSet, dynset->set)};
  }
  if (const auto* object = std::get_if<ruleset::ObjectRef>(&expr)) {
    return {fmt::format("object {} of type {}", object->name, object->type)};
  }
  const auto ipset = [](std::uint16_t number) { return fmt::format("{}{}", kIpset, number); };
  if (const auto* match = std::get_if<ruleset::XtMatch>(&expr)) {
    const auto meaning = ruleset::meaning_of(*match);
    if (!meaning) return {};
    if (const auto* set = std::get_if<ruleset::XtSet>(&*meaning)) return {ipset(set->index)};
    if (const auto* recent = std::get_if<ruleset::XtRecent>(&*meaning)) {
      return {"recent " + recent->name};
    }
    if (const auto* limit = std::get_if<ruleset::XtHashlimit>(&*meaning)) {
      return {"hashlimit " + limit->name};
    }
  }
  if (const auto* target = std::get_if<ruleset::XtTarget>(&expr)) {
    const auto meaning = ruleset::meaning_of(*target);
    const auto* set = meaning ? std::get_if<ruleset::XtSetTarget>(&*meaning) : nullptr;
    if (set == nullptr) return {};
    std::vector<std::string> all;
    for (const auto* use : {&set->add, &set->remove, &set->map}) {
      if (use->is_there()) all.push_back(ipset(use->number));
    }
    return all;
  }
  return {};
}

bool has_room(const Set& set) {
  constexpr std::size_t kUsualSize =
      0xffff;  // of nf_tables_newset(): a set without a size that packets fill
  return set.elements.count() < (set.size == 0 ? kUsualSize : set.size);
}

bool have_same_quotas(const Ruleset& a, const Ruleset& b) {
  const auto used = [](const Ruleset& ruleset) {
    std::vector<std::uint64_t> all;
    for (const Table& table : ruleset.tables) {
      for (const ruleset::Object& object : table.objects) {
        if (const auto* quota = std::get_if<ruleset::Quota>(&object.body)) {
          all.push_back(quota->consumed);
        }
      }
      for (const Chain& chain : table.chains) {
        for (const Rule& rule : chain.rules) {
          for (const Expr& expr : rule.exprs) {
            if (const auto* quota = std::get_if<ruleset::Quota>(&expr)) {
              all.push_back(quota->consumed);
            }
          }
        }
      }
    }
    return all;
  };
  return used(a) == used(b);
}

// What iptables names is no table's.
Remembered::Name Remembered::name_of(const Table& table, const std::string& what) {
  const bool of_table = what.starts_with(kSet) || what.starts_with("object ");
  if (!of_table) return {ruleset::Family::Inet, "", what};
  return {table.family, table.name, what};
}

// What no rule fills is the same for every packet: nobody leaves anything there.
Remembered::Uses Remembered::uses_of(const Side& side) {
  Uses uses;
  for (std::uint32_t t = 0; t < side.ruleset.tables.size(); ++t) {
    const Table& table = side.ruleset.tables[t];
    for (const Chain& chain : table.chains) {
      for (const Rule& rule : chain.rules) {
        for (const Expr& expr : rule.exprs) {
          const auto* lookup = std::get_if<ruleset::Lookup>(&expr);
          if (lookup != nullptr && !side.facts.is_filled_by_packets(t, lookup->set)) continue;
          for (const std::string& what : remembered_by(expr)) ++uses[name_of(table, what)];
        }
      }
    }
  }
  return uses;
}

Remembered::Remembered(const Side& before, const Side& after) : uses_(uses_of(before)) {
  for (const auto& [name, count] : uses_of(after)) uses_[name] = std::max(uses_[name], count);
  compare_chains_below(before.ruleset, after.ruleset, unlike_);
  for (const ruleset::TableIndex& table : before.facts.tables()) {
    const std::size_t same = same_table(table, after.facts.tables());
    if (same != after.facts.tables().size()) {
      compare_sets(table, after.facts.tables()[same], unlike_);
    }
  }
  compare_ipsets(before, after, unlike_);
}

bool Remembered::is_shared(const Table& table, const std::string& what) const {
  const auto uses = uses_.find(name_of(table, what));
  return uses != uses_.end() && uses->second > 1;
}

}  // namespace rolewall::analyze

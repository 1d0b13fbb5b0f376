// One table in the kernel is made into another by what differs alone: random steps between the
// example site's tables, with parts missing, added, moved and made otherwise. After each step the
// kernel must hold what was wanted, and what was to stay must be the very same: handles, counters.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "apply/difference.h"
#include "apply/words.h"
#include "compile/compile.h"
#include "in_sandbox.h"
#include "netlink/netlink.h"
#include "policy/load.h"
#include "random.h"
#include "ruleset/expr.h"
#include "ruleset/own_table.h"
#include "ruleset/rule_parts.h"

namespace rolewall {
namespace {

using namespace ruleset;
using kernel_judge::Random;

[[noreturn]] void give_up(const std::string& why) {
  fmt::print("FAILED: {}\n", why);
  std::exit(1);
}

template <class T>
T take(Result<T> result) {
  if (!result) give_up(result.error().message);
  return std::move(*result);
}

// Tables that differ as those of a policy's versions do, and in all ways that a hand can.
class Changes {
 public:
  explicit Changes(std::uint64_t seed) : random_(seed) {}

  Table of(Table table) {
    for (Chain& chain : table.chains) {
      if (one_in(6)) change_rules(chain);
      if (one_in(20)) chain.comment = fmt::format("made anew {}", random_.below(1000));
      if (chain.base && one_in(5)) {
        chain.base->policy =
            chain.base->policy == VerdictCode::Drop ? VerdictCode::Accept : VerdictCode::Drop;
      }
      if (chain.base && one_in(10)) chain.base->priority += 5;
    }
    for (Set& set : table.sets) {
      if (one_in(3)) set.elements = some_of(set.elements);
      if (one_in(10)) set.comment = fmt::format("made anew {}", random_.below(1000));
      if (set.kind == SetKind::Set && !set.interval && one_in(3)) add_elements(set);
    }
    if (one_in(4)) add_chain(table);
    return table;
  }

 private:
  bool one_in(std::uint32_t n) { return random_.below(n) == 0; }
  static Rule counting(std::string comment) {
    return {.handle = 0, .comment = std::move(comment), .exprs = {Counter{}}};
  }

  void change_rules(Chain& chain) {
    const auto size = static_cast<std::uint32_t>(chain.rules.size());
    if (size > 1 && one_in(2)) {
      std::swap(chain.rules[random_.below(size)], chain.rules[random_.below(size)]);
    }
    if (size > 0 && one_in(3)) chain.rules.erase(chain.rules.begin() + random_.below(size));
    for (std::uint32_t i = random_.below(3); i > 0; --i) {
      const auto place = random_.below(static_cast<std::uint32_t>(chain.rules.size()) + 1);
      chain.rules.insert(chain.rules.begin() + place,
                         counting(fmt::format("extra {}", random_.below(5))));
    }
  }

  Elements some_of(const Elements& all) {
    Elements some;
    some.key_size = all.key_size;
    some.data_size = all.data_size;
    for (std::size_t row = 0; row < all.count(); ++row) {
      if (!one_in(4)) some.append(all, row);
    }
    if (!one_in(4)) some.take_catch_all(all);
    return some;
  }

  void add_elements(Set& set) {
    if (set.dynamic || set.has_timeout || set.elements.count() == 0) return;
    Set more = set;
    for (std::uint8_t& byte : more.elements.keys) byte ^= 1;
    for (std::size_t row = 0; row < more.elements.count(); ++row) {
      bool there = false;
      for (std::size_t i = 0; i < set.elements.count() && !there; ++i) {
        there = std::ranges::equal(set.elements.key(i), more.elements.key(row));
      }
      if (!there) set.elements.append(more.elements, row);
    }
    set.elements.sort();
  }

  void add_chain(Table& table) {
    Chain chain;
    chain.name = fmt::format("new {}", random_.below(100));
    if (find_chain(table, chain.name) != nullptr) return;
    chain.rules = {counting("new")};
    table.chains.push_back(chain);
  }

  Random random_;
};

// As many packets as no other rule: whoever loses a counter is found out.
void number_counters(Table& table) {
  std::uint64_t number = 1000;
  for (Chain& chain : table.chains) {
    for (Rule& rule : chain.rules) {
      for (Expr& expr : rule.exprs) {
        if (auto* counter = std::get_if<Counter>(&expr)) *counter = {number, number * 60};
        ++number;
      }
    }
  }
}

std::map<std::uint64_t, Rule> by_handle(const Table& table) {
  std::map<std::uint64_t, Rule> rules;
  for (const Chain& chain : table.chains) {
    for (const Rule& rule : chain.rules) rules.emplace(rule.handle, rule);
  }
  return rules;
}

Table live_table(netlink::Connection& kernel) {
  auto table = take(kernel.dump_table(kOwnFamily, kOwnTable));
  if (!table) give_up("the table is not in the kernel");
  return std::move(*table);
}

struct Tally {
  std::size_t steps = 0;
  std::size_t kept = 0;
  std::size_t added = 0;
  std::size_t removed = 0;
};

void step(netlink::Connection& kernel, const Table& wanted, const std::string& name, Tally& tally) {
  const Table before = live_table(kernel);
  const apply::Difference change = apply::difference(before, wanted);
  if (change.whole) give_up(name + ": the whole table would be made anew");
  if (!change.empty()) {
    const auto result =
        take(kernel.change_table(change.table, change.change, take(kernel.generation())));
    for (const auto& refusal : result.refusals) {
      fmt::print("refused: {}: {} (errno {})\n", refusal.what, refusal.explanation,
                 refusal.os_errno);
    }
    if (!result.committed) give_up(name + ": not committed");
  }
  const Table after = live_table(kernel);
  const apply::Difference rest = apply::difference(after, wanted);
  if (!rest.empty()) {
    for (const auto& item : apply::in_words(after, rest)) fmt::print("{}\n", as_drift(item));
    give_up(name + ": the kernel holds something else");
  }
  const auto was = by_handle(before);
  std::size_t kept = 0;
  for (const auto& [handle, rule] : by_handle(after)) {
    const auto at = was.find(handle);
    if (at == was.end()) continue;
    ++kept;
    if (!(at->second == rule)) give_up(name + ": a rule that stays is not the same");
  }
  const std::size_t removed = change.change.removed_rules.size();
  if (kept + removed != was.size()) give_up(name + ": rules that were to stay are gone");
  ++tally.steps;
  tally.kept += kept;
  tally.removed += removed;
  tally.added += change.change.added_rules.size();
}

// What a built-in step does in the end: the last rule of its name.
const Rule& end_of(const Chain& chain, const Rule& step) {
  const auto end =
      std::ranges::find(chain.rules.rbegin(), chain.rules.rend(), step.comment, &Rule::comment);
  return end == chain.rules.rend() ? step : *end;
}

// Whether what is over the rule's limits is denied: where that is another thing afterwards, its
// count and the rule's begin anew together (apply/difference.cc).
bool denies_excess(const Table& table, const std::string& rule) {
  const Chain* excess = find_chain(table, own::excess_chain(rule));
  return excess != nullptr && std::ranges::any_of(excess->rules, [](const Rule& each) {
           const Verdict* verdict = final_verdict(each);
           return rejects(each) || (verdict != nullptr && verdict->code == VerdictCode::Drop);
         });
}

// Every counter of a rule that both tables hold in the same chain, once; but of a step that does
// something else in the end, and where a limit begins or ceases to deny.
void check_counters(const Table& before, const Table& after, const std::string& name) {
  for (const Chain& chain : before.chains) {
    const Chain* there = find_chain(after, chain.name);
    if (there == nullptr) continue;
    for (const Rule& rule : chain.rules) {
      const bool counts = std::holds_alternative<Counter>(rule.exprs.front());
      if (rule.comment.text().starts_with('(') &&
          configuration(end_of(chain, rule)) != configuration(end_of(*there, rule))) {
        continue;
      }
      const std::string& of = rule.comment.text();
      if (!of.empty() && denies_excess(before, of) != denies_excess(after, of)) continue;
      const auto like = [&](const Rule& other) {
        return configuration(other) == configuration(rule);
      };
      const auto same = [&](const Rule& other) { return other.exprs == rule.exprs; };
      if (counts && std::ranges::count_if(chain.rules, like) == 1 &&
          std::ranges::count_if(there->rules, like) == 1 &&
          std::ranges::none_of(there->rules, same)) {
        give_up(fmt::format("{}: a counter of rule {} in chain {} is lost", name,
                            rule.comment.text(), chain.name));
      }
    }
  }
}

int judge(const std::vector<std::pair<std::string, Table>>& tables, std::uint64_t seed,
          std::uint32_t steps) {
  netlink::Connection kernel = take(netlink::Connection::open());
  Changes changes(seed);
  Random random(seed + 1);
  Table first = tables.front().second;
  number_counters(first);
  take(kernel.replace_table(first, std::nullopt));
  Tally tally;
  for (std::uint32_t i = 0; i < steps; ++i) {
    const auto& [host, table] =
        tables[random.below(3) == 0 ? random.below(static_cast<std::uint32_t>(tables.size())) : 0];
    const std::string name = fmt::format("seed {} step {} towards {}", seed, i, host);
    const Table wanted = random.below(4) == 0 ? table : changes.of(table);
    const Table before = live_table(kernel);
    step(kernel, wanted, name, tally);
    check_counters(before, live_table(kernel), name);
  }
  fmt::print("{} steps: {} rules kept, {} added, {} removed; the kernel held what was wanted\n",
             tally.steps, tally.kept, tally.added, tally.removed);
  return 0;
}

}  // namespace
}  // namespace rolewall

int main(int argc, char** argv) {
  using namespace rolewall;
  const std::string source = ROLEWALL_SOURCE;
  const std::uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  const auto steps =
      static_cast<std::uint32_t>(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 200);
  constexpr policy::Date kDate{std::chrono::year(2026), std::chrono::month(6), std::chrono::day(1)};
  Diagnostics diagnostics;
  const policy::Policy site = policy::load(
      source + "/policies", {.shipped_rules = source + "/rules", .date = kDate}, diagnostics);
  if (diagnostics.has_errors()) give_up("the example site has errors");
  std::vector<std::pair<std::string, ruleset::Table>> tables;
  for (policy::Index host = 0; host < site.hosts.size(); ++host) {
    const auto snapshot = compile::compile(site, host, {.date = kDate});
    tables.emplace_back(site.hosts[host].name, snapshot.ruleset.tables.front());
  }
  if (tables.empty()) give_up("the site has no hosts");
  return kernel_judge::in_sandbox([&] { return judge(tables, seed, steps); });
}

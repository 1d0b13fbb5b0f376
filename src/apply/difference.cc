// How the live table becomes the wanted one by what differs alone.
//
// A policy of a thousand rules changes by one line, and its host should notice no more than that:
// every other rule keeps its handle and counter, every set its elements, every ban its time. So the
// two tables are compared part by part, and each difference is noted as what goes or what comes
// (ruleset/change.h).
//
// Three things hold of the result, and change_test asks the kernel about each after random steps:
//   1. The live table with the change made is the wanted one, but for state.
//   2. One transaction can do it: nothing goes that something which stays still names, for which
//      the kernel has EBUSY, and nothing comes that names what is not there (ENOENT).
//   3. What is equal in both stays the very same: it is not in the change at all.
//
// The second is where 3 has to give way. A set whose size is another cannot be changed: it goes and
// comes again under its name, and with it every rule that looks something up in it, though the rule
// is equal. `Remade` holds the names of such objects, chains and sets. Objects, chains and sets are
// compared before elements, and elements before rules, and each asks about the names that the parts
// before it have noted: elements of verdict maps about chains, rules about all three. That is the
// whole of it. A rule or an element made again makes nothing else be made again, for nothing names
// those; so one pass in this order is enough.
//
// Rules. In each chain a longest run of equal rules in the same order stays (kept_rules.h); every
// other goes, and comes again in front of one that stays, by its handle. From the chain's end on
// that one is always known. A rule that merely moved takes along what it had counted. Where a
// built-in step, or what is over a limit, is counted for another rule behind it that does something
// else now, it is made again: what was dropped must not be shown as let pass, when audit mode
// begins.
//
// Elements. Both sides sorted and in one form (elements.h), then merged: a row on one side alone
// goes or comes, a row whose value is another does both. Where order means something (ranges of a
// concatenation, of which the kernel takes the first that fits: nft_set_pipapo.c), all are put
// there anew. Sets that packets, bans and openings fill have no differences.
//
// Which error is safe. What is wrongly taken for different is made again: that costs a counter, or
// a limit's memory. What is wrongly taken for equal stays in force though the policy says
// otherwise: a hole. So things are equal only where every member of theirs is (same_declaration()
// and stays() do not compile when a member is added), a set that the decoder could not read whole
// is never equal, and whether a set is filled at run time is asked of the wanted one, never of the
// live one.
#include "apply/difference.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <variant>

#include "apply/carry_over.h"
#include "apply/elements.h"
#include "apply/kept_rules.h"
#include "apply/run_time_jumps.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/own_table.h"
#include "ruleset/rule_parts.h"
#include "ruleset/table_index.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;

using ObjectName = std::pair<std::uint32_t, std::string>;

// What is made again under its old name: whatever names it cannot stay either.
struct Remade {
  std::set<std::string, std::less<>> sets;
  std::set<std::string, std::less<>> chains;
  std::set<ObjectName> objects;

  bool has_chain_of(const Verdict& verdict) const { return chains.contains(verdict.chain); }
  bool is_named_by(const Effects& effects) const {
    return (effects.set != nullptr && sets.contains(*effects.set)) ||
           (effects.chain != nullptr && chains.contains(*effects.chain)) ||
           (effects.object != nullptr &&
            objects.contains({effects.object->type, effects.object->name}));
  }
};

class Comparison {
 public:
  Comparison(const Table& live, const Table& wanted, IdleJumps idle)
      : live_(live), wanted_(wanted), live_names_(live), wanted_names_(wanted), idle_(idle) {
    result_.table = wanted;
  }

  Difference take() {
    compare_objects();
    declare_chains();
    declare_sets();
    compare_elements();
    // Also where another program wrote bans into our sets past us.
    RunTimeSteps steps = held_by(live_) | held_by(wanted_);
    if (idle_ == IdleJumps::Stay) steps = steps | led_to_by(live_);
    add_run_time_jumps(result_.table, steps);
    compare_rules();
    result_.whole = live_.flags != wanted_.flags || made_together();
    if (result_.whole) {
      for (Set& set : result_.table.sets) {
        if (const Set* there = live_names_.set(set.name)) carry_elements(*there, set);
      }
    }
    return std::move(result_);
  }

 private:
  // A rule and its anonymous set or bound chain come and go as one.
  bool made_together() const {
    return std::ranges::any_of(wanted_.sets, &Set::anonymous) ||
           std::ranges::any_of(wanted_.chains, &Chain::bound);
  }

  void compare_objects() {
    for (std::size_t i = 0; i < wanted_.objects.size(); ++i) {
      const Object& object = wanted_.objects[i];
      const Object* there = find_object(live_, object.type, object.name);
      if (there != nullptr && configuration(*there) == configuration(object)) continue;
      if (there != nullptr) {
        remade_.objects.emplace(object.type, object.name);
        change().removed_objects.push_back({object.type, object.name});
      }
      change().added_objects.push_back(i);
    }
    for (const Object& object : live_.objects) {
      if (find_object(wanted_, object.type, object.name) == nullptr) {
        change().removed_objects.push_back({object.type, object.name});
      }
    }
  }

  // Whether the chain stays, with another policy perhaps.
  static bool stays(const Chain& live, const Chain& wanted) {
    // Every member by its place: one more does not compile before it is thought of here.
    const auto declared = [](const Chain& chain) {
      const auto& [name, handle, base, rules, bound, offloaded, comment] = chain;
      std::optional<BaseChain> hooked = base;
      if (hooked) hooked->policy = VerdictCode::Accept;
      return std::tuple(std::move(hooked), bound, offloaded, comment);
    };
    return declared(live) == declared(wanted);
  }

  void declare_chains() {
    for (std::size_t i = 0; i < wanted_.chains.size(); ++i) {
      const Chain& chain = wanted_.chains[i];
      const Chain* there = live_names_.chain(chain.name);
      if (there != nullptr && stays(*there, chain)) {
        if (there->base != chain.base) change().new_policies.push_back(i);
        continue;
      }
      if (there != nullptr) {
        remade_.chains.insert(chain.name);
        change().removed_chains.push_back(chain.name);
      }
      change().added_chains.push_back(i);
    }
    for (const Chain& chain : live_.chains) {
      // A bound chain goes with the rule that jumps to it.
      if (!chain.bound && wanted_names_.chain(chain.name) == nullptr) {
        change().removed_chains.push_back(chain.name);
      }
    }
  }

  void declare_sets() {
    for (std::size_t i = 0; i < wanted_.sets.size(); ++i) {
      const Set& set = wanted_.sets[i];
      const Set* there = live_names_.set(set.name);
      if (there != nullptr && there->unsupported.empty() && same_declaration(*there, set)) {
        if (filled_at_run_time(set)) result_.table.sets[i].elements = there->elements;
        continue;
      }
      if (there != nullptr) {
        remade_.sets.insert(set.name);
        change().removed_sets.push_back(set.name);
        carry_elements(*there, result_.table.sets[i]);
      }
      change().added_sets.push_back(i);
    }
    for (const Set& set : live_.sets) {
      if (!set.anonymous && wanted_names_.set(set.name) == nullptr) {
        change().removed_sets.push_back(set.name);
      }
    }
  }

  void compare_elements() {
    for (std::size_t i = 0; i < wanted_.sets.size(); ++i) {
      const Set& set = wanted_.sets[i];
      const Set* there = live_names_.set(set.name);
      if (there == nullptr || remade_.sets.contains(set.name) || filled_at_run_time(set)) continue;
      // Of ranges that overlap the kernel takes the first: where one changes, all are put in order.
      const bool ordered = set.interval && set.key.size() > 1;
      if (is_keys_alone(there->elements) && is_keys_alone(set.elements) && !ordered) {
        Unlike unlike = without_equal_ends(there->elements, set.elements);
        compare_elements(i, normalised(set, std::move(unlike.a)),
                         normalised(set, std::move(unlike.b)), ordered);
      } else {
        compare_elements(i, normalised(*there, there->elements), normalised(set, set.elements),
                         ordered);
      }
    }
  }

  bool same_row(const Elements& a, std::size_t i, const Elements& b, std::size_t j) const {
    if (!b.verdicts.empty() && remade_.has_chain_of(b.verdicts[j])) return false;
    return rolewall::apply::same_row(a, i, b, j);
  }

  void compare_elements(std::size_t set, const Elements& a, const Elements& b, bool ordered) {
    TableChange::Elements removed{.set = set, .elements = {}};
    TableChange::Elements added = removed;
    const auto remove = [&](std::size_t row) { removed.elements.append(a, row); };
    const auto add = [&](std::size_t row) { added.elements.append(b, row); };
    for (auto* part : {&removed.elements, &added.elements}) {
      part->key_size = b.key_size;
      part->data_size = b.data_size;
    }
    std::size_t i = 0;
    std::size_t j = 0;
    const bool keys_alone = is_keys_alone(a) && is_keys_alone(b);
    while (i < a.count() || j < b.count()) {
      if (keys_alone) {
        const std::size_t same = equal_rows(a, i, b, j);
        i += same;
        j += same;
        if (i == a.count() && j == b.count()) break;
      }
      const int order = i == a.count() ? 1 : j == b.count() ? -1 : compare_keys(a, i, b, j);
      if (order == 0 && same_row(a, i, b, j)) {
        ++i;
        ++j;
        continue;
      }
      if (order <= 0) remove(i++);
      if (order >= 0) add(j++);
    }
    if (ordered && (removed.elements.count() != 0 || added.elements.count() != 0)) {
      removed.elements = a;
      added.elements = b;
      removed.elements.has_catch_all = added.elements.has_catch_all = false;
    }
    if (!same_catch_all(a, b) || remade_.has_chain_of(b.catch_all_verdict)) {
      removed.elements.has_catch_all = a.has_catch_all;
      added.elements.take_catch_all(b);
    }
    if (!removed.elements.empty()) change().removed_elements.push_back(std::move(removed));
    if (!added.elements.empty()) change().added_elements.push_back(std::move(added));
  }

  void compare_rules() {
    for (const Chain& chain : live_.chains) {
      if (!chain.bound && wanted_names_.chain(chain.name) == nullptr) remove_rules(chain);
    }
    for (std::size_t i = 0; i < wanted_.chains.size(); ++i) {
      const Chain& chain = result_.table.chains[i];
      const Chain* there = live_names_.chain(chain.name);
      if (there == nullptr) {
        add_rules(i, std::vector<RuleMatch>(chain.rules.size()), chain);
      } else {
        change_rules(*there, i);
      }
    }
  }

  void remove_rules(const Chain& chain) {
    for (const Rule& rule : chain.rules) {
      change().removed_rules.push_back({chain.name, rule.handle});
    }
  }

  // Whether a count that went on would be taken for something else. What a policy's rule has let in
  // is its count without what its limits have denied: so the two begin anew together.
  bool means_another(const Chain& there, std::size_t i, const Chain& wanted, std::size_t j) const {
    const Rule& rule = wanted.rules[j];
    if (is_step(rule)) return !end_alike(there, i, wanted, j);
    const std::string excess = own::excess_chain(rule.comment.text());
    const bool is_of_rule = wanted.name == rule.comment.text() || wanted.name == excess;
    return is_of_rule && denies(live_names_.chain(excess)) != denies(wanted_names_.chain(excess));
  }

  static bool denies(const Chain* chain) {
    return chain != nullptr && std::ranges::any_of(chain->rules, [](const Rule& rule) {
             const Verdict* verdict = final_verdict(rule);
             return rejects(rule) || (verdict != nullptr && verdict->code == VerdictCode::Drop);
           });
  }

  void change_rules(const Chain& there, std::size_t chain) {
    const Chain& wanted = result_.table.chains[chain];
    const bool remade = remade_.chains.contains(wanted.name);
    std::vector<RuleMatch> matches = match_rules(there, wanted, [&](const Rule& rule) {
      return !remade && std::ranges::none_of(rule.exprs, [&](const Expr& expr) {
        return remade_.is_named_by(effects_of(expr, wanted_names_));
      });
    });
    for (std::size_t i = 0; i < matches.size(); ++i) {
      if (matches[i].live && counts(wanted.rules[i]) &&
          means_another(there, *matches[i].live, wanted, i)) {
        matches[i] = {};
      }
    }
    std::vector<bool> kept(there.rules.size());
    for (const RuleMatch& match : matches) {
      if (match.kept) kept[*match.live] = true;
    }
    for (std::size_t i = 0; i < there.rules.size(); ++i) {
      if (!kept[i]) change().removed_rules.push_back({there.name, there.rules[i].handle});
    }
    const bool first_goes =
        std::ranges::none_of(matches, [](const RuleMatch& match) { return match.live == 0U; });
    if (first_goes && !there.rules.empty() && !matches.empty() && !matches.front().live &&
        !means_another(there, 0, wanted, 0)) {
      take_count(there.rules.front(), result_.table.chains[chain].rules.front());
    }
    add_rules(chain, matches, there);
  }

  // One of the policy's counts what comes to it, whatever it does then.
  static bool is_step(const Rule& rule) { return rule.comment.text().starts_with('('); }

  static bool counts(const Rule& rule) {
    return std::ranges::any_of(
        rule.exprs, [](const Expr& expr) { return std::holds_alternative<Counter>(expr); });
  }

  // Whether the last rules of their names do the same in the end.
  static bool end_alike(const Chain& one, std::size_t i, const Chain& other, std::size_t j) {
    const Expr* const end = end_of(one.rules, i);
    const Expr* const other_end = end_of(other.rules, j);
    if (end == nullptr || other_end == nullptr) return end == other_end;
    return *end == *other_end;
  }

  static const Expr* end_of(const std::vector<Rule>& rules, std::size_t at) {
    const Rule& last =
        *std::ranges::find(rules.rbegin(), rules.rend(), rules[at].comment, &Rule::comment);
    if (last.exprs.empty() || std::holds_alternative<Counter>(last.exprs.back())) return nullptr;
    return &last.exprs.back();
  }

  // `there`: what `matches` are of.
  void add_rules(std::size_t chain, const std::vector<RuleMatch>& matches, const Chain& there) {
    // From the end, so that the rule before which each goes is known.
    std::vector<TableChange::RuleAddition> added;
    std::uint64_t before = 0;
    for (std::size_t i = matches.size(); i-- > 0;) {
      Rule& rule = result_.table.chains[chain].rules[i];
      if (matches[i].live) take_state(there.rules[*matches[i].live], rule);
      if (matches[i].kept) {
        before = there.rules[*matches[i].live].handle;
      } else {
        added.push_back({.chain = chain, .rule = i, .before = before});
      }
    }
    change().added_rules.insert(change().added_rules.end(), added.rbegin(), added.rend());
  }

  TableChange& change() { return result_.change; }

  const Table& live_;
  const Table& wanted_;
  TableIndex live_names_;
  TableIndex wanted_names_;
  IdleJumps idle_;
  Remade remade_;
  Difference result_;
};

}  // namespace

Difference difference(const Table& live, const Table& wanted, IdleJumps idle) {
  return Comparison(live, wanted, idle).take();
}

}  // namespace rolewall::apply

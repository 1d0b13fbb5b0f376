#include "apply/run_time_jumps.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "apply/difference.h"
#include "ruleset/own_table.h"
#include "ruleset/table_flags.h"
#include "unit/apply/table.h"

namespace rolewall::apply {
namespace {

using namespace test;

Chain chain_of(std::string_view name, std::vector<Rule> rules) {
  Chain chain;
  chain.name = name;
  chain.rules = std::move(rules);
  return chain;
}

Rule jump(std::string_view chain) {
  return rule("", {verdict(VerdictCode::Jump, std::string(chain))});
}

// What the compiler makes, as far as the jumps go. Rules have handles, as in a kernel.
Table compiled() {
  Table table;
  table.name = kOwnTable;
  table.chains = {
      chain_of(own::kInput, {rule("(established)", {}), rule("(loopback)", {}), jump(own::kUnusual),
                             rule("(spoofed)", {}), rule("(spoofed)", {}), rule("(default)", {})}),
      chain_of(own::kOutput, {rule("(established)", {}), rule("(loopback)", {}),
                              jump(own::kUnusual), rule("(default)", {})}),
      chain_of(own::kForward,
               {rule("(established)", {}), jump(own::kUnusual), rule("(default)", {})}),
  };
  for (const std::string_view name :
       {own::kUnusual, own::kBannedInput, own::kBannedOutput, own::kBannedForward, own::kAllowed}) {
    table.chains.push_back(chain_of(name, {rule("", {verdict(VerdictCode::Return)})}));
  }
  for (const bool prefixes : {false, true}) {
    std::string banned = own::banned_set(true);
    table.sets.push_back(address_set(prefixes ? own::prefixes(banned) : banned));
  }
  table.sets.push_back(address_set(own::allowed_set(true)));
  for (Set& set : table.sets) set.has_timeout = true;
  std::uint64_t handle = 0;
  for (Chain& chain : table.chains) {
    for (Rule& each : chain.rules) each.handle = ++handle;
  }
  return table;
}

// "(established)", or where a jump leads.
std::vector<std::string> names(const Table& table, std::string_view chain) {
  std::vector<std::string> names;
  for (const Rule& each : find_chain(table, chain)->rules) {
    names.push_back(each.comment.empty()
                        ? std::get<ImmediateVerdict>(each.exprs.back()).verdict.chain
                        : each.comment.text());
  }
  return names;
}

using Names = std::vector<std::string>;

TEST_CASE("bans are asked about before what is invalid, openings after what is spoofed") {
  Table table = compiled();
  const auto added = add_run_time_jumps(table, {.bans = true, .openings = true});
  CHECK(names(table, own::kInput) == Names{"(established)", "(loopback)", "banned-input", "unusual",
                                           "(spoofed)", "(spoofed)", "allowed", "(default)"});
  CHECK(names(table, own::kOutput) ==
        Names{"(established)", "(loopback)", "banned-output", "unusual", "(default)"});
  CHECK(names(table, own::kForward) ==
        Names{"(established)", "banned-forward", "unusual", "(default)"});
  REQUIRE(added.size() == 4);
  for (const TableChange::RuleAddition& one : added) {
    const Chain& chain = table.chains[one.chain];
    CHECK(chain.rules[one.rule].handle == 0);
    CHECK(chain.rules[one.rule + 1].handle == one.before);
  }
}

TEST_CASE("each kind has its own jumps, and none comes twice") {
  Table table = compiled();
  CHECK(add_run_time_jumps(table, {}).empty());
  CHECK(add_run_time_jumps(table, {.bans = true}).size() == 3);
  CHECK(led_to_by(table).bans);
  CHECK_FALSE(led_to_by(table).openings);
  CHECK(add_run_time_jumps(table, {.bans = true}).empty());
  // One was taken away.
  std::erase_if(table.chains[1].rules,
                [](const Rule& each) { return each.comment.empty() && each.handle == 0; });
  CHECK(led_to_by(table).bans);
  CHECK(add_run_time_jumps(table, {.bans = true}).size() == 1);
  CHECK(add_run_time_jumps(table, {.openings = true}).size() == 1);
  CHECK(led_to_by(table).openings);
  // Who cannot wait to see what is there adds them all.
  CHECK(add_run_time_jumps(table, {.bans = true}, Adds::Each).size() == 3);
}

TEST_CASE("without interfaces that networks are behind, openings follow what is unusual") {
  Table table = compiled();
  std::erase_if(table.chains[0].rules,
                [](const Rule& each) { return each.comment == "(spoofed)"; });
  add_run_time_jumps(table, {.openings = true});
  CHECK(names(table, own::kInput) ==
        Names{"(established)", "(loopback)", "unusual", "allowed", "(default)"});
}

TEST_CASE("where the rules that they stand beside are gone, they come first") {
  Table table = compiled();
  std::erase_if(table.chains[1].rules, [](const Rule& each) { return each.comment.empty(); });
  add_run_time_jumps(table, {.bans = true});
  CHECK(names(table, own::kOutput) ==
        Names{"banned-output", "(established)", "(loopback)", "(default)"});
}

TEST_CASE("what another program did to the way to bans and openings is named") {
  Table table = compiled();
  for (Chain& chain : table.chains) {
    if (chain.rules.empty()) chain.rules = {rule("", {Counter{}})};
  }
  const RunTimeSteps both{.bans = true, .openings = true};
  CHECK(why_without_effect(table, both).empty());
  Table dormant = table;
  dormant.flags = kTableDormant;
  CHECK(why_without_effect(dormant, both) == "it is dormant and filters nothing");
  Table emptied = table;
  std::ranges::find(emptied.chains, own::kBannedInput, &Chain::name)->rules.clear();
  CHECK(why_without_effect(emptied, {.bans = true}) == "its chain banned-input is empty");
  CHECK(why_without_effect(emptied, {.openings = true}).empty());
  Table without = table;
  std::erase_if(without.chains, [](const Chain& chain) { return chain.name == own::kInput; });
  CHECK(why_without_effect(without, {.openings = true}) == "its chain input is gone");
}

TEST_CASE("a table of an older version is recognised") {
  Table table = compiled();
  CHECK_FALSE(lacks_chains_of(table, {.bans = true, .openings = true}));
  std::erase_if(table.chains, [](const Chain& chain) { return chain.name == own::kAllowed; });
  CHECK_FALSE(lacks_chains_of(table, {.bans = true}));
  CHECK(lacks_chains_of(table, {.openings = true}));
  CHECK(add_run_time_jumps(table, {.openings = true}).empty());
}

TEST_CASE("an apply adds what bans and openings need, and takes away what is idle") {
  const Table wanted = compiled();
  Table live = wanted;
  CHECK(difference(live, wanted).empty());

  add_address(live.sets[1], {198, 51, 100, 0});
  live.sets[1].elements.key_ends = {198, 51, 100, 255};
  CHECK(held_by(live).bans);
  CHECK_FALSE(held_by(live).openings);
  CHECK(difference(live, wanted).change.added_rules.size() == 3);
  add_run_time_jumps(live, held_by(live));
  for (Chain& chain : live.chains) {
    for (Rule& each : chain.rules) {
      if (each.handle == 0) each.handle = 100 + chain.rules.size();
    }
  }
  CHECK(difference(live, wanted).empty());

  live.sets[1].elements = {};
  CHECK(difference(live, wanted, IdleJumps::Stay).empty());
  const Difference idle = difference(live, wanted);
  CHECK(idle.change.removed_rules.size() == 3);
  CHECK(idle.change.added_rules.empty());
  CHECK_FALSE(idle.whole);
  // Openings do not keep the jumps to bans.
  add_address(live.sets[2], {192, 0, 2, 1});
  const Difference other = difference(live, wanted);
  CHECK(other.change.removed_rules.size() == 3);
  CHECK(other.change.added_rules.size() == 1);
}

}  // namespace
}  // namespace rolewall::apply

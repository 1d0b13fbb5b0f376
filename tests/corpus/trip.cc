#include "trip.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "eval/program.h"
#include "netlink/netlink.h"
#include "network.h"
#include "print/print.h"
#include "process.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"

namespace rolewall::corpus {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)

Result<Ruleset> read_kernel() {
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  return kernel->dump();
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string line_at(const std::string& text, std::size_t at) {
  const std::size_t begin = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;  // npos + 1 is 0
  return text.substr(begin, text.find('\n', begin) - begin);
}

// Without the numbers of things that have no name, of which each kernel counts its own; and without
// what libnftnl shows of a rule that it has read and not of one that it writes: flags and timeouts
// of 0, a log's ordinary level. It has no word for `ct id`.
std::string comparable(std::string bytecode) {
  static const std::pair<std::regex, const char*> kRewrites[] = {
      {std::regex("__(set|map|objmap|chain)[0-9]+"), "__$1"},
      {std::regex("(\\[ lookup .*) 0x0 \\]"), "$1 ]"},
      {std::regex("(\\[ dynset .*) timeout 0ms "), "$1 "},
      {std::regex("\\[ log level 4 \\]"), "[ log ]"},
      {std::regex("\\[ ct load unknown "), "[ ct load id "},
      // Of iptables' we add the words.
      {std::regex("\\[ (match|target) name (\\S+) rev ([0-9]+) [^\n]*\\]"),
       "[ $1 name $2 rev $3 ]"},
  };
  for (const auto& [from, to] : kRewrites) bytecode = std::regex_replace(bytecode, from, to);
  return bytecode;
}

// Rules in the order in which the sample's commands gave them, over all chains: they all have the
// same setup, so that their handles tell.
std::vector<const Rule*> by_handle(const Ruleset& ruleset) {
  std::vector<const Rule*> rules;
  for (const Table& table : ruleset.tables) {
    for (const Chain& chain : table.chains) {
      for (const Rule& rule : chain.rules) rules.push_back(&rule);
    }
  }
  std::ranges::sort(rules, {}, &Rule::handle);
  return rules;
}

void compare_bytecode(const Sample& sample, const Ruleset& ruleset, Findings& findings) {
  if (sample.bytecode.empty()) return;
  const std::vector<const Rule*> rules = by_handle(ruleset);
  if (rules.size() != sample.bytecode.size()) {
    findings.losses.push_back(
        fmt::format("{} rules of {} commands", rules.size(), sample.bytecode.size()));
    return;
  }
  for (std::size_t i = 0; i < rules.size(); ++i) {
    std::string ours;
    for (const Expr& expr : rules[i]->exprs) ours += print::bytecode(expr, Family::Ip) + "\n";
    std::string theirs;
    for (const std::string& line : sample.bytecode[i]) theirs += line + "\n";
    ++findings.bytecode_compared;
    if (comparable(ours) == comparable(theirs)) continue;
    findings.losses.push_back(
        fmt::format("{}\nthe kernel:\n{}we:\n{}", sample.commands[i], theirs, ours));
  }
}

// What nft lists of each rule, before it looks for its own words, in which some matches of iptables
// make it crash; by family and table and its handle: "ip filter 4".
std::map<std::string, std::string> listed_bytecode() {
  static const std::regex kHeader("(ip6?|inet|arp|bridge|netdev) (\\S+) \\S+ ([0-9]+).*");
  std::map<std::string, std::string> listed;
  std::istringstream lines(
      output_of({"sh", "-c", "stdbuf -oL nft --debug=netlink list ruleset; true"}, ""));
  std::string* now = nullptr;
  for (std::string line; std::getline(lines, line);) {
    std::smatch header;
    if (std::regex_match(line, header, kHeader)) {
      now = &listed[fmt::format("{} {} {}", header.str(1), header.str(2), header.str(3))];
    } else if (now != nullptr && line.starts_with("  [ ")) {
      *now += line.substr(2) + "\n";
    } else {
      now = nullptr;
    }
  }
  return listed;
}

// Of what iptables has loaded.
void compare_listing(const Sample& sample, const Ruleset& ruleset, Findings& findings) {
  if (!sample.loader.front().ends_with("tables-nft-restore")) return;
  const std::map<std::string, std::string> listed = listed_bytecode();
  for (const Table& table : ruleset.tables) {
    for (const Chain& chain : table.chains) {
      for (const Rule& rule : chain.rules) {
        const std::string key =
            fmt::format("{} {} {}", name_of(table.family), table.name, rule.handle);
        const auto theirs = listed.find(key);
        std::string ours;
        for (const Expr& expr : rule.exprs) ours += print::bytecode(expr, table.family) + "\n";
        ++findings.bytecode_compared;
        if (theirs != listed.end() && comparable(ours) == comparable(theirs->second)) continue;
        findings.losses.push_back(fmt::format("rule {} of {}\nnft lists:\n{}we:\n{}", rule.handle,
                                              chain.name,
                                              theirs == listed.end() ? "" : theirs->second, ours));
      }
    }
  }
}

// --- what would be undecided ---

std::string unread_reason(const Table& table, const Rule& rule) {
  for (const Expr& expr : rule.exprs) {
    if (const auto* unsupported = std::get_if<Unsupported>(&expr)) {
      return fmt::format("{}: {}", unsupported->name, unsupported->reason);
    }
    std::string name;
    if (const auto* lookup = std::get_if<Lookup>(&expr)) name = lookup->set;
    if (const auto* dynset = std::get_if<Dynset>(&expr)) name = dynset->set;
    if (const auto* objects = std::get_if<ObjectLookup>(&expr)) name = objects->set;
    if (const Set* set = find_set(table, name); set != nullptr && !set->unsupported.empty()) {
      return fmt::format("a set: {}", set->unsupported);
    }
    const auto* reference = std::get_if<ObjectRef>(&expr);
    if (reference == nullptr) continue;
    const Object* object = find_object(table, reference->type, reference->name);
    if (object == nullptr) return "an object that there is not";
    if (const auto* unsupported = std::get_if<Unsupported>(&object->body)) {
      return fmt::format("{}: {}", unsupported->name, unsupported->reason);
    }
  }
  return "";
}

std::string refused_reason(const eval::Program& program, const eval::Program::Rule& rule) {
  for (std::size_t i = 0; i < rule.rule->exprs.size(); ++i) {
    const std::uint32_t operand = program.operand(rule, i);
    if (operand != eval::Program::kNone && operand >= eval::Program::kFirstProblem) {
      return program.problem(operand);
    }
  }
  return "";
}

void count_undecided(const Ruleset& ruleset, Findings& findings) {
  eval::State state;
  const eval::Program program(ruleset, state);
  for (const eval::Program::Table& table : program.tables()) {
    for (const eval::Program::Chain& chain : table.chains) {
      for (const eval::Program::Rule& rule : chain.rules) {
        ++findings.rules;
        if (const std::string reason = unread_reason(*table.table, *rule.rule); !reason.empty()) {
          ++findings.unread[reason];
        } else if (const std::string other = refused_reason(program, rule); !other.empty()) {
          ++findings.refused[other];
        }
      }
    }
  }
}

// --- what can be written again ---

std::set<std::string> sets_used(const Table& table) {
  std::set<std::string> used;
  for (const Chain& chain : table.chains) {
    for (const Rule& rule : chain.rules) {
      for (const Expr& expr : rule.exprs) {
        if (const auto* lookup = std::get_if<Lookup>(&expr)) used.insert(lookup->set);
        if (const auto* dynset = std::get_if<Dynset>(&expr)) used.insert(dynset->set);
        if (const auto* objects = std::get_if<ObjectLookup>(&expr)) used.insert(objects->set);
      }
    }
  }
  return used;
}

// Without what was not read whole; true where that was anything.
bool strip(Table& table) {
  bool stripped = false;
  const auto count = [&](std::size_t erased) { stripped |= erased != 0; };
  for (Chain& chain : table.chains) {
    count(std::erase_if(chain.rules,
                        [&](const Rule& rule) { return !unread_reason(table, rule).empty(); }));
  }
  count(std::erase_if(table.sets, [](const Set& set) { return !set.unsupported.empty(); }));
  count(std::erase_if(table.objects, [](const Object& object) {
    return std::holds_alternative<Unsupported>(object.body);
  }));
  // The kernel keeps no set without a name that no rule uses.
  const std::set<std::string> used = sets_used(table);
  std::erase_if(table.sets,
                [&](const Set& set) { return set.anonymous && !used.contains(set.name); });
  return stripped;
}

Result<void> write_kernel(const Ruleset& ruleset) {
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  for (const Table& table : ruleset.tables) {
    const auto result = kernel->replace_table(table, std::nullopt);
    if (!result) return std::unexpected(result.error());
    if (result->committed) continue;
    std::string reasons;
    for (const netlink::Refusal& refusal : result->refusals) {
      reasons += fmt::format("\n  {}: {}", refusal.what, refusal.explanation);
    }
    return fail(ErrorKind::System, fmt::format("table {} {} is refused:{}", name_of(table.family),
                                               table.name, reasons));
  }
  return {};
}

template <class Item, class Show>
void compare_items(const std::vector<Item>& wanted, const std::vector<Item>& live,
                   const std::string& where, Show show, Findings& findings) {
  if (wanted.size() != live.size()) {
    findings.losses.push_back(
        fmt::format("{}: {} instead of {}", where, live.size(), wanted.size()));
    return;
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == live[i]) continue;
    findings.losses.push_back(fmt::format("{} {} is another", where, show(wanted[i])));
  }
}

void compare(const Ruleset& before, const Ruleset& after, Findings& findings) {
  const Ruleset wanted = configuration(before);
  const Ruleset live = configuration(after);
  if (wanted == live) return;
  const auto name = [](const auto& item) { return item.name; };
  compare_items(wanted.tables, live.tables, "table", name, findings);
  for (std::size_t t = 0; t < std::min(wanted.tables.size(), live.tables.size()); ++t) {
    const Table& a = wanted.tables[t];
    const Table& b = live.tables[t];
    compare_items(a.objects, b.objects, a.name + ", object", name, findings);
    compare_items(a.sets, b.sets, a.name + ", set", name, findings);
    compare_items(a.chains, b.chains, a.name + ", chain", name, findings);
  }
}

void check_snapshot(const Ruleset& ruleset, Findings& findings) {
  Snapshot snapshot;
  snapshot.ruleset = ruleset;
  const auto again = print::from_json(print::to_json(snapshot));
  if (!again) {
    findings.losses.push_back("its snapshot cannot be read: " + again.error().message);
  } else if (*again != snapshot) {
    findings.losses.push_back("its snapshot says something else");
  }
}

}  // namespace

Result<Findings> make_trip(const Sample& sample) {
  TRY(fresh_network());
  TRY(add_devices(sample.interfaces));
  if (const Finished loaded = run(sample.loader, sample.text()); loaded.status != 0) {
    return fail(ErrorKind::Usage, first_line(loaded.output));
  }
  const std::vector<std::string> list{"nft", "-s", "list", "ruleset"};
  const std::string listed = output_of(list, "");
  auto before = read_kernel();
  if (!before) return std::unexpected(before.error());

  Findings findings;
  for (const Table& table : before->tables) {
    for (const Set& set : table.sets) findings.elements += set.elements.count();
  }
  count_undecided(*before, findings);
  compare_bytecode(sample, *before, findings);
  compare_listing(sample, *before, findings);
  check_snapshot(*before, findings);

  bool stripped = false;
  for (Table& table : before->tables) stripped |= strip(table);
  TRY(fresh_network());
  TRY(add_devices(sample.interfaces));
  if (const auto written = write_kernel(*before); !written) {
    findings.losses.push_back(written.error().message);
    return findings;
  }
  const auto after = read_kernel();
  if (!after) return std::unexpected(after.error());
  compare(*before, *after, findings);
  if (const std::string again = output_of(list, ""); !stripped && again != listed) {
    const auto [was, is] = std::ranges::mismatch(listed, again);
    findings.losses.push_back(
        fmt::format("nft lists it otherwise: `{}` instead of `{}`",
                    line_at(again, static_cast<std::size_t>(is - again.begin())),
                    line_at(listed, static_cast<std::size_t>(was - listed.begin()))));
  }
  return findings;
}

}  // namespace rolewall::corpus

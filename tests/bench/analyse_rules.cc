// How long a list of rules takes to become a diagram, how large it is, and what it takes to find
// the packets that differ once one rule is gone: medians of five, processor time, and the most
// memory that was in use. Kinds of rules as public studies have them, or those of a file that
// ClassBench's db_generator wrote. Beside it, where BuDDy (Debian: libbdd-dev) is there, the same
// list as a decision diagram over bits, made by halves, too.
//
//     analyse_rules KIND RULES [FILE]      KIND: site, hosts, wild, or a name for what FILE has
//
// One line of JSON. tests/bench/all_packets.py runs it for every kind, beside other figures.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/analysis.h"
#include "analyze/difference.h"
#include "kernel/random.h"
#include "ruleset/expr.h"

#ifdef ROLEWALL_HAS_BUDDY
#include <bdd.h>
#endif

namespace rolewall {
namespace {

using kernel_judge::Random;
using namespace ruleset;  // NOLINT: the file is made of its names

constexpr Register kReg = 8;
// Beyond what a question is given by default: to see what a kind of rules takes.
constexpr analyze::Budget kBudget{.edges = 200'000'000, .steps = 4'000'000'000};

Value word(std::uint32_t number) {
  return Value(std::vector<std::uint8_t>{
      static_cast<std::uint8_t>(number >> 24), static_cast<std::uint8_t>(number >> 16),
      static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

struct Net {
  std::uint32_t address = 0;
  unsigned length = 0;  // 0: any
};

void match_net(ExprList& exprs, std::uint32_t offset, const Net& net) {
  if (net.length == 0) return;
  const std::uint32_t mask = ~std::uint32_t{0} << (32 - net.length);
  exprs.push_back(Payload{PayloadBase::Network, offset, 4, kReg});
  if (net.length < 32) exprs.push_back(BitwiseMask{kReg, kReg, 4, word(mask), word(0)});
  exprs.push_back(Cmp{CmpOp::Eq, kReg, word(net.address & mask)});
}

struct Ports {
  std::uint16_t first = 0;
  std::uint16_t last = 0xffff;
};

struct FiveTuple {
  Net source;
  Net destination;
  Ports source_ports;
  Ports destination_ports;
  std::uint8_t protocol = 0;
  bool any_protocol = false;
};

void match_ports(ExprList& exprs, std::uint32_t offset, const Ports& ports) {
  if (ports.first == 0 && ports.last == 0xffff) return;
  exprs.push_back(Payload{PayloadBase::Transport, offset, 2, kReg});
  if (ports.first == ports.last) {
    exprs.push_back(Cmp{CmpOp::Eq, kReg, Value::be16(ports.first)});
  } else {
    exprs.push_back(Range{false, kReg, Value::be16(ports.first), Value::be16(ports.last)});
  }
}

Rule rule_of(const FiveTuple& tuple, bool accepts) {
  Rule rule;
  if (!tuple.any_protocol) {
    rule.exprs.push_back(Meta{MetaKey::L4Proto, kReg});
    rule.exprs.push_back(Cmp{CmpOp::Eq, kReg, Value::u8(tuple.protocol)});
  }
  match_net(rule.exprs, 12, tuple.source);
  match_net(rule.exprs, 16, tuple.destination);
  match_ports(rule.exprs, 0, tuple.source_ports);
  match_ports(rule.exprs, 2, tuple.destination_ports);
  const VerdictCode code = accepts ? VerdictCode::Accept : VerdictCode::Drop;
  rule.exprs.push_back(ImmediateVerdict{{code, "", 0}});
  return rule;
}

// Of 100 networks and hosts in them, 60 services, mostly accepted; each rule its own prefixes and
// port; anything, overlapping.
Rule random_rule(std::string_view kind, Random& random) {
  const bool site = kind == "site";
  const bool wild = kind == "wild";
  const auto net = [&]() -> Net {
    const auto any = static_cast<std::uint32_t>(random.next());
    if (!site) return {any, wild ? 8 + random.below(25) : 24 + random.below(9)};
    const std::uint32_t network = 0x0a000000 | random.below(100) << 16;
    return random.percent(50) ? Net{network, 16} : Net{network | random.below(250), 32};
  };
  FiveTuple tuple;
  tuple.protocol = random.percent(80) ? 6 : 17;
  const bool source_any = wild && random.percent(50);
  tuple.source = source_any ? Net{} : net();
  tuple.destination = wild && !source_any ? Net{} : net();
  const auto port = static_cast<std::uint16_t>(site ? random.below(60) * 100 + 22 : random.word());
  tuple.destination_ports = {port, port};
  return rule_of(tuple, random.percent(site ? 85 : 50));
}

// "@1.2.3.0/24  5.6.7.8/32  0 : 65535  80 : 80  0x06/0xFF ...": a five-tuple; what is behind it
// (flags) is not gone into, and an action it has not.
std::vector<Rule> read_classbench(const char* path, std::size_t most) {
  std::vector<Rule> rules;
  std::ifstream file(path);
  Random random(1);
  for (std::string line; std::getline(file, line) && rules.size() < most;) {
    std::array<unsigned, 16> n{};
    const int read =
        std::sscanf(line.c_str(), "@%u.%u.%u.%u/%u %u.%u.%u.%u/%u %u : %u %u : %u %x/%x", &n[0],
                    &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9], &n[10], &n[11],
                    &n[12], &n[13], &n[14], &n[15]);
    if (read != static_cast<int>(n.size())) continue;
    const auto address = [&](std::size_t at) {
      return n[at] << 24 | n[at + 1] << 16 | n[at + 2] << 8 | n[at + 3];
    };
    const auto ports = [&](std::size_t at) {
      return Ports{static_cast<std::uint16_t>(n[at]), static_cast<std::uint16_t>(n[at + 1])};
    };
    rules.push_back(rule_of({{address(0), n[4]},
                             {address(5), n[9]},
                             ports(10),
                             ports(12),
                             static_cast<std::uint8_t>(n[14]),
                             n[15] == 0},
                            random.percent(50)));
  }
  return rules;
}

double seconds_since(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

template <class Run>
double median_of_five(const Run& run) {
  std::array<double, 5> all{};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::clock_t start = std::clock();
    run(i);
    all[i] = seconds_since(start);
  }
  std::ranges::sort(all);
  return all[all.size() / 2];
}

// The most that was in use at once, so far.
std::uint64_t most_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

Ruleset ruleset_of(std::vector<Rule> rules) {
  Ruleset ruleset;
  Table& table = ruleset.tables.emplace_back();
  table.family = Family::Ip;
  table.name = "t";
  Chain& chain = table.chains.emplace_back();
  chain.name = "input";
  chain.base = BaseChain{ChainType::Filter, Hook::Input, 0, VerdictCode::Drop, {}};
  chain.rules.assign(rules.begin(), rules.end());
  return ruleset;
}

// By turns another rule is taken away, before the clock runs; "": each time the answer is there.
std::string measure_difference(const Ruleset& before, double& seconds) {
  const Host host;
  std::string ended;
  std::array<Ruleset, 5> afters;
  for (std::size_t turn = 0; turn < afters.size(); ++turn) {
    afters[turn] = before;
    auto& rules = afters[turn].tables[0].chains[0].rules;
    rules.erase(rules.begin() + static_cast<std::ptrdiff_t>(rules.size() * (turn + 1) / 7));
  }
  seconds = median_of_five([&](std::size_t turn) {
    analyze::Difference difference({before, host}, {afters[turn], host});
    for (const auto direction : {analyze::Direction::Arrive, analyze::Direction::Send}) {
      const auto found = difference.parts(direction);
      if (!found) ended = found.error().why;
    }
  });
  return ended;
}

#ifdef ROLEWALL_HAS_BUDDY
// Variables: protocol, destination, source, ports, the highest bit of each first.
bdd equal_bits(int first, int count, std::uint32_t value) {
  bdd all = bddtrue;
  for (int i = count; i-- > 0;) {
    const bool set = (value >> (count - 1 - i) & 1) != 0;
    all &= set ? bdd_ithvar(first + i) : bdd_nithvar(first + i);
  }
  return all;
}

// The value of these bits is between the two.
bdd between_bits(int first, int count, std::uint32_t least, std::uint32_t most) {
  bdd at_least = bddtrue;
  bdd at_most = bddtrue;
  for (int i = count; i-- > 0;) {
    const bdd bit = bdd_ithvar(first + i);
    at_least = (least >> (count - 1 - i) & 1) != 0 ? bit & at_least : bit | at_least;
    at_most = (most >> (count - 1 - i) & 1) != 0 ? (!bit) | at_most : (!bit) & at_most;
  }
  return at_least & at_most;
}

std::uint32_t number_of(const Value& value) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < value.size; ++i) number = number << 8 | value.bytes[i];
  return number;
}

struct Matched {
  bdd any;
  bdd accepted;
};

// As rule_of() makes them.
Matched matched_by(const Rule& rule) {
  bdd box = bddtrue;
  int first = 0;
  int bits = 0;
  for (const Expr& expr : rule.exprs) {
    if (std::holds_alternative<Meta>(expr)) {
      first = 0;
      bits = 8;
    } else if (const auto* payload = std::get_if<Payload>(&expr)) {
      const bool network = payload->base == PayloadBase::Network;
      first = network ? (payload->offset == 16 ? 8 : 40) : (payload->offset == 2 ? 72 : 88);
      bits = network ? 32 : 16;
    } else if (const auto* mask = std::get_if<BitwiseMask>(&expr)) {
      bits = 0;
      for (const std::uint8_t byte : mask->mask.bytes) bits += __builtin_popcount(byte);
    } else if (const auto* cmp = std::get_if<Cmp>(&expr)) {
      const std::uint32_t value = number_of(cmp->value);
      box &= equal_bits(first, bits, value >> (cmp->value.size * 8 - bits));
    } else if (const auto* range = std::get_if<Range>(&expr)) {
      box &= between_bits(first, bits, number_of(range->from), number_of(range->to));
    }
  }
  const auto& verdict = std::get<ImmediateVerdict>(rule.exprs.back()).verdict;
  return {box, verdict.code == VerdictCode::Accept ? box : bdd(bddfalse)};
}

Matched matched_by(const std::vector<Rule>& rules, std::size_t from, std::size_t to) {
  if (to - from == 1) return matched_by(rules[from]);
  const std::size_t middle = from + (to - from) / 2;
  const Matched first = matched_by(rules, from, middle);
  const Matched rest = matched_by(rules, middle, to);
  return {first.any | rest.any, first.accepted | (rest.accepted - first.any)};
}

// Seconds; nodes are bits' own.
std::string run_buddy(const std::vector<Rule>& rules) {
  constexpr int kVariables = 104;
  const std::clock_t start = std::clock();
  bdd_init(4'000'000, 1'000'000);
  bdd_gbc_hook(nullptr);
  bdd_setvarnum(kVariables);
  int nodes = 0;
  {
    const Matched all = matched_by(rules, 0, rules.size());
    nodes = bdd_nodecount(all.accepted);
  }
  const double seconds = seconds_since(start);
  bdd_done();
  return fmt::format(R"(, "buddy_seconds": {:.3f}, "buddy_nodes": {})", seconds, nodes);
}

// In a process of its own: on some rules it ends in no reasonable time.
std::string measure_buddy(const std::vector<Rule>& rules) {
  constexpr unsigned kMostSeconds = 30;
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return "";
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::alarm(kMostSeconds);
    const std::string told = run_buddy(rules);
    const bool written = ::write(ends[1], told.data(), told.size()) >= 0;
    ::_exit(written ? 0 : 1);
  }
  ::close(ends[1]);
  std::array<char, 256> told{};
  const ::ssize_t size = child < 0 ? 0 : ::read(ends[0], told.data(), told.size());
  ::close(ends[0]);
  if (child > 0) ::waitpid(child, nullptr, 0);
  if (size > 0) return {told.data(), static_cast<std::size_t>(size)};
  return fmt::format(R"(, "buddy_not_within": {})", kMostSeconds);
}
#else
std::string measure_buddy(const std::vector<Rule>&) {
  return "";
}
#endif

void measure(std::string_view kind, const std::vector<Rule>& rules) {
  const Ruleset ruleset = ruleset_of(rules);
  const Host host;
  const std::uint64_t before = most_kilobytes();
  std::string ended;
  std::uint64_t edges = 0;
  std::size_t nodes = 0;
  const double seconds = median_of_five([&](std::size_t) {
    analyze::Diagrams diagrams(kBudget);
    analyze::PacketSpace space(diagrams, true, analyze::order_for(ruleset));
    analyze::Machine machine(diagrams, space, ruleset, host);
    try {
      nodes = diagrams.node_count(machine.run(0, 0, Hook::Input, 0));
    } catch (const analyze::BudgetEnded& budget) {
      ended = budget.what;
    }
    edges = diagrams.edges();
  });
  const std::uint64_t kilobytes = most_kilobytes() - before;
  double one_less = 0;
  const std::string not_compared = measure_difference(ruleset, one_less);
  // What overlaps has too many nodes over bits.
  const std::string buddy = kind == "wild" ? "" : measure_buddy(rules);
  fmt::print(R"({{"kind": "{}", "rules": {}, "seconds": {:.3f}, "megabytes": {}, "edges": {}, )"
             R"("nodes": {}, "ended": "{}", "one_less_ms": {:.1f}, "one_less_ended": "{}"{}}})"
             "\n",
             kind, rules.size(), seconds, kilobytes / 1024, edges, nodes, ended, one_less * 1000,
             not_compared, buddy);
}

}  // namespace
}  // namespace rolewall

int main(int count, char** words) {
  using namespace rolewall;
  if (count < 3) {
    fmt::print(stderr, "usage: analyse_rules KIND RULES [FILE]\n");
    return 2;
  }
  const std::size_t most = std::strtoull(words[2], nullptr, 10);
  std::vector<ruleset::Rule> rules;
  if (count > 3) {
    rules = read_classbench(words[3], most);
  } else {
    kernel_judge::Random random(1);
    while (rules.size() < most) rules.push_back(random_rule(words[1], random));
  }
  if (rules.empty()) {
    fmt::print(stderr, "{}: no rules\n", count > 3 ? words[3] : words[1]);
    return 2;
  }
  measure(words[1], rules);
}

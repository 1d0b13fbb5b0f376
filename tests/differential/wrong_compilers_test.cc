// Wrong compilers: a compiled ruleset in which one thing is not as the policy says. Translation
// validation must refute each; what it calls proven the evaluator must not tell from the right one
// by random packets (an edit may change nothing: a test that another test makes).
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "ask/validation.h"
#include "compile/compile.h"
#include "differential/generator.h"
#include "eval/build.h"
#include "eval/eval.h"
#include "ruleset/expr.h"
#include "ruleset/own_table.h"
#include "ruleset/verify.h"
#include "unit/policy/memory_site.h"

namespace rolewall::differential {
namespace {

using ask::Validation;
using ruleset::Chain;
using ruleset::Expr;
using ruleset::Rule;
using ruleset::Table;

constexpr const char* kDefaults = R"(
[defaults]
inbound  = "drop"
outbound = "reject"
forward  = "drop"
)";

// Something of each kind that a rule can say.
constexpr const char* kEdge = R"(
[[inbound]]
id      = "scanners"
service = "tcp/23"
from    = "odd"
action  = "drop"
early   = true

[[inbound]]
id      = "flood"
service = "tcp"
from    = "internet"
action  = "drop"
limit   = "200/second"

[[inbound]]
id      = "ssh"
service = "tcp/22"
from    = "office"
limit   = "10/minute"

[[inbound]]
id          = "web"
service     = "web-ports"
from        = ["internet", "!odd"]
connections = 3

[[inbound]]
id      = "no-names"
service = "names"
from    = "inside"
action  = "reject"

[[inbound]]
id      = "inside"
service = ["tcp/1000-2000", "ping"]
from    = ["inside", "!core-2"]
in      = "private"

[[inbound]]
id      = "ftp"
service = "tcp/21"
from    = "v4"
helper  = "ftp"

[[outbound]]
id      = "updates"
service = "tcp/443"
to      = "internet"
user    = 33

[[outbound]]
id      = "names"
service = "names"
to      = "core-1"

[[forward]]
id      = "out"
service = ["tcp/443", "udp/53"]
from    = "inside"
in      = "private"
out     = "public"

[[forward]]
id      = "no-odd"
from    = "odd"
action  = "reject"

[[nat]]
id              = "to-core"
service         = "tcp/8080"
to              = "self"
in              = "public"
new-destination = "core-2:443"

[[nat]]
id         = "from-edge"
from       = "inside"
out        = "public"
new-source = "203.0.113.2"
)";

struct WrongCompiler {
  const char* what;
  // Makes it wrong at the `nth` place where that can be; false: there are not so many.
  std::function<bool(Table&, std::size_t nth)> edit;
};

// Of rules: `change` says whether it could.
using RuleEdit = std::function<bool(const Chain&, Rule&)>;
std::function<bool(Table&, std::size_t)> of_rules(RuleEdit change) {
  return [change](Table& table, std::size_t nth) {
    for (Chain& chain : table.chains) {
      for (Rule& rule : chain.rules) {
        const Rule before = rule;
        if (!change(chain, rule) || rule == before) continue;
        if (nth-- == 0) return true;
        rule = before;
      }
    }
    return false;
  };
}

template <class T, class Change>
RuleEdit of_expr(Change change) {
  return [change](const Chain&, Rule& rule) {
    for (Expr& expr : rule.exprs) {
      if (auto* one = std::get_if<T>(&expr); one != nullptr && change(*one)) return true;
    }
    return false;
  };
}

// Takes out a load and the test of what it has loaded.
template <class T, class Is>
RuleEdit without_test(Is is) {
  return [is](const Chain&, Rule& rule) {
    for (std::size_t i = 0; i + 1 < rule.exprs.size(); ++i) {
      const auto* load = std::get_if<T>(&rule.exprs[i]);
      if (load == nullptr || !is(*load)) continue;
      std::size_t test = i + 1;
      if (std::holds_alternative<ruleset::BitwiseMask>(rule.exprs[test])) ++test;
      if (test == rule.exprs.size()) continue;
      const auto* lookup = std::get_if<ruleset::Lookup>(&rule.exprs[test]);
      const bool tests = std::holds_alternative<ruleset::Cmp>(rule.exprs[test]) ||
                         (lookup != nullptr && lookup->result == ruleset::LookupResult::Membership);
      if (!tests) continue;
      rule.exprs.erase(rule.exprs.begin() + static_cast<std::ptrdiff_t>(i),
                       rule.exprs.begin() + static_cast<std::ptrdiff_t>(test + 1));
      return true;
    }
    return false;
  };
}

std::function<bool(Table&, std::size_t)> without_rule(
    std::function<bool(const Chain&, const Rule&)> is) {
  return [is](Table& table, std::size_t nth) {
    for (Chain& chain : table.chains) {
      for (std::size_t i = 0; i < chain.rules.size(); ++i) {
        if (!is(chain, chain.rules[i])) continue;
        if (nth-- != 0) continue;
        chain.rules.erase(chain.rules.begin() + static_cast<std::ptrdiff_t>(i));
        return true;
      }
    }
    return false;
  };
}

std::function<bool(Table&, std::size_t)> of_sets(std::function<bool(ruleset::Set&)> change) {
  return [change](Table& table, std::size_t nth) {
    for (ruleset::Set& set : table.sets) {
      const ruleset::Set before = set;
      if (set.elements.count() == 0 || !change(set)) continue;
      if (nth-- == 0) return true;
      set = before;
    }
    return false;
  };
}

bool has_verdict(const Rule& rule, ruleset::VerdictCode code) {
  return std::ranges::any_of(rule.exprs, [&](const Expr& expr) {
    const auto* verdict = std::get_if<ruleset::ImmediateVerdict>(&expr);
    return verdict != nullptr && verdict->verdict.code == code;
  });
}

std::function<bool(Table&, std::size_t)> verdicts(ruleset::VerdictCode from,
                                                  ruleset::VerdictCode to) {
  return of_rules(of_expr<ruleset::ImmediateVerdict>([=](ruleset::ImmediateVerdict& one) {
    if (one.verdict.code != from) return false;
    one.verdict.code = to;
    return true;
  }));
}

std::function<bool(Table&, std::size_t)> without_step(std::string_view step) {
  return without_rule(
      [step](const Chain&, const Rule& rule) { return rule.comment.text() == step; });
}

std::vector<WrongCompiler> wrong_compilers() {
  using ruleset::VerdictCode;
  namespace step = ruleset::own::step;
  const auto is_meta = [](ruleset::MetaKey key) {
    return [key](const ruleset::Meta& load) { return load.key == key; };
  };
  return {
      {"a device that is not asked for",
       of_rules(without_test<ruleset::Meta>(is_meta(ruleset::MetaKey::IifName)))},
      {"a device to leave by that is not asked for",
       of_rules(without_test<ruleset::Meta>(is_meta(ruleset::MetaKey::OifName)))},
      {"an owner that is not asked for",
       of_rules(without_test<ruleset::Meta>(is_meta(ruleset::MetaKey::SkUid)))},
      {"a protocol that is not asked for",
       of_rules(without_test<ruleset::Meta>(is_meta(ruleset::MetaKey::L4Proto)))},
      {"a state that is not asked for",
       of_rules(without_test<ruleset::Ct>(
           [](const ruleset::Ct& load) { return load.key == ruleset::CtKey::State; }))},
      {"an address or a port that is not asked for",
       of_rules(without_test<ruleset::Payload>([](const ruleset::Payload&) { return true; }))},
      {"a rule for both families applied to one", of_rules([](const Chain&, Rule& rule) {
         ruleset::Rule narrower = rule;
         if (!has_verdict(rule, VerdictCode::Jump)) return false;
         narrower.exprs.insert(narrower.exprs.begin(),
                               {ruleset::Meta{ruleset::MetaKey::NfProto, 0},
                                ruleset::Cmp{ruleset::CmpOp::Eq, 0, ruleset::Value::u8(2)}});
         rule = std::move(narrower);
         return true;
       })},
      {"a family of the other number", of_rules([](const Chain&, Rule& rule) {
         for (std::size_t i = 0; i + 1 < rule.exprs.size(); ++i) {
           const auto* load = std::get_if<ruleset::Meta>(&rule.exprs[i]);
           auto* test = std::get_if<ruleset::Cmp>(&rule.exprs[i + 1]);
           if (load == nullptr || load->key != ruleset::MetaKey::NfProto || test == nullptr)
             continue;
           test->value = ruleset::Value::u8(test->value.bytes[0] == 2 ? 10 : 2);
           return true;
         }
         return false;
       })},
      {"a comparison turned round", of_rules(of_expr<ruleset::Cmp>([](ruleset::Cmp& one) {
         one.op = one.op == ruleset::CmpOp::Eq ? ruleset::CmpOp::Neq : ruleset::CmpOp::Eq;
         return true;
       }))},
      {"a comparison with the next number", of_rules(of_expr<ruleset::Cmp>([](ruleset::Cmp& one) {
         if (one.value.size == 0 || one.value.size > 4) return false;
         ++one.value.bytes[one.value.size - 1U];
         return true;
       }))},
      {"a prefix that is wider", of_sets([](ruleset::Set& set) {
         if (set.elements.key_ends.empty() || set.key.size() != 1) return false;
         const std::size_t last = set.elements.key_ends.size() - 1;
         set.elements.key_ends[last - 1] = 255;
         return true;
       })},
      {"an interval that ends one earlier", of_sets([](ruleset::Set& set) {
         if (set.elements.key_ends.empty()) return false;
         if (std::ranges::equal(set.elements.key(0), set.elements.key_end(0))) return false;
         --set.elements.key_ends[set.elements.key_size - 1];
         return true;
       })},
      {"another element", of_sets([](ruleset::Set& set) {
         if (!set.elements.key_ends.empty() || set.has_timeout) return false;
         const std::size_t at = set.key.front().size - 1U;
         set.elements.keys[at] ^= 0x40;
         set.elements.sort();
         return true;
       })},
      {"two elements' verdicts changed over", of_sets([](ruleset::Set& set) {
         auto& verdicts = set.elements.verdicts;
         for (std::size_t i = 1; i < verdicts.size(); ++i) {
           if (verdicts[0] == verdicts[i]) continue;
           std::swap(verdicts[0], verdicts[i]);
           return true;
         }
         return false;
       })},
      {"two rules in the other order",
       [](Table& table, std::size_t nth) {
         for (Chain& chain : table.chains) {
           for (std::size_t i = 0; i + 1 < chain.rules.size(); ++i) {
             if (nth-- != 0) continue;
             std::swap(chain.rules[i], chain.rules[i + 1]);
             return true;
           }
         }
         return false;
       }},
      {"a rule that is left out", without_rule([](const Chain&, const Rule&) { return true; })},
      {"accept for drop", verdicts(VerdictCode::Drop, VerdictCode::Accept)},
      {"drop for accept", verdicts(VerdictCode::Accept, VerdictCode::Drop)},
      {"goto for jump", verdicts(VerdictCode::Jump, VerdictCode::Goto)},
      {"drop for reject", of_rules([](const Chain&, Rule& rule) {
         for (Expr& expr : rule.exprs) {
           if (!std::holds_alternative<ruleset::Reject>(expr)) continue;
           expr = ruleset::ImmediateVerdict{{VerdictCode::Drop, "", 0}};
           return true;
         }
         return false;
       })},
      {"a reset for ICMP's error", of_rules(of_expr<ruleset::Reject>([](ruleset::Reject& one) {
         if (one.type == ruleset::RejectType::TcpReset) return false;
         one.code = 1;  // port-unreachable
         return true;
       }))},
      {"a limit that is left out", without_rule([](const Chain&, const Rule& rule) {
         return std::ranges::any_of(rule.exprs, [](const Expr& expr) {
           return std::holds_alternative<ruleset::Dynset>(expr);
         });
       })},
      {"a limit that denies what is within it",
       of_rules(of_expr<ruleset::Dynset>([](ruleset::Dynset& one) {
         for (ruleset::StatefulExpr& state : one.exprs) {
           if (auto* limit = std::get_if<ruleset::Limit>(&state)) limit->over = !limit->over;
           if (auto* count = std::get_if<ruleset::Connlimit>(&state)) count->over = !count->over;
         }
         return true;
       }))},
      {"no loopback", without_step(step::kLoopback)},
      {"no established", without_step(step::kEstablished)},
      {"no invalid", without_step(step::kInvalid)},
      {"no spoofed", without_step(step::kSpoofed)},
      {"another program's helper", of_rules([](const Chain&, Rule& rule) {
         for (std::size_t i = 0; i + 1 < rule.exprs.size(); ++i) {
           const auto* load = std::get_if<ruleset::Ct>(&rule.exprs[i]);
           auto* test = std::get_if<ruleset::Cmp>(&rule.exprs[i + 1]);
           if (load == nullptr || load->key != ruleset::CtKey::Helper || test == nullptr) continue;
           test->value.bytes[0] = 's';
           return true;
         }
         return false;
       })},
      {"a translation to another address",
       of_rules(of_expr<ruleset::Immediate>([](ruleset::Immediate& one) {
         ++one.value.bytes[one.value.size - 1U];
         return true;
       }))},
      {"a source for a destination", of_rules(of_expr<ruleset::Nat>([](ruleset::Nat& one) {
         if (!one.port_min) return false;
         one.port_min.reset();
         one.port_max.reset();
         return true;
       }))},
      {"no translation", without_rule([](const Chain&, const Rule& rule) {
         return std::ranges::any_of(rule.exprs, [](const Expr& expr) {
           return std::holds_alternative<ruleset::Nat>(expr);
         });
       })},
      {"another line's name", of_rules([](const Chain&, Rule& rule) {
         if (!has_verdict(rule, VerdictCode::Accept)) return false;
         rule.comment = ruleset::Comment("edge.inbound.other");
         return true;
       })},
  };
}

// As a packet of the generator's, in its state.
bool same_answers(const ruleset::Snapshot& right, const ruleset::Snapshot& wrong,
                  const policy::Host& host) {
  eval::Evaluator of_right(right.ruleset, right.host);
  eval::Evaluator of_wrong(wrong.ruleset, wrong.host);
  eval::Options options;
  options.steps = false;
  Random random(7);
  for (int i = 0; i < 400; ++i) {
    const reference::Packet drawn = random_packet(random, host);
    eval::PacketFields fields;
    fields.source = drawn.source;
    fields.destination = drawn.destination;
    fields.protocol = drawn.protocol;
    fields.source_port = drawn.source_port;
    fields.destination_port = drawn.destination_port;
    fields.icmp_type = drawn.icmp_type;
    eval::Packet packet = eval::build(fields);
    const bool arrives = drawn.direction == policy::Direction::Inbound;
    if (arrives) packet.in_device = drawn.device;
    packet.out_device = arrives ? drawn.out_device : drawn.device;
    packet.user = drawn.user;
    const auto ask = [&](eval::Evaluator& evaluator) {
      return arrives ? evaluator.arrive(packet, options) : evaluator.send(packet, options);
    };
    const eval::Journey a = ask(of_right);
    const eval::Journey b = ask(of_wrong);
    if (a.fate() != b.fate() || a.after.bytes != b.after.bytes) {
      MESSAGE(fmt::format("the evaluator tells them apart: {} port {} > {} port {}",
                          net::format(drawn.source), drawn.source_port,
                          net::format(drawn.destination), drawn.destination_port));
      return false;
    }
  }
  return true;
}

TEST_CASE("wrong compilers are refuted") {
  const policy::MemorySite site = policy::make_site(site_with(kDefaults, kEdge, "", ""));
  REQUIRE(!site.diagnostics.has_errors());
  constexpr policy::Index kHost = 0;  // edge-1
  const ruleset::Snapshot right =
      compile::compile(site.policy, kHost, {policy::MemorySite::kToday, true});
  const auto judge = [&](const ruleset::Snapshot& snapshot) {
    return ask::validate(site.policy, kHost, policy::MemorySite::kToday, snapshot);
  };
  REQUIRE_MESSAGE(judge(right).outcome == Validation::Outcome::Proven, judge(right).why);
  // Of one kind: the others are like them. Some places change nothing.
  constexpr std::size_t kEnough = 2;
  constexpr std::size_t kMostPlaces = 40;
  std::size_t refuted = 0;
  std::size_t the_same = 0;
  for (const WrongCompiler& compiler : wrong_compilers()) {
    std::size_t of_this = 0;
    std::size_t places = 0;
    for (std::size_t nth = 0; places < kMostPlaces && of_this < kEnough; ++nth) {
      ruleset::Snapshot wrong = right;
      if (!compiler.edit(wrong.ruleset.tables.front(), nth)) break;
      if (ruleset::verify(wrong.ruleset)) continue;  // the compiler itself would have seen it
      ++places;
      const Validation validation = judge(wrong);
      if (validation.outcome == Validation::Outcome::Proven) {
        ++the_same;
        CHECK_MESSAGE(same_answers(right, wrong, site.policy.hosts[kHost]),
                      fmt::format("{}, place {}", compiler.what, nth));
        continue;
      }
      CHECK_MESSAGE(validation.outcome == Validation::Outcome::Refuted,
                    fmt::format("{}, place {}: {}", compiler.what, nth, validation.why));
      if (validation.counterexample) ++of_this;
    }
    CHECK_MESSAGE(of_this > 0, fmt::format("{}: {} places, none refuted", compiler.what, places));
    refuted += of_this;
  }
  MESSAGE(fmt::format("{} wrong rulesets refuted, {} are the same", refuted, the_same));
}

}  // namespace
}  // namespace rolewall::differential

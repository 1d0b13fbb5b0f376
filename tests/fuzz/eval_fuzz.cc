// The evaluator on any bytes as a packet: it must not read beyond them, and the answer must not
// hang on what came before, nor on whether the path is told. The first byte says how the packet
// travels, the rest is the packet.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "eval/eval.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)

Rule rule(std::vector<Expr> exprs) {
  Rule made;
  made.exprs = std::move(exprs);
  return made;
}

Value ones(std::size_t size) {
  return Value(std::vector<std::uint8_t>(size, 0x40));
}

// Loads of every base, length and alignment, each compared with something in the middle.
std::vector<Rule> loads() {
  std::vector<Rule> rules;
  for (const PayloadBase base :
       {PayloadBase::Network, PayloadBase::Transport, PayloadBase::Inner, PayloadBase::Link}) {
    for (const std::uint32_t length : {1U, 2U, 3U, 4U, 8U, 16U}) {
      for (const std::uint32_t offset : {0U, 1U, 2U, 12U, 40U, 255U}) {
        if (base == PayloadBase::Link && offset != 0) continue;
        rules.push_back(rule({Payload{base, offset, length, 0}, Cmp{CmpOp::Gt, 0, ones(length)},
                              Meta{MetaKey::Mark, 1}, MetaSet{MetaKey::Mark, 1}}));
      }
    }
  }
  for (const CtKey key : {CtKey::State, CtKey::Status, CtKey::ProtoDestination, CtKey::SourceIp6}) {
    rules.push_back(rule({Ct{key, CtDirection::Reply, 0}, Cmp{CmpOp::Lt, 0, ones(2)}}));
  }
  Dynset per_source;
  per_source.set = "sources";
  per_source.op = DynsetOp::Update;
  per_source.exprs = {Limit{.rate = 2, .burst = 3}, Connlimit{.count = 5}};
  rules.push_back(rule({Payload{PayloadBase::Network, 12, 4, 0}, per_source}));
  rules.push_back(rule({Payload{PayloadBase::Transport, 2, 2, 0},
                        Lookup{.set = "ports", .result = LookupResult::Verdict}}));
  return rules;
}

Ruleset make_rules(bool conntrack) {
  Set sources;
  sources.name = "sources";
  sources.key = {{DataType::Ipv4Address, 4}};
  sources.dynamic = true;
  Set ports;
  ports.name = "ports";
  ports.kind = SetKind::VerdictMap;
  ports.interval = true;
  ports.key = {{DataType::InetService, 2}};
  ports.elements.key_size = 2;
  ports.elements.keys = {0, 22, 1, 0};
  ports.elements.key_ends = {0, 22, 0xff, 0};
  ports.elements.verdicts = {{VerdictCode::Accept, "", 0}, {VerdictCode::Drop, "", 0}};

  Table table;
  table.name = "t";
  table.sets = {std::move(sources), std::move(ports)};
  std::vector<Rule> rules = loads();
  if (!conntrack) {
    std::erase_if(rules, [](const Rule& r) {
      return std::holds_alternative<Ct>(r.exprs[0]) ||
             std::holds_alternative<Dynset>(r.exprs.back());
    });
  }
  for (const Hook hook : {Hook::Prerouting, Hook::Input, Hook::Output, Hook::Postrouting}) {
    for (const std::int32_t priority : {-450, 0}) {
      Chain chain;
      chain.name = "c" + std::to_string(table.chains.size());
      chain.base = BaseChain{ChainType::Filter, hook, priority, VerdictCode::Accept, {}};
      chain.rules = rules;
      table.chains.push_back(std::move(chain));
    }
  }
  Chain ingress;
  ingress.name = "ingress";
  ingress.base = BaseChain{ChainType::Filter, Hook::Ingress, 0, VerdictCode::Accept, {"eth0"}};
  ingress.rules = rules;
  std::erase_if(ingress.rules,
                [](const Rule& r) { return std::holds_alternative<Ct>(r.exprs[0]); });
  table.chains.push_back(std::move(ingress));
  return {{std::move(table)}};
}

Host make_host() {
  Host host;
  host.addresses = {*net::parse_prefix("10.0.0.1"), *net::parse_prefix("fd00::1")};
  return host;
}

struct Subject {
  explicit Subject(bool conntrack) : rules(make_rules(conntrack)), evaluator(rules, host) {
    if (verify(rules)) std::abort();
  }
  Ruleset rules;
  Host host = make_host();
  Evaluator evaluator;
};

bool same(const Journey& a, const Journey& b) {
  if (a.hooks.size() != b.hooks.size()) return false;
  for (std::size_t i = 0; i < a.hooks.size(); ++i) {
    const HookResult& x = a.hooks[i];
    const HookResult& y = b.hooks[i];
    if (x.fate != y.fate || x.reason != y.reason || x.decided != y.decided ||
        x.decision.chain != y.decision.chain || x.decision.rule != y.decision.rule) {
      return false;
    }
  }
  return true;
}

}  // namespace
}  // namespace rolewall::eval

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rolewall::eval;  // NOLINT(google-build-using-namespace)
  static Subject with_conntrack(true);
  static Subject without_conntrack(false);
  if (size == 0) return 0;
  const std::uint8_t how = data[0];
  Packet packet;
  packet.ether_type = (how & 1) != 0 ? kEtherTypeIpv6 : kEtherTypeIpv4;
  packet.bytes.assign(data + 1, data + size);
  packet.in_device = (how & 2) != 0 ? "lo" : "eth0";
  packet.out_device = packet.in_device;
  if ((how & 4) != 0) packet.link.assign(14, 2);
  if ((how & 8) != 0) packet.ct_state = 2;
  Evaluator& evaluator = ((how & 16) != 0 ? with_conntrack : without_conntrack).evaluator;
  const auto ask = [&](const Options& options) {
    return (how & 32) != 0 ? evaluator.send(packet, options) : evaluator.arrive(packet, options);
  };
  const Journey told = ask({.explain = true});
  if (!same(told, ask({.steps = false}))) std::abort();
  (void)ask({.keep_state = true});
  if (!same(told, ask({}))) std::abort();
  return 0;
}

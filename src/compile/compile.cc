#include "compile/compile.h"

#include <fmt/format.h>
#include <linux/netfilter.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "compile/base_chains.h"
#include "compile/dispatch.h"
#include "compile/lower.h"
#include "compile/lowered_text.h"
#include "compile/nat_chains.h"
#include "compile/rule_chain.h"
#include "compile/segment_sizes.h"
#include "compile/table_builder.h"
#include "compile/translated.h"
#include "policy/effective.h"
#include "ruleset/own_table.h"
#include "ruleset/verify.h"

namespace rolewall::compile {
namespace {

namespace own = ruleset::own;

struct Compilation {
  Compilation(LoweredPolicy lowered, bool optimise)
      : policy(std::move(lowered)), optimise(optimise), sets(table, optimise) {}

  LoweredPolicy policy;  // no pass changes it
  bool optimise;
  TableBuilder table;
  AddressSets sets;
};

// What a rule's chain names must be there.
void helpers(Compilation& to) {
  for (const net::ConntrackHelper* helper : to.policy.helpers()) {
    for (const std::uint8_t protocol : {net::protocol::kTcp, net::protocol::kUdp}) {
      if (!helper->is_of(protocol)) continue;
      ruleset::CtHelper body;
      body.helper = helper->name;
      body.family = helper->ipv6 ? NFPROTO_INET : NFPROTO_IPV4;
      body.protocol = protocol;
      ruleset::Object object;
      object.name = own::helper(helper->name, protocol);
      object.type = ruleset::object_type::kCtHelper;
      object.body = std::move(body);
      to.table.add_object(std::move(object));
    }
  }
}

void rules(Compilation& to) {
  helpers(to);
  const LoweredPolicy& policy = to.policy;
  for (const auto* rules : {&policy.early, &policy.inbound, &policy.outbound, &policy.forward}) {
    for (const LoweredRule& rule : *rules) add_rule_chain(to.table, rule, policy.defaults);
  }
}

void dispatch(Compilation& to) {
  const LoweredPolicy& policy = to.policy;
  const auto dispatch_from = [&](std::string_view base_chain, std::string_view name,
                                 const std::vector<LoweredRule>& rules, Translated translated) {
    to.table.add_chain(base_chain,
                       add_dispatch(to.table, to.sets, name, rules, to.optimise, translated));
  };
  // Only a host that says something of forwarding or NAT asks what was translated.
  const Translated translated = policy.forwards() ? Translated::Apart : Translated::Alike;
  dispatch_from(own::kEarly, own::kEarlyDispatch, policy.early, Translated::Alike);
  dispatch_from(own::kInput, own::kInboundDispatch, policy.inbound, translated);
  dispatch_from(own::kOutput, own::kOutboundDispatch, policy.outbound, translated);
  if (!policy.forwards()) return;
  dispatch_from(own::kForward, own::kForwardDispatch, policy.forward, translated);
  const auto admit = [&](std::string_view name, const std::vector<LoweredRule>& rules,
                         Admitted admitted) {
    add_translated_chain(to.table, to.sets, name, rules, policy.new_destination, admitted);
  };
  admit(own::kInboundDispatch, policy.inbound, Admitted::Here);
  admit(own::kOutboundDispatch, policy.outbound, Admitted::None);
  admit(own::kForwardDispatch, policy.forward, Admitted::Going);
}

void nat(Compilation& to) {
  add_nat_chains(to.table, to.sets, to.policy);
}

void segment_sizes(Compilation& to) {
  add_segment_sizes(to.table, to.sets, to.policy);
}

void hooks(Compilation& to) {
  add_base_chains(to.table, to.policy);
}

struct TablePass {
  Pass pass;
  void (*run)(Compilation&);
};

// lower() comes first and gives the policy that these compile. Each adds to the table and leaves it
// whole: what a rule names is there, so that verify() can judge it.
constexpr Pass kLower = {"lower",
                         "the host's rules without names: protocols and ports, addresses, devices"};
constexpr std::array kTablePasses = {
    TablePass{{"rules", "each rule's own chain: counter, limits, log, verdict"}, rules},
    TablePass{{"dispatch", "the chains and maps that lead a packet to rules it may match"},
              dispatch},
    TablePass{{"nat", "the NAT chains: one for each rule, and those on the hooks"}, nat},
    TablePass{{"mss", "what lowers the segment size of forwarded connections"}, segment_sizes},
    TablePass{{"hooks", "the other base chains: the built-in steps around dispatch"}, hooks},
};

constexpr auto kPasses = [] {
  std::array<Pass, 1 + kTablePasses.size()> passes{kLower};
  std::ranges::transform(kTablePasses, passes.begin() + 1, &TablePass::pass);
  return passes;
}();

// After every pass costs several times what the passes do: a whole compilation is judged at its
// end, where a flaw of any of them is still there.
enum class Judged : std::uint8_t { EachPass, AtEnd };

// `last`: as kPasses counts, and not lower.
ruleset::Snapshot run(LoweredPolicy lowered, bool optimise, std::size_t last, Judged judged) {
  Compilation compilation(std::move(lowered), optimise);
  for (std::size_t i = 0; i < last; ++i) {
    kTablePasses[i].run(compilation);
    if (judged == Judged::AtEnd && i + 1 < last) continue;
    const auto flaw = ruleset::verify(compilation.table.so_far());
    CHECK(!flaw,
          fmt::format("after pass {}: {}: {}", kTablePasses[i].pass.name, flaw->path, flaw->what)
              .c_str());
  }
  ruleset::Ruleset table = compilation.table.take();
  return {std::move(compilation.policy.host), std::move(table),
          std::move(compilation.policy.sources), std::move(compilation.policy.written)};
}

LoweredPolicy lowered_for(const policy::Policy& policy, policy::Index host,
                          const Options& options) {
  return lower(policy, policy::effective_policy(policy, host, options.date));
}

}  // namespace

ruleset::Snapshot compile(const policy::Policy& policy, policy::Index host,
                          const Options& options) {
  return run(lowered_for(policy, host, options), options.optimise, kTablePasses.size(),
             Judged::AtEnd);
}

std::span<const Pass> passes() {
  return kPasses;
}

AfterPass compile_until(const policy::Policy& policy, policy::Index host, const Options& options,
                        const Pass& last) {
  const auto at = std::ranges::find(kPasses, last.name, &Pass::name);
  CHECK(at != kPasses.end(), "no such pass");
  LoweredPolicy lowered = lowered_for(policy, host, options);
  if (at == kPasses.begin()) return text_of(lowered);
  return run(std::move(lowered), options.optimise, static_cast<std::size_t>(at - kPasses.begin()),
             Judged::EachPass);
}

}  // namespace rolewall::compile

#include "differential/engines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "compile/compile.h"
#include "eval/build.h"
#include "print/print.h"

namespace rolewall::differential {
namespace {

std::uint32_t ct_state(policy::FlowState state) {
  switch (state) {
    case policy::FlowState::New:
      return ruleset::ct_state::kNew;
    case policy::FlowState::Established:
      return ruleset::ct_state::kEstablished;
    case policy::FlowState::Related:
      return ruleset::ct_state::kRelated;
    case policy::FlowState::Invalid:
      return ruleset::ct_state::kInvalid;
    case policy::FlowState::Untracked:
      return ruleset::ct_state::kUntracked;
  }
  return 0;
}

eval::Packet build(const reference::Packet& packet) {
  eval::PacketFields fields;
  fields.source = packet.source;
  fields.destination = packet.destination;
  fields.protocol = packet.protocol;
  fields.source_port = packet.source_port;
  fields.destination_port = packet.destination_port;
  fields.icmp_type = packet.icmp_type;
  eval::Packet built = eval::build(fields);
  if (packet.direction == policy::Direction::Inbound) {
    built.in_device = packet.device;
    built.out_device = packet.out_device;
  } else {
    built.out_device = packet.device;
  }
  built.ct_state = ct_state(packet.state);
  built.user = packet.user;
  return built;
}

// " > 10.0.0.2", where it is said.
std::string translation(char arrow, const std::optional<net::Address>& address) {
  return address ? fmt::format(" {} {}", arrow, net::format(*address)) : "";
}

// What the packet became, as far as the reference says that it did.
std::string translations(const eval::Packet& after, const reference::Answer& said) {
  const std::uint8_t* bytes = after.bytes.data();
  const bool ipv4 = after.ether_type == eval::kEtherTypeIpv4;
  const auto address = [&](std::size_t at) -> net::Address {
    if (ipv4) return net::ipv4_from_bytes(bytes + at);
    return net::ipv6_from_bytes(bytes + at);
  };
  std::string text;
  if (said.new_source) text += translation('<', address(ipv4 ? 12 : 8));
  if (said.new_destination) text += translation('>', address(ipv4 ? 16 : 24));
  const std::size_t port = ipv4 ? 22 : 42;
  if (said.new_port) text += fmt::format(" :{}", bytes[port] << 8 | bytes[port + 1]);
  return text;
}

std::string translations(const reference::Answer& said) {
  return translation('<', said.new_source) + translation('>', said.new_destination) +
         (said.new_port ? fmt::format(" :{}", *said.new_port) : "");
}

// "accept by web.inbound.https": what let it in, through or out; what translates it is no verdict.
std::string answer(const eval::Journey& journey, const ruleset::Ruleset& ruleset) {
  std::string by = journey.hooks.back().reason;
  for (const eval::HookResult& hook : journey.hooks) {
    if (!hook.decided) continue;  // a hook without chains
    if (hook.hook == ruleset::Hook::Postrouting) continue;
    const auto& chain = ruleset.tables[hook.decision.table].chains[hook.decision.chain];
    by = hook.decision.rule == eval::Decision::kPolicy
             ? fmt::format("the policy of {}", chain.name)
             : chain.rules[hook.decision.rule].comment.text();
  }
  return fmt::format("{} by {}", name_of(journey.fate()), by);
}

}  // namespace

Engines::Engines(const policy::Policy& policy, policy::Index host, policy::Date date,
                 test::RunTime run_time)
    : policy_(policy),
      host_(policy::effective_policy(policy, host, date)),
      run_time_(std::move(run_time)) {
  const auto compiled_with = [&](bool optimise) {
    ruleset::Snapshot snapshot = compile::compile(policy, host, {date, optimise});
    test::put(run_time_, snapshot.ruleset.tables.front());
    return snapshot;
  };
  ruleset::Snapshot compiled = compiled_with(true);
  auto reread = print::from_json(print::to_json(compiled));
  if (!reread) {
    fmt::print(stderr, "a compiled ruleset is no valid snapshot: {}\n", reread.error().message);
    std::abort();
  }
  add("compiled", std::move(compiled));
  add("plain", compiled_with(false));
  add("reread", *std::move(reread));
}

void Engines::add(std::string name, ruleset::Snapshot snapshot) {
  auto kept = std::make_unique<ruleset::Snapshot>(std::move(snapshot));
  auto evaluator = std::make_unique<eval::Evaluator>(kept->ruleset, kept->host);
  engines_.push_back({std::move(name), std::move(kept), std::move(evaluator)});
}

std::optional<std::string> Engines::disagreement(const reference::Packet& packet) {
  ++asked_;
  const reference::Answer said = reference::ask(policy_, host_, run_time_, packet);
  const std::string expected =
      fmt::format("{} by {}{}", name_of(said.verdict), said.decided_by, translations(said));
  if (std::ranges::find(deciders_, said.decided_by) == deciders_.end()) {
    deciders_.push_back(said.decided_by);
  }
  const eval::Packet built = build(packet);
  std::string lines = fmt::format("  {:10} {}\n", "reference", expected);
  bool agree = true;
  for (Engine& engine : engines_) {
    eval::Options options;
    options.steps = false;
    const eval::Journey journey = packet.direction == policy::Direction::Inbound
                                      ? engine.evaluator->arrive(built, options)
                                      : engine.evaluator->send(built, options);
    // What the IP stack itself discards no policy decides. How many connections the kernel counts
    // for a packet that begins none, the evaluator does not guess.
    const bool begins_none = packet.state != policy::FlowState::New;
    if (journey.fate() == eval::Fate::Stack || journey.fate() == eval::Fate::Held ||
        (journey.fate() == eval::Fate::Undecided && begins_none)) {
      ++unanswered_;
      return std::nullopt;
    }
    const std::string got =
        answer(journey, engine.snapshot->ruleset) + translations(journey.after, said);
    lines += fmt::format("  {:10} {}\n", engine.name, got);
    agree = agree && got == expected;
  }
  if (agree) return std::nullopt;
  return lines;
}

std::string format(const test::RunTime& run_time) {
  std::string text = "banned";
  for (const net::Prefix& prefix : run_time.banned) text += ' ' + net::format(prefix);
  text += ", opened";
  for (const test::Opening& opening : run_time.allowed) {
    text +=
        fmt::format(" {}/{} from {}", opening.protocol, opening.port, net::format(opening.from));
  }
  return text;
}

std::string format(const reference::Packet& packet) {
  constexpr std::array<std::string_view, 5> kStates = {"new", "established", "related", "invalid",
                                                       "untracked"};
  const bool inbound = packet.direction == policy::Direction::Inbound;
  return fmt::format(
      "protocol/{} {} port {} > {} port {} icmp-type {} {}={} then={} state={} user={}",
      packet.protocol, net::format(packet.source), packet.source_port,
      net::format(packet.destination), packet.destination_port, packet.icmp_type,
      inbound ? "in" : "out", packet.device, packet.out_device,
      kStates[static_cast<std::size_t>(packet.state)],
      packet.user ? fmt::to_string(*packet.user) : "none");
}

}  // namespace rolewall::differential

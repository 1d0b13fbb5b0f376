// The judge on the live kernel, over a small table of our own: what it answers is known from the
// kernel's documentation, not from another part of this program.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <optional>
#include <string>

#include "eval/build.h"
#include "expectations.h"
#include "ruleset/expr.h"
#include "sandbox/judge.h"
#include "sandbox/sandbox.h"

namespace rolewall::sandbox {
namespace {

using namespace ruleset;

Host host() {
  Host host;
  host.name = "test";
  host.addresses = {*net::parse_prefix("10.0.2.10"), *net::parse_prefix("fd00::10")};
  host.interfaces = {{"private", "eth0", {}}};
  return host;
}

ImmediateVerdict verdict(VerdictCode code, const std::string& chain = "") {
  return {Verdict{code, chain, 0}};
}

std::vector<Expr> tcp_port(std::uint16_t port, Expr last) {
  return {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, Value::u8(6)},
          Payload{PayloadBase::Transport, 2, 2, 0}, Cmp{CmpOp::Eq, 0, Value::be16(port)},
          std::move(last)};
}

// input: port 22 jumps to `ssh`, which counts and accepts; port 23 is rejected; port 24 is accepted
// twice, then no more (a limit that refills once a day); a bad state is dropped; the policy drops.
// output: root's packets are accepted, all others dropped.
Table table() {
  Chain input;
  input.name = "input";
  input.base = BaseChain{ChainType::Filter, Hook::Input, 0, VerdictCode::Drop, {}};
  auto limited = tcp_port(24, Limit{LimitUnit::Packets, 2, 86400, 2, false});
  limited.push_back(verdict(VerdictCode::Accept));
  input.rules = {
      of(tcp_port(22, verdict(VerdictCode::Jump, "ssh"))),
      of(tcp_port(23, Reject{RejectType::IcmpxUnreachable, 3})),
      of(std::move(limited)),
      of({Ct{CtKey::State, {}, 0},
          BitwiseMask{0, 0, 4, Value::host_u32(ct_state::kInvalid), Value::host_u32(0)},
          Cmp{CmpOp::Neq, 0, Value::host_u32(0)}, verdict(VerdictCode::Drop)}),
  };
  Chain ssh;
  ssh.name = "ssh";
  ssh.rules = {of({Counter{}}), of({verdict(VerdictCode::Accept)})};
  Chain output;
  output.name = "output";
  output.base = BaseChain{ChainType::Filter, Hook::Output, 0, VerdictCode::Drop, {}};
  output.rules = {of({Meta{MetaKey::SkUid, 0}, Cmp{CmpOp::Eq, 0, Value::host_u32(0)},
                      verdict(VerdictCode::Accept)})};
  Table table;
  table.name = "judged";
  table.chains = {ssh, input, output};
  return table;
}

eval::PacketFields tcp(const char* from, const char* to, std::uint16_t port) {
  eval::PacketFields fields;
  fields.source = *net::parse_address(from);
  fields.destination = *net::parse_address(to);
  fields.destination_port = port;
  return fields;
}

eval::Packet arriving(const eval::PacketFields& fields) {
  eval::Packet packet = eval::build(fields);
  packet.in_device = "eth0";
  return packet;
}

// "input/ssh 1 accept": the chain, the rule's place in it (or "policy"), and the fate.
std::string decision(const Judge& judge, const Result<Observation>& seen) {
  if (!seen) return "error: " + seen.error().message;
  const char* const fates[] = {"accept", "drop", "reject", "queue", "stolen", "stack"};
  const HookObservation& last = seen->hooks.back();
  std::string text;
  if (const Step* step = last.decision()) {
    text = judge.ruleset().tables[step->table].chains[step->chain].name + " ";
    text += step->rule == Step::kEnd ? "policy" : std::to_string(step->rule);
    text += " ";
  }
  return text + fates[static_cast<int>(last.fate)];
}

void inbound(Judge& judge, Expectations& expect) {
  const auto is = [&](const eval::PacketFields& fields, const std::string& expected) {
    const std::string got = decision(judge, judge.arrive(arriving(fields)));
    expect(got == expected, "inbound: " + expected + ", not " + got);
  };
  for (const auto& [from, to] : {std::pair("192.0.2.7", "10.0.2.10"), {"fd00::7", "fd00::10"}}) {
    is(tcp(from, to, 22), "ssh 1 accept");
    is(tcp(from, to, 23), "input 1 reject");
    is(tcp(from, to, 25), "input policy drop");
    // The same flow again: it is still new, and the limit is still unspent.
    for (int i = 0; i < 20; ++i) is(tcp(from, to, 24), "input 2 accept");

    auto null_flags = tcp(from, to, 25);
    null_flags.tcp_flags = 0;
    is(null_flags, "input 3 drop");
    auto fragment = tcp(from, to, 22);
    fragment.more_fragments = true;
    is(fragment, "stack");
  }
  is(tcp("192.0.2.7", "10.0.2.11", 22), "stack");
  is(tcp("10.0.2.10", "10.0.2.10", 22), "stack");
  is(tcp("192.0.2.7", "224.0.0.18", 22), "ssh 1 accept");
  is(tcp("fd00::7", "ff02::12", 22), "ssh 1 accept");
  is(tcp("192.0.2.7", "255.255.255.255", 22), "ssh 1 accept");
}

void path(Judge& judge, Expectations& expect) {
  const auto seen = judge.arrive(arriving(tcp("192.0.2.7", "10.0.2.10", 22)));
  expect(seen && seen->hooks.size() == 2, "prerouting and input");
  expect(seen && seen->device == "eth0", "it came in by eth0");
  if (!seen || seen->hooks.size() != 2) return;
  const auto& steps = seen->hooks[1].path;
  expect(steps.size() == 3, "jump, counter, accept");
  expect(steps.size() == 3 && steps[0].verdict == Verdict{VerdictCode::Jump, "ssh", 0} &&
             steps[1].verdict.code == VerdictCode::Continue &&
             steps[2].verdict.code == VerdictCode::Accept,
         "the verdicts of the path");
}

// Whether this sandbox has more users than root.
bool has_users() {
  std::ifstream map("/proc/self/uid_map");
  unsigned inside = 0;
  unsigned outside = 0;
  unsigned count = 0;
  map >> inside >> outside >> count;
  return count > 1;
}

void outbound(Judge& judge, Expectations& expect) {
  for (const auto& [from, to] : {std::pair("10.0.2.10", "192.0.2.7"), {"fd00::10", "fd00::7"}}) {
    eval::Packet packet = eval::build(tcp(from, to, 443));
    packet.out_device = "eth0";
    const auto by = [&](std::optional<std::uint32_t> user) {
      packet.user = user;
      return judge.send(packet);
    };
    auto seen = by(std::nullopt);
    expect(decision(judge, seen) == "accept" && seen->hooks.size() == 2 &&
               seen->hooks[0].path.size() == 1 && seen->device == "eth0",
           "root sends by eth0, through output and postrouting");
    seen = by(1000);
    if (has_users()) {
      expect(decision(judge, seen) == "output policy drop", "another user does not");
    } else {
      expect(!seen, "a user that the sandbox has not is an error");
    }
    packet.out_device = "lo";
    packet.bytes = eval::build(tcp(from, from, 443)).bytes;
    seen = by(0);
    expect(decision(judge, seen) == "accept" && seen->device == "lo", "to itself it is by lo");
  }
}

TEST_CASE("the kernel's answers") {
  if (const auto why = unavailable(); !why.empty()) {
    MESSAGE("skipped: " << why);
    return;
  }
  const auto status = run([] {
    Expectations expect;
    const auto made = set_up_host(host());
    expect(made.has_value(), made ? "" : made.error().message);
    auto judge = Judge::open(host(), table());
    expect(judge.has_value(), judge ? "" : judge.error().message);
    if (!judge) return 1;
    inbound(*judge, expect);
    path(*judge, expect);
    outbound(*judge, expect);
    expect(judge->loads() < 40, "the table is loaded afresh for its limit, not for every packet");
    return expect.failed;
  });
  CHECK_EQ(status, 0);
}

}  // namespace
}  // namespace rolewall::sandbox

// A site that can be asked: its hosts' rulesets, compiled when first needed, and the packets run
// through them. A flow between two hosts is asked at both ends, out of one and into the other.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ask/answer.h"
#include "ask/ends.h"
#include "ask/sample.h"
#include "eval/eval.h"
#include "policy/policy.h"
#include "ruleset/snapshot.h"

namespace rolewall::ask {

// One host on a packet's way, by the interfaces that it takes there.
struct FlowEnd {
  policy::Index host = 0;
  std::string device;    // that it arrives by, or leaves its sender by
  bool arrives = false;  // else the host sends it
  eval::Packet packet;   // with an out_device too where the host is to pass it on

  bool passes_on() const { return arrives && !packet.out_device.empty(); }
};

// One host on a packet's way, with each choice of interfaces that it has there.
struct Stop {
  std::vector<FlowEnd> ends;       // never empty
  std::vector<std::string> words;  // which would settle each: "in=public", "in=public out=private"
  // The interfaces of the first, by name; "" where it takes none in that direction.
  std::string in;
  std::string out;
};

// What a host does with a packet: the hooks that it met, the last of which decides.
using Teller = std::function<std::vector<Hop>(const FlowEnd&)>;

class Site {
 public:
  // Holds a reference: the policy must outlive it. REQUIRES: it was loaded without errors. Hosts in
  // audit mode answer as they would when they enforce: what a question means is the policy.
  Site(const policy::Policy& policy, policy::Date date);

  // A ruleset without a policy: the site is `policy`'s only host, which runs `snapshot`.
  Site(const policy::Policy& policy, ruleset::Snapshot snapshot);

  // Packets that do not say when they pass pass now, in ns since 1970: for a host whose clock runs
  // while it is asked.
  void set_clock(std::uint64_t now_ns) { now_ns_ = now_ns; }

  // What this host enforces.
  const ruleset::Snapshot& snapshot(policy::Index host);

  // Frees what was compiled of it, and with it what snapshot() gave: thousands of hosts are gone
  // through one by one.
  void forget(policy::Index host) { hosts_.erase(host); }

  Answer ask(const Sample& sample, bool explain = false);

  // Whether some host on its way drops or rejects it for certain, so that it comes through nowhere.
  // Costs a fraction of an answer; false says nothing.
  bool is_surely_denied(const Sample& sample);

  // The same, but `teller` says what each host does. It is asked about every stop of way_of(),
  // always in the same order, whatever it answers.
  Answer ask_with(const Sample& sample, const Teller& teller);

  // The hosts that are asked, in the packet's order: its sender, the one between, its receiver; and
  // where one translates the destination to another host of the site, that one after it. Which way
  // the packet takes, and what it is after a host, is the evaluator's word.
  std::vector<Stop> way_of(const Sample& sample);

  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

 private:
  struct Compiled {
    ruleset::Snapshot snapshot;
    std::unique_ptr<eval::Evaluator> evaluator;  // of the snapshot beside it
    net::AddressSet addresses;                   // what is delivered there
    bool translates = false;                     // there is destination NAT
  };
  Compiled& compiled(policy::Index host);
  void add(policy::Index host, ruleset::Snapshot snapshot);
  std::vector<Hop> run(const FlowEnd& end, bool explain);
  Stop leaving(policy::Index host, const eval::Packet& packet, const std::string& out);
  Stop arriving(policy::Index host, const eval::Packet& packet, const std::string& in,
                const std::string& out);
  std::vector<ruleset::Interface> ways_out(Compiled& host, const eval::Packet& arriving,
                                           const std::string& given);

  policy::Policy enforcing_;      // a copy, where some host is in audit mode
  const policy::Policy* policy_;  // the one that is compiled
  policy::Date date_;
  Ends ends_;
  std::optional<std::uint64_t> now_ns_;
  std::map<policy::Index, std::unique_ptr<Compiled>> hosts_;
};

Verdict verdict_of(eval::Fate fate);

// The hook that decided on a packet that met several: the one that denied it; of those that let it
// on the one that filters (input, forward, output), if something decided there, else the last where
// something did. Null: it met none.
const eval::HookResult* deciding_hook(const eval::Journey& journey);

// The rules that were tried on a hook, for --explain: asked with kMostTried steps at most, which
// are more rules than anybody reads.
inline constexpr std::size_t kMostTried = 10'000;
void list_tried(Hop& hop, const ruleset::Snapshot& snapshot, const eval::HookResult& result);

// `rule` indexes the chain's rules, or is eval::Decision::kPolicy.
DecidedBy decided_by(const ruleset::Ruleset& ruleset, const ruleset::SourceMap& sources,
                     const eval::Decision& decision);

// Tried::does, of a rule that decides nothing; "" where it leaves no trace either.
std::string does_in_words(const ruleset::Rule& rule);

// Whether some host of the policy is in audit mode, so that its kernel accepts what is answered to
// be denied.
bool audits(const policy::Policy& policy);

// Whether the ruleset may change where a packet goes to, so that another host receives it.
bool has_destination_nat(const ruleset::Ruleset& ruleset);

// What a policy that knows nothing but one host would say of it: for questions to a ruleset that
// came without a policy.
policy::Policy policy_of(const ruleset::Host& host);

// The interfaces of `host` by which a packet from or to `address` may pass: as its routes say,
// where they are known; else the one that the address is behind, else those with nothing behind
// them, else all. `given`, an interface's name or a device, decides where it is not empty. Never
// empty.
std::vector<ruleset::Interface> interfaces_for(const ruleset::Host& host,
                                               const net::Address& address,
                                               const std::string& given);

}  // namespace rolewall::ask

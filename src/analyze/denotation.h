// What a policy means for all packets at once: a host's effective policy as a function from packets
// to meanings, read off the language's reference (docs/policy-language.md) step by step.
//
// It judges the compiler (agreement.h), and so shares nothing with it: no lowering, no boxes of
// traffic, no address sets, no dispatch, and nothing of what an nf_tables expression means. Each
// word of the policy is a set of packets, each rule a choice by such a set, a list of rules the
// first of them that matches. Of analyze/ this and what asks it (agreement.h, dead_rules.h,
// far_ends.h, host_lists.h, site_rules.h) alone know a policy.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "analyze/analysis.h"
#include "analyze/diagram.h"
#include "analyze/meaning.h"
#include "analyze/packet_space.h"
#include "net/address.h"
#include "policy/effective.h"

namespace rolewall::analyze {

// What `ban` and `allow` have added on the host.
struct RunTime {
  struct Opening {
    std::uint8_t protocol = 0;
    std::uint16_t port = 0;
    net::Address from;
  };
  std::vector<net::Prefix> banned;
  std::vector<Opening> opened;
};

class Denotation {
 public:
  // Refers to all of them.
  Denotation(Diagrams& diagrams, PacketSpace& space, Meanings& meanings,
             const policy::Policy& policy, const policy::HostPolicy& host, const RunTime& run_time);

  // Of what arrives, delivered or passed on, or of what a local program sends. Fate::Stack: no such
  // packet is passed on, it leaves by no device.
  Diagram of(Direction direction);

  // What a packet meets one after the other: a rule, or a built-in step. Of the packets that it is
  // for each ends in a meaning, or goes on; all others go on.
  struct Step {
    const policy::Rule* rule = nullptr;  // null: a built-in step
    std::string_view by;
    Diagram packets = kNothing;
    Diagram then = kNothing;
  };
  static constexpr std::uint32_t kGoesOn = 2;  // the terminal
  // A packet that goes on to be translated, or none.
  using Translating = const policy::Rule*;
  // What means the same on every host: several Denotations of one space share it.
  using Terms = std::map<std::tuple<bool, policy::TermKind, policy::Index, net::Prefix>, Diagram>;
  struct Shared {
    Terms terms;
    std::map<std::pair<const policy::Rule*, Direction>, Step> rules;
  };
  void share(Shared& shared) { shared_ = &shared; }
  // In order, from conntrack on; the last is the default, where no packet goes on.
  std::vector<Step> steps(policy::Direction way, Translating translating);
  // What matches, and does not go on.
  Diagram matched(const Step& step);
  // What they accept.
  Diagram accepted(const std::vector<Step>& steps);
  // The early rules.
  std::vector<Step> early_steps();
  // The [[nat]] rules that translate the source, or the destination: all that they match ends
  // there.
  std::vector<Step> translations(bool of_source, Direction direction);
  // What is delivered to this host; packets with such a source or destination.
  Diagram delivered(Translating translating) { return is_delivered(translating); }
  Diagram from(const net::AddressSet& set) { return of_set(Side::Source, set); }
  Diagram to(const net::AddressSet& set) { return of_set(Side::Destination, set); }
  Diagram services(const policy::ServiceList& list) { return of_services(list); }
  // What no early rule sees: what comes over the loopback, and neighbour discovery.
  Diagram not_early();
  // What the [[nat]] rule would translate, if no other did: a connection's first packets.
  Diagram translated_by(const policy::Rule& rule);
  // What passes the device.
  Diagram by(Part part, std::string_view device) { return by_device(part, device); }

  // The choice whether a packet is over the rule's `limit`, or its `connections`; absent: it has
  // none, or is not asked.
  std::optional<FieldId> over(std::string_view rule, bool connections) const;
  // Whether conntrack expects the packet by what a helper has read.
  std::optional<FieldId> expected() const { return expected_; }
  // Whether the rule is a [[nat]] rule.
  bool translates(std::string_view rule) const;
  // Whether which one of several own addresses the packet goes to is left to the kernel.
  bool is_one_of_own(const net::Address& address) const;

  // What the policy asks of the kernel's that no description says: which address of its own the
  // host takes.
  const std::vector<FieldId>& told() const { return told_; }

 private:
  enum class Side : std::uint8_t { Source, Destination };

  // --- words ---
  Diagram is(Part part, std::uint64_t first, std::uint64_t last);
  Diagram is_protocol(std::uint8_t number);
  Diagram is_state(std::uint32_t state);
  Diagram between(FieldId words, unsigned word, net::Uint128 first, net::Uint128 last);
  Diagram at(Side side, const net::Prefix& prefix);
  Diagram at(Side side, std::span<const char* const> prefixes);
  Diagram of_host(Side side, const policy::Host& host);
  Diagram of_set(Side side, const net::AddressSet& set);
  Diagram of_term(Side side, const policy::Term& term);
  Diagram made_of_term(Side side, const policy::Term& term);
  Diagram inside(Side side);
  Diagram of_selectors(Side side, const policy::Selectors& selectors);
  Diagram of_services(const policy::ServiceList& services);
  Diagram of_literal(const policy::ServiceLiteral& literal);
  Diagram by_device(Part part, std::string_view device);
  Diagram by_interfaces(Part part, const std::vector<std::string>& names);
  Diagram matches(const policy::Rule& rule, Direction direction);
  Diagram is_discovery();

  // --- steps: each ends in a meaning, or goes on to the next ---
  Diagram accepted(std::string_view by);
  Diagram dropped(std::string_view by);
  Diagram denied(policy::Action action, std::string_view by);
  Diagram step(Diagram packets, Diagram meaning);
  Diagram first_of(std::span<const Diagram> steps);
  Diagram first_of(const std::vector<Step>& steps);
  Step ruled(const policy::Rule& rule, policy::Action by_default, Direction direction);
  FieldId limit(const std::string& rule, bool connections);
  Diagram related();
  Diagram banned(policy::Direction way, Translating translating);
  Diagram spoofed();
  Diagram opened(Translating translating);

  // --- ways ---
  Diagram judged(policy::Direction way, Translating translating);
  Diagram arriving(Translating translating);
  Diagram early();
  Diagram is_delivered(Translating translating);
  bool bears(const net::Address& address) const;
  std::optional<net::Address> new_address(Translating translating, bool ipv6) const;
  std::vector<net::Address> own_addresses(bool ipv6) const;
  Diagram concerned(const policy::Translation& translation) const;
  Diagram is_already(const policy::Rule& rule, Side side);
  Diagram with_destination(Diagram all, const policy::Rule& rule);
  Diagram with_source(Diagram all, Direction direction);
  Diagram changed(Diagram all, Side side, std::string_view address, const std::string& port);

  Diagrams& d_;
  PacketSpace& space_;
  Meanings& meanings_;
  const policy::Policy& policy_;
  const policy::HostPolicy& host_;
  const RunTime& run_time_;
  Terms terms_;  // the host's own
  Shared own_shared_;
  Shared* shared_ = &own_shared_;
  std::map<std::pair<std::string, bool>, FieldId, std::less<>> limits_;
  std::optional<FieldId> expected_;
  std::vector<FieldId> told_;
};

}  // namespace rolewall::analyze

// The instructions of nf_tables, run on all packets at once: what nft_do_chain() of
// net/netfilter/nf_tables_core.c and the expressions' eval functions do, read a second time and
// apart from eval/, which it judges and which judges it.
//
// A rule is a function of the packet: where it breaks or ends without a verdict, the next rule is
// tried, elsewhere it has a verdict. Its diagram has such outcomes as terminals. A chain's is made
// by halves: the second half takes the place of "next" in the first, and so on down to single
// rules. A jump is the called chain's diagram, in which "return" has become "next". Each chain is
// made once for each environment, whoever calls it.
//
// Invariant: a diagram is right for the packets of PacketSpace::packets(), in which what a rule
// cannot be asked is left out. What is free (a limit, a draw) is a field of its own for each place
// and each way of calls by which a packet comes there; so no two visits share an answer.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "analyze/bits.h"
#include "analyze/bounds.h"
#include "analyze/environment.h"
#include "analyze/packet_space.h"
#include "analyze/places.h"
#include "analyze/ruleset_facts.h"
#include "ruleset/host.h"
#include "ruleset/ipset.h"
#include "ruleset/ruleset.h"

namespace rolewall::analyze {

enum class Fate : std::uint8_t {
  Accept,
  Drop,
  Reject,
  Stack,  // the IP stack discards it, or it leaves the way (fwd)
};

struct Outcome {
  enum class Kind : std::uint8_t { Next, Return, Decided } kind = Kind::Next;
  Fate fate = Fate::Accept;       // Decided alone
  EnvironmentId environment = 0;  // of what goes on: all but denials
  bool operator==(const Outcome&) const = default;
};

// In the name of what is free at a place, before the number of the way of calls that led there.
inline constexpr std::string_view kWay = "; way ";

class Machine {
 public:
  // Refers to all of them. REQUIRES: verify() found no flaw.
  Machine(Diagrams& diagrams, PacketSpace& space, const ruleset::Ruleset& ruleset,
          const ruleset::Host& host)
      : Machine(diagrams, space, ruleset, host, std::make_shared<RulesetFacts>(ruleset)) {}
  // The same, one of several of that ruleset.
  Machine(Diagrams& diagrams, PacketSpace& space, const ruleset::Ruleset& ruleset,
          const ruleset::Host& host, std::shared_ptr<const RulesetFacts> facts);

  // What the machines of two rulesets share that are compared, and how this one's rules are
  // numbered there. Before anything is run.
  void share(Shared& shared, const Places::Numbers& numbers) {
    shared_ = &shared;
    numbers_ = &numbers;
  }
  Shared* shared() { return shared_; }
  Lefts& lefts() { return shared_ != nullptr ? shared_->places.lefts() : lefts_; }
  // Of other packets than these nothing is asked: what is made is right for these alone.
  void narrow(Diagram domain) {
    domain_ = domain;
    bounds_.reset();
  }
  Diagram domain() const { return domain_; }
  // The same of few packets: rules that none of them can match are passed over.
  void narrow_to_few(Diagram domain);
  const Bounds* bounds() const { return bounds_ ? &*bounds_ : nullptr; }
  // A rule that calls a chain ends there, with an outcome that is the call's alone: for whoever
  // runs rules one by one.
  void stop_at_calls() { stops_at_calls_ = true; }
  // The line of such an outcome, which returns. REQUIRES: share().
  std::uint32_t call_line(const std::string& chain, bool returns);
  // Elements of a set that are taken for not there, by their numbers: for whoever asks what the
  // others do. Null: none.
  void leave_out(const ruleset::Set& set, std::vector<bool> elements) {
    left_out_[&set] = std::move(elements);
  }
  const std::vector<bool>* left_out(const ruleset::Set& set) const {
    const auto at = left_out_.find(&set);
    return at == left_out_.end() ? nullptr : &at->second;
  }

  // Of a base chain: Decided alone.
  Diagram run(std::uint32_t table, std::uint32_t chain, ruleset::Hook hook,
              EnvironmentId environment);

  Environments& environments() { return environments_; }
  const Environments& environments() const { return environments_; }
  Diagram outcome(const Outcome& outcome);
  const Outcome& outcome_of(std::uint32_t terminal_value) const {
    return outcomes_[terminal_value - kFirstOutcome];
  }
  // `environment`: of a denial, for what rules have noted of the packet by then.
  Diagram decided(Fate fate, EnvironmentId environment = 0);
  // `first`, and where it accepts, what `rest` gives for the environment that came through.
  Diagram where_accepted(Diagram first, const std::function<Diagram(EnvironmentId)>& rest);

  Diagrams& diagrams() { return diagrams_; }
  PacketSpace& space() { return space_; }
  const ruleset::Host& host() const { return host_; }
  const ruleset::Ruleset& ruleset() const { return ruleset_; }

  // Where in the rules it runs.
  struct Frame {
    std::uint32_t table = 0;
    std::uint32_t chain = 0;
    ruleset::Hook hook = ruleset::Hook::Input;
    std::uint32_t calls = 0;  // the way of calls, by number
  };

  // --- for the expressions (rule_run.h) ---
  Diagram decided_by(const Frame& frame, std::uint32_t rule, Fate fate, EnvironmentId environment);
  // The rule's number among all that it is told apart from: its own in the chain, counted from 1,
  // or the one that both rulesets have for it.
  std::uint32_t place(const Frame& frame, std::uint32_t rule) const;
  const RulesetFacts& facts() const { return *facts_; }
  const ruleset::TableIndex& names(std::uint32_t table) const { return facts_->tables()[table]; }
  // The chain of this name, called from the rule: outcomes as the rule's.
  Diagram call(const Frame& from, std::uint32_t rule, const std::string& chain,
               EnvironmentId environment, bool returns);
  // What something is found out from that is not modelled.
  enum class FoundFrom : std::uint8_t {
    Headers,  // the packet's bytes
    Routing,  // and its devices and mark
    All,      // and whatever else travels beside it
  };
  // The mark of a free value by which it is another one where that has changed since the packet
  // came; "": it has not. The same in every machine of the space.
  std::string as_changed(EnvironmentId environment, FoundFrom from);
  // A free value of this place.
  FieldId free_at(const Frame& frame, std::uint32_t rule, std::string_view what, unsigned bits,
                  FieldKind kind);
  // The host's set of ip_set of that name; null: it is not known what it holds.
  const ruleset::IpSet* ipset(std::string_view name);
  struct IpsetHolds {
    Diagram held = kNothing;
    Diagram excluded = kNothing;  // `nomatch`
  };
  // What it holds by these headers, once made: `asked` is how it is asked, and their bits' codes.
  std::optional<IpsetHolds>& ipset_holds(const ruleset::IpSet& set,
                                         std::vector<std::uint32_t> asked) {
    return ipset_holds_[{&set, std::move(asked)}];
  }
  // The free values that its rules have asked for, whether anything hangs on them or not.
  const std::set<FieldId>& asked() const { return asked_; }
  // What a set holds of a key, once made: rules share sets. Null: not yet.
  std::optional<Diagram>& members(const ruleset::Set& set, BitSpan key);

 private:
  static constexpr std::uint32_t kFirstOutcome = 2;  // behind those of sets
  using ChainKey =
      std::tuple<std::uint32_t, std::uint32_t, ruleset::Hook, EnvironmentId, std::uint32_t>;

  Diagram chain_of(const Frame& frame, EnvironmentId environment);
  Diagram rules(const Frame& frame, std::uint32_t from, std::uint32_t to,
                EnvironmentId environment);
  // `first`, and where it says "next", what `rest` gives for its environment.
  template <class Rest>
  Diagram then(Diagram first, Outcome::Kind kind, const Rest& rest);

  EnvironmentId noted(EnvironmentId environment, std::uint32_t line, bool replaces);
  EnvironmentId bare(EnvironmentId environment, Fate fate);

  Diagrams& diagrams_;
  PacketSpace& space_;
  Shared* shared_ = nullptr;
  const Places::Numbers* numbers_ = nullptr;
  Diagram domain_;
  std::optional<Bounds> bounds_;
  bool stops_at_calls_ = false;
  std::map<const ruleset::Set*, std::vector<bool>> left_out_;
  const ruleset::Ruleset& ruleset_;
  const ruleset::Host& host_;
  Environments environments_;
  std::shared_ptr<const RulesetFacts> facts_;
  std::vector<Outcome> outcomes_;
  std::unordered_map<std::uint64_t, std::uint32_t> outcome_numbers_;
  std::array<std::vector<std::uint32_t>, 3> of_kind_;  // the outcomes' numbers
  std::map<ChainKey, Diagram> chains_;
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>, std::uint32_t>
      calls_;
  std::map<std::pair<const ruleset::Set*, std::vector<std::uint32_t>>, std::optional<Diagram>>
      members_;
  Lefts lefts_;
  std::optional<std::vector<ruleset::IpSet>> ipsets_;  // the host's, once one was asked for
  std::map<std::pair<const ruleset::IpSet*, std::vector<std::uint32_t>>, std::optional<IpsetHolds>>
      ipset_holds_;
  std::map<std::pair<EnvironmentId, FoundFrom>, std::uint32_t> changes_;
  std::uint32_t change(EnvironmentId environment, FoundFrom from);
  std::set<FieldId> asked_;
  std::uint64_t free_met_ = 0;  // how often a place's own value was asked for
};

}  // namespace rolewall::analyze

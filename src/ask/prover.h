// Statements about every packet of some words, proven or refuted by the analyser (analyze/).
//
// Every packet: a connection's first in the state that conntrack gives it (another by `state=`),
// not over the loopback, by the devices that samples take; every field that the words leave open
// has every value. A limit's tokens and other choices are as bad for the statement as they can be.
// Where both ends are asked, a packet is accepted if each of them accepts it, by some of its own
// devices, owners and choices.
//
// A packet that breaks a statement is put to the evaluator before anybody sees it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "analyze/travelling.h"
#include "ask/asked_parts.h"
#include "ask/packet_sets.h"
#include "ask/site.h"

namespace rolewall::ask {

enum class Claim : std::uint8_t {
  Never,   // none is accepted by every end that is asked
  Always,  // none is denied by an end, while nothing was counted; of TCP, SYN alone
  Drop,    // each is dropped: of one host alone
  Reject,  // each is rejected: likewise
};

struct Statement {
  Claim claim = Claim::Never;
  const policy::PacketWords* words = nullptr;
  Asking asking;
};

struct Proof {
  enum class Outcome {
    Holds,
    Broken,     // by `counterexample`
    NotProven,  // `why`
    NotAsked,   // nobody is asked, or what the words say is no field
  } outcome = Outcome::NotAsked;
  std::optional<Sample> sample;  // of the counterexample
  std::optional<Answer> counterexample;
  std::string why;
  // Holds: of what is counted, what must not be used up for it.
  std::vector<std::string> as_long_as = {};
};

// Beside what holds always: no rule says it, and nobody has asked it.
inline constexpr std::string_view kByRulesAlone =
    "this is of rules alone: what the IP stack discards (by rp_filter, without a route) is not "
    "asked";

class Prover {
 public:
  // Holds references. The site must not forget a host meanwhile.
  Prover(const policy::Policy& policy, Site& site);
  ~Prover();
  Prover(const Prover&) = delete;
  Prover& operator=(const Prover&) = delete;

  // Each host is gone into once, for all of them.
  std::vector<Proof> prove(std::span<const Statement> statements);

  // Of one host alone, about these packets of the words.
  Proof ask_part(const Statement& statement, const AskedPart& part);
  // The same, of many hosts one after the other, most of which run the same rules.
  Proof ask_part_of_many(const Statement& statement, const AskedPart& part);
  // What is known of the host goes: before the site forgets it.
  void forget(policy::Index host);

  // --- for relations between such sets (relation.h) ---
  // The packets that are accepted by all that are asked, as they travel.
  analyze::Answer<analyze::Diagram> accepted(const Statement& statement, analyze::Taken taken);
  analyze::Travelling& travelling() { return travelling_; }
  // What is counted that sets of packets which must be accepted hang on, all of them together.
  const std::vector<std::string>& relied_on() const { return relied_on_; }
  // One packet of a set, as natural as there is one, and who is asked about it.
  std::optional<Sample> sample_of(const Statement& statement, analyze::Diagram set);
  // The same headers to or from other ends.
  Sample sample_like(const Statement& statement, const Sample& like);

 private:
  struct Machine;
  struct Alike;
  struct Join;
  Machine& machine(policy::Index host);
  void add(Join& join, const Statement& statement, const AskedPart& part, Machine& host,
           analyze::Taken taken);
  void rely_on(analyze::Analysis& analysis, analyze::Direction direction, analyze::Diagram packets);
  void add_all(Join& join, const Statement& statement, const AskedWords& asked,
               analyze::Taken taken);
  // --- many hosts at once (proof_of_alike.cc) ---
  void prove_alike(std::span<const Statement> statements, std::vector<Proof>& proofs,
                   std::vector<Join>& joins);
  void add_alike(Join& join, const Statement& statement, const AskedWords& asked,
                 const std::vector<policy::Index>& hosts, const net::AddressSet& own,
                 Machine& alike);
  std::optional<Proof> holds_alike(const Statement& statement, const AskedPart& part,
                                   Machine& alike);
  analyze::Diagram joined(const Join& join, const AskedWords& asked, const Statement& statement);
  Proof ask_join(const Statement& statement, const AskedWords& asked, Join& join);
  Proof judged(const Statement& statement, Sample sample, const std::vector<std::string>& choices,
               bool translates);
  std::optional<analyze::Witness> as_accepted(const Statement& statement, const AskedPart& part,
                                              const eval::Packet& packet);
  analyze::Natural natural(const Statement& statement) const;

  const policy::Policy& policy_;
  Site& site_;
  Ends ends_;
  analyze::Travelling travelling_;
  std::map<policy::Index, std::unique_ptr<Machine>> machines_;
  std::vector<std::unique_ptr<Alike>> alike_;  // of ask_part_of_many()
  std::vector<std::uint16_t> known_ports_;
  std::vector<std::string> relied_on_;
};

}  // namespace rolewall::ask

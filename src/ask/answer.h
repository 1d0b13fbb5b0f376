// The answer to "what happens to this packet": a verdict, and for each host and hook that the
// packet met, who decided there. Plain text and numbers: it outlives the rulesets that it is from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::ask {

enum class Verdict : std::uint8_t {
  Accept,
  Drop,
  Reject,
  Stack,        // the IP stack discards it, or a rule takes it away: Hop::reason
  Held,         // a fragment, kept until its datagram is whole
  Conditional,  // depends on what was not said: Hop::alternatives
  Undecided,    // met something that is not modelled: Hop::reason
};

std::vector<Verdict> verdicts();  // all of them
std::string_view name_of(Verdict verdict);
std::optional<Verdict> verdict_from(std::string_view name);

// What it means, for people who know firewalls: true in every way to come to it. Output, the man
// page and docs have this sentence.
std::string_view meaning(Verdict verdict);

// Whether the packet comes to nobody. A fragment that is held alone does not either.
bool is_denied(Verdict verdict);

// What decided. For one of our tables `rule` is a policy rule's full name ("web.inbound.app") or a
// built-in step's ("(default)"), and `file` and `line` say where the policy says so.
struct DecidedBy {
  std::string family;
  std::string table;
  std::string chain;
  std::optional<std::uint64_t> handle;  // of a rule that the kernel holds
  std::string rule;                     // "" for a chain's policy, and for a rule without a comment
  std::string text;                     // where a hop's rule has no comment: nft's text of it
  bool is_excess = false;               // what is over a limit of that rule, which may accept
  bool chain_policy = false;            // no rule: the base chain's policy
  std::string file;                     // "" where no policy line says it
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  bool operator==(const DecidedBy&) const = default;
};

// A rule that was tried, for --explain.
struct Tried {
  std::string table;
  std::string chain;
  std::string rule;  // its id, else "rule 3"
  std::string text;  // where it has no id: nft's text of it
  std::string file;
  std::uint32_t line = 0;
  bool matched = false;
  std::string why;      // why it did not match
  std::string verdict;  // what it did where it matched: "accept", "jump web.inbound.app"
  std::string does{};   // where it matched and the next rule is asked: "counts it", "logs it"
};

struct Alternative {
  std::string add;         // "in=public": what the words would have to say; "": no word says it
  std::string when;        // "numgen random mod 2: 1": where no word says it
  std::string translated;  // as Hop::translated, where the ways differ in that
  Verdict verdict = Verdict::Accept;
  std::optional<DecidedBy> decided_by;
};

struct Hop {
  std::string host;
  ruleset::Hook hook = ruleset::Hook::Input;
  std::string device;      // that it came in or went out by
  std::string translated;  // "to 10.0.2.10:443", "from 203.0.113.12:40000"; "": nothing
  Verdict verdict = Verdict::Accept;
  std::optional<DecidedBy> decided_by;
  std::string reason;                     // Stack, Undecided
  std::vector<Alternative> alternatives;  // Conditional, and where `translated` may be this or that
  std::vector<std::string> assumed;       // as Answer::assumed
  std::vector<Tried> tried;               // with explain alone
  // Rules that were tried, but would make too long a list: after the first tried_before_gap.
  std::uint64_t tried_left_out = 0;
  std::size_t tried_before_gap = 0;
};

struct Answer {
  std::string packet;  // in words
  Verdict verdict = Verdict::Accept;
  std::vector<Hop> hops;  // as far as the packet comes, in its order
  // What the words left open and rules have read: "ttl=64", "a TCP window of 64240". Each once.
  std::vector<std::string> assumed;
  std::vector<Hop>
      beyond;  // what the far end's host would do with it, where the sender's lets it not leave
};

// The hop whose verdict is the answer's: the last that the packet came to.
inline const Hop* deciding_hop(const Answer& answer) {
  return answer.hops.empty() ? nullptr : &answer.hops.back();
}

}  // namespace rolewall::ask

// What the live kernel did with one packet, in the terms of the ruleset that it ran.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "observe/trace.h"
#include "ruleset/ruleset.h"

namespace rolewall::sandbox {

enum class Fate : std::uint8_t {
  Accept,
  Drop,
  Reject,  // dropped by a rule that tells the sender
  Queue,   // handed to a program
  Stolen,  // taken out of the hook by a rule's action (a fwd, a synproxy's answer)
  Stack,   // the IP stack discarded it, or holds it: a lone fragment
};
std::string_view words_of(Fate fate);  // "taken away by a rule"

// A rule that ran to its end, or the end of a chain. Indexes into the judge's ruleset.
struct Step {
  static constexpr std::uint32_t kEnd = 0xffffffff;
  std::uint32_t table = 0;
  std::uint32_t chain = 0;
  std::uint32_t rule = 0;  // kEnd: the end of the chain, whose verdict is Return or the policy
  ruleset::Verdict verdict;
  bool operator==(const Step&) const = default;
};

struct HookObservation {
  ruleset::Hook hook = ruleset::Hook::Prerouting;
  Fate fate = Fate::Accept;
  std::vector<Step> path;  // of every base chain of the hook that ran, in order

  // The step that gave the verdict; nullptr where no base chain ran, or for Stack. Of chains that
  // all accept, a rule's word tells more than a policy's, and the last rule's most.
  const Step* decision() const;
};

// The hooks that the packet met, in order; the last one decides.
struct Observation {
  std::vector<HookObservation> hooks;
  std::string device;  // by which it came in or left, as the kernel says; "" where it met no hook
  std::string leaves_by;  // the last device that it was to leave by; "": it has not come so far
  std::string reason;     // Stack, where the system call gave one
  // False for a packet that the kernel cannot trace (watch.h): which hooks it came through is
  // known, but no path; whatever denied it is called Drop.
  bool traced = true;
  // The packet as it came through its last hook, of a judge that tells of it.
  std::optional<std::vector<std::uint8_t>> after;

  Fate fate() const { return hooks.empty() ? Fate::Accept : hooks.back().fate; }
};

// What the counters of a watch that counts tell of the one packet that came by.
Observation read_counters(ruleset::Hook first, const ruleset::Table& watch);

// An error that names the first of them that was not read whole: what the kernel did is then not
// known.
Result<void> all_read(std::span<const observe::TraceMessage> messages);

// Turns trace messages into steps.
class Reader {
 public:
  Reader() = default;
  // `ruleset` as dumped: with the kernel's handles.
  explicit Reader(const ruleset::Ruleset& ruleset);

  // The hooks that one packet went through. `first` is the hook that it meets first, Prerouting or
  // Output; `messages` are its messages whole, the watch's (watch.h) among them. An error where a
  // message was not read whole, or names a table, chain or rule that the ruleset has not.
  Result<Observation> read(ruleset::Hook first,
                           std::span<const observe::TraceMessage> messages) const;

 private:
  struct Rule {
    std::uint32_t chain = 0;
    std::uint32_t index = 0;
    bool rejects = false;
    bool operator==(const Rule&) const = default;
  };
  struct Chain {
    std::uint32_t index = 0;
    bool is_base = false;
    bool operator==(const Chain&) const = default;
  };
  struct Table {
    std::uint32_t index = 0;
    std::unordered_map<std::string, Chain> chains;
    std::unordered_map<std::uint64_t, Rule> rules;  // by handle
    bool operator==(const Table&) const = default;
  };
  struct Told {
    Step step;
    Fate fate = Fate::Accept;
    bool implied = false;  // the end of a base chain, which its policy tells of once more
  };

  Result<Told> tell(const observe::TraceMessage& message) const;

  std::unordered_map<std::string, Table> tables_;  // by family and name

 public:
  // Whether both read every message alike.
  bool operator==(const Reader&) const = default;
};

}  // namespace rolewall::sandbox

// The evaluator: what the kernel would do with a packet, offline. It executes the same expressions
// over the same bytes as net/netfilter/nf_tables_core.c, over every base chain of a hook in the
// order of their priorities, other programs' tables included. It knows the Ruleset and nothing of
// policy or compiler.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/choices.h"
#include "eval/packet.h"
#include "eval/partial_sets.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::eval {

enum class Fate : std::uint8_t {
  Accept,
  Drop,
  Reject,     // dropped, and the sender told
  Stack,      // the IP stack discards it or sends it elsewhere (fwd)
  Held,       // a fragment, kept until its datagram is whole
  Undecided,  // reached something that is not modelled; `reason` names it
};
std::string_view name_of(Fate fate);

// One rule that was tried. In the order in which the kernel runs them.
struct Step {
  std::uint32_t table = 0;  // indexes into Ruleset
  std::uint32_t chain = 0;
  std::uint32_t rule = 0;
  bool matched = false;        // ran to its end
  std::uint32_t broke_at = 0;  // index of the expression that broke, where not matched
  std::string why;             // with Options::explain alone: "tcp dport is 3306, not 22"
  ruleset::Verdict verdict;    // Continue where it matched and decided nothing
};

// Where the verdict came from: a rule, or a base chain's policy (rule == kPolicy).
struct Decision {
  static constexpr std::uint32_t kPolicy = 0xffffffff;
  std::uint32_t table = 0;
  std::uint32_t chain = 0;
  std::uint32_t rule = kPolicy;
};

struct HookResult {
  ruleset::Hook hook = ruleset::Hook::Input;
  Fate fate = Fate::Accept;
  // Absent where no base chain is on the hook, or for Stack.
  bool decided = false;
  Decision decision;
  std::string reason;  // Stack, Undecided: why
  std::vector<Step> steps;
  // By Options::most_steps: these were tried after the first half of the steps that are kept.
  std::uint64_t steps_left_out = 0;
};

// Something that the kernel knows and the question did not say (a random number, a socket, a
// route), and what was taken for it.
struct Condition {
  std::string about;  // "numgen random mod 3"
  std::string is;     // "1"
  // Taken for given: outcomes() lists no other way (a checksum that a capture cut off, a port that
  // NAT draws).
  bool assumed = false;
  bool operator==(const Condition&) const = default;
};

// What rules have read of a packet, from its network header on; of options (IP's, TCP's, extension
// headers) whether they looked for one.
struct Reads {
  struct Bytes {
    std::size_t from = 0;
    std::size_t to = 0;
  };
  std::vector<Bytes> bytes;
  bool options = false;
  bool length = false;  // `meta length`
  bool mark = false;    // before a rule has set it
  bool priority = false;
  // The socket that it is sent by, where nobody said who owns that.
  bool user = false;
  bool group = false;
  bool cgroup = false;
  bool time = false;
};

// A packet's way over one host: the hooks it met, in order; the last one decides.
struct Journey {
  std::vector<HookResult> hooks;
  std::vector<Condition> conditions;  // in the order in which they were met; empty: for certain
  Packet after;                       // as it leaves the last hook: written to, translated
  Reads reads;                        // with Options::note_reads alone
  bool knows_after = true;            // false: a rule wrote into it what only the kernel knows
  // With Options::note_shown alone: all that chains of others which were passed over would have
  // seen, and the packet that left. Where it is the same, they do the same.
  std::string shown;
  // Delivered because its multicast group was taken as joined: the host's description does not say.
  bool takes_group_as_joined = false;
  // What else of the host was taken as a kernel has it from the beginning, since its description
  // does not say, and would have sent the packet another way: "rp_filter 0 on eth0". With
  // Options::note_reads also what rules have counted, of which only the kernel knows how far it is.
  std::vector<std::string> assumed;
  Fate fate() const { return hooks.empty() ? Fate::Accept : hooks.back().fate; }
};

// Every way that a packet may go, as far as Condition's answers can be listed.
struct Outcomes {
  static constexpr std::size_t kMost = 64;
  std::vector<Journey> ways;  // each with the conditions under which it is so
  bool complete = true;       // false: there are more than kMost, and these are the first
};

enum class Direction : std::uint8_t { Arrive, Send };

// Whose word counts where a ruleset holds a table of ours (ruleset::is_own()) beside others'.
enum class Others : std::uint8_t {
  Asked,
  LetPass,  // what they write, translate and leave untracked is so; what they deny passes
  Absent,   // as if they were not there
};

// What becomes of a packet that comes to a rule that is not modelled.
enum class Unmodelled : std::uint8_t {
  Ends,    // Fate::Undecided
  Chosen,  // it goes on: the rule matches or does not, each in its turn
};

struct Options {
  bool steps = true;  // fill HookResult::steps
  // Of a hook: where more rules are tried, those in the middle are left out. At least 4.
  std::size_t most_steps = std::numeric_limits<std::size_t>::max();
  bool explain = false;  // fill Step::why
  // The question is in words: fill Journey::reads, and of a connection that it says nothing of but
  // its state take nothing for granted. Else it is taken for one that is not translated.
  bool note_reads = false;
  bool note_shown = false;  // fill Journey::shown
  // False: what a test of something unknown, drawn or loaded, was taken to say is no condition of
  // the journey. To put it into words takes as long as the rest of the rule.
  bool word_tests = true;
  bool keep_state = false;   // limits, sets and flows remember earlier packets, until reset()
  std::uint64_t now_ns = 0;  // the virtual clock
  // By how much each packet's time may be off from the kernel's clock: a limit that this could
  // sway is conditional.
  std::uint64_t clock_error_ns = 0;
  // It may have been another packet that looked like this one in the end. So what it leaves behind
  // is uncertain, and whatever else a packet may change.
  bool doubtful = false;
  // Take every checksum for right: a capture may hold what a network card was to fill in.
  bool trust_checksums = false;
  // What output's rules turn to this host itself comes in again by the loopback: the same journey
  // goes on with prerouting and input. False: it ends as it leaves, and what comes in is another's.
  bool follows_back = true;
  Others others = Others::Asked;
  Unmodelled unmodelled = Unmodelled::Ends;
  std::size_t most_courses = 256;  // of a conversation: more are not gone through
};

// One packet of a conversation.
struct Turn {
  Packet packet;
  Direction direction = Direction::Arrive;
};

// A conversation by one choice of answers, as far as it comes: it ends with its last packet, or
// with the first that is not accepted.
struct Course {
  std::vector<Journey> turns;
  Assignment taken;
};
struct Courses {
  std::vector<Course> ways;  // never empty; the first takes each first answer
  bool complete = true;      // false: there are more, and these are the first
};

// What a packet that was seen as it left this host was before, by its flow.
struct Origin {
  Packet packet;           // with the addresses and ports that it had, and its devices
  bool forwarded = false;  // it came by packet.in_device; else a program of this host has sent it
};

// Prepares a ruleset once (set indexes, chain targets) and runs any number of packets through it.
// Holds references: the ruleset, host and partial sets must outlive it. What is asked of the
// partial sets is noted there.
class Evaluator {
 public:
  Evaluator(const ruleset::Ruleset& ruleset, const ruleset::Host& host,
            PartialSets* partial = nullptr);
  ~Evaluator();
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  // A packet that arrives on packet.in_device: prerouting, then input where it is addressed to this
  // host (or multicast, or broadcast). What is for another host is forwarded (forward, postrouting,
  // egress) if the host forwards or packet.out_device is given: by that device, else by the host's
  // routes. Else Stack.
  Journey arrive(const Packet& packet, const Options& options = {});

  // A packet that a local program sends by packet.out_device: output, postrouting, egress; where
  // rules turn it to this host itself, then as it arrives by the loopback (Options::follows_back).
  Journey send(const Packet& packet, const Options& options = {});

  // Each way from the same state, which stays as it was. Of conditions about routes and of ports
  // that NAT draws only the first answer is gone.
  Outcomes outcomes(const Packet& packet, Direction direction, const Options& options = {});

  // As outcomes(), of one packet of a conversation: the state goes on by the first way, as with
  // Options::keep_state. Of a packet without conditions that is the only one.
  Outcomes next(const Packet& packet, Direction direction, const Options& options = {});

  // Of a packet that has left by packet.out_device, all translated, in a conversation by next().
  // Absent: its flow is not known, or it is a fragment or an ICMP error.
  std::optional<Origin> origin_of(const Packet& packet, std::uint64_t now_ns);

  // Whether the packet's flow is known in a conversation by next(), and from both ends, or from its
  // beginning; or the flow of the packet that it quotes. REQUIRES: a whole fixed IP header.
  bool has_answered(const Packet& packet, std::uint64_t now_ns);

  // Whether chains may translate what this host's programs send or what it forwards; or anything.
  bool translates_on_the_way_out(bool ipv6) const;
  bool translates(bool ipv6) const;

  // Whether the rules see datagrams whole, not their fragments, or may.
  bool reassembles(bool ipv6) const;

  // Each course of a conversation that begins with nothing known. Answers that are `given` are
  // taken and not chosen. REQUIRES: there is a packet.
  Courses converse(std::span<const Turn> turns, const Options& options,
                   const Assignment* given = nullptr);

  // The tables of which a chain may change what another table's sees of a packet. Where they are
  // others', Others::LetPass is more than Others::Absent.
  std::vector<std::uint32_t> interfering_tables();

  // Forgets tokens, counts and elements that packets have left. So does every packet that is asked
  // without Options::keep_state: it begins with nothing spent.
  void reset();

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace rolewall::eval

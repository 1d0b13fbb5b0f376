// From a packet in the user's words to the packets that are asked about. `https lb > web` names
// many; a test takes samples of them: each host of a role, the first and last address of each
// prefix, the ends of each port range, both families (docs/policy-language.md, "Tests").
//
// Nothing here needs a ruleset: which host is asked, and with which addresses, follows from the
// site alone. Which interface the packet takes is decided on the host asked (site.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ask/ends.h"
#include "base/diagnostic.h"
#include "eval/build.h"
#include "eval/route.h"
#include "policy/policy.h"

namespace rolewall::ask {

// One packet, and who is asked about it: out of `sender`, past `through`, into `receiver`, in this
// order. At least one of them is set.
struct Sample {
  eval::PacketFields fields;
  std::optional<std::uint32_t> ct_state;  // a bit of ruleset::ct_state
  std::optional<std::uint32_t> user;
  std::optional<std::uint64_t> time_ns;  // since 1970; absent: not said
  std::string in;                        // an interface's name or a device, as given; "": not said
  std::string out;                       // likewise
  std::optional<policy::Index> sender;
  std::optional<policy::Index> through;  // passes it on: `in` and `out` are its
  std::optional<policy::Index> receiver;
  std::string at;      // the name of `through`
  bool alone = false;  // nobody else is asked, wherever the packet goes from there
  // Of the fields: said by the words, and not taken for what is usual.
  bool says_length = false;
  bool says_ttl = false;
  bool says_dscp = false;
  bool says_fragment = false;  // df= or frag=
};

inline bool is_ipv4(const Sample& sample) {
  return net::is_ipv4(sample.fields.source);
}

// The packet in words that `rolewall eval` reads back: "tcp 192.0.2.1:40000 > 203.0.113.10:443
// flags=syn in=public". What has its usual value (64 bytes, ttl 64, no state) is left out.
std::string to_words(const Sample& sample);

// Where words describe no packet: what they lack.
inline constexpr const char* kWhyNone =
    "each end needs an address that its `!` leaves, both of the same family (`df=` is IPv4's), and "
    "they must not be the same host";

// Who is asked, beyond what the words say. `routes` must outlive it.
struct Asking {
  std::optional<policy::Index> self;  // the host that `self` stands for
  bool alone = false;                 // that host alone is asked: a role's or a block's test
  bool translates = false;            // its rules, which are in no policy, change where packets go
  const eval::Routes* routes = nullptr;  // the machine's: by which of its addresses it is `self`
};

struct Asked;  // of a packet that words name

// Its bit of `ct state`.
std::uint32_t ct_state_of(policy::FlowState state);

class Sampler {
 public:
  // Words that name more are an error: a test of every host to every host of a large site says
  // less than one of a role to a role.
  static constexpr std::size_t kMaxSamples = 200'000;

  // Holds a reference: the policy must outlive it.
  explicit Sampler(const policy::Policy& policy) : policy_(policy), ends_(policy) {}

  // IPv4 first, then in the order of the words. Empty where the words name no packet (a role whose
  // only host is the other end): whether that is an error is the caller's to say. What is wrong in
  // the words themselves goes to `diagnostics`.
  std::vector<Sample> take(const policy::PacketWords& words, const Asking& asking,
                           Diagnostics& diagnostics) const;
  // Only the first of them, and how many there are: where the rest may never be asked.
  std::vector<Sample> take_first(const policy::PacketWords& words, const Asking& asking,
                                 std::size_t& count, Diagnostics& diagnostics) const;

  // A host is not asked about an interface that it has not, as a rule that names one is left out
  // there. What no host of `hosts` has is an error.
  bool lacks_interface(const policy::PacketWords& words, policy::Index host) const;
  void report_lacking(const policy::PacketWords& words, const std::vector<policy::Index>& hosts,
                      Diagnostics& diagnostics) const;

 private:
  std::vector<Sample> take_some(const policy::PacketWords& words, const Asking& asking,
                                std::size_t most, std::size_t& count,
                                Diagnostics& diagnostics) const;
  // Of an end that does not name `self` once for all hosts; else they are put into `own`.
  const std::vector<Party>& parties(const policy::Selectors& selectors, const Asking& asking,
                                    std::vector<Party>& own) const;
  // `host`: the one that was to be asked alone.
  void report_nobody_asked(const policy::PacketWords& words, std::optional<policy::Index> host,
                           Diagnostics& diagnostics) const;

  struct Unasked;
  bool is_asked(const Asked& who, const policy::PacketWords& words, const Asking& asking,
                Unasked& unasked) const;
  void report_unasked(const policy::PacketWords& words, std::optional<policy::Index> host,
                      const Unasked& unasked, Diagnostics& diagnostics) const;
  Sample sample_of(const Asked& who, const policy::PacketWords& words, const Asking& asking,
                   const eval::PacketFields& header) const;

  const policy::Policy& policy_;
  Ends ends_;
  mutable std::map<std::string, std::vector<Party>> parties_;  // by what the end says
};

}  // namespace rolewall::ask

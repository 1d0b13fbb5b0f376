// The packets of a capture, put to one host's ruleset as one conversation: what one packet leaves
// in connection tracking, in sets and in limits, the next one finds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ask/answer.h"
#include "ask/sample.h"
#include "eval/capture.h"
#include "eval/eval.h"
#include "net/address_set.h"
#include "ruleset/snapshot.h"

namespace rolewall::ask {

// What is known of a capture beside its packets.
struct TakenOn {
  std::string device;  // of the host
  // Every packet arrives there, or the host sends it. Absent: as the capture says of each, else its
  // addresses.
  std::optional<eval::Direction> direction{};
  bool trust_checksums = false;  // a network card was to fill them in
};

// What was decided about one packet.
struct CapturedAnswer {
  std::string packet;                       // in words
  Verdict as_taken = Verdict::Accept;       // of the way by which the conversation goes on
  std::vector<eval::Condition> conditions;  // of that way
  Hop hop;  // the last that it met; Conditional where the conditions were not sure to hold
};

class Conversation {
 public:
  // Holds a reference: the snapshot must outlive it.
  Conversation(const ruleset::Snapshot& snapshot, TakenOn taken_on);

  // REQUIRES: an IP packet (`captured.other` is ""). Writes the device into it.
  CapturedAnswer ask(eval::CapturedPacket& captured);

 private:
  eval::Direction direction_of(const eval::CapturedPacket& captured,
                               const std::optional<Sample>& sample) const;

  const ruleset::Snapshot& snapshot_;
  TakenOn taken_on_;
  eval::Evaluator evaluator_;
  net::AddressSet own_;  // the host's own addresses
  std::uint64_t now_ns_ = 0;
};

}  // namespace rolewall::ask

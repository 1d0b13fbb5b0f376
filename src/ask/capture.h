// The packets of a capture, put to one host's ruleset as one conversation: what one packet leaves
// in connection tracking, in sets and in limits, the next one finds.
//
// A capture shows a packet that arrives before the rules have seen it, and one that leaves after
// they have: translated, and with a hop less where the host has passed it on (sighting.h). What
// left is put to the rules as it was before, where its flow tells; where nothing does, the answer
// is conditional, and so is what hangs on it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ask/answer.h"
#include "ask/rejected.h"
#include "ask/sample.h"
#include "ask/sighting.h"
#include "eval/capture.h"
#include "eval/eval.h"
#include "ruleset/snapshot.h"

namespace rolewall::ask {

// What was decided about one packet.
struct CapturedAnswer {
  std::string packet;                       // in words
  std::string passed_over;                  // not "": it was not put to the rules, and what it is
  Verdict as_taken = Verdict::Accept;       // of the way by which the conversation goes on
  std::vector<eval::Condition> conditions;  // of that way
  Hop hop;  // the last that it met; Conditional where the conditions were not sure to hold
  bool was_translated = false;  // perhaps: a capture on another device would tell
};

class Conversation {
 public:
  // Holds a reference: the snapshot must outlive it.
  Conversation(const ruleset::Snapshot& snapshot, TakenOn taken_on);

  // REQUIRES: an IP packet (`captured.other` is ""). Writes the device into it.
  CapturedAnswer ask(eval::CapturedPacket& captured);
  // By which the packet that was asked last went.
  const std::string& device() const { return taken_on_.device; }

 private:
  // What a packet is put to the rules as.
  struct Question {
    eval::Packet packet;
    eval::Direction direction = eval::Direction::Arrive;
    std::string doubt;              // what had to be assumed to put it so; "": nothing
    std::string doubt_if_denied{};  // the same, where it is not accepted
  };
  Question as_sent(const eval::Packet& packet) const;
  std::optional<Question> as_forwarded(const eval::Packet& packet) const;
  std::optional<Question> question_of(const eval::Packet& packet, Seen seen);
  // Whether it was expected: a packet that has arrived is passed on by this device.
  bool is_expected(const eval::Packet& packet);
  void expect(const eval::Journey& journey);
  bool hangs_on_what_was_before(const Question& question, eval::Fate fate);
  void note_rejected(const eval::Packet& packet, const eval::Journey& journey);
  bool passes_no_chain(const eval::Packet& packet) const;
  CapturedAnswer put(const Question& question, const eval::Packet& seen, eval::Packet& after);
  CapturedAnswer put_over_loopback(const eval::Packet& packet);
  std::string passed_over_by_device(const eval::CapturedPacket& captured);

  const ruleset::Snapshot& snapshot_;
  TakenOn taken_on_;
  eval::Evaluator evaluator_;
  std::unique_ptr<eval::Evaluator> apart_;  // of one packet, whatever the others left behind
  Sightings sightings_;
  // What has arrived and is to leave by this device. Its first bytes alone are compared where rules
  // have written into it what only the kernel knows.
  struct Expected {
    std::vector<std::uint8_t> content;
    bool whole = true;
  };
  std::deque<Expected> expected_;
  Rejected rejected_;
  bool makes_copies_ = false;
  std::uint64_t now_ns_ = 0;
  std::optional<std::uint64_t> began_ns_;  // when the first packet came
};

}  // namespace rolewall::ask

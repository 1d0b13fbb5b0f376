// From the kernel's messages to packets. Those of several packets come mixed, for each processor
// traces on its own; what belongs together has the same number, and each packet begins with our own
// table's mark (ask/trace_table.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "eval/packet.h"
#include "observe/trace.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"
#include "sandbox/observation.h"

namespace rolewall::cli {

struct TracedPacket {
  bool arrives = true;                          // else this host has sent it
  observe::TraceMessage first;                  // the mark's, with its headers and devices
  std::vector<observe::TraceMessage> messages;  // after it, those of our own table among them
  bool ended = false;                           // denied, or came through its last hook
  std::uint64_t first_ms = 0;                   // when its messages came
  std::uint64_t last_ms = 0;
};

class TracedPackets {
 public:
  explicit TracedPackets(std::string own_table) : own_table_(std::move(own_table)) {}

  // `now_ms`: of a clock that is not set.
  void take(observe::TraceMessage message, std::uint64_t now_ms);

  // Those that are at their end, or of which nothing was told for so long that they must be: in the
  // order in which they came. Each is given once.
  std::vector<TracedPacket> finished(std::uint64_t now_ms);
  // Every one, whatever may still come.
  std::vector<TracedPacket> all();

  // Messages of packets whose beginning was not told: another trace's, say.
  std::size_t strays() const { return strays_; }

 private:
  std::string own_table_;
  std::vector<TracedPacket> packets_;  // in the order in which they came
  std::map<std::uint32_t, std::size_t> by_id_;
  std::map<std::uint32_t, observe::TraceMessage> leading_;  // to the rule that marks
  std::size_t strays_ = 0;
};

// Hook by hook, in the terms of the ruleset. An error where it names what the ruleset has not: it
// has changed since.
Result<sandbox::Observation> observation_of(const TracedPacket& packet,
                                            const ruleset::Ruleset& ruleset,
                                            const sandbox::Reader& reader);

// The packet as one message has told it, as the evaluator takes it, without TCP's options; why it
// cannot, where headers are longer than what is told.
Result<eval::Packet> packet_in(const observe::TraceMessage& message, const ruleset::Host& host);

// The connection's state, as far as the kernel tells; and whether it was translated before.
struct TracedFlow {
  std::optional<std::uint32_t> state;
  bool translated = false;
};
TracedFlow flow_of(const TracedPacket& packet);

// "from 10.0.1.10:40312", "to 10.0.3.10:443": what has changed of addresses and ports on the way,
// in its order.
std::vector<std::string> translations_of(const TracedPacket& packet, const ruleset::Host& host);

// "tcp 10.0.1.10:40312 > 10.0.2.10:443 flags=syn in=eth0": as `eval` reads it back, as far as the
// kernel has told.
std::string words_of(const TracedPacket& packet, const ruleset::Host& host);

}  // namespace rolewall::cli

// What nf_tables tells of a packet whose nftrace bit is set: one message for each rule that ran to
// its end, each end of a chain and each policy, in the order in which they happened
// (net/netfilter/nf_tables_trace.c). A rule that broke is not told of.
//
// What a message says and nobody here asked for is not passed over: it is named, as a problem of
// the message, for whoever reads the packet's way out of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "netlink/event_socket.h"
#include "ruleset/ruleset.h"

namespace rolewall::observe {

enum class TraceType : std::uint8_t {
  Rule,    // ran to its end; `verdict` is what it left in the verdict register
  Return,  // as Rule; kernels differ in which of the two they call the end of a chain (no handle)
  Policy,  // the end of a base chain; `verdict` is its policy
};

struct TraceMessage {
  TraceType type = TraceType::Rule;
  ruleset::Family family = ruleset::Family::Inet;  // of the table
  std::string table;
  std::string chain;
  std::uint64_t handle = 0;  // of the rule; 0: none
  ruleset::Verdict verdict;
  bool stolen = false;     // taken out of the hook by the rule; `verdict` is Drop then
  std::uint32_t mark = 0;  // after the rule
  // Of the packet's buffer and flow: other packets may have it before and after, none meanwhile.
  std::uint32_t id = 0;

  // The first message of each base chain that the packet goes through carries the packet; so do
  // `in_index` and `out_index`, its devices.
  bool begins_base_chain = false;
  std::uint32_t in_index = 0;
  std::uint32_t out_index = 0;
  std::vector<std::uint8_t> network_header;    // at most 40 bytes
  std::vector<std::uint8_t> transport_header;  // at most 20; none for what has no transport
  // Beside them, from kernel 6.16 on, where connection tracking has seen it: a bit of
  // ruleset::ct_state, and IPS_*.
  std::optional<std::uint32_t> ct_state;
  std::uint32_t ct_status = 0;

  // "attribute 22 is unknown": what it says that has no meaning here, or what it lacks. Then it is
  // not known what happened to the packet. "" where all of it was read.
  std::string problem;
};

// Whatever the kernel says, this gives a message: with a problem, where it was not read whole.
TraceMessage decode_trace(const netlink::Answer& message);

// Listens to the traces of the current network namespace.
class TraceSocket {
 public:
  static Result<TraceSocket> open();

  // Appends what has come, waiting for the first for at most `timeout_ms` (0: not at all). An error
  // of kind Conflict: the buffer ran over and messages were lost.
  Result<void> read(std::vector<TraceMessage>& messages, int timeout_ms);

 private:
  explicit TraceSocket(netlink::EventSocket socket) : socket_(std::move(socket)) {}

  netlink::EventSocket socket_;
};

}  // namespace rolewall::observe

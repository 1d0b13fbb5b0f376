// A log line of ours in the policy's terms: which rule or step said it, what became of the packet,
// and which packet it was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "netlink/sockets.h"
#include "observe/log_reader.h"
#include "observe/logged_packet.h"
#include "observe/written_policy.h"

namespace rolewall::observe {

struct LogEvent {
  std::string name;  // a policy rule's, "web.inbound.app", or a built-in step's
  std::string fate;  // "accept", "drop", "reject", "excess" (over its limit), "audit" (would be)
  Direction direction = Direction::Inbound;
  std::string in_device;  // "" for none
  std::string out_device;
  std::optional<std::uint32_t> user;
  std::uint64_t time_ns = 0;
  std::optional<PacketHead> packet;  // absent: not to be read from its bytes
  // Where its client sent it to, if that was translated before; known where LogReader was asked for
  // connections.
  std::optional<netlink::Endpoint> written_to;
  bool has_connection = false;  // it was told, so that `written_to` is known
  // Where it goes was not decided: whether it is passed on is not told.
  bool before_routing = false;
};

// What our prefix says; std::nullopt where it is no prefix of ours, as that of another program that
// logs to the same group.
struct LogPrefix {
  std::string_view name;
  std::string_view fate;  // its last word
};
std::optional<LogPrefix> parse_prefix(std::string_view prefix);

// std::nullopt: as parse_prefix().
std::optional<LogEvent> log_event(const LogLine& line);

// Whether the packet was let through, whatever audit mode says of it.
bool was_admitted(const LogEvent& event);

}  // namespace rolewall::observe

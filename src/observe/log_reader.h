// The lines that rules log to an NFLOG group, as they come, with what was lost on the way
// (net/netfilter/nfnetlink_log.c). packet_log.h is for whole packets, a few; this is for a flood.
//
// A group has one reader. The kernel numbers each packet before it is sent to us, so that a gap in
// the numbers is what our socket's buffer could not hold: exactly, but for packets that follow the
// last one that came.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "netlink/event_socket.h"

namespace rolewall::observe {

struct LogLine {
  std::string_view prefix;       // as the rule says it
  std::uint8_t hook = 0;         // NF_INET_*
  std::string_view in_device{};  // "" for none
  std::string_view out_device{};
  std::optional<std::uint32_t> user;  // who has sent it, of a packet of this host's
  std::uint64_t time_ns = 0;          // since 1970
  netlink::View packet;               // its beginning, from the network header on
  // Its entry of connection tracking, CTA_*, and IP_CT_*: where it was asked for, and is tracked.
  netlink::View connection{};
  std::optional<std::uint32_t> connection_info{};
};

class LogReader {
 public:
  // Of the current network namespace. The error says which setting is in the way.
  // `with_connections`: of each line its connection, too, where the kernel can tell (ctnetlink).
  static Result<LogReader> open(std::uint16_t group, bool with_connections = false);

  // Gives `visit` what has come, after waiting for at most `timeout_ms`. A loss is no error.
  Result<void> read(int timeout_ms, const std::function<void(const LogLine&)>& visit);

  // False where it was asked for connections, and the kernel tells none.
  bool tells_connections() const { return tells_connections_; }
  std::uint64_t lost() const { return lost_; }
  // Whether something was lost since this was asked last, though how much may not be known yet.
  bool take_overrun() { return std::exchange(has_overrun_, false); }
  std::uint64_t taken() const { return taken_; }

 private:
  LogReader(netlink::EventSocket socket, bool tells_connections)
      : socket_(std::move(socket)), tells_connections_(tells_connections) {}

  std::string_view device_name(std::uint32_t index);

  netlink::EventSocket socket_;
  bool tells_connections_ = true;
  // Asked for once in a read(): devices are renamed, and lines come by tens of thousands.
  std::map<std::uint32_t, std::string> device_names_;
  std::optional<std::uint32_t> next_;  // the number that should come
  std::uint64_t lost_ = 0;
  std::uint64_t taken_ = 0;
  bool has_overrun_ = false;
};

}  // namespace rolewall::observe

#include "observe/log_event.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <algorithm>

#include "net/protocol.h"
#include "netlink/conntrack_entry.h"
#include "ruleset/own_table.h"

namespace rolewall::observe {
namespace {

// NF_INET_*.
constexpr std::uint8_t kPreroutingHook = 0;
constexpr std::uint8_t kForwardHook = 2;
constexpr std::uint8_t kLocalOutHook = 3;

// As the names of rules and steps are, and no more: it goes into files and terminals.
bool is_name(std::string_view word) {
  constexpr std::string_view kOther = ".-_()";
  const auto may_be = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOther.find(c) != std::string_view::npos;
  };
  return !word.empty() && std::ranges::all_of(word, may_be);
}

// By the hook: a rule's own word agrees with it, and a step has none.
Direction direction_at(std::uint8_t hook) {
  if (hook == kForwardHook) return Direction::Forward;
  return hook == kLocalOutHook ? Direction::Outbound : Direction::Inbound;
}

// What the client has written, of a packet on its own way whose destination was translated since.
std::optional<netlink::Endpoint> written_destination(const LogLine& line,
                                                     const PacketHead& packet) {
  if (line.connection.empty() || !line.connection_info) return std::nullopt;
  const bool answers = *line.connection_info >= IP_CT_IS_REPLY;
  if (answers || packet.lacks_service) return std::nullopt;
  const auto original = netlink::tuple_in(line.connection, CTA_TUPLE_ORIG);
  if (!original || original->protocol != packet.protocol) return std::nullopt;
  const bool same = original->to.address == packet.to &&
                    (!net::has_ports(packet.protocol) || original->to.port == packet.to_port);
  return same ? std::nullopt : std::optional(original->to);
}

}  // namespace

std::optional<LogPrefix> parse_prefix(std::string_view prefix) {
  const std::string_view begin = ruleset::kOwnTable;
  while (prefix.ends_with(' ') || prefix.ends_with(':')) prefix.remove_suffix(1);
  if (!prefix.starts_with(begin) || prefix.size() < begin.size() + 2 ||
      prefix[begin.size()] != ' ') {
    return std::nullopt;
  }
  prefix.remove_prefix(begin.size() + 1);
  const std::size_t space = prefix.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const LogPrefix found{.name = prefix.substr(0, space),
                        .fate = prefix.substr(prefix.rfind(' ') + 1)};
  if (!is_name(found.name) || !is_name(found.fate)) return std::nullopt;
  return found;
}

std::optional<LogEvent> log_event(const LogLine& line) {
  const auto prefix = parse_prefix(line.prefix);
  if (!prefix) return std::nullopt;
  LogEvent event{.name = std::string(prefix->name),
                 .fate = std::string(prefix->fate),
                 .direction = direction_at(line.hook),
                 .in_device = std::string(line.in_device),
                 .out_device = std::string(line.out_device),
                 .user = line.user,
                 .time_ns = line.time_ns,
                 .packet = packet_head(line.packet),
                 .written_to = std::nullopt,
                 .has_connection = line.connection_info.has_value(),
                 .before_routing = line.hook == kPreroutingHook};
  if (event.packet) event.written_to = written_destination(line, *event.packet);
  return event;
}

bool was_admitted(const LogEvent& event) {
  return event.fate == "accept" || event.fate == "audit";
}

}  // namespace rolewall::observe

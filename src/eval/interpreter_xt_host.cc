// Matches of iptables that ask what travels beside the packet, or the host: net/netfilter/xt_mac.c,
// xt_owner.c, xt_cgroup.c, xt_devgroup.c, xt_physdev.c, xt_time.c, xt_socket.c. (xt_addrtype.c and
// xt_rpfilter ask routes: interpreter_fib.cc.)
#include <fmt/format.h>

#include <algorithm>

#include "base/time.h"
#include "eval/interpreter.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;

const r::Interface* known_interface(const Frame& frame, std::string_view device) {
  for (const r::Interface& interface : frame.host->interfaces) {
    if (interface.device == device && interface.index != 0) return &interface;
  }
  return nullptr;
}

// By UTC.
struct Moment {
  std::uint32_t of_day = 0;
  unsigned week_day = 0;   // Monday 1 to Sunday 7
  unsigned month_day = 0;  // from 1
};
Moment moment_of(std::uint64_t seconds) {
  constexpr std::uint64_t kDay = 86400;
  constexpr std::uint64_t kThursday = 3;  // 1970 began with one; Monday is 0
  const std::uint64_t days = seconds / kDay;
  // Howard Hinnant's civil_from_days(): years that begin in March.
  const std::uint64_t shifted = days + 719468;
  const std::uint64_t of_era = shifted % 146097;
  const std::uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const std::uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const std::uint64_t month = (5 * of_year + 2) / 153;
  return {.of_day = static_cast<std::uint32_t>(seconds % kDay),
          .week_day = static_cast<unsigned>((kThursday + days) % 7 + 1),
          .month_day = static_cast<unsigned>(of_year - (153 * month + 2) / 5 + 1)};
}

}  // namespace

// Before the packet leaves, of what arrives: the sender's, of an Ethernet device alone.
bool Interpreter::xt_asks(const r::XtMac& match) {
  constexpr std::uint16_t kEthernet = 1;
  constexpr std::size_t kSource = 6;
  const std::vector<std::uint8_t>& link = frame_->packet->link;
  if (frame_->in_device.empty() || frame_->in_device == kLoopbackDevice) return false;
  const r::Interface* interface = known_interface(*frame_, frame_->in_device);
  if (interface != nullptr && interface->hardware_type != kEthernet) return false;
  if (link.size() < kSource + match.source.size()) {
    std::string text;
    for (const std::uint8_t byte : match.source) {
      text += fmt::format("{}{:02x}", text.empty() ? "" : ":", byte);
    }
    return choose_whether(fmt::format("its sender's MAC address is {}", text)) != match.inverted;
  }
  return std::equal(match.source.begin(), match.source.end(), link.begin() + kSource) !=
         match.inverted;
}

bool Interpreter::has_local_sender() {
  const Packet& packet = *frame_->packet;
  if (!frame_->in_device.empty() || !packet.in_device.empty()) return false;
  if (packet.sender_is_open) return choose_whether("a program has sent it");
  if (packet.user || packet.group) return true;
  frame_->reads.user = true;
  return false;
}

// owner_mt()
bool Interpreter::xt_asks(const r::XtOwner& match) {
  if (!has_local_sender()) {
    return !(match.user && !match.user->inverted) && !(match.group && !match.group->inverted) &&
           match.has_socket.value_or(false) == false && !match.supplementary;
  }
  if (match.has_socket == false) return false;
  const Packet& packet = *frame_->packet;
  if (match.user) {
    const bool holds = packet.user ? match.user->holds(*packet.user)
                                   : choose_whether("its sender's user is as -m owner asks");
    if (!holds) return false;
  }
  if (!match.group) return true;
  r::XtRange<std::uint32_t> group = *match.group;
  group.inverted = false;
  bool within = packet.group ? group.holds(*packet.group)
                             : choose_whether("its sender's group is as -m owner asks");
  if (!within && match.supplementary) {
    within = choose_whether("one of its sender's other groups is as -m owner asks");
  }
  return within != match.group->inverted;
}

bool Interpreter::xt_asks(const r::XtCgroup& match) {
  if (!has_local_sender()) {
    frame_->reads.cgroup = true;
    return false;
  }
  const std::string which = match.path.empty() ? fmt::format("of class {}", match.id) : match.path;
  return choose_whether(fmt::format("its sender's control group is {}", which)) != match.inverted;
}

bool Interpreter::xt_asks(const r::XtDevgroup& match) {
  const auto holds = [&](const r::XtDevgroup::Group& group, std::string_view device) {
    const r::Interface* interface = known_interface(*frame_, device);
    if (interface == nullptr && device != kLoopbackDevice) {
      return choose_whether(fmt::format("the group of {} is {:#x}", device, group.value)) !=
             group.inverted;
    }
    const std::uint32_t is = interface == nullptr ? 0 : interface->group;
    return (((is ^ group.value) & group.mask) == 0) != group.inverted;
  };
  if (match.in && !holds(*match.in, frame_->in_device)) return false;
  return !match.out || holds(*match.out, frame_->out_device);
}

// What came by no bridge that shows it to the rules has no port of one (nf_bridge_info_get()): then
// what is asked holds where it is inverted.
bool Interpreter::xt_asks(const r::XtPhysdev& match) {
  const auto has_port = [&] {
    if (frame_->in_device.empty() || frame_->in_device == kLoopbackDevice) return false;
    const r::Interface* came_by = known_interface(*frame_, frame_->in_device);
    if (came_by != nullptr && came_by->kind != "bridge") return false;
    std::optional<bool> shows;
    if (came_by != nullptr) shows = frame_->ipv6 ? came_by->shows_ipv6 : came_by->shows_ipv4;
    return shows ? *shows : choose_whether("it has crossed a bridge of this host");
  };
  if (has_port()) return choose_whether("its bridge's port is as -m physdev asks");
  return (match.asked & ~match.inverted) == 0;
}

// time_mt(), with the kernel's zone taken for UTC unless a rule asks for it.
bool Interpreter::xt_asks(const r::XtTime& match) {
  if (match.local_zone) return choose_whether("the kernel's own time is what -m time asks for");
  if (!frame_->packet->time_ns) {
    return choose_whether("the time (`time=`) is within what -m time asks for");
  }
  frame_->reads.time = true;
  constexpr std::uint64_t kDay = 86400;
  std::uint64_t seconds = *frame_->packet->time_ns / kNsPerSecond;
  if (seconds < match.date_start || seconds > match.date_stop) return false;
  const std::uint32_t of_day = moment_of(seconds).of_day;
  if (match.day_start < match.day_stop) {
    if (of_day < match.day_start || of_day > match.day_stop) return false;
  } else {
    if (of_day < match.day_start && of_day > match.day_stop) return false;
    if (match.contiguous && of_day <= match.day_stop) seconds -= kDay;
  }
  const Moment moment = moment_of(seconds);
  if ((match.week_days >> moment.week_day & 1) == 0) return false;
  constexpr std::uint32_t kAll = 0xfffffffe;
  return match.month_days == kAll || (match.month_days >> moment.month_day & 1) != 0;
}

// socket_match(): of TCP and UDP, and of errors about them.
std::optional<bool> Interpreter::xt_asks(const r::XtSocket& match) {
  namespace protocol = net::protocol;
  const Dissection& dissection = frame_->dissection;
  const bool may_have =
      dissection.has_protocol &&
      (dissection.protocol == protocol::kTcp || dissection.protocol == protocol::kUdp ||
       dissection.protocol == protocol::kIcmp || dissection.protocol == protocol::kIcmpv6);
  if (!may_have && !frame_->has_socket) return false;
  if (match.transparent && !frame_->has_socket && has_no_transparent_socket()) return false;
  const bool found = choose_whether(match.transparent ? "a transparent socket is open for it"
                                                      : "a socket of this host is open for it");
  if (found && match.restores_mark) {
    reason_ = "the mark of a socket, which is not known";
    return std::nullopt;
  }
  return found;
}

}  // namespace rolewall::eval

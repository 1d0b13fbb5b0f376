#include "eval/path_mtu.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

constexpr std::uint32_t kUsual = 1500;        // Ethernet's: taken for granted where none is known
constexpr std::uint32_t kLoopback = 65536;    // loopback_setup() of drivers/net/loopback.c
constexpr std::uint32_t kLeastOfIpv6 = 1280;  // RFC 8200

bool is_stream(const Frame& frame) {
  return frame.dissection.has_protocol && frame.dissection.protocol == net::protocol::kTcp;
}

// What a network card or the kernel puts together of many, and takes apart again (GRO, GSO).
bool is_merged(const Frame& frame) {
  const bool of_segments = is_stream(frame) || (frame.dissection.has_protocol &&
                                                frame.dissection.protocol == net::protocol::kUdp);
  return frame.packet->may_be_merged && of_segments && frame.fragment_size == 0;
}

bool may_be_fragmented(const Frame& frame) {
  if (frame.ipv6) return false;
  return (be16(frame.bytes.data() + ipv4::kFragment) & ipv4::kDontFragment) == 0;
}

// ip_exceeds_mtu(), ip6_pkt_too_big(): a datagram that was put together goes on as its fragments.
bool exceeds(const Frame& frame, std::uint32_t mtu) {
  if (frame.bytes.size() <= mtu || may_be_fragmented(frame)) return false;
  return frame.fragment_size == 0 || frame.fragment_size > mtu;
}

std::string too_large(const Frame& frame, std::uint32_t mtu) {
  return fmt::format("larger than the MTU of {} ({}){}", frame.leaves_by, mtu,
                     frame.ipv6 ? "" : ", and not to be fragmented");
}

}  // namespace

std::optional<std::uint32_t> PathMtu::of_device(std::string_view device, bool ipv6) const {
  if (device == kLoopbackDevice) return kLoopback;
  const auto found = std::ranges::find(host_.interfaces, device, &ruleset::Interface::device);
  if (found == host_.interfaces.end() || found->mtu == 0) return std::nullopt;
  return ipv6 && found->ipv6_mtu != 0 ? found->ipv6_mtu : found->mtu;
}

// ip_dst_mtu_maybe_forward(), ip6_dst_mtu_maybe_forward(): IPv6 asks a route only for a locked MTU.
std::optional<std::uint32_t> PathMtu::of_way(const Frame& frame,
                                             const ruleset::Route* route) const {
  const bool by_route = route != nullptr && route->mtu != 0 && (!frame.ipv6 || route->mtu_locked);
  const auto mtu = by_route ? std::optional(route->mtu) : of_device(frame.leaves_by, frame.ipv6);
  return frame.ipv6 && mtu ? std::optional(std::max(*mtu, kLeastOfIpv6)) : mtu;
}

bool PathMtu::chooses_fit(Frame& frame, std::string about, std::string_view fits,
                          std::string_view not_so) const {
  const bool fit = frame.choices->choose(2) == 0;
  frame.conditions.push_back({.about = std::move(about), .is = std::string(fit ? fits : not_so)});
  return fit;
}

std::string PathMtu::forward_error(Frame& frame, const ruleset::Route* route) const {
  const auto mtu = of_way(frame, route);
  if (!exceeds(frame, mtu.value_or(kUsual))) return "";
  if (is_merged(frame)) {
    // No segment was larger than the link that it came by.
    const auto came_by = of_device(frame.in_device, frame.ipv6).value_or(kUsual);
    if (came_by <= mtu.value_or(kUsual)) return "";
    const bool fit =
        chooses_fit(frame, "the segments that the packet was put together of",
                    fmt::format("none larger than {}", mtu.value_or(kUsual)), "larger");
    return fit ? "" : too_large(frame, mtu.value_or(kUsual));
  }
  if (mtu) return too_large(frame, *mtu);
  const bool fit =
      chooses_fit(frame, fmt::format("the MTU of {}", frame.leaves_by),
                  fmt::format("at least {}", frame.bytes.size()), "smaller than the packet");
  return fit ? "" : fmt::format("larger than the MTU of {}", frame.leaves_by);
}

// raw_send_hdrinc() and __ip_append_data(): EMSGSIZE. IPv6 and what may be fragmented is cut behind
// the hooks, TCP into segments.
std::string PathMtu::send_error(Frame& frame) const {
  if (frame.ipv6 || is_stream(frame) || is_merged(frame)) return "";
  const auto mtu = of_device(frame.leaves_by, frame.ipv6);
  if (!exceeds(frame, mtu.value_or(kUsual))) return "";
  if (mtu) return too_large(frame, *mtu) + ": its program is told so";
  const bool fit =
      chooses_fit(frame, fmt::format("the MTU of {}", frame.leaves_by),
                  fmt::format("at least {}", frame.bytes.size()), "smaller than the packet");
  return fit ? ""
             : fmt::format("larger than the MTU of {}: its program is told so", frame.leaves_by);
}

// ip6_find_1stfragopt() looks for the end of the headers that no fragment is without, destination
// options and routing headers among them, within the buffer's linear part: mostly that is what came
// in the first fragment, unless something has written behind it.
std::string PathMtu::cut_error(Frame& frame) const {
  if (!frame.ipv6 || frame.first_fragment_size == 0 || frame.bytes.size() <= frame.fragment_size) {
    return "";
  }
  std::uint8_t next = frame.bytes[ipv6::kNextHeader];
  std::size_t end = ipv6::kHeaderSize;
  while (end <= frame.first_fragment_size &&
         (next == ipv6::kHopByHop || next == ipv6::kRouting || next == ipv6::kDestinationOptions)) {
    if (!readable(frame.bytes, end, 2)) break;
    next = frame.bytes[end];
    end += (frame.bytes[end + 1] + std::size_t{1}) * 8;
  }
  if (end <= frame.first_fragment_size) return "";
  const bool fits = chooses_fit(frame, "its extension headers, which came in several fragments",
                                "together in the kernel's buffer", "apart");
  return fits ? "" : "its extension headers, which came in several fragments, are not cut again";
}

bool PathMtu::may_be_cut(const Frame& frame, const ruleset::Route* route) const {
  const bool is_sent = frame.packet->in_device.empty();
  if (frame.fragment_size != 0) return frame.bytes.size() > frame.fragment_size;
  if (is_sent && is_stream(frame)) return false;
  if (!may_be_fragmented(frame) && !(is_sent && frame.ipv6)) return false;
  return !is_merged(frame) && frame.bytes.size() > of_way(frame, route).value_or(kUsual);
}

}  // namespace rolewall::eval

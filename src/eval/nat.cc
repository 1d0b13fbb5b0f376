// The choice that NAT makes for a flow, once: net/netfilter/nf_nat_core.c of Linux 6.12.
//
// A flow has two tuples: the original, which its first packet bears, and the reply, which the
// answer will bear. To translate is to change the reply: what leaves is to look like the reply
// inverted, so a source is translated by a new destination of the reply, a destination by a new
// source of it. Nothing else is remembered. Every later packet of either direction is rewritten to
// the inverse of the other direction's tuple (nf_nat_packet(), in nat_rewrite.cc).
//
// What holds: no two flows of a zone have one reply tuple (is_taken(), nf_nat_used_tuple()), so
// what comes back belongs to one. Each part is settled once, destinations before routing, sources
// after (IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE); a chain that has not translated settles it as it is
// (settle_without_nat(), nf_nat_alloc_null_binding()), which can still move a port that is taken.
//
//   settle()            nf_nat_setup_info()
//   chosen_tuple()      get_unique_tuple(), whose three steps it keeps:
//     1) a source stays as it is where it lies in the range and is free; else it takes what another
//        flow of the same source was given (current_mapping(), find_appropriate_src())
//     2) an address of the range, by a hash (choose_address(), find_best_ips_proto())
//     3) a port of the range, where the tuple is not free as it is (choose_port(),
//        nf_nat_l4proto_unique_tuple())
//   in_range()          nf_in_range()
//   ports_fit()         l4proto_in_range()
//
// The kernel draws where step 3 begins to search (get_random_u16()). Here it begins at the port
// that the packet has, or at the range's first, and the frame gets a condition that says so: what
// is decided holds if the kernel draws that. Not modelled: that the kernel stops after
// NF_NAT_MAX_ATTEMPTS and tries elsewhere, that it may throw out a connection in TIME-WAIT to have
// its port (nf_nat_used_tuple_harder()), two packets on two processors that open one flow from both
// sides (nf_nat_used_tuple_new()), and PPTP's call ids.
#include "eval/nat.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>

#include "eval/route.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace protocol = net::protocol;
using ruleset::NatKind;

// NF_NAT_RANGE_* of include/uapi/linux/netfilter/nf_nat.h.
enum RangeFlag : std::uint32_t {
  kMapIps = 1 << 0,
  kProtoSpecified = 1 << 1,
  kProtoRandom = 1 << 2,
  kPersistent = 1 << 3,
  kProtoRandomFully = 1 << 4,
  kProtoOffset = 1 << 5,
  kNetmap = 1 << 6,
};
constexpr std::uint32_t kMostAttempts = 128;  // NF_NAT_MAX_ATTEMPTS: then the kernel draws anew
constexpr std::uint32_t kRandomAll = kProtoRandom | kProtoRandomFully;

using AddressBytes = std::array<std::uint8_t, 16>;

bool is_icmp(std::uint8_t protocol) {
  return protocol == protocol::kIcmp || protocol == protocol::kIcmpv6;
}
bool has_ports(std::uint8_t protocol) {
  return protocol == protocol::kTcp || protocol == protocol::kUdp ||
         protocol == protocol::kUdpLite || protocol == protocol::kSctp;
}

// The half of a tuple that a kind of translation writes. An ICMP identifier is the same for both.
AddressBytes& address_of(Tuple& tuple, NatKind kind) {
  return kind == NatKind::Source ? tuple.source : tuple.destination;
}
std::array<std::uint8_t, 2>& port_of(Tuple& tuple, NatKind kind) {
  return kind == NatKind::Source || is_icmp(tuple.protocol) ? tuple.source_port
                                                            : tuple.destination_port;
}

// l4proto_in_range().
bool ports_fit(Tuple tuple, NatKind kind, const NatRange& range) {
  if (!has_ports(tuple.protocol) && !is_icmp(tuple.protocol) && tuple.protocol != protocol::kGre)
    return true;
  const std::uint16_t port = be16(port_of(tuple, kind).data());
  return port >= range.first_port && port <= range.last_port;
}

// nf_in_range().
bool in_range(const Tuple& tuple, const NatRange& range) {
  if ((range.flags & kMapIps) != 0 && (tuple.source < range.first || tuple.source > range.last)) {
    return false;
  }
  return (range.flags & kProtoSpecified) == 0 || ports_fit(tuple, NatKind::Source, range);
}

std::uint32_t host_word(const AddressBytes& bytes, std::size_t index) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + index * 4, 4);
  return word;
}

std::uint32_t rotated(std::uint32_t word, unsigned by) {
  return word << by | word >> (32 - by);
}

// jhash2() of include/linux/jhash.h over the four words of an address.
std::uint32_t hash_address(const AddressBytes& address, std::uint32_t seed) {
  constexpr std::uint32_t kWords = 4;
  std::uint32_t a = 0xdeadbeef + (kWords << 2) + seed;
  std::uint32_t b = a;
  std::uint32_t c = a;
  a += host_word(address, 0);
  b += host_word(address, 1);
  c += host_word(address, 2);
  const auto mix = [](std::uint32_t& to, std::uint32_t& from, std::uint32_t add, unsigned by) {
    to -= from;
    to ^= rotated(from, by);
    from += add;
  };
  mix(a, c, b, 4);
  mix(b, a, c, 6);
  mix(c, b, a, 8);
  mix(a, c, b, 16);
  mix(b, a, c, 19);
  mix(c, b, a, 4);
  a += host_word(address, 3);
  const auto end = [](std::uint32_t& to, std::uint32_t from, unsigned by) {
    to ^= from;
    to -= rotated(from, by);
  };
  end(c, b, 14);
  end(a, c, 11);
  end(b, a, 25);
  end(c, b, 16);
  end(a, c, 4);
  end(b, a, 14);
  end(c, b, 24);
  return c;
}

// find_best_ips_proto(): one of several addresses, by a hash without a secret.
void choose_address(Tuple& tuple, const NatRange& range, NatKind kind, std::uint16_t zone) {
  if ((range.flags & kMapIps) == 0) return;
  AddressBytes& chosen = address_of(tuple, kind);
  if (range.first == range.last) {
    chosen = range.first;
    return;
  }
  const std::size_t words = tuple.ipv6 ? 4 : 1;
  const bool persistent = (range.flags & kPersistent) != 0;
  std::uint32_t hash =
      hash_address(tuple.source, persistent ? 0 : host_word(tuple.destination, words - 1) ^ zone);
  bool whole_range = false;
  for (std::size_t i = 0; i < words; ++i) {
    std::uint32_t least = 0;
    std::uint32_t count = 0xffffffff;
    if (!whole_range) {
      least = be32(range.first.data() + i * 4);
      count = be32(range.last.data() + i * 4) - least + 1;
    }
    const auto scaled = static_cast<std::uint32_t>(std::uint64_t{hash} * count >> 32);
    put_be32(chosen.data() + i * 4, least + scaled);
    if (host_word(chosen, i) != host_word(range.last, i)) whole_range = true;
    if (!persistent) hash ^= host_word(tuple.destination, i);
  }
}

struct PortRange {
  std::uint32_t least = 0;
  std::uint32_t count = 0;
  std::uint32_t offset = 0;  // where a search begins
};

// Gives the tuple, of which `port` is a part, the range's first port that is free, from where the
// search begins and round. False: all are taken.
template <class IsTaken>
bool search_on(Tuple& tuple, std::array<std::uint8_t, 2>& port, PortRange range, const Frame& frame,
               IsTaken is_taken) {
  port = {};
  TakenPorts& taken = *frame.flow.others->taken_ports(tuple, frame.flow.zone, true);
  frame.flow.others->note_passed_over();
  const std::uint32_t begin = range.least + range.offset;
  const std::uint32_t end = range.least + range.count;
  const auto is_free_within = [&](std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t at = taken.first_other(from, to); at != to; at = taken.first_other(at, to)) {
      put_be16(port.data(), at);
      if (!is_taken(tuple)) return true;
      taken.add(at);
    }
    return false;
  };
  if (is_free_within(begin, end) || is_free_within(range.least, begin)) return true;
  put_be16(port.data(), begin);
  return false;
}

// Whether search_on() has been there.
bool was_searched(Tuple tuple, NatKind kind, const Flow& flow) {
  if (flow.others == nullptr) return false;
  port_of(tuple, kind) = {};
  return flow.others->taken_ports(tuple, flow.zone, false) != nullptr;
}

// nf_nat_l4proto_unique_tuple(), its first attempt. A random offset is taken as zero, and said.
template <class IsTaken>
void choose_port(Tuple& tuple, const NatRange& range, NatKind kind, Frame& frame,
                 IsTaken is_taken) {
  if (!has_ports(tuple.protocol) && !is_icmp(tuple.protocol)) return;
  std::array<std::uint8_t, 2>& port = port_of(tuple, kind);
  std::uint32_t least = 0;
  std::uint32_t count = 65536;
  if ((range.flags & kProtoSpecified) != 0) {
    least = std::min(range.first_port, range.last_port);
    count = std::max(range.first_port, range.last_port) - least + 1;
  } else if (!is_icmp(tuple.protocol)) {
    if (kind == NatKind::Destination) return;
    // "Loose convention: >> 512 is credential passing."
    const std::uint16_t now = be16(port.data());
    least = now < 512 ? 1 : now < 1024 ? 600 : 1024;
    count = (now < 512 ? 512 : now < 1024 ? 1024 : 65536) - least;
  }
  const bool random = (range.flags & kRandomAll) != 0 || kind != NatKind::Destination;
  std::uint32_t offset = 0;
  if (random && count > 1) {
    const std::uint16_t kept = be16(port.data());
    if (kept >= least && kept < least + count) offset = kept - least;
  }
  put_be16(port.data(), least + offset);
  // Where many were found taken before, these are not asked for one by one again.
  std::uint32_t tried = 0;
  const std::uint32_t most =
      was_searched(tuple, kind, frame.flow) ? 1 : std::min(count, kMostAttempts);
  while (tried < most && is_taken(tuple)) {
    ++tried;
    offset = (offset + 1) % count;
    put_be16(port.data(), least + offset);
  }
  bool is_free = tried < most;
  const bool goes_on = !is_free && most < count;
  if (goes_on) is_free = search_on(tuple, port, {least, count, offset}, frame, is_taken);
  if ((random || goes_on) && count > 1) {
    frame.conditions.push_back(
        {.about =
             fmt::format("the {} that NAT draws from {} to {}",
                         is_icmp(tuple.protocol) ? "identifier" : "port", least, least + count - 1),
         .is = is_free ? fmt::format("{}", be16(port.data())) : "one that is taken",
         .assumed = true});
  }
}

// find_appropriate_src(): what another flow from the same source has been translated to.
std::optional<Tuple> current_mapping(const Tuple& now, const NatRange& range, Frame& frame) {
  const Flow& flow = frame.flow;
  if (flow.others == nullptr) return std::nullopt;
  const auto mapping_of = [&](const FlowEntry& other) {
    Tuple mapped = invert(other.reply);
    mapped.destination = now.destination;
    mapped.destination_port = now.destination_port;
    return mapped;
  };
  const auto found = flow.others->last_from_source_of(
      now, flow.zone, [&](const FlowEntry& other) { return in_range(mapping_of(other), range); });
  if (!found.all_asked) {
    frame.conditions.push_back({.about = "what NAT has made of this source",
                                .is = "nothing that it may be now",
                                .assumed = true});
  }
  if (found.entry == nullptr) return std::nullopt;
  return mapping_of(*found.entry);
}

// get_unique_tuple().
Tuple chosen_tuple(const Tuple& now, const NatRange& range, NatKind kind, Frame& frame) {
  const bool random = (range.flags & kRandomAll) != 0;
  const auto is_taken = [&](const Tuple& tuple) {
    const Flow& flow = frame.flow;
    return flow.others != nullptr && flow.others->has(invert(tuple), flow.zone);
  };
  // 1)
  if (kind == NatKind::Source && !random) {
    if (!in_range(now, range)) {
      if (const auto mapped = current_mapping(now, range, frame); mapped && !is_taken(*mapped)) {
        return *mapped;
      }
    } else if (!is_taken(now)) {
      return now;
    }
  }
  // 2)
  Tuple chosen = now;
  choose_address(chosen, range, kind, frame.flow.zone);
  // 3)
  if (!random) {
    const bool single = range.first_port == range.last_port;
    if ((range.flags & kProtoSpecified) == 0) {
      if (!is_taken(chosen)) return chosen;
    } else if ((range.flags & kProtoOffset) == 0 && ports_fit(chosen, kind, range) &&
               (single || !is_taken(chosen))) {
      return chosen;
    }
  }
  choose_port(chosen, range, kind, frame, is_taken);
  return chosen;
}

// nf_nat_setup_info().
NatAnswer settle(const NatRange& range, NatKind kind, Frame& frame) {
  Flow& flow = frame.flow;
  if (flow.is_confirmed) return NatAnswer::Accept;
  const bool source = kind == NatKind::Source;
  const Tuple now = invert(flow.reply);
  const Tuple chosen = chosen_tuple(now, range, kind, frame);
  if (chosen != now) {
    flow.reply = invert(chosen);
    flow.status |= source ? flow_status::kSourceNat : flow_status::kDestinationNat;
  }
  flow.status |= source ? flow_status::kSourceNatDone : flow_status::kDestinationNatDone;
  return NatAnswer::Accept;
}

void load(RegisterBytes registers, ruleset::Register first, std::span<std::uint8_t> to) {
  std::copy_n(registers.begin() + std::ptrdiff_t{first} * 4, to.size(), to.begin());
}

template <class Expression>
void take_ports(const Expression& nat, RegisterBytes registers, NatRange& range) {
  if (!nat.port_min) return;
  std::array<std::uint8_t, 2> port{};
  load(registers, *nat.port_min, port);
  range.first_port = be16(port.data());
  load(registers, nat.port_max.value_or(*nat.port_min), port);
  range.last_port = be16(port.data());
}

// nft_nat_setup_netmap(): the prefix is replaced, the host's part of the address stays.
void map_network(NatRange& range, NatKind kind, const Frame& frame) {
  AddressBytes mapped{};
  const std::size_t size = frame.ipv6 ? 16 : 4;
  const std::size_t at = frame.ipv6
                             ? (kind == NatKind::Source ? ipv6::kSource : ipv6::kDestination)
                             : (kind == NatKind::Source ? ipv4::kSource : ipv4::kDestination);
  for (std::size_t i = 0; i < size; ++i) {
    const auto host_bits = static_cast<std::uint8_t>(range.first[i] ^ range.last[i]);
    mapped[i] = static_cast<std::uint8_t>((frame.bytes[at + i] & host_bits) |
                                          (range.first[i] & ~host_bits));
  }
  range.first = mapped;
  range.last = mapped;
}

AddressBytes padded(const net::Address& address) {
  AddressBytes bytes{};
  std::ranges::copy(net::to_bytes(address), bytes.begin());
  return bytes;
}

// Where the host does not say which address is on which device, what is behind a device tells: 0
// is the likeliest.
int likelihood(const ruleset::Host& host, std::string_view device, const net::Address& address) {
  bool is_behind_another = false;
  for (const ruleset::Interface& interface : host.interfaces) {
    if (!interface.behind.contains(address)) continue;
    if (interface.device == device) return 0;
    is_behind_another = true;
  }
  return is_behind_another ? 2 : 1;
}

// The scope of an IPv6 group (RFC 4291, 2.7); 0: it is none.
constexpr unsigned kNodeScope = 1;
constexpr unsigned kLinkScope = 2;
constexpr unsigned kSiteScope = 5;
unsigned group_scope(const net::Address& address) {
  const auto* ipv6 = std::get_if<net::Ipv6>(&address);
  const auto top = ipv6 == nullptr ? 0U : static_cast<unsigned>(ipv6->value >> 112);
  return top >> 8 == 0xff ? top & 0xf : 0;
}

bool is_site_local(const net::Address& address) {
  const auto* ipv6 = std::get_if<net::Ipv6>(&address);
  return ipv6 != nullptr && static_cast<unsigned>(ipv6->value >> 118) == 0xfec0U >> 6;
}

// ipv6_addr_scope(): of groups, too; 0 is what goes far. An address of ::/96 counts as one of a
// scope of its own, since IPV6_ADDR_COMPATv4 lies among the scopes' bits.
unsigned near_scope(const net::Address& address) {
  enum : unsigned { kNode = 0x10, kLink = 0x20, kSite = 0x40, kCompatible = 0x80 };
  const auto* ipv6 = std::get_if<net::Ipv6>(&address);
  if (ipv6 == nullptr) return 0;
  const unsigned group = group_scope(address);
  if (group == kNodeScope || net::is_loopback(address)) return kNode;
  if (group == kLinkScope || is_link_local(address)) return kLink;
  if (group == kSiteScope || is_site_local(address)) return kSite;
  const bool is_compatible = ipv6->value >> 32 == 0 && ipv6->value != 0;
  if (is_compatible) return kCompatible;
  return 0;
}

// The address of a device that translation takes: inet_select_addr() and ipv6_dev_get_saddr() for
// sources, which take another device's where this one has none, and none of the loopback's; to
// itself a host speaks IPv6 from the same address. Which one of several, the host's description
// does not say: each, as a condition.
enum class Found : std::uint8_t { Yes, DeviceHasNone, NotKnown };
Found address_on(std::string_view device, NatKind kind, Frame& frame, AddressBytes& address) {
  const Routes routes(*frame.host);
  std::vector<net::Address> all = routes.addresses_on(device, frame.ipv6);
  const net::Address to = destination_of(frame.bytes, frame.ipv6);
  if (const ruleset::Route* route = routes.find_local(to);
      frame.ipv6 && route != nullptr && kind == NatKind::Source &&
      route->type == ruleset::RouteType::Local && (!is_link_local(to) || route->device == device)) {
    address = padded(to);
    return Found::Yes;
  }
  const unsigned group = group_scope(to);
  // What goes to :: has no scope, and then the nearest is as good as any and comes first (Rule 2 of
  // ipv6_get_saddr_eval(); __IPV6_ADDR_SCOPE_INVALID).
  const bool to_nowhere = kind == NatKind::Source && to == net::Address(net::Ipv6{});
  const bool to_link =
      is_link_local(to) || group == kNodeScope || group == kLinkScope || to_nowhere;
  // The loopback's own address has a link's scope (__ipv6_addr_type()), the nearest of all there.
  if (frame.ipv6 && to_link && kind == NatKind::Source && device == kLoopbackDevice) {
    address = padded(net::Address(net::Ipv6{1}));
    return Found::Yes;
  }
  const auto of_scope = [&](const net::Address& a) { return is_link_local(a) == to_link; };
  // nf_nat_redirect_ipv6() takes any address for what goes far, ipv6_dev_get_saddr() for what does
  // not.
  const bool insists = to_link == (kind == NatKind::Destination);
  // Where it goes to one of these, it takes none but such (nf_nat_redirect_ipv6_usable()).
  const unsigned scope = kind == NatKind::Destination ? near_scope(to) : 0;
  if (scope != 0) {
    std::erase_if(all, [&](const net::Address& own) { return (near_scope(own) & scope) == 0; });
  } else if (std::ranges::any_of(all, of_scope) || insists) {
    std::erase_if(all, std::not_fn(of_scope));
  }
  if (kind == NatKind::Source) {
    std::erase_if(all, net::is_loopback);
    if (all.empty() && !to_link) {
      for (const ruleset::Interface& other : frame.host->interfaces) {
        for (const net::Address& found : routes.addresses_on(other.device, frame.ipv6)) {
          if (of_scope(found)) all.push_back(found);
        }
      }
    }
  }
  if (!routes.known()) {
    for (const net::Prefix& prefix : frame.host->addresses) {
      const bool single = prefix.length == net::address_bits(prefix.address);
      const bool is_new = std::ranges::find(all, prefix.address) == all.end();
      if (single && is_new && net::is_ipv4(prefix.address) != frame.ipv6)
        all.push_back(prefix.address);
    }
    if (all.empty()) return Found::NotKnown;
    std::ranges::stable_sort(
        all, {}, [&](const net::Address& own) { return likelihood(*frame.host, device, own); });
  }
  if (all.empty()) return routes.known() ? Found::DeviceHasNone : Found::NotKnown;
  const net::Address& taken = all[frame.choices->choose(all.size())];
  if (all.size() > 1 || !routes.known()) {
    frame.conditions.push_back({.about = fmt::format("the address of {}", device),
                                .is = net::format(taken),
                                .assumed = all.size() == 1});
  }
  address = padded(taken);
  return Found::Yes;
}

NatAnswer settle_on_device(std::string_view device, NatRange range, NatKind kind, Frame& frame) {
  switch (address_on(device, kind, frame, range.first)) {
    case Found::Yes:
      break;
    case Found::DeviceHasNone:
      return NatAnswer::Drop;
    case Found::NotKnown:
      frame.flow.why = "the address of the device is not known";
      return NatAnswer::Undecided;
  }
  range.last = range.first;
  range.flags |= kMapIps;
  return settle(range, kind, frame);
}

}  // namespace

NatKind kind_at(ruleset::Hook hook) {
  return hook == ruleset::Hook::Prerouting || hook == ruleset::Hook::Output ? NatKind::Destination
                                                                            : NatKind::Source;
}

bool is_settled(const Flow& flow, NatKind kind) {
  const std::uint32_t bit =
      kind == NatKind::Source ? flow_status::kSourceNatDone : flow_status::kDestinationNatDone;
  return (flow.status & bit) != 0;
}

void settle_without_nat(Frame& frame, NatKind kind) {
  NatRange range;
  range.flags = kMapIps;
  const Tuple now = invert(frame.flow.reply);
  range.first = kind == NatKind::Source ? now.source : now.destination;
  range.last = range.first;
  settle(range, kind, frame);
}

NatAnswer run_nat(const ruleset::Nat& nat, RegisterBytes registers, Frame& frame) {
  constexpr std::uint8_t kInet = 1;
  const std::uint8_t family = frame.ipv6 ? 10 : 2;
  if (nat.family != family && nat.family != kInet) return NatAnswer::Continue;
  NatRange range;
  range.flags = nat.flags;
  if (nat.address_min) {
    const std::size_t size = frame.ipv6 ? 16 : 4;
    load(registers, *nat.address_min, std::span(range.first).first(size));
    load(registers, nat.address_max.value_or(*nat.address_min), std::span(range.last).first(size));
    if ((nat.flags & kNetmap) != 0) map_network(range, nat.kind, frame);
  }
  take_ports(nat, registers, range);
  return settle(range, nat.kind, frame);
}

NatAnswer translate_to(NatRange range, NatKind kind, Frame& frame) {
  return settle(range, kind, frame);
}

NatAnswer map_prefix(NatRange range, NatKind kind, Frame& frame) {
  map_network(range, kind, frame);
  range.flags |= kMapIps;
  return settle(range, kind, frame);
}

// nf_nat_masquerade_ipv4(), nf_nat_masquerade_ipv6()
NatAnswer masquerade_with(NatRange range, Frame& frame) {
  const AddressBytes nobody{};
  if (!frame.ipv6 && frame.flow.tuple.source == nobody) return NatAnswer::Accept;
  return settle_on_device(frame.out_device, range, NatKind::Source, frame);
}

NatAnswer run_masquerade(const ruleset::Masquerade& nat, RegisterBytes registers, Frame& frame) {
  NatRange range;
  range.flags = nat.flags;
  take_ports(nat, registers, range);
  return masquerade_with(range, frame);
}

NatAnswer run_redirect(const ruleset::Redirect& nat, RegisterBytes registers, Frame& frame) {
  NatRange range;
  range.flags = nat.flags;
  take_ports(nat, registers, range);
  return redirect_with(range, frame);
}

// nf_nat_redirect_ipv4(), nf_nat_redirect_ipv6()
NatAnswer redirect_with(NatRange range, Frame& frame) {
  if (frame.hook != ruleset::Hook::Output) {
    return settle_on_device(frame.in_device, range, NatKind::Destination, frame);
  }
  range.first =
      padded(frame.ipv6 ? net::Address(net::Ipv6{1}) : net::Address(net::Ipv4{0x7f000001}));
  range.last = range.first;
  range.flags |= kMapIps;
  return settle(range, NatKind::Destination, frame);
}

}  // namespace rolewall::eval

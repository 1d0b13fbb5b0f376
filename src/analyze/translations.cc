// Translations: net/netfilter/nft_nat.c, nft_masq.c and nft_redir.c over nf_nat_core.c. A fixed
// address or port takes the old one's place in the environment; one that the kernel draws or looks
// up is free. A translation is asked once for each part of a connection, of its first packet: that
// is the hook's to know (way.cc).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analyze/rule_run.h"
#include "net/protocol.h"

namespace rolewall::analyze {
namespace {

using ruleset::NatKind;
namespace protocol = net::protocol;

constexpr std::uint32_t kRandom = 1 << 2 | 1 << 4;  // NF_NAT_RANGE_PROTO_RANDOM and _FULLY
constexpr std::uint32_t kNetmap = 1 << 6;
// What iptables' targets say beside: NF_NAT_RANGE_MAP_IPS, _PROTO_SPECIFIED, _PROTO_OFFSET.
constexpr std::uint32_t kAddresses = 1 << 0;
constexpr std::uint32_t kPorts = 1 << 1;
constexpr std::uint32_t kPortOffset = 1 << 5;

void set_status(Environment& environment, unsigned bit) {
  status_bit(environment, bit) = Bit::known(true);
}

bool all_known(BitSpan bits) {
  return std::ranges::all_of(bits, [](Bit bit) { return bit.is_known(); });
}

}  // namespace

std::optional<Bits> RuleRun::translated_port(std::optional<ruleset::Register> least,
                                             std::optional<ruleset::Register> most,
                                             std::uint32_t flags) {
  const auto drawn = [&] { return bits_of(free_here("the port", 16, FieldKind::NotModelled), 16); };
  if (!least) return (flags & kRandom) != 0 ? std::optional(drawn()) : std::nullopt;
  const BitSpan first = read(*least, 2);
  const BitSpan last = read(most.value_or(*least), 2);
  if (std::ranges::equal(first, last)) return Bits(first.begin(), first.end());
  return drawn();
}

Diagram RuleRun::translate(const Translation& translation) {
  const bool source = translation.kind == NatKind::Source;
  const bool ipv6 = is_ipv6();
  const Part address = source ? (ipv6 ? Part::Source6 : Part::Source4)
                              : (ipv6 ? Part::Destination6 : Part::Destination4);
  const Part port = source ? Part::Transport0 : Part::Transport2;
  Environment same = now();
  set_status(same, source ? kSourceNatDone : kDestinationNatDone);
  // `numbered`: where the packet's protocol has what the port is.
  const auto outcome = [&](std::optional<Part> numbered) {
    Environment changed = same;
    set_status(changed, source ? kSourceNat : kDestinationNat);
    Diagram is_same = kEverything;
    const auto change = [&](Part part, const Bits& to) {
      if (changed.part(part) == to) return;
      // A network's translation leaves the host's bits.
      Bits was = changed.part(part);
      Bits is = to;
      for (std::size_t i = 0; i < was.size(); ++i) {
        if (was[i] == is[i]) was[i] = is[i] = Bit();
      }
      std::optional<Diagram> equal;
      if (all_known(is)) equal = compare_.equal(was, *known(is));
      if (!equal)
        equal = choice(fmt::format("part {} is as it was", static_cast<int>(part)),
                       FieldKind::NotModelled);
      is_same = diagrams_.both(is_same, *equal);
      changed.part(part) = to;
    };
    if (translation.address) change(address, *translation.address);
    if (numbered && translation.port) {
      Bits to = changed.part(*numbered);  // an identifier is the first half
      std::ranges::copy(*translation.port, to.begin());
      change(*numbered, to);
    }
    auto& all = machine_.environments();
    return diagrams_.choose(is_same, decided(Fate::Accept, all.intern(same)),
                            decided(Fate::Accept, all.intern(changed)));
  };
  if (!translation.port) return outcome(std::nullopt);
  const auto of = [&](std::uint8_t number) { return space_.is(Part::Protocol, number); };
  const Diagram ports =
      diagrams_.either(diagrams_.either(of(protocol::kTcp), of(protocol::kUdp)),
                       diagrams_.either(of(protocol::kSctp), of(protocol::kUdpLite)));
  // nf_nat_l4proto_unique_tuple(): queries have one identifier for both ends; of ICMPv6
  // icmpv6_manip_pkt() writes an echo's alone.
  const Diagram queries =
      ipv6 ? diagrams_.both(of(protocol::kIcmpv6),
                            compare_
                                .equal(BitSpan(now().part(Part::Transport0)).first(8),
                                       std::array<std::uint8_t, 1>{128})
                                .value_or(choice("it is an echo", FieldKind::NotModelled)))
           : of(protocol::kIcmp);
  return diagrams_.choose(
      ports, outcome(port),
      diagrams_.choose(queries, outcome(Part::Transport4), outcome(std::nullopt)));
}

Bits RuleRun::mapped_address(NatKind kind, BitSpan first, BitSpan last) {
  const bool ipv6 = is_ipv6();
  const Part part = kind == NatKind::Source ? (ipv6 ? Part::Source6 : Part::Source4)
                                            : (ipv6 ? Part::Destination6 : Part::Destination4);
  Bits mapped = now().part(part);
  for (std::size_t i = 0; i < mapped.size(); ++i) {
    if (first[i] == last[i]) mapped[i] = first[i];
  }
  return mapped;
}

RuleRun::Step RuleRun::run_nat(const ruleset::Nat& nat) {
  constexpr std::uint8_t kInet = 1;
  if (auto parted = part_families()) return *std::move(parted);
  const bool ipv6 = is_ipv6();
  if (nat.family != kInet && nat.family != (ipv6 ? family::kIpv6 : family::kIpv4)) return Goes{};
  Translation translation{.kind = nat.kind, .address = {}, .port = {}};
  if (nat.address_min) {
    const std::size_t size = ipv6 ? 16 : 4;
    const BitSpan first = read(*nat.address_min, size);
    const BitSpan last = read(nat.address_max.value_or(*nat.address_min), size);
    if (std::ranges::equal(first, last)) {
      translation.address = Bits(first.begin(), first.end());
    } else if ((nat.flags & kNetmap) != 0 && all_known(first) && all_known(last)) {
      translation.address = mapped_address(nat.kind, first, last);  // nft_nat_setup_netmap()
    } else {
      translation.address = free_bits_here("the address that it is given", size * 8);
    }
  }
  translation.port = translated_port(nat.port_min, nat.port_max, nat.flags);
  return Ends{translate(translation)};
}

Bits RuleRun::address_it_leaves_by() {
  const std::string by = machine_.as_changed(environment_, Machine::FoundFrom::Routing);
  return space_.free_bits("the address of the device that it leaves by" + by, is_ipv6() ? 128 : 32,
                          FieldKind::NotModelled);
}

RuleRun::Step RuleRun::run_masquerade(const ruleset::Masquerade& nat) {
  if (auto parted = part_families()) return *std::move(parted);
  Translation translation{.kind = NatKind::Source, .address = {}, .port = {}};
  translation.address = address_it_leaves_by();
  translation.port = translated_port(nat.port_min, nat.port_max, nat.flags);
  return Ends{translate(translation)};
}

// nf_nat_redirect_ipv4() and _ipv6() of nf_nat_redirect.c, to this host: on the way out to the
// loopback, else to the first address of the device that it came by, which is one of the host's
// own. Which one that is, is no part of a host's description: but it is one for all rules.
RuleRun::Step RuleRun::run_redirect(const ruleset::Redirect& nat) {
  if (auto parted = part_families()) return *std::move(parted);
  return redirect_to(translated_port(nat.port_min, nat.port_max, nat.flags));
}

RuleRun::Step RuleRun::redirect_to(std::optional<Bits> port) {
  const bool ipv6 = is_ipv6();
  Translation translation{.kind = NatKind::Destination, .address = {}, .port = std::move(port)};
  std::vector<net::Address> own;
  if (frame_.hook == ruleset::Hook::Output) {
    own.push_back(ipv6 ? net::Address(net::Ipv6{1}) : net::Address(net::Ipv4{0x7f000001}));
  } else {
    for (const net::Prefix& prefix : machine_.host().addresses) {
      const bool single = prefix.length == net::address_bits(prefix.address);
      if (single && net::is_ipv4(prefix.address) != ipv6) own.push_back(prefix.address);
    }
  }
  if (own.empty()) return run_unsupported({.name = "redirect", .reason = "to no known address"});
  const auto to = [&](const net::Address& address) {
    translation.address = bits_of(net::to_bytes(address));
    return translate(translation);
  };
  Diagram all = to(own.back());
  if (own.size() == 1) return Ends{all};
  const FieldId first = space_.first_address(own);
  for (std::size_t i = 0; i + 1 < own.size(); ++i) {
    all = diagrams_.choose(diagrams_.where(first, i, i), to(own[i]), all);
  }
  return Ends{all};
}

// iptables' SNAT, DNAT, MASQUERADE, REDIRECT and NETMAP (xt_nat.c, xt_MASQUERADE.c, xt_REDIRECT.c,
// xt_NETMAP.c), over the same functions.
RuleRun::Step RuleRun::run_xt_nat(const ruleset::XtNat& nat) {
  using Kind = ruleset::XtNat::Kind;
  if ((nat.flags & kPortOffset) != 0) {
    return run_unsupported({.name = "iptables' distance of ports", .reason = "it is not modelled"});
  }
  if (auto parted = part_families()) return *std::move(parted);
  const std::size_t size = is_ipv6() ? 16 : 4;
  const auto port = [&]() -> std::optional<Bits> {
    const bool given = (nat.flags & kPorts) != 0;
    if (!given && (nat.flags & kRandom) == 0) return std::nullopt;
    if (given && nat.first_port == nat.last_port) {
      return bits_of(std::array{static_cast<std::uint8_t>(nat.first_port >> 8),
                                static_cast<std::uint8_t>(nat.first_port)});
    }
    return bits_of(free_here("the port", 16, FieldKind::NotModelled), 16);
  };
  if (nat.kind == Kind::Redirect) return redirect_to(port());
  // netmap_tg4(): on the way in the destination's network, on the way out the source's.
  const bool comes_in =
      frame_.hook == ruleset::Hook::Prerouting || frame_.hook == ruleset::Hook::Output;
  const bool of_destination = nat.kind == Kind::Netmap ? comes_in : nat.kind == Kind::Destination;
  Translation translation{.kind = of_destination ? NatKind::Destination : NatKind::Source,
                          .address = {},
                          .port = port()};
  if (nat.kind == Kind::Masquerade) {
    translation.address = address_it_leaves_by();
  } else if (nat.kind == Kind::Netmap) {
    translation.address =
        mapped_address(translation.kind, bits_of(std::span(nat.first).first(size)),
                       bits_of(std::span(nat.last).first(size)));
  } else if ((nat.flags & kAddresses) != 0) {
    const std::span first(nat.first.begin(), size);
    const std::span last(nat.last.begin(), size);
    translation.address = std::ranges::equal(first, last)
                              ? bits_of(first)
                              : free_bits_here("the address that it is given", size * 8);
  }
  return Ends{translate(translation)};
}

}  // namespace rolewall::analyze

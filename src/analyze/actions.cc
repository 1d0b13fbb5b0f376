// What rules change of the packet and of what travels beside it, and where they send it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "analyze/header_bits.h"
#include "analyze/rule_run.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "net/protocol.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"

namespace rolewall::analyze {

using ruleset::CtKey;
using ruleset::MetaKey;

namespace {

bool is_address_part(Part part) {
  return part == Part::Source4 || part == Part::Destination4 || part == Part::Source6 ||
         part == Part::Destination6;
}

}  // namespace

Diagram RuleRun::rest_for(Diagram packets, Environment environment) {
  if (!may_be(packets)) return next();
  RuleRun rest = *this;
  rest.come_ = diagrams_.both(come_, packets);
  rest.environment_ = machine_.environments().intern(std::move(environment));
  return diagrams_.choose(packets, rest.from(expression_ + 1), next());
}

RuleRun::Step RuleRun::run_meta_set(const ruleset::MetaSet& set) {
  Environment changed = now();
  const auto take = [&](Part part, std::size_t bytes) {
    const BitSpan bits = read(set.source, bytes);
    changed.part(part).assign(bits.begin(), bits.end());
  };
  if (set.key == MetaKey::Mark) {
    take(Part::Mark, 4);
  } else if (set.key == MetaKey::Priority) {
    take(Part::Priority, 4);
  } else if (set.key == MetaKey::PktType) {
    // skb_pkt_type_ok(): up to PACKET_OTHERHOST.
    const auto type = known(read(set.source, 1));
    if (!type) return run_unsupported({.name = "meta pkttype set", .reason = "not a fixed type"});
    if (type->front() > 3) return Goes{};
    take(Part::Type, 1);
  } else if (set.key == MetaKey::NfTrace || set.key == MetaKey::SecMark) {
    return Goes{};
  } else {
    return run_unsupported({.name = "meta set", .reason = "a key that cannot be set"});
  }
  return Changes{std::move(changed)};
}

// 0 is the zone of whom no rule chooses one for.
std::uint32_t RuleRun::zone_of(BitSpan zone) {
  if (std::ranges::all_of(zone, [](Bit bit) { return bit == Bit(); })) return 0;
  return machine_.lefts().longer(0, {.where = "the zone", .bits = codes_of(zone)});
}

RuleRun::Step RuleRun::run_ct_set(const ruleset::CtSet& set) {
  Environment changed = now();
  if (set.key == CtKey::Zone) {
    if (changed.tracked == Tracked::Yes || changed.tracked == Tracked::InZone) return Goes{};
    if (set.direction) return run_unsupported({.name = "ct zone set", .reason = "one direction"});
    changed.tracked = Tracked::InZone;
    changed.zone = zone_of(read(set.source, 2));
    return Changes{std::move(changed)};
  }
  // Without an entry there is nothing to set; what was set then is read by nobody.
  if (changed.tracked != Tracked::Yes) return Goes{};
  if (set.key == CtKey::Mark) {
    const BitSpan bits = read(set.source, 4);
    for (const Part part : {Part::CtMark, Part::KnownMark}) {
      changed.part(part).assign(bits.begin(), bits.end());
    }
  } else if (set.key == CtKey::Labels) {
    // nf_connlabels_replace(), with the labels as their own mask: those that are there stay.
    const BitSpan added = read(set.source, 16);
    for (const Part part : {Part::CtLabels, Part::KnownLabels}) {
      for (std::size_t i = 0; i < added.size(); ++i) {
        Bit& bit = changed.part(part)[i];
        if (added[i] == Bit::known(true) || bit == Bit()) {
          bit = added[i];
        } else if (added[i] != Bit() && added[i] != bit && bit != Bit::known(true)) {
          bit = free_bit_here(fmt::format("label {} of part {}", i, static_cast<int>(part)));
        }
      }
    }
  } else if (set.key == CtKey::SecMark || set.key == CtKey::EventMask) {
    return Goes{};
  } else {
    return run_unsupported({.name = "ct set", .reason = "a key that cannot be set"});
  }
  return Changes{std::move(changed)};
}

RuleRun::Step RuleRun::run_payload_write(const ruleset::PayloadWrite& write) {
  if (write.base == ruleset::PayloadBase::Link || write.base == ruleset::PayloadBase::Inner) {
    return run_unsupported({.name = "payload set", .reason = "into another header"});
  }
  if (auto parted = part_families()) return *std::move(parted);
  const bool ipv6 = is_ipv6();
  const std::uint32_t base =
      write.base == ruleset::PayloadBase::Transport ? ip_header_size(ipv6) : 0;
  const std::uint32_t start = base + write.offset;
  Environment changed = now();
  const BitSpan bits = read(write.source, write.length);
  const bool mends = write.base == ruleset::PayloadBase::Transport &&
                     write.checksum == ruleset::ChecksumKind::Inet;
  bool is_derived = false;
  for (std::uint32_t i = 0; i < write.length * 8; ++i) {
    const HeaderBit bit = header_bit(ipv6, start * 8 + i);
    const bool is_shape = bit.kind == HeaderBit::Kind::Known ||
                          (bit.kind == HeaderBit::Kind::OfPart &&
                           (bit.part == Part::Protocol || bit.part == Part::Length));
    const bool stays = bit.kind == HeaderBit::Kind::Known
                           ? bits[i] == Bit::known(bit.is_set)
                           : is_shape && bits[i] == changed.part(bit.part)[bit.bit];
    if (stays) continue;  // nft writes what stands beside a field, too
    // Another packet altogether: its headers are to be found anew.
    if (is_shape)
      return run_unsupported({.name = "payload set", .reason = "what shapes the packet"});
    const bool is_address = bit.kind == HeaderBit::Kind::OfPart && is_address_part(bit.part);
    if (is_address && !write.pseudo_header) changed.checksum_in_doubt = true;
    if (start + i / 8 >= ip_header_size(ipv6) && !mends) changed.checksum_in_doubt = true;
    if (bit.kind == HeaderBit::Kind::OfPart) {
      changed.part(bit.part)[bit.bit] = bits[i];
    } else {
      is_derived = true;
    }
  }
  if (is_derived) {
    const Left left{.where = "header bytes",
                    .is_header = true,
                    .how = fmt::format("bytes {}+{} of IPv{}", start, write.length, ipv6 ? 6 : 4),
                    .bits = codes_of(bits)};
    changed.headers = machine_.lefts().longer(changed.headers, left);
  }
  std::uint32_t end = start + write.length;
  if (write.checksum == ruleset::ChecksumKind::Inet) {
    end = std::max(end, base + write.checksum_offset + 2);
  }
  return Ends{rest_for(space_.has_length(end), std::move(changed))};
}

RuleRun::Step RuleRun::run_log(const Places::Told& told) {
  Shared* shared = machine_.shared();
  if (shared == nullptr || !shared->notes_logs) return Goes{};
  Environment changed = now();
  changed.logged = shared->places.logged(changed.logged, told);
  return Changes{std::move(changed)};
}

// A copy goes its own way, and tells somebody of the packet as a line of the log does.
RuleRun::Step RuleRun::run_dup(const ruleset::Dup& dup) {
  Left copy{.where = "a copy"};
  const bool ipv6 = machine_.ruleset().tables[frame_.table].family == ruleset::Family::Ip6;
  if (dup.address) copy.bits = codes_of(read(*dup.address, ipv6 ? 16 : 4));
  if (dup.device) std::ranges::copy(codes_of(read(*dup.device, 4)), std::back_inserter(copy.bits));
  return run_log(copy);
}

// nft_reject_icmp_code() and nft_reject_icmpv6_code().
RuleRun::Step RuleRun::run_reject(const ruleset::Reject& reject) {
  if (reject.type == ruleset::RejectType::TcpReset) return rejected("a reset");
  if (machine_.shared() == nullptr) return rejected("");
  if (auto parted = part_families()) return *std::move(parted);
  constexpr std::array<std::uint8_t, 4> kIcmp{0, 3, 1, 13};
  constexpr std::array<std::uint8_t, 4> kIcmpv6{0, 4, 3, 1};
  const bool of_both = reject.type == ruleset::RejectType::IcmpxUnreachable;
  const bool ipv6 = is_ipv6();
  const std::size_t at = reject.code < kIcmp.size() ? reject.code : 1;
  const std::uint8_t code = !of_both ? reject.code : ipv6 ? kIcmpv6[at] : kIcmp[at];
  return rejected(fmt::format("unreachable, code {}", code));
}

// What the sender is told.
RuleRun::Step RuleRun::rejected(std::string answer) {
  if (machine_.shared() == nullptr) return Ends{decided(Fate::Reject)};
  Environment changed = now();
  changed.headers = machine_.lefts().longer(
      0, {.where = "the answer", .is_header = true, .how = std::move(answer)});
  return Ends{decided(Fate::Reject, machine_.environments().intern(std::move(changed)))};
}

Environment RuleRun::leaving(const Left& left, bool writes) const {
  Environment changed = now();
  Lefts& lefts = machine_.lefts();
  if (left.is_header) {
    changed.headers = lefts.longer(changed.headers, left);
    return changed;
  }
  const Shared* shared = machine_.shared();
  if (shared == nullptr || !shared->notes_logs || shared->remembered == nullptr) return changed;
  const ruleset::Table& table = machine_.ruleset().tables[frame_.table];
  if (shared->remembered->is_shared(table, left.where) &&
      (writes || lefts.has(changed.left, left.where))) {
    changed.left = lefts.longer(changed.left, left);
  }
  return changed;
}

std::string RuleRun::own_writes(const std::string& where) const {
  const bool writes = machine_.lefts().has(now().left, where);
  return writes ? fmt::format(" after what this packet wrote ({})", now().left) : std::string();
}

RuleRun::Step RuleRun::leave(const Left& left, Diagram holds, bool writes) {
  Environment changed = leaving(left, writes);
  if (changed == now()) return Tests{holds};
  RuleRun rest = *this;
  rest.environment_ = machine_.environments().intern(std::move(changed));
  const Diagram breaks = rest.next();
  if (!may_be(holds)) return Ends{breaks};
  rest.come_ = diagrams_.both(come_, holds);
  return Ends{diagrams_.choose(holds, rest.from(expression_ + 1), breaks)};
}

RuleRun::Step RuleRun::run_notrack() {
  if (now().tracked != Tracked::NotYet) return Goes{};
  Environment changed = now();
  changed.tracked = Tracked::Never;
  return Changes{std::move(changed)};
}

RuleRun::Step RuleRun::run_tproxy(const ruleset::Tproxy& tproxy) {
  const Diagram ports = diagrams_.either(space_.is(Part::Protocol, net::protocol::kTcp),
                                         space_.is(Part::Protocol, net::protocol::kUdp));
  Diagram fits = ports;
  if (tproxy.family == family::kIpv4) fits = diagrams_.both(fits, space_.is_ipv4());
  if (tproxy.family == family::kIpv6) fits = diagrams_.both(fits, space_.is_ipv6());
  if (machine_.host().has_transparent_sockets == false) fits = kNothing;
  if (!may_be(fits)) return Tests{kNothing};
  // Which program it is given to.
  Left socket{.where = "the transparent socket", .is_header = true};
  if (tproxy.address) {
    socket.bits = codes_of(read(*tproxy.address, tproxy.family == family::kIpv6 ? 16 : 4));
  }
  if (tproxy.port) {
    socket.how = fmt::format("port {}", fmt::join(codes_of(read(*tproxy.port, 2)), " "));
  }
  Environment changed = now();
  changed.has_socket = true;
  changed.headers = machine_.lefts().longer(changed.headers, socket);
  return Ends{
      rest_for(diagrams_.both(fits, choice("a transparent socket takes it", FieldKind::Choice,
                                           by_packet(Machine::FoundFrom::Headers))),
               std::move(changed))};
}

// It answers SYNs itself, and takes or drops what answers that.
RuleRun::Step RuleRun::run_synproxy(const ruleset::Synproxy& synproxy) {
  const Diagram tcp = space_.is(Part::Protocol, net::protocol::kTcp);
  if (!may_be(tcp)) return Tests{kNothing};
  const Left options{.where = "the connection", .is_header = true, .object = synproxy};
  const Diagram goes_on = rest_for(tcp, leaving(options));
  const Diagram denied = diagrams_.choose(choice("the SYN proxy takes it", FieldKind::NotModelled),
                                          decided(Fate::Stack), decided(Fate::Drop));
  const Diagram proxied =
      diagrams_.choose(choice("the SYN proxy lets it on", FieldKind::NotModelled), goes_on, denied);
  return Ends{diagrams_.choose(tcp, proxied, next())};
}

RuleRun::Step RuleRun::run_object(std::uint32_t type, std::string_view name) {
  const ruleset::Object* object = machine_.names(frame_.table).object(type, name);
  if (object == nullptr) return run_unsupported({.name = "objref", .reason = "no such object"});
  const auto is_used = [&](Diagram passes) {
    return leave({.where = remembered_by(ruleset::ObjectRef{type, std::string(name)}).front()},
                 passes);
  };
  // What the packet's connection is given from here on.
  const auto is_given = [&](Diagram passes) {
    return leave({.where = "the connection",
                  .is_header = true,
                  .object = ruleset::configuration(*object).body},
                 passes);
  };
  return visit_closed(
      Overloaded{
          [](const ruleset::Counter&) -> Step { return Goes{}; },
          [&](const ruleset::Quota& quota) {
            return is_used(counted("quota", passes_unspent(quota)));
          },
          [&](const ruleset::Limit& limit) {
            return is_used(counted("limit", passes_unspent(limit)));
          },
          [&](const ruleset::Connlimit& limit) {
            return is_used(counted("ct count", passes_unspent(limit)));
          },
          [&](const ruleset::CtHelper&) { return is_given(kEverything); },
          [&](const ruleset::CtTimeout&) { return is_given(kEverything); },
          [&](const ruleset::CtExpectation&) {
            return is_given(choice("there is room for what is expected", FieldKind::NotModelled));
          },
          [&](const ruleset::Secmark&) { return is_given(kEverything); },
          [&](const ruleset::Synproxy& synproxy) { return run_synproxy(synproxy); },
          [&](const ruleset::Unsupported& unsupported) -> Step {
            return run_unsupported(unsupported);
          },
      },
      object->body);
}

Environment RuleRun::unknown_environment(const std::string& by) const {
  Environment changed = now();
  for (std::size_t i = 0; i < kPartCount; ++i) {
    const auto part = static_cast<Part>(i);
    // What the packet is, and the devices, stay: its headers are found by them.
    if (part == Part::Family || part == Part::InDevice || part == Part::OutDevice ||
        part == Part::Protocol || part == Part::Length) {
      continue;
    }
    changed.parts[i] = space_.free_bits(fmt::format("part {} after {}", i, by),
                                        changed.parts[i].size(), FieldKind::NotModelled);
  }
  return changed;
}

// It may do anything.
RuleRun::Step RuleRun::run_unsupported(const ruleset::Unsupported& unsupported) {
  const auto may = [&](std::string_view what) {
    return choice(fmt::format("{} {}", unsupported.name, what), FieldKind::NotModelled);
  };
  RuleRun rest = *this;
  const Environment unknown = unknown_environment(
      fmt::format("{}, way {} rule {}{}", unsupported.name, frame_.calls,
                  machine_.place(frame_, rule_), by_packet(Machine::FoundFrom::All)));
  const EnvironmentId after = machine_.environments().intern(unknown);
  rest.environment_ = after;
  const Bits registers = space_.free_bits(
      fmt::format("registers after {}, way {} rule {}{}", unsupported.name, frame_.calls,
                  machine_.place(frame_, rule_), by_packet(Machine::FoundFrom::All)),
      registers_.size(), FieldKind::NotModelled);
  std::ranges::copy(registers, rest.registers_.begin());
  Diagram all = rest.from(expression_ + 1);
  all = diagrams_.choose(may("breaks"), machine_.outcome({Outcome::Kind::Next, {}, after}), all);
  all = diagrams_.choose(may("returns"), machine_.outcome({Outcome::Kind::Return, {}, after}), all);
  all = diagrams_.choose(may("accepts"), decided(Fate::Accept, after), all);
  all = diagrams_.choose(may("rejects"), decided(Fate::Reject), all);
  all = diagrams_.choose(may("drops"), decided(Fate::Drop), all);
  return Ends{all};
}

}  // namespace rolewall::analyze

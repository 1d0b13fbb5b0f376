#include "aims.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "breakage.h"
#include "eval/wire.h"
#include "net/protocol.h"
#include "ruleset/expr.h"

namespace rolewall::kernel_judge {
namespace {

using namespace ruleset;
using ByteSpan = std::span<const std::uint8_t>;

constexpr std::uint8_t kIpv4 = 2;  // NFPROTO_*
constexpr std::uint8_t kIpv6 = 10;
constexpr std::uint32_t kMostLength = 9000;
constexpr std::size_t kMacSize = 6;
constexpr std::size_t kEtherSource = 6;
constexpr std::size_t kEtherHeader = 14;

// Bytes of a header, of which some bits are asked for.
struct Wanted {
  std::array<std::uint8_t, 64> value{};
  std::array<std::uint8_t, 64> mask{};

  void put(std::size_t offset, ByteSpan bytes, ByteSpan bits) {
    for (std::size_t i = 0; i < bytes.size() && offset + i < value.size(); ++i) {
      const std::uint8_t bit = i < bits.size() ? bits[i] : 0xff;
      value[offset + i] = static_cast<std::uint8_t>((value[offset + i] & ~bit) | (bytes[i] & bit));
      mask[offset + i] |= bit;
    }
  }
  bool has(std::size_t offset, std::size_t length = 1) const {
    return std::any_of(mask.begin() + static_cast<std::ptrdiff_t>(offset),
                       mask.begin() + static_cast<std::ptrdiff_t>(offset + length),
                       [](std::uint8_t bits) { return bits != 0; });
  }
  void overlay(std::span<std::uint8_t> bytes) const {
    for (std::size_t i = 0; i < std::min(bytes.size(), value.size()); ++i) {
      bytes[i] = static_cast<std::uint8_t>((bytes[i] & ~mask[i]) | value[i]);
    }
  }
};

std::string name_in(ByteSpan bytes) {
  return {bytes.begin(), std::ranges::find(bytes, std::uint8_t{0})};
}

// What a register holds.
struct Load {
  std::variant<std::monostate, Payload, Meta> from;
  Value mask;
};

class Drafter {
 public:
  Drafter(const Ruleset& ruleset, const Host& host, const Boundaries& boundaries, Random& random)
      : ruleset_(ruleset), host_(host), boundaries_(boundaries), random_(random) {}

  Question draft(const Aim& aim) {
    const Table& table = ruleset_.tables[aim.table];
    if (table.family == Family::Ip) family_ = kIpv4;
    if (table.family == Family::Ip6) family_ = kIpv6;
    for (std::size_t i = 0; i < aim.steps.size(); ++i) {
      const Chain& chain = table.chains[aim.steps[i].chain];
      const std::string_view towards =
          i + 1 < aim.steps.size() ? std::string_view(table.chains[aim.steps[i + 1].chain].name)
                                   : std::string_view();
      rule(table, chain.rules[aim.steps[i].rule], towards);
    }
    return question(aim.hook);
  }

 private:
  // --- what the rules ask for ---

  void rule(const Table& table, const Rule& rule, std::string_view towards) {
    std::map<Register, Load> loads;
    for (const Expr& expr : rule.exprs) {
      if (const auto* payload = std::get_if<Payload>(&expr)) {
        loads[payload->destination] = {*payload, {}};
      } else if (const auto* meta = std::get_if<Meta>(&expr)) {
        loads[meta->destination] = {*meta, {}};
      } else if (const auto* bits = std::get_if<BitwiseMask>(&expr)) {
        loads[bits->destination] = {loads[bits->source].from, bits->mask};
      } else if (const auto* cmp = std::get_if<Cmp>(&expr)) {
        compared(loads[cmp->source], *cmp);
      } else if (const auto* range = std::get_if<Range>(&expr)) {
        const Value& value = random_.percent(50) ? range->from : range->to;
        if (!range->negated) want(loads[range->source], {value.begin(), value.end()});
      } else if (const auto* lookup = std::get_if<Lookup>(&expr)) {
        const Set* set = find_set(table, lookup->set);
        if (set != nullptr && !lookup->inverted) member(*set, lookup->source, towards, loads);
      }
    }
  }

  void compared(const Load& load, const Cmp& cmp) {
    Value value = cmp.value;
    const auto step = [&](bool up) {
      for (std::size_t i = value.size; i-- > 0;) {
        value.bytes[i] = static_cast<std::uint8_t>(value.bytes[i] + (up ? 1 : -1));
        if (value.bytes[i] != (up ? 0x00 : 0xff)) return;
      }
    };
    switch (cmp.op) {
      case CmpOp::Eq:
      case CmpOp::Lte:
      case CmpOp::Gte:
        break;
      case CmpOp::Neq:
        if (load.mask.size == 0) return;  // what falls by itself is seldom equal
        for (std::size_t i = 0; i < value.size; ++i) value.bytes[i] ^= load.mask.bytes[i];
        break;
      case CmpOp::Lt:
        step(false);
        break;
      case CmpOp::Gt:
        step(true);
        break;
    }
    want(load, {value.begin(), value.end()});
  }

  void member(const Set& set, Register from, std::string_view towards,
              std::map<Register, Load>& loads) {
    const std::size_t count = set.elements.count();
    if (count == 0) return;
    std::size_t chosen = random_.below(count);
    for (std::size_t i = 0; !towards.empty() && i < set.elements.verdicts.size(); ++i) {
      const std::size_t at = (chosen + i) % set.elements.verdicts.size();
      if (set.elements.verdicts[at].chain != towards) continue;
      chosen = at;
      break;
    }
    const ByteSpan key =
        random_.percent(50) ? set.elements.key(chosen) : set.elements.key_end(chosen);
    std::size_t at = 0;
    for (const KeyField& field : set.key) {
      if (at + field.size > key.size()) break;
      want(loads[static_cast<Register>(from + at / 4)], key.subspan(at, field.size));
      at += std::size_t{4} * ((field.size + 3) / 4);
    }
  }

  void want(const Load& load, ByteSpan bytes) {
    if (const auto* payload = std::get_if<Payload>(&load.from)) {
      const ByteSpan bits{load.mask.begin(), load.mask.end()};
      switch (payload->base) {
        case PayloadBase::Network:
          network_.put(payload->offset, bytes, bits);
          break;
        case PayloadBase::Transport:
          transport_.put(payload->offset, bytes, bits);
          break;
        case PayloadBase::Link:
          link_.put(payload->offset, bytes, bits);
          break;
        case PayloadBase::Inner:
          break;
      }
    } else if (const auto* meta = std::get_if<Meta>(&load.from)) {
      want(meta->key, bytes);
    }
  }

  void want(MetaKey key, ByteSpan bytes) {
    const auto number = [&] {
      std::uint32_t value = 0;
      std::memcpy(&value, bytes.data(), std::min<std::size_t>(bytes.size(), 4));
      return value;
    };
    // Only these can be given to a packet.
    if (bytes.empty()) return;
    if (key == MetaKey::NfProto) family_ = bytes[0];
    if (key == MetaKey::L4Proto) protocol_ = bytes[0];
    if (key == MetaKey::Protocol && bytes.size() == 2) {
      family_ = eval::be16(bytes.data()) == eval::kEtherTypeIpv6 ? kIpv6 : kIpv4;
    }
    if (key == MetaKey::IifName) in_ = name_in(bytes);
    if (key == MetaKey::OifName) out_ = name_in(bytes);
    if (key == MetaKey::Iif) in_ = device_at(number());
    if (key == MetaKey::Oif) out_ = device_at(number());
    if (key == MetaKey::Length) length_ = std::min(number(), kMostLength);
    if (key == MetaKey::SkUid) user_ = number();
    if (key == MetaKey::PktType && bytes[0] <= 3) type_ = static_cast<eval::PacketType>(bytes[0]);
  }

  std::string device_at(std::uint32_t index) const {
    if (index == 1) return "lo";
    const auto found = std::ranges::find(host_.interfaces, index, &Interface::index);
    return found == host_.interfaces.end() ? "" : found->device;
  }

  // --- the packet ---

  // The device that the name, or the beginning of one, means; else any.
  std::string device(const std::string& wanted) const {
    for (const Interface& interface : host_.interfaces) {
      if (!wanted.empty() && interface.device.starts_with(wanted)) return interface.device;
    }
    return wanted == "lo" ? wanted : random_.of(host_.interfaces).device;
  }

  net::Address own(bool ipv4) const {
    std::vector<net::Address> all;
    for (const net::Prefix& prefix : host_.addresses) {
      if (net::is_ipv4(prefix.address) == ipv4) all.push_back(prefix.address);
    }
    return all.empty() ? remote(ipv4) : random_.of(all);
  }
  net::Address remote(bool ipv4) const {
    const auto& known = ipv4 ? boundaries_.ipv4 : boundaries_.ipv6;
    if (!known.empty() && random_.percent(50)) return random_.of(known);
    if (ipv4) return net::Ipv4{0xcb007100U | random_.below(256)};  // 203.0.113.0/24
    return net::Ipv6{net::Uint128{0x20010db800770000} << 64 | random_.below(65536)};
  }
  // One that is routed by the device, where any is.
  net::Address beyond(const std::string& name, bool ipv4) const {
    for (const Interface& interface : host_.interfaces) {
      if (interface.device != name) continue;
      const auto prefixes =
          ipv4 ? net::to_prefixes(interface.behind.ipv4) : net::to_prefixes(interface.behind.ipv6);
      if (!prefixes.empty()) return net::last(random_.of(prefixes));
    }
    return remote(ipv4);
  }

  net::Address address(std::size_t offset, net::Address otherwise) const {
    auto bytes = net::to_bytes(otherwise);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const std::uint8_t mask = network_.mask[offset + i];
      bytes[i] = static_cast<std::uint8_t>((bytes[i] & ~mask) | network_.value[offset + i]);
    }
    if (bytes.size() == 4) return net::ipv4_from_bytes(bytes.data());
    return net::ipv6_from_bytes(bytes.data());
  }

  bool is_ipv4() const {
    if (family_ == kIpv4 || family_ == kIpv6) return family_ == kIpv4;
    if (protocol_ == net::protocol::kIcmp) return true;
    if (protocol_ == net::protocol::kIcmpv6) return false;
    return random_.percent(50);
  }

  Question question(Hook hook) {
    const bool ipv4 = is_ipv4();
    const bool outbound =
        hook == Hook::Output || (hook == Hook::Postrouting && (user_ || random_.percent(50)));
    const bool through = hook == Hook::Forward || (hook == Hook::Postrouting && !outbound) ||
                         (hook == Hook::Prerouting && random_.percent(30));
    Known known;
    known.outbound = outbound;
    known.user = user_;
    known.device = device(outbound ? out_ : in_);
    eval::PacketFields& fields = known.fields;
    const std::string out = device(out_);
    fields.source = address(ipv4 ? eval::ipv4::kSource : eval::ipv6::kSource,
                            outbound ? own(ipv4) : remote(ipv4));
    fields.destination = address(ipv4 ? eval::ipv4::kDestination : eval::ipv6::kDestination,
                                 outbound || through ? beyond(out, ipv4) : own(ipv4));
    fields.protocol = protocol(ipv4);
    fields.destination_port = boundaries_.ports.empty() ? 80 : random_.of(boundaries_.ports);
    fields.icmp_type = ipv4 ? 8 : 128;
    fields.length = length(ipv4);
    if (outbound) {
      make_sendable(known);
      network_.mask[0] = network_.value[0] = 0;  // a program's header is IP's
    }
    Question question = to_question(known);
    if (type_ && !outbound) question.packet.type = *type_;
    if (!outbound && link_.has(kEtherSource, kMacSize)) {
      question.packet.link.assign(kEtherHeader, 2);
      link_.overlay(question.packet.link);
    }
    write(question.packet, ipv4);
    return question;
  }

  std::uint8_t protocol(bool ipv4) const {
    const std::size_t at = ipv4 ? eval::ipv4::kProtocol : eval::ipv6::kNextHeader;
    if (protocol_) return *protocol_;
    if (network_.has(at)) return network_.value[at];
    return random_.of<std::uint8_t>({net::protocol::kTcp, net::protocol::kTcp, net::protocol::kUdp,
                                     ipv4 ? net::protocol::kIcmp : net::protocol::kIcmpv6});
  }

  std::uint32_t length(bool ipv4) const {
    if (length_) return *length_;
    const std::size_t at = ipv4 ? eval::ipv4::kTotalLength : eval::ipv6::kPayloadLength;
    if (!network_.has(at, 2)) return 64;
    const std::uint32_t field = eval::be16(network_.value.data() + at);
    return std::min(field + (ipv4 ? 0U : 40U), kMostLength);
  }

  // A local program's destination must have a route, and to itself it is the loopback's.
  void make_sendable(Known& known) const {
    const net::Address& to = known.fields.destination;
    const bool ours = std::ranges::any_of(
        host_.addresses, [&](const net::Prefix& prefix) { return prefix.address == to; });
    const auto bytes = net::to_bytes(to);
    const bool ipv4 = bytes.size() == 4;
    const bool loopback = ipv4 ? bytes[0] == 127 : to == net::Address(net::Ipv6{1});
    if (ours || loopback) known.device = "lo";
    if (known.device == "lo" && !ours && !loopback) known.fields.destination = own(ipv4);
  }

  void write(eval::Packet& packet, bool ipv4) {
    const std::size_t header = ipv4 ? eval::ipv4::kHeaderSize : eval::ipv6::kHeaderSize;
    const std::size_t end = std::min(packet.bytes.size(), header);
    const std::span<std::uint8_t> bytes(packet.bytes);
    network_.overlay(bytes.first(end));
    // One bit beside the aim, now and then.
    if (random_.percent(25)) nudge(transport_);
    transport_.overlay(bytes.subspan(end));
    fix_header_checksum(packet);
    if (random_.percent(95)) fix_transport_checksum(packet);
  }

  void nudge(Wanted& wanted) const {
    for (std::size_t i = wanted.mask.size(); i-- > 0;) {
      if (wanted.mask[i] == 0) continue;
      wanted.value[i] = static_cast<std::uint8_t>(wanted.value[i] + (random_.percent(50) ? 1 : -1));
      wanted.value[i] &= wanted.mask[i];
      return;
    }
  }

  const Ruleset& ruleset_;
  const Host& host_;
  const Boundaries& boundaries_;
  Random& random_;
  Wanted link_;
  Wanted network_;
  Wanted transport_;
  std::uint8_t family_ = 0;  // 0: either
  std::optional<std::uint8_t> protocol_;
  std::optional<std::uint32_t> length_;
  std::optional<std::uint32_t> user_;
  std::optional<eval::PacketType> type_;
  std::string in_;
  std::string out_;
};

// The chains that a rule can send a packet to.
std::vector<std::string_view> targets(const Table& table, const Rule& rule) {
  std::vector<std::string_view> chains;
  const auto add = [&](const Verdict& verdict) {
    if (!verdict.chain.empty()) chains.push_back(verdict.chain);
  };
  for (const Expr& expr : rule.exprs) {
    if (const auto* immediate = std::get_if<ImmediateVerdict>(&expr)) add(immediate->verdict);
    const auto* lookup = std::get_if<Lookup>(&expr);
    const Set* set = lookup == nullptr ? nullptr : find_set(table, lookup->set);
    if (set == nullptr) continue;
    for (const Verdict& verdict : set->elements.verdicts) add(verdict);
    add(set->elements.catch_all_verdict);
  }
  return chains;
}

void add_aims(const Table& table, std::uint32_t number, std::uint32_t base,
              std::vector<Aim>& aims) {
  const std::optional<BaseChain>& begins = table.chains[base].base;
  if (!begins) return;
  std::map<std::string_view, std::uint32_t> by_name;
  for (std::uint32_t c = 0; c < table.chains.size(); ++c) by_name[table.chains[c].name] = c;
  std::vector<bool> seen(table.chains.size());
  seen[base] = true;
  std::deque<std::pair<std::uint32_t, std::vector<Aim::Step>>> waiting{{base, {}}};
  while (!waiting.empty()) {
    const auto [chain, way] = std::move(waiting.front());
    waiting.pop_front();
    for (std::uint32_t r = 0; r < table.chains[chain].rules.size(); ++r) {
      Aim aim{number, begins->hook, way};
      aim.steps.push_back({chain, r});
      for (const std::string_view target : targets(table, table.chains[chain].rules[r])) {
        const auto found = by_name.find(target);
        if (found == by_name.end() || seen[found->second]) continue;
        seen[found->second] = true;
        waiting.emplace_back(found->second, aim.steps);
      }
      aims.push_back(std::move(aim));
    }
  }
}

}  // namespace

std::vector<Aim> aims_of(const Ruleset& ruleset) {
  std::vector<Aim> aims;
  for (std::uint32_t t = 0; t < ruleset.tables.size(); ++t) {
    const Table& table = ruleset.tables[t];
    const bool meets_ip =
        table.family == Family::Inet || table.family == Family::Ip || table.family == Family::Ip6;
    for (std::uint32_t c = 0; meets_ip && c < table.chains.size(); ++c) {
      add_aims(table, t, c, aims);
    }
  }
  return aims;
}

void give_link_header(eval::Packet& packet, const Host& host) {
  const auto found = std::ranges::find(host.interfaces, packet.in_device, &Interface::device);
  if (found == host.interfaces.end()) return;
  const auto number = static_cast<std::uint8_t>(found - host.interfaces.begin());
  std::array<std::uint8_t, kMacSize> to{2, 0, 0, 0, number, 1};
  const std::array<std::uint8_t, kMacSize> far_end{2, 0, 0, 0, number, 2};
  const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
  const auto& bytes = packet.bytes;
  switch (packet.type) {
    case eval::PacketType::Host:
      break;
    case eval::PacketType::Broadcast:
      to.fill(0xff);
      break;
    case eval::PacketType::Multicast:
      to = ipv6 ? std::array<std::uint8_t, kMacSize>{0x33, 0x33}
                : std::array<std::uint8_t, kMacSize>{1, 0, 0x5e, 0, 0, 1};
      if (ipv6 && bytes.size() >= 40) std::copy_n(bytes.begin() + 36, 4, to.begin() + 2);
      if (!ipv6 && bytes.size() >= 20) {
        std::copy_n(bytes.begin() + 17, 3, to.begin() + 3);
        to[3] &= 0x7f;
      }
      break;
    case eval::PacketType::OtherHost:
      to = far_end;
      break;
  }
  if (packet.link.size() != kEtherHeader) {
    packet.link.resize(kEtherHeader);
    std::ranges::copy(far_end, packet.link.begin() + kEtherSource);
  }
  std::ranges::copy(to, packet.link.begin());
  eval::put_be16(packet.link.data() + 12, packet.ether_type);
}

Question question_for(const Aim& aim, const Ruleset& ruleset, const Host& host,
                      const Boundaries& boundaries, Random& random) {
  return Drafter(ruleset, host, boundaries, random).draft(aim);
}

}  // namespace rolewall::kernel_judge

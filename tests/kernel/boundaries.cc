#include "boundaries.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <variant>

#include "ruleset/expr.h"
#include "ruleset/ipset.h"
#include "ruleset/xt_match.h"

namespace rolewall::kernel_judge {
namespace {

using namespace ruleset;
using ByteSpan = std::span<const std::uint8_t>;

// Offsets of addresses in the network headers.
constexpr std::uint32_t kIpv4Source = 12;
constexpr std::uint32_t kIpv4Destination = 16;
constexpr std::uint32_t kIpv6Source = 8;
constexpr std::uint32_t kIpv6Destination = 24;

class Collector {
 public:
  void address(const net::Address& address) {
    auto& set = net::is_ipv4(address) ? ipv4_ : ipv6_;
    std::visit(
        [&](auto middle) {
          auto below = middle;
          auto above = middle;
          --below.value;
          ++above.value;
          set.insert({below, middle, above});
        },
        address);
  }
  void prefix(const net::Prefix& prefix) {
    address(net::first(prefix));
    address(net::last(prefix));
  }
  void port(const Value& value) { port(ByteSpan(value.begin(), value.size)); }
  void port(ByteSpan bytes) {
    const auto middle = static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
    for (const int off : {-1, 0, 1}) ports_.insert(static_cast<std::uint16_t>(middle + off));
  }
  void small(std::set<std::uint8_t>& set, std::uint8_t middle) {
    for (const int off : {-1, 0, 1}) set.insert(static_cast<std::uint8_t>(middle + off));
  }
  void user(std::uint32_t middle) { users_.insert({middle, middle + 1}); }

  void field(DataType type, ByteSpan bytes) {
    // The switch would list every datatype of nft; only these have neighbours.
    if (type == DataType::Ipv4Address && bytes.size() == 4) {
      address(net::ipv4_from_bytes(bytes.data()));
    } else if (type == DataType::Ipv6Address && bytes.size() == 16) {
      address(net::ipv6_from_bytes(bytes.data()));
    } else if (type == DataType::InetService && bytes.size() == 2) {
      port(bytes);
    } else if (type == DataType::InetProtocol && bytes.size() == 1) {
      small(protocols_, bytes[0]);
    } else if ((type == DataType::IcmpType || type == DataType::Icmp6Type) && bytes.size() == 1) {
      small(icmp_types_, bytes[0]);
    } else if (type == DataType::Uid && bytes.size() == 4) {
      std::uint32_t number = 0;
      std::memcpy(&number, bytes.data(), 4);
      user(number);
    }
  }

  void set(const Set& set) {
    const std::size_t count = set.elements.count();
    const std::size_t step = count / Boundaries::kMostOfASet + 1;
    for (std::size_t i = 0; i < count; i += step) {
      for (const ByteSpan key : {set.elements.key(i), set.elements.key_end(i)}) {
        std::size_t at = 0;
        for (const KeyField& field : set.key) {
          if (at + field.size > key.size()) break;
          this->field(field.type, key.subspan(at, field.size));
          at += std::size_t{4} * ((field.size + 3) / 4);
        }
      }
    }
  }

  void rule(const Rule& rule) {
    // What each register holds: the last load into it, and the mask since.
    std::map<Register, Load> loads;
    for (const Expr& expr : rule.exprs) {
      if (const auto* payload = std::get_if<Payload>(&expr)) {
        loads[payload->destination] = {payload->base, payload->offset, payload->length, {}, {}};
      } else if (const auto* meta = std::get_if<Meta>(&expr)) {
        loads[meta->destination] = {{}, 0, 0, {}, meta->key};
      } else if (const auto* mask = std::get_if<BitwiseMask>(&expr)) {
        loads[mask->destination] = loads[mask->source];
        loads[mask->destination].mask = mask->mask;
      } else if (const auto* cmp = std::get_if<Cmp>(&expr)) {
        compared(loads[cmp->source], {cmp->value.begin(), cmp->value.end()});
      } else if (const auto* match = std::get_if<XtMatch>(&expr)) {
        iptables(*match);
      } else if (const auto* range = std::get_if<Range>(&expr)) {
        compared(loads[range->source], {range->from.begin(), range->from.end()});
        compared(loads[range->source], {range->to.begin(), range->to.end()});
      }
    }
  }

  // What a match of iptables compares: ports, addresses, types.
  void iptables(const XtMatch& match) {
    const auto meaning = meaning_of(match);
    if (!meaning) return;
    const auto ports = [&](const XtPorts& range) {
      port(Value::be16(range.first));
      port(Value::be16(range.last));
    };
    if (const auto* tcp = std::get_if<XtTcp>(&*meaning)) {
      ports(tcp->source);
      ports(tcp->destination);
    } else if (const auto* udp = std::get_if<XtUdp>(&*meaning)) {
      ports(udp->source);
      ports(udp->destination);
    } else if (const auto* multiport = std::get_if<XtMultiport>(&*meaning)) {
      for (const XtPorts& range : multiport->ports) ports(range);
    } else if (const auto* sctp = std::get_if<XtSctp>(&*meaning)) {
      if (sctp->source) ports(*sctp->source);
      if (sctp->destination) ports(*sctp->destination);
    } else if (const auto* icmp = std::get_if<XtIcmp>(&*meaning)) {
      small(icmp_types_, icmp->type);
    } else if (const auto* conntrack = std::get_if<XtConntrack>(&*meaning)) {
      if (conntrack->source_port) ports(*conntrack->source_port);
      if (conntrack->destination_port) ports(*conntrack->destination_port);
    } else if (const auto* iprange = std::get_if<XtIprange>(&*meaning)) {
      for (const auto* ends : {&iprange->source, &iprange->destination}) {
        if (!*ends) continue;
        for (const XtAddress* end : {&(*ends)->first, &(*ends)->last}) {
          const bool ipv4 = std::all_of(end->begin() + 4, end->end(),
                                        [](std::uint8_t byte) { return byte == 0; });
          address(ipv4 ? net::Address(net::ipv4_from_bytes(end->data()))
                       : net::Address(net::ipv6_from_bytes(end->data())));
        }
      }
    }
  }

  Boundaries take() const {
    return {{ipv4_.begin(), ipv4_.end()},
            {ipv6_.begin(), ipv6_.end()},
            {ports_.begin(), ports_.end()},
            {protocols_.begin(), protocols_.end()},
            {icmp_types_.begin(), icmp_types_.end()},
            {users_.begin(), users_.end()}};
  }

 private:
  struct Load {
    std::optional<PayloadBase> base;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    Value mask;
    std::optional<MetaKey> meta;
  };

  // The lowest and highest address that begins with `bytes`, or agrees with them under the mask.
  template <std::size_t N>
  void address_start(const Load& load, ByteSpan bytes) {
    std::array<std::uint8_t, N> low{};
    std::array<std::uint8_t, N> high;
    high.fill(0xff);
    for (std::size_t i = 0; i < std::min(N, bytes.size()); ++i) {
      const std::uint8_t mask = i < load.mask.size ? load.mask.bytes[i] : 0xff;
      low[i] = bytes[i] & mask;
      high[i] = static_cast<std::uint8_t>(low[i] | ~mask);
    }
    if constexpr (N == 4) {
      address(net::ipv4_from_bytes(low.data()));
      address(net::ipv4_from_bytes(high.data()));
    } else {
      address(net::ipv6_from_bytes(low.data()));
      address(net::ipv6_from_bytes(high.data()));
    }
  }

  void compared(const Load& load, ByteSpan bytes) {
    if (bytes.empty()) return;
    if (load.meta == MetaKey::L4Proto) small(protocols_, bytes[0]);
    if (load.meta == MetaKey::SkUid) field(DataType::Uid, bytes);
    if (load.base == PayloadBase::Network) {
      if ((load.offset == kIpv4Source || load.offset == kIpv4Destination) && load.length <= 4) {
        address_start<4>(load, bytes);
      } else if (load.offset == kIpv6Source || load.offset == kIpv6Destination) {
        address_start<16>(load, bytes);
      }
    }
    if (load.base == PayloadBase::Transport) {
      if (load.offset <= 2 && load.length == 2 && bytes.size() == 2) port(bytes);
      if (load.offset == 0 && load.length == 1) small(icmp_types_, bytes[0]);
    }
  }

  std::set<net::Address> ipv4_;
  std::set<net::Address> ipv6_;
  std::set<std::uint16_t> ports_;
  std::set<std::uint8_t> protocols_;
  std::set<std::uint8_t> icmp_types_;
  std::set<std::uint32_t> users_;
};

bool asks_ipsets(const Ruleset& ruleset) {
  for (const Table& table : ruleset.tables) {
    for (const Chain& chain : table.chains) {
      for (const Rule& rule : chain.rules) {
        for (const Expr& expr : rule.exprs) {
          const auto* match = std::get_if<XtMatch>(&expr);
          if (match != nullptr && match->name == "set") return true;
        }
      }
    }
  }
  return false;
}

// What keys of sets of ip_set begin with: an address, or a network; and the port that follows.
void collect(const IpSet& set, Collector& collector) {
  const std::size_t size = set.address_size();
  for (const auto& [key, element] : set.elements) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(key.data());
    std::size_t at = 0;
    if (set.fields[0] == IpSet::Field::Address || set.fields[0] == IpSet::Field::Network) {
      const net::Address address = net::address_from_bytes(ByteSpan(bytes, size));
      at = size;
      if (set.fields[0] == IpSet::Field::Network) {
        collector.prefix({address, bytes[at++]});
      } else {
        collector.address(address);
      }
    }
    const bool has_port = set.fields.size() > 1 && set.fields[1] == IpSet::Field::Port;
    if (has_port) collector.port(ByteSpan(bytes + at + 1, 2));
  }
}

}  // namespace

Boundaries Boundaries::of(const Ruleset& ruleset, const Host& host) {
  Collector collector;
  for (const Table& table : ruleset.tables) {
    for (const Set& set : table.sets) collector.set(set);
    for (const Chain& chain : table.chains) {
      for (const Rule& rule : chain.rules) collector.rule(rule);
    }
  }
  if (asks_ipsets(ruleset)) {
    for (const IpSet& set : read_ipsets(host.ipsets)) collect(set, collector);
  }
  for (const auto* list : {&host.addresses, &host.virtual_addresses}) {
    for (const auto& prefix : *list) collector.prefix(prefix);
  }
  for (const auto& interface : host.interfaces) {
    for (const auto& prefix : net::to_prefixes(interface.behind.ipv4)) collector.prefix(prefix);
    for (const auto& prefix : net::to_prefixes(interface.behind.ipv6)) collector.prefix(prefix);
  }
  return collector.take();
}

}  // namespace rolewall::kernel_judge

#include "stage.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include "netlink/machine.h"
#include "ruleset/expr.h"

namespace rolewall::corpus {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)
using ByteSpan = std::span<const std::uint8_t>;

constexpr std::size_t kMostDevices = 5;
constexpr std::size_t kMostAddresses = 3;   // of each family, beside those that it always has
constexpr std::size_t kMostNetworks = 12;   // of each family
constexpr std::size_t kLongestDevice = 15;  // IFNAMSIZ, without the NUL

struct Named {
  std::map<std::string, std::size_t> devices;  // how often
  std::vector<net::Address> addresses;
};

// A name, or the beginning of names: "ppp" stands for "ppp0".
void add_device(ByteSpan bytes, Named& named) {
  const auto end = std::ranges::find(bytes, std::uint8_t{0});
  std::string name(bytes.begin(), end);
  if (end == bytes.end() && name.size() < kLongestDevice) name += '0';
  const bool usable = !name.empty() && name.size() <= kLongestDevice && name != "lo" &&
                      std::ranges::all_of(name, [](char c) { return c > ' ' && c != '/'; });
  if (usable) ++named.devices[name];
}

void add_address(ByteSpan bytes, Named& named) {
  if (bytes.size() == 4) named.addresses.emplace_back(net::ipv4_from_bytes(bytes.data()));
  if (bytes.size() == 16) named.addresses.emplace_back(net::ipv6_from_bytes(bytes.data()));
}

void look_into(const Set& set, Named& named) {
  constexpr std::size_t kMostElements = 200;
  const std::size_t count = std::min(set.elements.count(), kMostElements);
  for (std::size_t i = 0; i < count; ++i) {
    const ByteSpan key = set.elements.key(i);
    std::size_t at = 0;
    for (const KeyField& field : set.key) {
      if (at + field.size > key.size()) break;
      const ByteSpan part = key.subspan(at, field.size);
      if (field.type == DataType::IfName) add_device(part, named);
      if (field.type == DataType::Ipv4Address || field.type == DataType::Ipv6Address) {
        add_address(part, named);
      }
      at += std::size_t{4} * ((field.size + 3) / 4);
    }
  }
}

void look_into(const Rule& rule, Named& named) {
  std::map<Register, Expr> loads;
  for (const Expr& expr : rule.exprs) {
    if (const auto* meta = std::get_if<Meta>(&expr)) loads[meta->destination] = *meta;
    if (const auto* payload = std::get_if<Payload>(&expr)) loads[payload->destination] = *payload;
    const auto* cmp = std::get_if<Cmp>(&expr);
    if (cmp == nullptr) continue;
    const ByteSpan value{cmp->value.begin(), cmp->value.end()};
    const auto load = loads.find(cmp->source);
    if (load == loads.end()) continue;
    if (const auto* meta = std::get_if<Meta>(&load->second);
        meta != nullptr && (meta->key == MetaKey::IifName || meta->key == MetaKey::OifName)) {
      add_device(value, named);
    }
    if (const auto* payload = std::get_if<Payload>(&load->second);
        payload != nullptr && payload->base == PayloadBase::Network && payload->offset >= 8) {
      add_address(value, named);
    }
  }
}

Named names_in(const Ruleset& ruleset) {
  Named named;
  for (const Table& table : ruleset.tables) {
    for (const Chain& chain : table.chains) {
      for (const Rule& rule : chain.rules) look_into(rule, named);
    }
    for (const Set& set : table.sets) look_into(set, named);
  }
  return named;
}

// What a host on a network may bear.
bool is_ordinary(const net::Address& address) {
  const auto bytes = net::to_bytes(address);
  if (bytes.size() == 4) {
    return bytes[0] != 0 && bytes[0] != 127 && bytes[0] < 224 && bytes[3] != 0 && bytes[3] != 255;
  }
  return (bytes[0] & 0xe0) == 0x20 || (bytes[0] & 0xfe) == 0xfc;  // global or unique local
}

net::Prefix network_of(const net::Address& address) {
  if (const auto* ipv4 = std::get_if<net::Ipv4>(&address)) {
    return {net::Ipv4{ipv4->value & 0xffffff00}, 24};
  }
  const net::Uint128 value = std::get<net::Ipv6>(address).value;
  return {net::Ipv6{value >> 64 << 64}, 64};
}

// The names that are compared most often.
std::vector<std::string> devices_of(const Named& named) {
  std::vector<std::pair<std::string, std::size_t>> names(named.devices.begin(),
                                                         named.devices.end());
  std::ranges::stable_sort(names, std::ranges::greater(), &decltype(names)::value_type::second);
  std::vector<std::string> devices;
  for (const auto& [name, count] : names) {
    if (devices.size() < kMostDevices) devices.push_back(name);
  }
  for (const char* name : {"eth0", "eth1"}) {
    if (devices.size() < 2 && std::ranges::find(devices, name) == devices.end()) {
      devices.emplace_back(name);
    }
  }
  return devices;
}

// An IPv6 address gets its route from a worker of the kernel's (net/ipv6/addrconf.c), a while after
// it is there.
bool is_complete(const netlink::Machine& machine) {
  return machine.routes && std::ranges::all_of(machine.addresses, [&](const net::Prefix& own) {
           return std::ranges::any_of(*machine.routes, [&](const Route& route) {
             return route.type == RouteType::Local && route.to == own;
           });
         });
}

}  // namespace

Host stage_for(const Ruleset& ruleset) {
  const Named named = names_in(ruleset);
  Host host;
  host.name = "stage";
  host.forwards_ipv4 = true;
  host.forwards_ipv6 = true;
  for (const std::string& device : devices_of(named)) {
    Interface& interface = host.interfaces.emplace_back();
    interface.name = interface.device = device;
  }
  constexpr net::Uint128 kSite = net::Uint128{0x20010db800090000} << 64;
  host.addresses = {{net::Ipv4{0xc6336407}, 32},   // 198.51.100.7
                    {net::Ipv4{0x0a090001}, 32},   // 10.9.0.1
                    {net::Ipv6{kSite | 1}, 128}};  // 2001:db8:9::1
  // Of what the rules name, some addresses are the host's, and the networks around them lie
  // behind its devices, but for the first one's.
  std::set<net::Prefix> networks;
  std::vector<std::vector<net::Prefix>> behind(host.interfaces.size());
  for (const bool ipv4 : {true, false}) {
    std::size_t addresses = 0;
    std::size_t around = 0;
    for (const net::Address& address : named.addresses) {
      if (net::is_ipv4(address) != ipv4 || !is_ordinary(address)) continue;
      const net::Prefix whole{address, net::address_bits(address)};
      if (addresses < kMostAddresses &&
          std::ranges::find(host.addresses, whole) == host.addresses.end()) {
        host.addresses.push_back(whole);
        ++addresses;
      }
      const net::Prefix network = network_of(address);
      if (around < kMostNetworks && networks.insert(network).second) {
        behind[1 + around % (behind.size() - 1)].push_back(network);
        ++around;
      }
    }
  }
  // Each further device has a network of its own, whatever the rules say.
  for (std::size_t i = 1; i < behind.size(); ++i) {
    const auto number = static_cast<std::uint32_t>(i);
    behind[i].push_back({net::Ipv4{0x0a090000U | number << 8}, 24});
    behind[i].push_back({net::Ipv6{net::Uint128{0x20010db800090000U | number} << 64}, 64});
    host.interfaces[i].behind = net::AddressSet::from(behind[i]);
  }
  return host;
}

Result<Host> as_found(const Host& stage) {
  constexpr int kTries = 5000;
  auto machine = netlink::read_machine();
  for (int i = 0; machine && !is_complete(*machine) && i < kTries; ++i) {
    ::usleep(1000);
    machine = netlink::read_machine();
  }
  if (!machine) return std::unexpected(machine.error());
  Host host = stage;
  host.addresses = std::move(machine->addresses);
  host.routes = std::move(machine->routes);
  for (Interface& interface : host.interfaces) {
    const auto found = std::ranges::find(machine->interfaces, interface.device, &Interface::device);
    if (found == machine->interfaces.end()) {
      return fail(ErrorKind::System, interface.device + " is not there");
    }
    const net::AddressSet behind = std::move(interface.behind);
    interface = *found;
    interface.behind = behind;
  }
  return host;
}

}  // namespace rolewall::corpus

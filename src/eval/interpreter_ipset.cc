// Sets of ip_set, which rules of iptables ask and change: net/netfilter/xt_set.c, ip_set_core.c and
// the types in net/netfilter/ipset/ of the kernel. What the sets held when they were read is the
// host's (ruleset/ipset.h); what packets have changed since is in the state.
#include <fmt/format.h>

#include <algorithm>

#include "eval/interpreter.h"
#include "eval/ticks.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;
using IpsetField = r::IpSet::Field;

// What State::noted() says of a key: beyond these, when an added element ends.
constexpr std::uint64_t kKeyUntouched = 0;
constexpr std::uint64_t kKeyRemoved = 1;
constexpr std::uint64_t kKeyAdded = 2;

constexpr std::uint64_t kIpsetSecond = 1'000'000'000;

std::string ipset_list(const r::IpSet& set) {
  return "ipset " + set.name;
}

std::string key_bytes(const std::uint8_t* bytes, std::size_t size) {
  return {bytes, bytes + size};
}

std::string ipset_address(const r::IpSet& set, bool source, XtPacket& packet) {
  const std::size_t size = packet.ipv6() ? 16 : 4;
  const std::size_t at = packet.ipv6() ? (source ? ipv6::kSource : ipv6::kDestination)
                                       : (source ? ipv4::kSource : ipv4::kDestination);
  std::string address = key_bytes(packet.read(at, size), size);
  for (std::size_t i = 0; i < set.mask.size() && i < size; ++i) {
    address[i] = static_cast<char>(address[i] & set.mask[i]);
  }
  return address;
}

bool is_all_zero(const std::string& bytes) {
  return std::ranges::all_of(bytes, [](char byte) { return byte == 0; });
}

std::string key_prefix(std::string address, std::size_t length) {
  for (std::size_t i = 0; i < address.size(); ++i) {
    const std::size_t left = length > i * 8 ? length - i * 8 : 0;
    if (left < 8) address[i] = static_cast<char>(address[i] & ~(0xffU >> left));
  }
  return address;
}

std::uint32_t key_number(const std::string& bytes) {
  std::uint32_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<std::uint8_t>(byte);
  return number;
}

// get_port(), ip_set_get_ip4_port() and _ip6_port() of ip_set_getport.c: the protocol and the port
// in network order, which is 0 where the protocol has none. Absent: it has none that can be read.
std::optional<std::string> ipset_port_of(bool source, XtPacket& packet) {
  std::uint8_t protocol = 0;
  std::size_t at = packet.transport();
  bool is_later = false;
  if (packet.ipv6()) {
    const ByteSpan bytes = packet.bytes();
    const auto found = skip_ipv6_extensions(bytes, ipv6::kHeaderSize, bytes[ipv6::kNextHeader]);
    if (!found || (found->fragment & ~7U) != 0) return std::nullopt;
    protocol = found->protocol;
    at = found->offset;
  } else {
    protocol = *packet.read(ipv4::kProtocol, 1);
    if (protocol == 0) return std::nullopt;
    is_later = packet.fragment_offset() != 0;
  }
  std::size_t size = 0;
  bool is_icmp = false;
  switch (protocol) {
    case net::protocol::kTcp:
      size = 20;
      break;
    case net::protocol::kSctp:
      size = 12;
      break;
    case net::protocol::kUdp:
    case net::protocol::kUdpLite:
      size = 8;
      break;
    case net::protocol::kIcmp:
    case net::protocol::kIcmpv6:
      is_icmp = true;
      size = 8;
      break;
    default:
      break;
  }
  std::string port(3, 0);
  port[0] = static_cast<char>(protocol);
  if (is_later) {
    const bool has_ports = size != 0 && protocol != net::protocol::kIcmpv6;
    return has_ports ? std::nullopt : std::optional(port);
  }
  if (size == 0) return port;
  const std::uint8_t* header = packet.read(at, size);
  if (header == nullptr) return std::nullopt;
  const std::uint8_t* two = header + (source || is_icmp ? 0 : 2);
  port[1] = static_cast<char>(two[0]);
  port[2] = static_cast<char>(two[1]);
  return port;
}

}  // namespace

// Of the Ethernet header that the packet came with: absent where the kernel takes none, as of a
// packet that is sent from here. `known` is false where nobody knows it.
std::optional<std::string> Interpreter::sender_or_receiver(bool source, bool& known) const {
  constexpr std::uint16_t kEthernet = 1;
  constexpr std::size_t kSize = 6;
  const Frame& frame = *frame_;
  if (frame.in_device.empty() || frame.in_device == kLoopbackDevice) return std::nullopt;
  if (frame.hook == r::Hook::Postrouting) {
    known = false;
    return std::nullopt;
  }
  for (const r::Interface& interface : frame.host->interfaces) {
    const bool is_other = interface.index != 0 && interface.hardware_type != kEthernet;
    if (interface.device == frame.in_device && is_other) return std::nullopt;
  }
  const std::vector<std::uint8_t>& link = frame.packet->link;
  if (link.size() < 2 * kSize) {
    known = false;
    return std::nullopt;
  }
  std::string address = key_bytes(link.data() + (source ? kSize : 0), kSize);
  if (is_all_zero(address)) return std::nullopt;
  return address;
}

// The kadt function of each type.
IpsetKeys Interpreter::ipset_keys(const r::IpSet& set, const IpsetUse& use, XtPacket& packet) {
  using Is = IpsetKeys::Is;
  IpsetKeys keys;
  const bool is_bitmap = set.method == r::IpSet::Method::Bitmap;
  const auto without = [&](Is is) {
    keys.is = is;
    return keys;
  };
  for (std::size_t i = 0; i < set.fields.size(); ++i) {
    const bool source = use.asks_source(i);
    switch (set.fields[i]) {
      case IpsetField::Address: {
        std::string address = ipset_address(set, source, packet);
        if (is_bitmap) {
          const std::uint32_t number = key_number(address);
          if (number < set.first || number > set.last) return without(Is::Absent);
        }
        // hash:ip and hash:ip,port take none for an address.
        const bool takes_none = set.fields.size() > 2 || is_bitmap || set.has(IpsetField::Mac) ||
                                set.has(IpsetField::Mark);
        if (!takes_none && is_all_zero(address)) return without(Is::Absent);
        keys.fields.push_back(std::move(address));
        break;
      }
      case IpsetField::Network: {
        std::string address = ipset_address(set, source, packet);
        // hash:net,net of IPv6 takes none for the first.
        const bool is_first_of_pair = i == 0 && set.lengths.size() == 2 && set.fields.size() == 2;
        if (is_first_of_pair && packet.ipv6() && is_all_zero(address)) return without(Is::Absent);
        keys.fields.push_back(std::move(address));
        break;
      }
      case IpsetField::Port: {
        auto port = ipset_port_of(source, packet);
        if (!port) return without(Is::Absent);
        if (is_bitmap) {
          const auto protocol = static_cast<std::uint8_t>((*port)[0]);
          port->erase(0, 1);
          const std::uint32_t number = key_number(*port);
          const bool fits = protocol == net::protocol::kTcp || protocol == net::protocol::kUdp;
          if (!fits || number < set.first || number > set.last) return without(Is::Absent);
        }
        keys.fields.push_back(std::move(*port));
        break;
      }
      case IpsetField::Mac: {
        bool known = true;
        auto address = sender_or_receiver(source, known);
        if (!address) return without(known ? Is::Absent : Is::Unknown);
        keys.fields.push_back(std::move(*address));
        break;
      }
      case IpsetField::Mark: {
        note_given(frame_->mark_is_set, frame_->reads.mark, "a packet mark");
        std::string mark(4, 0);
        put_be32(reinterpret_cast<std::uint8_t*>(mark.data()), frame_->mark & set.mark_mask);
        keys.fields.push_back(std::move(mark));
        break;
      }
      case IpsetField::Device: {
        const std::string_view device = source ? frame_->in_device : frame_->out_device;
        if (device.empty()) return without(Is::Absent);
        keys.fields.emplace_back(device);
        break;
      }
    }
  }
  return keys;
}

// Absent: it ends about now. The kernel tells whole seconds, of less than one that it is one.
std::optional<bool> Interpreter::is_time_left(std::optional<std::uint32_t> seconds_left) const {
  if (!seconds_left || clock_.now_ns == 0) return true;
  const std::uint64_t least = *seconds_left == 1 ? 0 : *seconds_left;
  const std::uint64_t most = std::uint64_t{*seconds_left} + 1;
  const std::uint64_t margin = doubt_about_end_ns(clock_.error_ns);
  if (clock_.now_ns + margin < state_.began_ns() + least * kIpsetSecond) return true;
  if (clock_.now_ns > state_.began_ns() + most * kIpsetSecond + margin) return false;
  return std::nullopt;
}

// In a way that is not known: what a packet adds to networks, or where there may be no room.
bool Interpreter::is_changed_unknown(const r::IpSet& set) {
  return program_.changes_ipsets() && state_.noted(ipset_list(set) + " as a whole", "") != 0;
}
void Interpreter::change_unknown(const r::IpSet& set) {
  state_.noted(ipset_list(set) + " as a whole", "") = 1;
}

Interpreter::IpsetAnswer Interpreter::ask_key(const r::IpSet& set, const std::string& key,
                                              const r::IpSet::Element** found) {
  const std::uint64_t now =
      program_.changes_ipsets() ? state_.noted(ipset_list(set), key) : kKeyUntouched;
  if (now == kKeyRemoved) return IpsetAnswer::No;
  if (now == kKeyAdded) return IpsetAnswer::Yes;
  if (now != kKeyUntouched) {
    const std::uint64_t margin = doubt_about_end_ns(clock_.error_ns);
    if (clock_.now_ns + margin < now) return IpsetAnswer::Yes;
    return clock_.now_ns > now + margin ? IpsetAnswer::No : IpsetAnswer::Unknown;
  }
  const auto at = set.elements.find(key);
  if (at == set.elements.end()) return IpsetAnswer::No;
  const std::optional<bool> stays = is_time_left(at->second.seconds_left);
  if (!stays) return IpsetAnswer::Unknown;
  if (!*stays) return IpsetAnswer::No;
  *found = &at->second;
  return at->second.excludes ? IpsetAnswer::Excluded : IpsetAnswer::Yes;
}

// ip_set_match_extensions(): the element counts the packet, and may be there only with such counts.
Interpreter::IpsetAnswer Interpreter::ask_counted(const r::IpSet& set, const std::string& key,
                                                  const IpsetUse& use,
                                                  const r::IpSet::Element** found) {
  *found = nullptr;
  const IpsetAnswer answer = ask_key(set, key, found);
  const bool is_there = answer == IpsetAnswer::Yes || answer == IpsetAnswer::Excluded;
  if (!is_there || !set.counts || !program_.asks_ipset_counters()) return answer;
  const auto counted = [&](const char* what, std::uint64_t before, std::uint64_t now) {
    std::uint64_t& since = state_.noted(ipset_list(set) + what, key);
    if (use.counts) since += now;
    return before + since;
  };
  static const r::IpSet::Element kNew;
  const r::IpSet::Element& as_read = *found == nullptr ? kNew : **found;
  const std::uint64_t packets = counted(" packets", as_read.packets, 1);
  const std::uint64_t bytes = counted(" bytes", as_read.bytes, frame_->length());
  return use.packets.holds(packets) && use.bytes.holds(bytes) ? answer : IpsetAnswer::No;
}

// hash_netiface4_data_equal(): names are compared whole, or how they begin.
Interpreter::IpsetAnswer Interpreter::ask_devices(const r::IpSet& set, const std::string& network,
                                                  std::string_view device, const IpsetUse& use,
                                                  const r::IpSet::Element** found) {
  IpsetAnswer answer = ask_counted(set, network + r::kWholeName + std::string(device), use, found);
  for (std::size_t size = device.size() + 1; size-- > 0;) {
    const IpsetAnswer other = ask_counted(
        set, network + r::kBeginningOfName + std::string(device.substr(0, size)), use, found);
    if (other == IpsetAnswer::No) continue;
    // Of two that fit, the one that the kernel meets first.
    answer = answer == IpsetAnswer::No || answer == other ? other : IpsetAnswer::Unknown;
  }
  return answer;
}

// mtype_test() and mtype_test_cidrs(): of networks the longest first, the first field's before the
// second's. Where a device is a field, the first network that is there is the last that is asked,
// whatever its devices.
Interpreter::IpsetAnswer Interpreter::ask_keys(const r::IpSet& set, const IpsetKeys& keys,
                                               const IpsetUse& use,
                                               const r::IpSet::Element** found) {
  std::vector<std::size_t> networks;
  for (std::size_t i = 0; i < set.fields.size(); ++i) {
    if (set.fields[i] == IpsetField::Network) networks.push_back(i);
  }
  const auto key_with = [&](std::size_t first, std::size_t second) {
    std::string key;
    for (std::size_t i = 0; i < set.fields.size(); ++i) {
      if (set.fields[i] == IpsetField::Device) break;
      if (set.fields[i] != IpsetField::Network) {
        key += keys.fields[i];
        continue;
      }
      const std::size_t length = i == networks[0] ? first : second;
      key += key_prefix(keys.fields[i], length);
      key += static_cast<char>(length);
    }
    return key;
  };
  if (networks.empty()) return ask_counted(set, key_with(0, 0), use, found);
  static const std::vector<std::uint8_t> kOnce{0};
  const std::vector<std::uint8_t>& seconds = networks.size() > 1 ? set.lengths[1] : kOnce;
  for (const std::uint8_t first : set.lengths[0]) {
    for (const std::uint8_t second : seconds) {
      const std::string key = key_with(first, second);
      if (!set.has(IpsetField::Device)) {
        const IpsetAnswer answer = ask_counted(set, key, use, found);
        if (answer != IpsetAnswer::No) return answer;
      } else if (set.networks.contains(key)) {
        const IpsetAnswer answer = ask_devices(set, key, keys.fields.back(), use, found);
        // One that is over may still be there, or not.
        return answer == IpsetAnswer::No && set.timeout && clock_.now_ns != 0 ? IpsetAnswer::Unknown
                                                                              : answer;
      }
    }
  }
  return IpsetAnswer::No;
}

// list_set_ktest(): whether one of its sets holds it. What is asked of counters is asked of the
// list's own, which are not followed.
Interpreter::IpsetAnswer Interpreter::ask_list(const r::IpSet& list, const IpsetUse& use,
                                               XtPacket& packet) {
  bool is_sure = true;
  const bool hangs_on_counters = list.counts && use.looks_at_counters();
  IpsetUse within{.dimensions = use.dimensions, .sources = use.sources};
  within.counts = use.counts && use.counts_in_lists;
  for (const r::IpSet::Member& member : list.members) {
    const std::optional<bool> stays = is_time_left(member.seconds_left);
    if (stays && !*stays) continue;
    const r::IpSet* set = ipsets_->find(member.name);
    const r::IpSet::Element* found = nullptr;
    const IpsetAnswer answer =
        set == nullptr ? IpsetAnswer::Unknown : ask_ipset(*set, within, packet, &found);
    if (answer == IpsetAnswer::Yes && stays && !hangs_on_counters) return IpsetAnswer::Yes;
    is_sure = is_sure && (answer == IpsetAnswer::No || answer == IpsetAnswer::Excluded);
  }
  return is_sure ? IpsetAnswer::No : IpsetAnswer::Unknown;
}

// ip_set_test()
Interpreter::IpsetAnswer Interpreter::ask_ipset(const r::IpSet& set, const IpsetUse& use,
                                                XtPacket& packet, const r::IpSet::Element** found) {
  const std::size_t dimensions = set.is_list() ? 1 : set.fields.size();
  const auto family = packet.ipv6() ? r::IpSet::Family::Ipv6 : r::IpSet::Family::Ipv4;
  if (use.dimensions < dimensions) return IpsetAnswer::No;
  if (set.family != r::IpSet::Family::Any && set.family != family) return IpsetAnswer::No;
  if (is_changed_unknown(set)) return IpsetAnswer::Unknown;
  if (set.is_list()) return ask_list(set, use, packet);
  const IpsetKeys keys = ipset_keys(set, use, packet);
  if (keys.is == IpsetKeys::Is::Absent) return IpsetAnswer::No;
  if (keys.is == IpsetKeys::Is::Unknown) return IpsetAnswer::Unknown;
  // Of several names of devices it is not known which the kernel meets, and counts, first.
  if (set.counts && use.looks_at_counters() && set.has(IpsetField::Device)) {
    return IpsetAnswer::Unknown;
  }
  IpsetAnswer answer = ask_keys(set, keys, use, found);
  // A bitmap:ip,mac learns the MAC address of one that it knows by its address alone.
  if (set.method == r::IpSet::Method::Bitmap && set.has(IpsetField::Mac) &&
      answer == IpsetAnswer::No) {
    answer = ask_counted(set, keys.fields[0], use, found);
    const bool learns = answer == IpsetAnswer::Yes;
    if (learns && state_.noted(ipset_list(set) + " learnt", keys.fields[0])++ != 0) {
      answer = IpsetAnswer::Unknown;  // whose it is now
    }
  }
  if (set.unread != 0 && (answer == IpsetAnswer::No || !set.lengths.empty())) {
    return IpsetAnswer::Unknown;
  }
  return answer;
}

// set_match_v1() to _v4()
bool Interpreter::xt_asks(const r::XtSet& match, XtPacket& packet) {
  if (!ipsets_) ipsets_.emplace(*frame_->host);
  const std::string_view name = ipsets_->name(match.index);
  const r::IpSet* set = ipsets_->find(name);
  const r::IpSet::Element* found = nullptr;
  IpsetAnswer answer = IpsetAnswer::Unknown;
  if (set != nullptr) {
    answer = ask_ipset(*set,
                       {.dimensions = match.dimensions,
                        .sources = match.sources,
                        .packets = match.packets,
                        .bytes = match.bytes,
                        .counts = !match.skips_counters,
                        .counts_in_lists = !match.skips_counters_in_lists},
                       packet, &found);
    if (match.takes_excluded && !set->lengths.empty() && answer != IpsetAnswer::Unknown) {
      answer = answer == IpsetAnswer::Excluded ? IpsetAnswer::Yes : IpsetAnswer::No;
    }
  }
  if (packet.cut_off || !packet.unsure.empty()) return false;
  if (answer == IpsetAnswer::Unknown) {
    const std::string of = name.empty() ? fmt::format("number {}", match.index) : std::string(name);
    return choose_whether(fmt::format("the ip set {} holds the packet's {}{}", of,
                                      r::xt_sides(match.dimensions, match.sources),
                                      match.looks_at_counters() ? ", with such counters" : "")) !=
           match.inverted;
  }
  return (answer == IpsetAnswer::Yes) != match.inverted;
}

// --- what a packet changes -----------------------------------------------------------------------

// ip_set_add(), ip_set_del() and the types' mtype_add() and mtype_del().
void Interpreter::change_ipset(const r::XtSetTarget& target, bool adds, XtPacket& packet) {
  const r::XtSetTarget::Use& use = adds ? target.add : target.remove;
  const r::IpSet* set = ipsets_->find(ipsets_->name(use.number));
  if (set == nullptr) return;  // who asks it is answered conditionally
  if (set->is_list()) {
    for (const r::IpSet::Member& member : set->members) {
      if (const r::IpSet* of_list = ipsets_->find(member.name)) change_unknown(*of_list);
    }
    return;
  }
  const auto family = packet.ipv6() ? r::IpSet::Family::Ipv6 : r::IpSet::Family::Ipv4;
  if (use.dimensions < set->fields.size()) return;
  if (set->family != r::IpSet::Family::Any && set->family != family) return;
  const IpsetKeys keys =
      ipset_keys(*set, {.dimensions = use.dimensions, .sources = use.sources}, packet);
  const bool is_unsure = packet.cut_off || !packet.unsure.empty();
  if (keys.is == IpsetKeys::Is::Absent && !is_unsure) return;
  // Networks go in by the lengths that are there; and a MAC address may fill in what lacks one.
  const bool is_plain = set->lengths.empty() && set->unread == 0 && !set->has(IpsetField::Device) &&
                        !(set->method == r::IpSet::Method::Bitmap && set->has(IpsetField::Mac));
  if (is_unsure || keys.is == IpsetKeys::Is::Unknown || !is_plain) return change_unknown(*set);
  std::string key;
  for (const std::string& field : keys.fields) key += field;
  const r::IpSet::Element* found = nullptr;
  const IpsetAnswer there = ask_key(*set, key, &found);
  if (there == IpsetAnswer::Unknown) return change_unknown(*set);
  // An element that is put in, or in anew, has counted this packet alone (ip_set_init_counter()).
  const auto note = [&](std::uint64_t what) {
    state_.noted(ipset_list(*set), key) = what;
    if (!set->counts) return;
    state_.noted(ipset_list(*set) + " packets", key) = 1;
    state_.noted(ipset_list(*set) + " bytes", key) = frame_->length();
  };
  if (!adds) {
    if (there == IpsetAnswer::Yes) note(kKeyRemoved);
    return;
  }
  if (there == IpsetAnswer::Yes && !target.renews) return;
  if (there == IpsetAnswer::No && set->method == r::IpSet::Method::Hash) {
    // Beyond as many as it has buckets one may be full, which a packet does not make larger
    // (mtype_add(): "Trigger rehashing").
    const std::uint64_t count =
        set->elements.size() + ++state_.noted(ipset_list(*set) + " adds", "");
    if (count > std::min(set->most, set->hash_size)) return change_unknown(*set);
  }
  const std::uint32_t seconds = set->timeout ? target.timeout.value_or(*set->timeout) : 0;
  if (seconds != 0 && clock_.now_ns == 0) {
    note(kKeyAdded);  // nothing ends where no time passes
  } else {
    note(seconds == 0 ? kKeyAdded : clock_.now_ns + seconds * kIpsetSecond);
  }
}

// Of set_target_v3(): what the element that is found gives.
Interpreter::Next Interpreter::map_by_ipset(const r::XtSetTarget& target, XtPacket& packet) {
  const r::XtSetTarget::Use& use = target.map;
  if (!target.maps_mark && !target.maps_priority) return Next::Expression;
  const std::string_view name = ipsets_->name(use.number);
  const r::IpSet* set = ipsets_->find(name);
  const r::IpSet::Element* found = nullptr;
  const IpsetAnswer answer =
      set == nullptr
          ? IpsetAnswer::Unknown
          : ask_ipset(*set, {.dimensions = use.dimensions, .sources = use.sources}, packet, &found);
  if (packet.cut_off) return undecided("bytes that the capture has cut off");
  const bool is_known = answer == IpsetAnswer::No || answer == IpsetAnswer::Excluded ||
                        (answer == IpsetAnswer::Yes && found != nullptr);
  if (!is_known || use.inverted || !packet.unsure.empty()) {
    return undecided(fmt::format("a mark or priority that the ip set {} gives",
                                 name.empty() ? fmt::format("number {}", use.number) : name));
  }
  if (answer != IpsetAnswer::Yes) return Next::Expression;
  static const r::IpSet::Element kNothing;
  const r::IpSet::Element& gives = set->gives_values ? *found : kNothing;
  if (target.maps_mark && set->gives_values) {
    if (gives.mark_mask != 0xffffffff) {
      note_given(frame_->mark_is_set, frame_->reads.mark, "a packet mark");
    }
    frame_->mark = (frame_->mark & ~gives.mark_mask) ^ gives.mark;
    frame_->mark_is_set = true;
  }
  if (target.maps_priority) {
    frame_->priority = gives.priority;
    frame_->priority_is_set = true;
  }
  return Next::Expression;
}

// set_target_v1() to _v3()
Interpreter::Next Interpreter::run_xt_target(const r::XtSetTarget& target) {
  if (!ipsets_) ipsets_.emplace(*frame_->host);
  XtPacket packet(*frame_);
  if (target.add.is_there()) change_ipset(target, true, packet);
  if (target.remove.is_there()) change_ipset(target, false, packet);
  return target.map.is_there() ? map_by_ipset(target, packet) : Next::Expression;
}

}  // namespace rolewall::eval

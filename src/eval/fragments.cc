// Fragments put together as Linux 6.12 does it. A datagram's parts wait in a queue until the last
// of them is there; the packet that brought it goes on as the whole.
//
// What holds of a queue: its parts do not overlap. One that overlaps what is there without lying
// within it gives up the datagram (RFC 5722: overlaps serve to hide something). So, once the first
// and the last part are there, as many bytes as the datagram is long means that each byte is there
// once. That is the kernel's test too (INET_FRAG_FIRST_IN | INET_FRAG_LAST_IN, and meat == len).
//
// The order of arrival decides more than one would think. Parts that came one behind the other at
// the end of a queue are one run; what fills a gap begins a run of its own. A part that lies within
// one run is a duplicate, and dropped; one that lies within two together is an overlap, and with it
// goes the datagram.
//
// IPv4 and IPv6 look alike and are not. Where a branch below seems forgotten, compare:
//
//                                   ip_frag_queue()              nf_ct_frag6_queue()
//   contradicts the known end       the datagram is given up     the part alone is dropped
//   more to come, end not of 8      rounded down                 queue given up, packet passes
//   an empty part                   the datagram is given up     the part alone is dropped
//   headers that lead nowhere       -                            passes (the hook returns 0)
//   the sender is far ahead         begun again (max_dist)       -
//   the number of the datagram      with the protocol            without; its device if link-local
//
//   net/ipv4/netfilter/nf_defrag_ipv4.c
//     gather()                      ipv4_conntrack_defrag(), nf_ct_defrag_user()
//   net/ipv4/ip_fragment.c
//     gather_ipv4()                 ip_defrag(), ip_find(), ip_frag_queue()
//     reassemble_ipv4()             ip_frag_reasm()
//     too_far(), drop_parts()       ip_frag_too_far(), ip_frag_reinit()
//   net/ipv4/inet_fragment.c
//     find(), insert()              inet_frag_find(), inet_frag_queue_insert()
//     common_ecn()                  ip_frag_ecn_table[]
//     forget_older_than()           the queues' timers: ip_expire(), nf_ct_frag6_expire()
//   net/ipv6/netfilter/nf_conntrack_reasm.c
//     gather_ipv6()                 nf_ct_frag6_gather(), fq_find(), nf_ct_frag6_queue()
//     reassemble_ipv6()             nf_ct_frag6_reasm()
//     find_fragment_header()        find_prev_fhdr()
//
// A queue is removed when its datagram is whole, so INET_FRAG_COMPLETE has no counterpart. That the
// sender is told of what never became whole (ICMP_EXC_FRAGTIME) is no packet of ours.
#include "eval/fragments.h"

#include <algorithm>
#include <optional>

#include "base/time.h"
#include "eval/checksum.h"
#include "eval/dissect.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

using What = Gathered::What;

constexpr std::uint64_t kTimeoutIpv4 = 30 * kNsPerSecond;  // IP_FRAG_TIME
constexpr std::uint64_t kTimeoutIpv6 = 60 * kNsPerSecond;  // IPV6_FRAG_TIMEOUT
constexpr std::uint64_t kMostMemory = 4ULL * 1024 * 1024;  // of each family's queues
constexpr std::uint64_t kPartMemory = 576;   // of a fragment beside its bytes: SKB_TRUESIZE(0)
constexpr std::uint64_t kQueueMemory = 192;  // about sizeof(struct ipq)
constexpr std::size_t kMostSources = 65536;  // about inet_peer_threshold
constexpr std::uint32_t kMostBetween = 64;   // net.ipv4.ipfrag_max_dist

constexpr std::ptrdiff_t kLargestPayload = 65535;
constexpr std::uint16_t kDontFragment = 0x4000;

constexpr const char* kBroken = "a malformed fragment, discarded by reassembly";
constexpr const char* kContradicts =
    "a fragment that disagrees with another about the datagram's end";
constexpr const char* kOverlaps = "a fragment that overlaps another: the datagram is discarded";
constexpr const char* kDuplicate = "a fragment that came twice";
constexpr const char* kTooLong = "the datagram that it completes is longer than an IP packet";
constexpr const char* kEcn = "the fragments of the datagram that it completes disagree about ECN";

Gathered discarded(const char* why) {
  return {.what = What::Discarded, .why = why};
}

// ip_frag_ecn_table[] of net/ipv4/inet_fragment.c. Absent: the datagram is dropped.
std::optional<std::uint8_t> common_ecn(std::uint8_t seen) {
  constexpr std::uint8_t kNotCapable = 1 << 0;
  constexpr std::uint8_t kCongested = 1 << 3;
  if ((seen & kNotCapable) != 0 && seen != kNotCapable) return std::nullopt;
  return (seen & kCongested) != 0 && seen != kCongested ? 3 : 0;
}

struct FragmentHeader {
  std::size_t offset = 0;
  std::size_t named_by = ipv6::kNextHeader;  // the byte that says a fragment header follows
};

// find_prev_fhdr(). Absent: there is none, or it cannot be reached.
std::optional<FragmentHeader> find_fragment_header(ByteSpan packet) {
  FragmentHeader found{.offset = ipv6::kHeaderSize};
  std::uint8_t next = packet[ipv6::kNextHeader];
  while (next != ipv6::kFragmentHeader) {
    if (!is_ipv6_extension(next) || next == ipv6::kNoNextHeader) return std::nullopt;
    if (!readable(packet, found.offset, 2)) return std::nullopt;
    const std::uint8_t* header = packet.data() + found.offset;
    const std::size_t size =
        next == ipv6::kAuthentication ? (header[1] + 2U) * 4U : (header[1] + 1U) * 8U;
    next = header[0];
    found.named_by = found.offset;
    found.offset += size;
  }
  if (found.offset > packet.size()) return std::nullopt;
  return found;
}

// RFC 8200, section 4.5: a first fragment must hold all headers (ipv6frag_thdr_truncated()).
bool lacks_transport_header(ByteSpan packet, std::size_t start) {
  const auto transport = skip_ipv6_extensions(packet, start, ipv6::kFragmentHeader);
  if (!transport || (transport->fragment & 0xfff8) != 0) return false;
  std::size_t needed = 1;
  switch (transport->protocol) {
    case net::protocol::kTcp:
      needed = 20;
      break;
    case net::protocol::kUdp:
    case net::protocol::kIcmpv6:
      needed = 8;
      break;
    default:
      break;
  }
  return transport->offset + needed > packet.size();
}

// Multicast or link-local: ipv6_addr_type() of fq_find().
bool is_of_a_link(const std::uint8_t* address) {
  return address[0] == 0xff || (address[0] == 0xfe && (address[1] & 0xc0) == 0x80);
}

}  // namespace

bool is_ipv4_fragment(ByteSpan packet) {
  return (be16(packet.data() + ipv4::kFragment) & (ipv4::kMoreFragments | ipv4::kOffsetMask)) != 0;
}

bool has_fragment_header(ByteSpan ipv6_packet) {
  return find_fragment_header(ipv6_packet).has_value();
}

void Fragments::clear() {
  queues_.clear();
  by_expiry_.clear();
  from_source_.clear();
  memory_ipv4_ = 0;
  memory_ipv6_ = 0;
  now_ns_ = 0;
}

void Fragments::remove(const Key& key) {
  const auto at = queues_.find(key);
  if (at == queues_.end()) return;
  (key.ipv6 ? memory_ipv6_ : memory_ipv4_) -= at->second.memory;
  by_expiry_.erase({at->second.expires_ns, key});
  queues_.erase(at);
}

void Fragments::forget_older_than(std::uint64_t now_ns) {
  now_ns_ = std::max(now_ns_, now_ns);
  while (!by_expiry_.empty() && by_expiry_.begin()->first <= now_ns_) {
    remove(Key(by_expiry_.begin()->second));
  }
}

// inet_frag_find(). nullptr: there is no memory, for known queues neither.
Fragments::Queue* Fragments::find(const Key& key, std::uint64_t timeout_ns) {
  std::uint64_t& memory = key.ipv6 ? memory_ipv6_ : memory_ipv4_;
  if (memory > kMostMemory) return nullptr;
  const auto [at, is_new] = queues_.try_emplace(key);
  if (is_new) {
    at->second.expires_ns = now_ns_ + timeout_ns;
    at->second.memory = kQueueMemory;
    memory += kQueueMemory;
    by_expiry_.insert({at->second.expires_ns, key});
  }
  return &at->second;
}

// Of what nobody waits for the kernel forgets the source too (inet_peer_gc()).
void Fragments::forget_idle_sources() {
  std::set<net::Address> busy;
  for (const auto& [key, queue] : queues_) busy.insert(key.source);
  std::erase_if(from_source_, [&](const auto& source) { return !busy.contains(source.first); });
}

// ip_frag_too_far(): so many others of the source have come in between that its numbers may have
// begun again.
bool Fragments::too_far(Queue& queue, const net::Address& source) {
  if (from_source_.size() > kMostSources) forget_idle_sources();
  const std::uint32_t before = queue.last_of_source;
  queue.last_of_source = ++from_source_[source];
  return !queue.parts.empty() && queue.last_of_source - before > kMostBetween;
}

// ip_frag_reinit(): the sizes of its largest fragments stay.
void Fragments::drop_parts(const Key& key, Queue& queue) {
  by_expiry_.erase({queue.expires_ns, key});
  queue.expires_ns = now_ns_ + kTimeoutIpv4;
  by_expiry_.insert({queue.expires_ns, key});
  memory_ipv4_ -= queue.memory - kQueueMemory;
  queue.memory = kQueueMemory;
  queue.parts.clear();
  queue.runs.clear();
  queue.has_last = false;
  queue.length = 0;
  queue.held = 0;
  queue.ecn = 0;
}

// inet_frag_queue_insert(). What fills a gap begins a run of its own.
Fragments::Insertion Fragments::insert(Queue& queue, const Part& part) {
  const auto size = static_cast<std::uint32_t>(part.data.size());
  if (!queue.parts.empty()) {
    const auto& [last_offset, last] = *queue.parts.rbegin();
    const std::uint32_t last_end = last_offset + static_cast<std::uint32_t>(last.size());
    if (last_end < part.end) {
      if (part.offset < last_end) return Insertion::Overlap;
      if (part.offset == last_end) {
        queue.runs.rbegin()->second += size;
        queue.parts.try_emplace(part.offset, part.data.begin(), part.data.end());
        return Insertion::Done;
      }
    } else {
      for (const auto& [offset, length] : queue.runs) {
        if (part.end <= offset || part.offset >= offset + length) continue;
        const bool within = part.offset >= offset && part.end <= offset + length;
        return within ? Insertion::Duplicate : Insertion::Overlap;
      }
    }
  }
  queue.runs.try_emplace(part.offset, size);
  queue.parts.try_emplace(part.offset, part.data.begin(), part.data.end());
  return Insertion::Done;
}

void Fragments::keep(const Packet& packet, Queue& queue, const Part& part, std::uint8_t ecn) {
  const auto size = static_cast<std::uint32_t>(part.data.size());
  queue.held += size;
  queue.ecn |= ecn;
  const std::uint64_t memory = kPartMemory + packet.bytes.size();
  queue.memory += memory;
  (packet.ether_type == kEtherTypeIpv6 ? memory_ipv6_ : memory_ipv4_) += memory;
  if (part.offset != 0) return;
  queue.first = packet;
  queue.first.bytes.resize(part.header);
}

Gathered Fragments::gather(const Packet& packet, User user, std::uint16_t zone,
                           std::uint64_t now_ns, Packet& whole) {
  const ByteSpan bytes = packet.bytes;
  Key key;
  key.user = user;
  key.zone = zone;
  key.ipv6 = packet.ether_type == kEtherTypeIpv6;
  Gathered gathered;
  if (key.ipv6) {
    key.source = net::ipv6_from_bytes(bytes.data() + ipv6::kSource);
    key.destination = net::ipv6_from_bytes(bytes.data() + ipv6::kDestination);
    if (is_of_a_link(bytes.data() + ipv6::kDestination)) {
      key.device = user == User::Output ? packet.out_device : packet.in_device;
    }
    gathered = gather_ipv6(packet, std::move(key), now_ns, whole);
  } else if (is_ipv4_fragment(bytes)) {
    key.source = net::ipv4_from_bytes(bytes.data() + ipv4::kSource);
    key.destination = net::ipv4_from_bytes(bytes.data() + ipv4::kDestination);
    gathered = gather_ipv4(packet, std::move(key), now_ns, whole);
  }
  if (gathered.what == What::Whole) {
    // The last to arrive takes on all that was beside the first (skb_morph()), but for its way.
    whole.in_device = packet.in_device;
    whole.out_device = packet.out_device;
    whole.user = packet.user;
    whole.group = packet.group;
    whole.time_ns = packet.time_ns;
    whole.ct_state = packet.ct_state;
  }
  return gathered;
}

Packet Fragments::joined(const Queue& all) {
  Packet whole = all.first;
  for (const auto& [offset, data] : all.parts) {
    whole.bytes.insert(whole.bytes.end(), data.begin(), data.end());
  }
  return whole;
}

// ip_defrag() and ip_frag_queue().
Gathered Fragments::gather_ipv4(const Packet& packet, Key key, std::uint64_t now_ns,
                                Packet& whole) {
  const ByteSpan bytes = packet.bytes;
  const std::size_t header = ipv4::header_size(bytes);
  key.protocol = bytes[ipv4::kProtocol];
  key.id = be16(bytes.data() + ipv4::kIdentification);
  forget_older_than(now_ns);
  Queue* found = find(key, kTimeoutIpv4);
  if (found == nullptr) return {.what = What::Full};
  Queue& queue = *found;
  if (too_far(queue, key.source)) drop_parts(key, queue);

  const auto give_up = [&](const char* why) {
    remove(key);
    return discarded(why);
  };
  // A rule may have written into the header's length.
  if (header < ipv4::kHeaderSize || header > bytes.size()) return give_up(kBroken);
  const std::uint16_t field = be16(bytes.data() + ipv4::kFragment);
  Part part;
  part.offset = (field & ipv4::kOffsetMask) * 8U;
  part.end = part.offset + static_cast<std::uint32_t>(bytes.size() - header);
  part.more = (field & ipv4::kMoreFragments) != 0;
  part.header = header;
  if (!part.more) {  // "Is this the final fragment?"
    if (part.end < queue.length || (queue.has_last && part.end != queue.length)) {
      return give_up(kContradicts);  // discard_qp
    }
    queue.has_last = true;
    queue.length = part.end;
  } else {
    part.end &= ~7U;
    if (part.end > queue.length) {
      if (queue.has_last) return give_up(kContradicts);
      queue.length = part.end;
    }
  }
  if (part.end == part.offset) return give_up(kBroken);
  part.data = bytes.subspan(header, part.end - part.offset);
  switch (insert(queue, part)) {
    case Insertion::Done:
      break;
    case Insertion::Duplicate:  // IPFRAG_DUP
      return discarded(kDuplicate);
    case Insertion::Overlap:
      return give_up(kOverlaps);
  }
  keep(packet, queue, part, static_cast<std::uint8_t>(1U << (bytes[ipv4::kTos] & 3U)));
  const auto size = static_cast<std::uint32_t>(part.data.size() + header);
  queue.largest = std::max(queue.largest, size);
  if ((field & kDontFragment) != 0) {
    queue.largest_unfragmentable = std::max(queue.largest_unfragmentable, size);
  }
  if (!queue.has_last || !queue.parts.contains(0) || queue.held != queue.length) {
    return {.what = What::Held};
  }

  const Queue all = std::move(queue);
  remove(key);
  return reassemble_ipv4(all, whole);
}

// ip_frag_reasm(). "Don't fragment" is set again only where such a fragment was the largest, or the
// datagram would leave in smaller pieces than it came in.
Gathered Fragments::reassemble_ipv4(const Queue& all, Packet& whole) {
  const auto ecn = common_ecn(all.ecn);
  if (!ecn) return discarded(kEcn);
  whole = joined(all);
  if (whole.bytes.size() > kLargestPacket) return discarded(kTooLong);
  std::uint8_t* ip = whole.bytes.data();
  put_be16(ip + ipv4::kTotalLength, static_cast<std::uint32_t>(whole.bytes.size()));
  ip[ipv4::kTos] |= *ecn;
  put_be16(ip + ipv4::kFragment, all.largest_unfragmentable == all.largest ? kDontFragment : 0);
  put_be16(ip + ipv4::kChecksum, 0);
  put_be16(ip + ipv4::kChecksum,
           internet_checksum(ByteSpan(whole.bytes).first(ipv4::header_size(whole.bytes))));
  return {.what = What::Whole, .fragment_size = std::max(all.largest, all.largest_unfragmentable)};
}

// nf_ct_frag6_gather() and nf_ct_frag6_queue().
Gathered Fragments::gather_ipv6(const Packet& packet, Key key, std::uint64_t now_ns,
                                Packet& whole) {
  const ByteSpan bytes = packet.bytes;
  const std::size_t payload = be16(bytes.data() + ipv6::kPayloadLength);
  if (payload == 0) return {};  // "Jumbo payload inhibits frag. header"
  const auto header = find_fragment_header(bytes);
  if (!header || lacks_transport_header(bytes, header->offset)) return {};
  if (!readable(bytes, header->offset, ipv6::kFragmentHeaderSize)) return discarded(kBroken);

  key.id = be32(bytes.data() + header->offset + 4);
  forget_older_than(now_ns);
  Queue* found = find(key, kTimeoutIpv6);
  if (found == nullptr) return {.what = What::Full};
  Queue& queue = *found;

  const std::uint16_t field = be16(bytes.data() + header->offset + 2);
  const std::size_t data = header->offset + ipv6::kFragmentHeaderSize;
  // As the header has it: what a program sends through a raw socket may say anything.
  const std::ptrdiff_t size =
      static_cast<std::ptrdiff_t>(ipv6::kHeaderSize + payload) - static_cast<std::ptrdiff_t>(data);
  const std::ptrdiff_t end = static_cast<std::ptrdiff_t>(field & 0xfff8) + size;
  if (end < 0 || end > kLargestPayload) return discarded(kBroken);
  Part part;
  part.offset = field & 0xfff8;
  part.end = static_cast<std::uint32_t>(end);
  part.more = (field & 1) != 0;
  part.header = header->offset;
  if (!part.more) {  // "Is this the final fragment?"
    if (part.end < queue.length || (queue.has_last && part.end != queue.length)) {
      return discarded(kContradicts);  // err: the queue stays
    }
    queue.has_last = true;
    queue.length = part.end;
  } else {
    if (part.end % 8 != 0) {  // -EPROTO, which nf_ct_frag6_gather() turns into an accept
      remove(key);
      return {};
    }
    if (part.end > queue.length) {
      if (queue.has_last) return discarded(kContradicts);
      queue.length = part.end;
    }
  }
  if (part.end <= part.offset) return discarded(kBroken);
  part.data = bytes.subspan(data);
  part.data = part.data.first(std::min<std::size_t>(part.data.size(), part.end - part.offset));
  switch (insert(queue, part)) {
    case Insertion::Done:
      break;
    case Insertion::Duplicate:
      return discarded(kDuplicate);
    case Insertion::Overlap:
      remove(key);
      return discarded(kOverlaps);
  }
  const std::uint32_t traffic_class = be16(bytes.data()) >> 4 & 0xffU;
  keep(packet, queue, part, static_cast<std::uint8_t>(1U << (traffic_class & 3U)));
  queue.largest = std::max(queue.largest, static_cast<std::uint32_t>(payload));
  if (part.offset == 0) {
    queue.header_named_by = header->named_by;
    queue.next_header = bytes[header->offset];
  }
  if (!queue.has_last || !queue.parts.contains(0) || queue.held != queue.length) {
    return {.what = What::Held};
  }

  const Queue all = std::move(queue);
  remove(key);
  return reassemble_ipv6(all, whole);
}

// nf_ct_frag6_reasm(): the fragment header is taken out, and what named it names what it named.
Gathered Fragments::reassemble_ipv6(const Queue& all, Packet& whole) {
  const auto ecn = common_ecn(all.ecn);
  if (!ecn) return discarded(kEcn);
  whole = joined(all);
  const std::size_t new_payload = whole.bytes.size() - ipv6::kHeaderSize;
  if (new_payload > kLargestPacket) return discarded(kTooLong);
  // A byte holds where it is, in the kernel.
  whole.bytes[all.header_named_by & 0xff] = all.next_header;
  put_be16(whole.bytes.data() + ipv6::kPayloadLength, static_cast<std::uint32_t>(new_payload));
  whole.bytes[1] |= static_cast<std::uint8_t>(*ecn << 4);
  return {
      .what = What::Whole,
      .fragment_size = static_cast<std::uint32_t>(ipv6::kHeaderSize) + all.largest,
      .first_size = static_cast<std::uint32_t>(all.first.bytes.size() + all.parts.at(0).size())};
}

}  // namespace rolewall::eval

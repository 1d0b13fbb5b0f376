// Datagrams put together again from their fragments: before connection tracking, by the hooks at
// priority -400 (net/ipv4/netfilter/nf_defrag_ipv4.c, net/ipv6/netfilter/nf_conntrack_reasm.c),
// which are there where the ruleset uses conntrack; and, of IPv4, before what is delivered here
// meets input (ip_local_deliver()). The queues are those of net/ipv4/inet_fragment.c.
//
// The sizes that the kernel counts against its limit are those of buffers, which depend on the
// network card; here they are estimated from below.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "eval/packet.h"
#include "eval/wire.h"
#include "net/address.h"

namespace rolewall::eval {

struct Gathered {
  enum class What : std::uint8_t {
    Untouched,  // no fragment, or one so malformed that the hook lets it go on as it is
    Whole,      // the last part that was missing: the packet goes on as the datagram
    Held,       // waits for its missing parts
    Discarded,
    Full,  // discarded: others take up the memory that there is for fragments
  };
  What what = What::Untouched;
  const char* why = "";  // Discarded
  // Whole: the size of the largest fragment, into which the datagram is cut up again where it
  // leaves (IPCB(skb)->frag_max_size).
  std::uint32_t fragment_size = 0;
  std::uint32_t first_size = 0;  // how much of the datagram came in the first, of IPv6
};

// Whether any part of the datagram is in another packet.
bool is_ipv4_fragment(ByteSpan packet);
bool has_fragment_header(ByteSpan ipv6_packet);

class Fragments {
 public:
  // Each puts its own fragments together (enum ip_defrag_users of include/net/ip.h).
  enum class User : std::uint8_t { Prerouting, Output, LocalDelivery };

  // Takes `packet`, if it is a fragment. Of Whole it fills `whole`: the first fragment's header,
  // and what was beside that one (marks, priority, Ethernet header), on the way of the last to
  // arrive. REQUIRES: a whole fixed IP header, lengths checked. `zone`: conntrack's, where a rule
  // has chosen one before.
  Gathered gather(const Packet& packet, User user, std::uint16_t zone, std::uint64_t now_ns,
                  Packet& whole);
  void clear();

 private:
  struct Key {
    User user = User::Prerouting;
    std::uint16_t zone = 0;
    bool ipv6 = false;
    std::uint8_t protocol = 0;  // IPv4 alone
    std::uint32_t id = 0;
    net::Address source;
    net::Address destination;
    std::string device;  // of IPv6 addresses that mean something on their link alone
    auto operator<=>(const Key&) const = default;
  };
  // struct inet_frag_queue, ipq and frag_queue.
  struct Queue {
    std::uint64_t expires_ns = 0;
    std::map<std::uint32_t, std::vector<std::uint8_t>> parts;  // by offset; none overlap
    // Parts that came one behind the other, by the first one's offset, and how long they are.
    std::map<std::uint32_t, std::uint32_t> runs;
    bool has_last = false;
    std::uint32_t length = 0;  // of the datagram, as far as known
    std::uint32_t held = 0;    // bytes of it
    std::uint8_t ecn = 0;      // of all fragments, a bit for each of the four
    std::uint32_t largest = 0;
    std::uint32_t largest_unfragmentable = 0;  // with IPv4's "don't fragment"
    std::uint32_t last_of_source = 0;          // ipq::rid
    Packet first;                              // its header alone
    std::size_t header_named_by = 0;           // IPv6: what says that a fragment header follows
    std::uint8_t next_header = 0;              // IPv6: what follows the fragment header
    std::uint64_t memory = 0;
  };
  // The parts in their order, behind the first one's header.
  static Packet joined(const Queue& all);
  enum class Insertion : std::uint8_t { Done, Duplicate, Overlap };
  struct Part {
    std::uint32_t offset = 0;
    std::uint32_t end = 0;
    bool more = false;
    ByteSpan data;
    std::size_t header = 0;  // how much of the packet is before it
  };

  Gathered gather_ipv4(const Packet& packet, Key key, std::uint64_t now_ns, Packet& whole);
  Gathered gather_ipv6(const Packet& packet, Key key, std::uint64_t now_ns, Packet& whole);
  static Gathered reassemble_ipv4(const Queue& all, Packet& whole);
  static Gathered reassemble_ipv6(const Queue& all, Packet& whole);
  void forget_older_than(std::uint64_t now_ns);
  Queue* find(const Key& key, std::uint64_t timeout_ns);
  void remove(const Key& key);
  void drop_parts(const Key& key, Queue& queue);
  void forget_idle_sources();
  bool too_far(Queue& queue, const net::Address& source);
  static Insertion insert(Queue& queue, const Part& part);
  void keep(const Packet& packet, Queue& queue, const Part& part, std::uint8_t ecn);

  std::uint64_t now_ns_ = 0;
  std::map<Key, Queue> queues_;
  std::set<std::pair<std::uint64_t, Key>> by_expiry_;
  std::uint64_t memory_ipv4_ = 0;
  std::uint64_t memory_ipv6_ = 0;
  std::map<net::Address, std::uint32_t> from_source_;  // inet_peer::rid: fragments so far
};

}  // namespace rolewall::eval

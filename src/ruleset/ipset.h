// The sets of ip_set, which rules of iptables look up (`-m set`) and change (`-j SET`): read from
// what `ipset save` lists of them, line by line (net/netfilter/ipset of the kernel).
//
// An element is kept by its key, the bytes of its fields in turn, as a packet's are put together to
// look it up: an address; an address and its prefix's length; a protocol and a port; a MAC address;
// a mark; how an interface's name is compared, and the name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ruleset/host.h"
#include "ruleset/value.h"

namespace rolewall::ruleset {

struct IpSet {
  enum class Method : std::uint8_t { Hash, Bitmap, List };
  enum class Field : std::uint8_t { Address, Network, Port, Mac, Mark, Device };
  enum class Family : std::uint8_t { Ipv4, Ipv6, Any };

  struct Element {
    bool excludes = false;                      // `nomatch`
    std::optional<std::uint32_t> seconds_left;  // absent: it stays
    // What `--map-set` gives a packet.
    std::uint32_t mark = 0;
    std::uint32_t mark_mask = 0xffffffff;
    std::uint32_t priority = 0;
    // Of a set that counts.
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
  };

  std::string name;
  Method method = Method::Hash;
  std::vector<Field> fields;  // of a list none
  Family family = Family::Any;
  Bytes mask;  // of an address before it is looked up; empty: the whole
  std::uint32_t mark_mask = 0xffffffff;
  std::uint32_t first = 0;  // of a bitmap: IPv4 addresses, or ports
  std::uint32_t last = 0;
  std::uint32_t hash_size = 0;
  std::uint32_t most = 0;                // elements
  std::optional<std::uint32_t> timeout;  // in seconds, 0 for ever; absent: its elements stay
  bool gives_values = false;             // `skbinfo`
  bool counts = false;                   // `counters`
  bool replaces_when_full = false;       // `forceadd`

  std::unordered_map<std::string, Element> elements;
  // Of each field that is a network the lengths that elements have, the longest first.
  std::vector<std::vector<std::uint8_t>> lengths;
  std::unordered_set<std::string> networks;  // where a device is a field: those of any device
  struct Member {
    std::string name;
    std::optional<std::uint32_t> seconds_left;
  };
  std::vector<Member> members;  // of a list, in its order
  std::size_t unread = 0;       // elements with a word that is not known here

  bool has(Field field) const;
  std::size_t address_size() const { return family == Family::Ipv6 ? 16 : 4; }
  bool is_list() const { return method == Method::List; }
};

// A device in a key: its whole name is compared, or how it begins.
inline constexpr char kWholeName = 0;
inline constexpr char kBeginningOfName = 1;

// All but those whose type or options are not known.
std::vector<IpSet> read_ipsets(std::span<const std::string> lines);

}  // namespace rolewall::ruleset

// iptables' matches that ask about the packet's mark and its connection: mark, connmark, conntrack,
// state, connbytes, connlabel, connlimit, helper (net/netfilter/xt_*.c). All but mark switch
// connection tracking on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ruleset/xt_bytes.h"

namespace rolewall::ruleset {

// Also connmark, of the connection's.
struct XtMark {
  std::uint32_t value = 0;
  std::uint32_t mask = 0;
  bool inverted = false;
  bool of_connection = false;
};

// state, whose bits are ruleset::ct_state's.
struct XtState {
  std::uint32_t states = 0;
};

// Of a packet without a connection (invalid, untracked) the state alone is asked.
struct XtConntrack {
  // Beside ruleset::ct_state's bits.
  static constexpr std::uint16_t kSourceNat = 1 << 6;
  static constexpr std::uint16_t kDestinationNat = 1 << 7;
  static constexpr std::uint16_t kUntracked = 1 << 8;

  struct Network {
    XtAddress address{};
    XtAddress mask{};
    bool inverted = false;
  };
  struct Bits {
    std::uint16_t mask = 0;
    bool inverted = false;
  };
  std::optional<Bits> states;
  std::optional<Bits> status;  // IPS_* of nf_conntrack_common.h
  std::optional<XtRange<std::uint32_t>> protocol;
  std::optional<Network> source;
  std::optional<Network> destination;
  std::optional<Network> reply_source;
  std::optional<Network> reply_destination;
  std::optional<XtRange<std::uint16_t>> source_port;
  std::optional<XtRange<std::uint16_t>> destination_port;
  std::optional<XtRange<std::uint16_t>> reply_source_port;
  std::optional<XtRange<std::uint16_t>> reply_destination_port;
  std::optional<XtRange<std::uint32_t>> expires;  // in seconds
  std::optional<bool> original;                   // the direction
  bool is_state = false;                          // it was written as `-m state`
};

// What packets of the connection came to; `from` above `to` means all but what lies between.
struct XtConnbytes {
  enum class What : std::uint8_t { Packets, Bytes, Average } what = What::Packets;
  enum class Direction : std::uint8_t { Original, Reply, Both } direction = Direction::Both;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

struct XtConnlabel {
  std::uint16_t bit = 0;
  bool inverted = false;
  bool sets = false;
};

struct XtConnlimit {
  XtAddress mask{};
  std::uint32_t limit = 0;
  bool up_to = false;
  bool by_destination = false;
};

struct XtHelper {
  std::string name;  // "": any
  bool inverted = false;
};

std::optional<XtMark> read_xt_mark(const XtBytes& bytes);
std::optional<XtMark> read_xt_connmark(const XtBytes& bytes);
std::optional<XtState> read_xt_state(const XtBytes& bytes);
std::optional<XtConntrack> read_xt_conntrack_1(const XtBytes& bytes);
std::optional<XtConntrack> read_xt_conntrack_2(const XtBytes& bytes);
std::optional<XtConntrack> read_xt_conntrack(const XtBytes& bytes);
std::optional<XtConnbytes> read_xt_connbytes(const XtBytes& bytes);
std::optional<XtConnlabel> read_xt_connlabel(const XtBytes& bytes);
std::optional<XtConnlimit> read_xt_connlimit(const XtBytes& bytes);
std::optional<XtHelper> read_xt_helper(const XtBytes& bytes);

std::string xt_words(const XtMark& match, XtFamily family);
std::string xt_words(const XtState& match, XtFamily family);
std::string xt_words(const XtConntrack& match, XtFamily family);
std::string xt_words(const XtConnbytes& match, XtFamily family);
std::string xt_words(const XtConnlabel& match, XtFamily family);
std::string xt_words(const XtConnlimit& match, XtFamily family);
std::string xt_words(const XtHelper& match, XtFamily family);

}  // namespace rolewall::ruleset

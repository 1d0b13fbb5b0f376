// One packet on its way through the hooks of a host: what of it changes as it goes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/choices.h"
#include "eval/conntrack.h"
#include "eval/dissect.h"
#include "eval/eval.h"
#include "eval/flows.h"
#include "eval/packet.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::eval {

inline constexpr std::string_view kLoopbackDevice = "lo";

// What hangs on the packet in the kernel's skb->_nfct.
struct Flow {
  Tracking tracking = Tracking::None;
  std::uint32_t state = ruleset::ct_state::kNew;  // Entry alone
  bool seen_before = false;       // the state was given: nothing else is known of the entry
  bool is_untranslated = false;   // seen_before: it was asked, and is not
  Tuple tuple;                    // Entry alone: of the flow's first packet
  Tuple reply;                    // Entry alone: what the answer will bear, after any translation
  FlowEntry* entry = nullptr;     // in the table, once the flow is there
  bool is_error = false;          // an ICMP error about `entry`
  bool is_answer = false;         // of this host to a packet that bore the same entry
  bool is_confirmed = false;      // though its first packet is still on its way
  bool has_come_back = false;     // over the loopback, with what its way out has found
  bool expects = false;           // a rule gave it a helper or an expectation
  const Flows* others = nullptr;  // the table, where earlier packets are remembered
  std::array<std::uint64_t, 2> packets{};  // by direction, this one among them
  std::array<std::uint64_t, 2> bytes{};
  bool is_reply = false;  // this packet goes the other way than the first
  std::uint32_t mark = 0;
  std::array<std::uint8_t, 16> labels{};
  std::uint16_t zone = 0;
  std::uint32_t status = 0;   // IPS_* of include/uapi/linux/netfilter/nf_conntrack_common.h
  bool has_template = false;  // a zone was chosen before tracking
  std::string_view helper;    // that a rule gave it; "": none
  // How long it lives, by a rule: its policy, or the name alone of one that is not known.
  const ruleset::CtTimeout* timeouts = nullptr;
  std::string_view unknown_timeouts;
  std::uint16_t masters_helper = 0;  // `ct helper`: of the flow that expected it (Flows::name())
  const char* why = "";              // None: why it was not tracked
};

struct Frame {
  const Packet* packet = nullptr;
  ByteSpan bytes;                     // from the network header on
  std::vector<std::uint8_t> rebuilt;  // where they live once something on the way has changed them
  // What `packet` is, once fragments are put together, and the size of the largest of them, into
  // which the datagram is cut up again where it leaves.
  Packet whole;
  std::uint32_t fragment_size = 0;
  bool ipv6 = false;
  ruleset::Hook hook = ruleset::Hook::Prerouting;
  ruleset::Family seen_as = ruleset::Family::Ip;  // `meta nfproto`
  Dissection dissection;
  // Where the inner header begins, from the first question of a chain's rules on: the kernel does
  // not look again, whatever they write (NFT_PKTINFO_INNER).
  std::optional<std::uint32_t> inner;
  // Bytes into which a rule has written what only the kernel knows.
  struct Unsure {
    std::size_t from = 0;
    std::size_t to = 0;
    std::string name;
  };
  std::vector<Unsure> unsure;
  bool rewritten_options = false;  // the host has written into the IPv4 options
  std::string_view in_device;      // "" where the hook has none
  std::string_view out_device;
  std::string_view leaves_by;             // "" until there is a route
  std::string way_out;                    // where leaves_by is no one else's word
  const ruleset::Route* route = nullptr;  // that it is passed on by; null: not known
  std::uint32_t link_header_size = 0;
  std::uint32_t mark = 0;
  std::uint32_t priority = 0;
  bool mark_is_set = false;  // by a rule, or the host
  bool priority_is_set = false;
  bool priority_is_by_tos = false;  // it was another before the packet was passed on
  PacketType type = PacketType::Host;
  bool is_bridged = false;  // taken for a frame to another host on its bridge, by br_netfilter
  bool has_socket = false;  // a tproxy has found one (skb->sk), on the way in
  Flow flow;
  const ruleset::Host* host = nullptr;
  Reads reads;
  bool notes_reads = false;
  std::string shown;                  // Journey::shown
  std::vector<std::string> assumed;   // Journey::assumed, of rules
  Choices* choices = nullptr;         // what is taken where several answers are possible
  std::vector<Condition> conditions;  // what was taken for given; the journey's in the end

  // skb->len: on its way out by a device the packet has its link header on.
  std::uint32_t length() const {
    return static_cast<std::uint32_t>(bytes.size()) + link_header_size;
  }

  const Unsure* unsure_among(std::size_t start, std::size_t size) const {
    const auto found = std::ranges::find_if(
        unsure, [&](const Unsure& bytes) { return bytes.from < start + size && start < bytes.to; });
    return found == unsure.end() ? nullptr : &*found;
  }

  // How many of the bytes are known (Packet::missing).
  std::size_t known() const {
    return std::min(bytes.size(), packet->bytes.size() - packet->missing);
  }

  // The bytes, to write to: the packet that was asked about stays as it is.
  std::vector<std::uint8_t>& own_bytes() {
    if (bytes.data() == rebuilt.data()) {
      rebuilt.resize(bytes.size());
    } else {
      rebuilt.assign(bytes.begin(), bytes.end());
    }
    bytes = rebuilt;
    return rebuilt;
  }
};

}  // namespace rolewall::eval

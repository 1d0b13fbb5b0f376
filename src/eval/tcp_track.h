// The TCP state machine and window check of connection tracking: nf_conntrack_tcp_packet() and
// tcp_in_window() of net/netfilter/nf_conntrack_proto_tcp.c. Sequence numbers are not mangled here
// (no helper is at work), and no synproxy stands between.
#pragma once

#include <array>
#include <cstdint>

#include "eval/flow_timeouts.h"
#include "eval/wire.h"

namespace rolewall::eval {

// enum tcp_conntrack, in its order.
enum class TcpState : std::uint8_t {
  None,
  SynSent,
  SynRecv,
  Established,
  FinWait,
  CloseWait,
  LastAck,
  TimeWait,
  Close,
  SynSent2,
  Ignore,
  Invalid,
};

enum class TcpIndex : std::uint8_t { Syn, SynAck, Fin, Ack, Rst, None };

// struct ip_ct_tcp_state.
struct TcpSide {
  std::uint32_t end = 0;
  std::uint32_t max_end = 0;
  std::uint32_t max_window = 0;
  std::uint32_t max_ack = 0;
  std::uint8_t scale = 0;
  std::uint8_t flags = 0;
  bool operator==(const TcpSide&) const = default;
};

// struct ip_ct_tcp.
struct TcpTrack {
  TcpState state = TcpState::None;
  std::array<TcpSide, 2> seen{};
  TcpIndex last_index = TcpIndex::None;
  std::uint8_t last_direction = 0;
  std::uint8_t retransmitted = 0;
  std::uint32_t last_sequence = 0;
  std::uint32_t last_ack = 0;
  std::uint32_t last_end = 0;
  std::uint16_t last_window = 0;
  std::uint8_t last_scale = 0;
  std::uint8_t last_flags = 0;
  bool operator==(const TcpTrack&) const = default;
};

struct TcpAnswer {
  enum class What : std::uint8_t {
    Accept,   // counted, and the timeout renewed
    Ignore,   // of the flow, but neither counted nor believed
    Invalid,  // `ct state` reads invalid
    Reopen,   // the flow is over, and this packet begins another
    Kill,     // of the flow, which ends with it
  } what = What::Accept;
  std::uint32_t timeout_s = 0;  // Accept alone
  // Invalid alone: the ends have both said that it is over, so it need not live on for days.
  bool lowers_timeout = false;
};

// REQUIRES, of all: a whole TCP header with flags that there are.
// False: no SYN, and the settings pick up no connection in its middle.
bool begin_tcp(TcpTrack& track, ByteSpan tcp, const TrackingSettings& settings);
bool is_reset(ByteSpan tcp);
// `status` is the flow's, and may become assured.
TcpAnswer follow_tcp(TcpTrack& track, ByteSpan tcp, bool is_reply, std::uint32_t& status,
                     const TrackingSettings& settings);

}  // namespace rolewall::eval

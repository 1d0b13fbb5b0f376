// TCP as connection tracking sees it: net/netfilter/nf_conntrack_proto_tcp.c of Linux 6.12.
//
// Conntrack is the man in the middle: it sees each segment once, on its way, and has to guess from
// that what the two ends know. Two questions are put to every segment of a flow:
//
//   Does the state machine have a step for it? tcp_conntracks[direction][kind][state] gives the
//   next state, or sIV (invalid: `ct state` says so) or sIG (of the flow, but not believed; what
//   may answer it is noted). transition() is the switch over that next state in
//   nf_conntrack_tcp_packet(); its cases stand here in the kernel's order, by the kernel's names.
//
//   Is it in the window? tcp_in_window() holds it against four bounds (its own numbers):
//     I    seq     <= sender.td_maxend                        not more than was offered
//     II   seq+len >= sender.td_end - receiver.td_maxwin      not older than what may be repeated
//     III  sack    <= receiver.td_end                         not of data that was never sent
//     IV   sack    >= receiver.td_end - MAXACKWINDOW          not older than a window
//   where sack is the highest number that it acknowledges, selectively or not.
//
// Why it is right: TcpTrack is struct ip_ct_tcp, field by field, and each function here is one of
// the kernel's (it says which) with the tests in the same order. The order is part of the answer:
// what fails a later test has been written down by an earlier one. tests/kernel's
// conversation_judge plays the same segments through a kernel and compares.
//
//   TcpIndex              enum tcp_bit_set, get_conntrack_index()
//   TcpSide               struct ip_ct_tcp_state: end td_end, max_end td_maxend, max_window
//                         td_maxwin, max_ack td_maxack, scale td_scale
//   TcpTrack              struct ip_ct_tcp: retransmitted retrans, last_window last_win,
//                         last_scale last_wscale, the others by their names
//   read_options()        tcp_options()
//   highest_sack()        tcp_sack()
//   begin_side()          tcp_init_sender()
//   check_window()        tcp_in_window(), with nf_tcp_store_invalid()
//   note_invalid()        nf_tcp_handle_invalid()
//   is_closing()          tcp_can_early_drop()
//   begin_tcp()           tcp_new()
//   follow_tcp()          nf_conntrack_tcp_packet()
//
// Elsewhere: tcp_error() is in conntrack.cc. Not here, since nothing asks for it: synproxy's keep
// alive (nfct_synproxy()), a helper's shift of sequence numbers (nf_ct_seq_offset()), entries with
// IPS_FIXED_TIMEOUT.
#include "eval/tcp_track.h"

#include <algorithm>

#include "eval/nat.h"

namespace rolewall::eval {
namespace {

// Of include/uapi/linux/netfilter/nf_conntrack_tcp.h.
enum SideFlag : std::uint8_t {
  kWindowScale = 0x01,       // IP_CT_TCP_FLAG_WINDOW_SCALE
  kSackPermitted = 0x02,     // IP_CT_TCP_FLAG_SACK_PERM
  kCloseInit = 0x04,         // IP_CT_TCP_FLAG_CLOSE_INIT: this side has sent the first FIN
  kBeLiberal = 0x08,         // IP_CT_TCP_FLAG_BE_LIBERAL
  kUnacknowledged = 0x10,    // IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED
  kMaxAckSet = 0x20,         // IP_CT_TCP_FLAG_MAXACK_SET
  kChallengeAck = 0x40,      // IP_CT_EXP_CHALLENGE_ACK, of last_flags
  kSimultaneousOpen = 0x80,  // IP_CT_TCP_SIMULTANEOUS_OPEN, of last_flags
};

// The kernel's own short names.
constexpr TcpState sNO = TcpState::None, sSS = TcpState::SynSent, sSR = TcpState::SynRecv,
                   sES = TcpState::Established, sFW = TcpState::FinWait, sCW = TcpState::CloseWait,
                   sLA = TcpState::LastAck, sTW = TcpState::TimeWait, sCL = TcpState::Close,
                   sS2 = TcpState::SynSent2, sIG = TcpState::Ignore, sIV = TcpState::Invalid;

// tcp_conntracks[]: by direction, by what the packet is, by the state before.
using Row = std::array<TcpState, 10>;
// clang-format off
constexpr std::array<std::array<Row, 6>, 2> kNext{{
    {{  // IP_CT_DIR_ORIGINAL
      //          sNO, sSS, sSR, sES, sFW, sCW, sLA, sTW, sCL, sS2
      /*syn*/    {sSS, sSS, sIG, sIG, sIG, sIG, sIG, sSS, sSS, sS2},
      /*synack*/ {sIV, sIV, sSR, sIV, sIV, sIV, sIV, sIV, sIV, sSR},
      /*fin*/    {sIV, sIV, sFW, sFW, sLA, sLA, sLA, sTW, sCL, sIV},
      /*ack*/    {sES, sIV, sES, sES, sCW, sCW, sTW, sTW, sCL, sIV},
      /*rst*/    {sIV, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL},
      /*none*/   {sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV}}},
    {{  // IP_CT_DIR_REPLY
      //          sNO, sSS, sSR, sES, sFW, sCW, sLA, sTW, sCL, sS2
      /*syn*/    {sIV, sS2, sIV, sIV, sIV, sIV, sIV, sSS, sIV, sS2},
      /*synack*/ {sIV, sSR, sIG, sIG, sIG, sIG, sIG, sIG, sIG, sSR},
      /*fin*/    {sIV, sIV, sFW, sFW, sLA, sLA, sLA, sTW, sCL, sIV},
      /*ack*/    {sIV, sIG, sSR, sES, sCW, sCW, sTW, sTW, sCL, sIG},
      /*rst*/    {sIV, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL},
      /*none*/   {sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV}}},
}};
// clang-format on

bool before(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}
bool after(std::uint32_t a, std::uint32_t b) {
  return before(b, a);
}

struct Segment {
  ByteSpan options;
  std::uint32_t sequence = 0;
  std::uint32_t ack = 0;
  std::uint32_t end = 0;  // segment_seq_plus_len()
  std::uint16_t window = 0;
  bool fin = false, syn = false, rst = false, has_ack = false;
  TcpIndex index = TcpIndex::None;
};

Segment read(ByteSpan tcp) {
  Segment segment;
  const std::size_t header = std::size_t{tcp[12]} / 16 * 4;
  const std::uint8_t flags = tcp[13];
  segment.options = tcp.subspan(20, header - 20);
  segment.sequence = be32(tcp.data() + 4);
  segment.ack = be32(tcp.data() + 8);
  segment.window = be16(tcp.data() + 14);
  segment.fin = (flags & kFin) != 0;
  segment.syn = (flags & kSyn) != 0;
  segment.rst = (flags & kRst) != 0;
  segment.has_ack = (flags & kAck) != 0;
  segment.end = segment.sequence + static_cast<std::uint32_t>(tcp.size() - header) +
                (segment.syn ? 1 : 0) + (segment.fin ? 1 : 0);
  segment.index = segment.rst       ? TcpIndex::Rst
                  : segment.syn     ? (segment.has_ack ? TcpIndex::SynAck : TcpIndex::Syn)
                  : segment.fin     ? TcpIndex::Fin
                  : segment.has_ack ? TcpIndex::Ack
                                    : TcpIndex::None;
  return segment;
}

// Calls visit(kind, value) for each whole option, as tcp_options() and tcp_sack() walk them.
template <class Visit>
void for_each_option(ByteSpan options, Visit visit) {
  enum : std::uint8_t { kEnd = 0, kNop = 1 };
  while (!options.empty() && options[0] != kEnd) {
    if (options[0] == kNop) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || options[1] < 2 || options[1] > options.size()) return;
    visit(options[0], options.subspan(2, options[1] - 2U));
    options = options.subspan(options[1]);
  }
}

// tcp_options(): the window's scale, and whether there may be selective acknowledgements.
void read_options(const Segment& segment, TcpSide& side) {
  enum : std::uint8_t { kWindowOption = 3, kSackPermittedOption = 4, kHighestScale = 14 };
  if (segment.options.empty()) return;
  side.scale = 0;
  side.flags &= kBeLiberal;
  for_each_option(segment.options, [&](std::uint8_t kind, ByteSpan value) {
    if (kind == kSackPermittedOption && value.empty()) side.flags |= kSackPermitted;
    if (kind == kWindowOption && value.size() == 1) {
      side.scale = std::min<std::uint8_t>(value[0], kHighestScale);
      side.flags |= kWindowScale;
    }
  });
}

// tcp_sack().
std::uint32_t highest_sack(const Segment& segment, std::uint32_t ack) {
  constexpr std::uint8_t kSackOption = 5;
  bool seen = false;
  for_each_option(segment.options, [&](std::uint8_t kind, ByteSpan value) {
    if (kind != kSackOption || seen || value.empty() || value.size() % 8 != 0) return;
    seen = true;
    for (std::size_t i = 0; i < value.size(); i += 8) {
      const std::uint32_t right = be32(value.data() + i + 4);
      if (after(right, ack)) ack = right;
    }
  });
  return ack;
}

// tcp_init_sender(): a SYN, or the SYN+ACK that answers it. Windows are scaled where both want it.
void begin_side(TcpSide& sender, TcpSide& receiver, const Segment& segment, bool is_reply) {
  sender.end = sender.max_end = segment.end;
  sender.max_window = std::max<std::uint32_t>(segment.window, 1);
  read_options(segment, sender);
  if (is_reply && (sender.flags & receiver.flags & kWindowScale) == 0) {
    sender.scale = 0;
    receiver.scale = 0;
  }
}

// enum nf_ct_tcp_action.
enum class Window : std::uint8_t { Accept, Ignore, Invalid };

// What tcp_in_window() compares, in its words. They begin as the segment has them.
struct Numbers {
  std::uint32_t sequence = 0;
  std::uint32_t end = 0;
  std::uint32_t ack = 0;
  std::uint32_t sack = 0;
};

// tcp_in_window(), its first part: a side of which nothing is known yet, or that begins anew. True:
// a SYN of a simultaneous open, which is accepted as it is.
bool learn_side(const TcpTrack& track, TcpSide& sender, TcpSide& receiver, const Segment& segment,
                const Numbers& numbers, bool is_reply) {
  if (sender.max_window == 0) {
    if (segment.syn) {
      begin_side(sender, receiver, segment, is_reply);
      return !segment.has_ack;
    }
    // "We are in the middle of a connection, its history is lost for us."
    sender.end = numbers.end;
    sender.max_window = std::max<std::uint32_t>(std::uint32_t{segment.window} << sender.scale, 1);
    sender.max_end = numbers.end + sender.max_window;
    if (receiver.max_window == 0) {
      receiver.end = receiver.max_end = numbers.sack;  // so that it passes III and IV
    } else if (numbers.sack == receiver.end + 1) {
      ++receiver.end;  // "Likely a reply to a keepalive. Needed for III."
    }
    return false;
  }
  if (segment.syn && after(numbers.end, sender.end) && (track.state == sSS || track.state == sSR)) {
    // RFC 793: a TCP that begins anew need only use higher numbers than before.
    begin_side(sender, receiver, segment, is_reply);
    return is_reply && !segment.has_ack;
  }
  return false;
}

// Its second part, the four bounds; each answer is one of its calls of nf_tcp_store_invalid(), by
// whose NF_TCP_LOG_* it is named here.
Window within_bounds(TcpSide& sender, const TcpSide& receiver, const Numbers& numbers) {
  constexpr std::uint32_t kLeastAckWindow = 66000;                                // MAXACKWINCONST
  const std::uint32_t ack_window = std::max(sender.max_window, kLeastAckWindow);  // MAXACKWINDOW
  const bool ack_is_known = before(numbers.sack, receiver.end + 1);               // III
  const bool ack_is_recent = after(numbers.sack, receiver.end - ack_window - 1);  // IV
  const bool is_recent = after(numbers.end, sender.end - receiver.max_window - 1);  // II
  if (!before(numbers.sequence, sender.max_end + 1)) {                              // I
    const std::uint32_t overshot = numbers.end - sender.max_end + 1;
    if (receiver.max_window != 0 && is_recent && ack_is_recent && overshot <= receiver.max_window &&
        ack_is_known) {
      // OVERSHOT: more than the window allows, and the rules may let it pass. The data counts as
      // sent, else its acknowledgement would fail III for good.
      sender.end = numbers.end;
      sender.flags |= kUnacknowledged;
      return Window::Ignore;
    }
    return Window::Invalid;  // SEQ_OVER
  }
  if (!ack_is_known) return Window::Invalid;                          // ACK_OVER
  if (receiver.max_window != 0 && !is_recent) return Window::Ignore;  // SEQ_UNDER
  return ack_is_recent ? Window::Accept : Window::Ignore;             // ACK_UNDER
}

// Its third part, "Update sender data" and "Update receiver data".
void move_windows(TcpSide& sender, TcpSide& receiver, const Segment& segment,
                  const Numbers& numbers) {
  std::uint32_t window = segment.window;
  if (!segment.syn) window <<= sender.scale;
  sender.max_window = std::max(sender.max_window, window + (numbers.sack - numbers.ack));
  if (after(numbers.end, sender.end)) {
    sender.end = numbers.end;
    sender.flags |= kUnacknowledged;
  }
  if (segment.has_ack) {
    if ((sender.flags & kMaxAckSet) == 0) {
      sender.max_ack = numbers.ack;
      sender.flags |= kMaxAckSet;
    } else if (after(numbers.ack, sender.max_ack)) {
      sender.max_ack = numbers.ack;
    }
  }
  if (receiver.max_window != 0 && after(numbers.end, sender.max_end)) {
    receiver.max_window += numbers.end - sender.max_end;
  }
  if (after(numbers.sack + window, receiver.max_end - 1)) {
    receiver.max_end = numbers.sack + window + (window == 0 ? 1 : 0);
  }
  if (numbers.ack == receiver.end) {
    receiver.flags &= static_cast<std::uint8_t>(~kUnacknowledged);
  }
}

// Its end, "Check retransmissions": the same ACK again and again.
void count_retransmissions(TcpTrack& track, const Segment& segment, const Numbers& numbers,
                           bool is_reply) {
  if (segment.index != TcpIndex::Ack) return;
  const std::uint8_t direction = is_reply ? 1 : 0;
  const bool again = track.last_direction == direction && track.last_sequence == numbers.sequence &&
                     track.last_ack == numbers.ack && track.last_end == numbers.end &&
                     track.last_window == segment.window;
  track.retransmitted = again ? static_cast<std::uint8_t>(track.retransmitted + 1) : 0;
  track.last_direction = direction;
  track.last_sequence = numbers.sequence;
  track.last_ack = numbers.ack;
  track.last_end = numbers.end;
  track.last_window = segment.window;
}

// tcp_in_window().
Window check_window(TcpTrack& track, const Segment& segment, bool is_reply,
                    const TrackingSettings& settings) {
  TcpSide& sender = track.seen[is_reply ? 1 : 0];
  TcpSide& receiver = track.seen[is_reply ? 0 : 1];
  Numbers numbers{
      .sequence = segment.sequence, .end = segment.end, .ack = segment.ack, .sack = segment.ack};
  if ((receiver.flags & kSackPermitted) != 0) numbers.sack = highest_sack(segment, segment.ack);
  if (learn_side(track, sender, receiver, segment, numbers, is_reply)) return Window::Accept;

  // "If there is no ACK, just pretend it was set and OK", and of a RST with an ACK of 0 as well.
  if (!segment.has_ack || (segment.rst && numbers.ack == 0)) {
    numbers.ack = numbers.sack = receiver.end;
  }
  // "RST sent answering SYN."
  if (segment.rst && numbers.sequence == 0 && track.state == sSS) {
    numbers.sequence = numbers.end = sender.end;
  }
  if (const Window answer = within_bounds(sender, receiver, numbers); answer != Window::Accept) {
    const bool liberal = (sender.flags & kBeLiberal) != 0 || settings.tcp_be_liberal;
    return liberal ? Window::Accept : answer;
  }
  move_windows(sender, receiver, segment, numbers);
  count_retransmissions(track, segment, numbers, is_reply);
  return Window::Accept;
}

std::uint32_t timeout_of(TcpState state, const TrackingSettings& settings) {
  switch (state) {
    case TcpState::SynSent:
      return settings.tcp_timeout_syn_sent;
    case TcpState::SynSent2:
      return settings.tcp_timeout_syn_sent2;
    case TcpState::SynRecv:
      return settings.tcp_timeout_syn_recv;
    case TcpState::Established:
      return settings.tcp_timeout_established;
    case TcpState::FinWait:
      return settings.tcp_timeout_fin_wait;
    case TcpState::CloseWait:
      return settings.tcp_timeout_close_wait;
    case TcpState::LastAck:
      return settings.tcp_timeout_last_ack;
    case TcpState::TimeWait:
      return settings.tcp_timeout_time_wait;
    case TcpState::Close:
      return settings.tcp_timeout_close;
    case TcpState::None:
    case TcpState::Ignore:
    case TcpState::Invalid:
      return 0;
  }
  return 0;
}

// tcp_can_early_drop().
bool is_closing(TcpState state) {
  return state >= TcpState::FinWait && state <= TcpState::Close;
}

// What the machine lets pass without believing it, for it may be out of step itself: noted, for
// what may answer it. The kernel's comment counts three: a) a SYN in the original direction, with
// its options, b) the SYN+ACK that answers it, c) an ACK of the reply direction after the first
// SYN.
void note_ignored(TcpTrack& track, const Segment& segment, bool is_reply) {
  track.last_index = segment.index;
  track.last_direction = is_reply ? 1 : 0;
  track.last_sequence = segment.sequence;
  track.last_end = segment.end;
  track.last_window = segment.window;
  if (segment.index == TcpIndex::Syn && !is_reply) {
    TcpSide seen;
    read_options(segment, seen);
    track.last_flags = seen.flags;
    track.last_scale = seen.scale;
    // It may be answered by a challenge (RFC 5961), which must not pass for the last FIN's ACK.
    if (track.state == sLA) track.last_flags |= kChallengeAck;
  }
  if (track.state == sSS && segment.index == TcpIndex::Ack && is_reply) {
    track.last_ack = segment.ack;  // "possible challenge ack reply to syn"
  }
}

// nf_tcp_handle_invalid(): the end of an assured connection, out of the window. True: the other end
// has said so too, and the entry need not wait for days.
bool note_invalid(TcpTrack& track, const Segment& segment, bool is_reply, std::uint32_t status) {
  const auto ends = [](TcpIndex index) { return index == TcpIndex::Rst || index == TcpIndex::Fin; };
  if ((status & flow_status::kAssured) == 0 || !ends(segment.index)) return false;
  const std::uint8_t direction = is_reply ? 1 : 0;
  if (track.last_direction != direction && ends(track.last_index)) return true;
  track.last_index = segment.index;
  track.last_direction = direction;
  return false;
}

// Whether a SYN+ACK answers the SYN that was ignored last: case b) of TCP_CONNTRACK_IGNORE.
bool answers_ignored_syn(const TcpTrack& track, const Segment& segment, std::uint8_t direction) {
  return segment.index == TcpIndex::SynAck && track.last_index == TcpIndex::Syn &&
         track.last_direction != direction && segment.ack == track.last_end;
}

// "The client and the server are both in sync, while the firewall is not": the asking side is as
// the SYN said, the other is forgotten (nf_ct_tcp_state_reset()).
void get_in_step(TcpTrack& track, std::uint8_t direction) {
  track.last_flags &= static_cast<std::uint8_t>(~kChallengeAck);
  TcpSide& asked = track.seen[track.last_direction];
  asked.end = asked.max_end = track.last_end;
  asked.max_window = std::max<std::uint32_t>(track.last_window, 1);
  asked.scale = track.last_scale;
  asked.flags = track.last_flags;
  track.seen[direction] = {.flags =
                               static_cast<std::uint8_t>(track.seen[direction].flags & kBeLiberal)};
}

// Where nf_conntrack_tcp_packet()'s switch leads.
struct TcpStep {
  TcpState old;  // as it counts from here on: the kernel changes it in one case
  TcpState next;
  enum class To : std::uint8_t {
    Window,    // `break`: tcp_in_window() decides
    InWindow,  // `goto in_window`: it is believed without
    Ignored,   // NF_ACCEPT at once
    Invalid,   // -NF_ACCEPT
    Reopened,  // -NF_REPEAT: the entry is gone, and the packet looked up again
  } to = To::Window;
};

// case TCP_CONNTRACK_CLOSE: how far a RST is believed. Whoever forges one has to hit the number
// that the other side has acknowledged last (td_maxack); one that is near may be answered by a
// challenge, so the state stays.
TcpStep believe_reset(const TcpTrack& track, const Segment& segment, std::uint8_t direction,
                      std::uint32_t status, const TrackingSettings& settings) {
  using To = TcpStep::To;
  TcpStep step{.old = track.state, .next = sCL};
  if (is_closing(track.state)) {
    step.to = To::InWindow;  // the ports may have been used again: no number says anything
    return step;
  }
  const TcpSide& other = track.seen[1 - direction];
  // After an ignored SYN td_maxack may be out of date.
  if ((other.flags & kMaxAckSet) != 0 && track.last_index != TcpIndex::Syn) {
    // nf_conntrack_tcp_established()
    const bool established = track.state == sES && (status & flow_status::kAssured) != 0;
    if (segment.sequence == 0 && !established) return step;  // it answers an ignored SYN
    if (before(segment.sequence, other.max_ack) && !settings.tcp_ignore_invalid_rst) {
      step.to = To::Invalid;
      return step;
    }
    if (!established || segment.sequence == other.max_ack) return step;
    // "Check if rst is part of train": right behind the data of the same side.
    if (track.last_index == TcpIndex::Ack && track.last_direction == direction &&
        segment.sequence == track.last_end) {
      return step;
    }
    step.next = track.state;
  }
  // "RST sent to invalid SYN or ACK we had let through at a) and c) above."
  const bool answers_syn = (status & flow_status::kSeenReply) != 0 &&
                           track.last_index == TcpIndex::Syn && track.last_direction != direction;
  const bool answers_ack =
      (status & flow_status::kAssured) == 0 && track.last_index == TcpIndex::Ack;
  // "Reset in response to a challenge-ack we let through earlier."
  const bool answers_challenge = track.state == sSS && track.last_index == TcpIndex::Ack &&
                                 track.last_direction == 1 && segment.sequence == track.last_ack;
  if (((answers_syn || answers_ack) && segment.ack == track.last_end) || answers_challenge) {
    step.to = To::InWindow;
  }
  return step;
}

// The switch over the next state in nf_conntrack_tcp_packet().
TcpStep transition(TcpTrack& track, const Segment& segment, std::uint8_t direction,
                   std::uint32_t status, const TrackingSettings& settings) {
  using To = TcpStep::To;
  TcpStep step{.old = track.state,
               .next = kNext[direction][static_cast<std::size_t>(segment.index)]
                            [static_cast<std::size_t>(track.state)]};
  switch (step.next) {
    case sSS: {
      if (step.old < sTW) break;
      // RFC 1122: a SYN may open a connection again from TIME-WAIT, and one that was aborted.
      const bool closed = ((track.seen[0].flags | track.seen[1].flags) & kCloseInit) != 0;
      const bool aborted = track.last_direction == direction && track.last_index == TcpIndex::Rst;
      if (closed || aborted) {
        step.to = To::Reopened;
        break;
      }
      [[fallthrough]];
    }
    case sIG:
      if (answers_ignored_syn(track, segment, direction)) {
        get_in_step(track, direction);
        step.old = sSS;
        step.next = sSR;
        break;
      }
      note_ignored(track, segment, direction == 1);
      step.to = To::Ignored;
      break;
    case sIV:  // TCP_CONNTRACK_MAX
      step.to = To::Invalid;
      break;
    case sTW:
      // "Detected RFC5961 challenge ACK": it is not the last FIN's.
      if (step.old == sLA && segment.index == TcpIndex::Ack && track.last_direction != direction &&
          track.last_index == TcpIndex::Syn && (track.last_flags & kChallengeAck) != 0) {
        track.last_flags &= static_cast<std::uint8_t>(~kChallengeAck);
        step.to = To::Ignored;
      }
      break;
    case sS2:
      // "tcp_conntracks table is not smart enough to handle simultaneous open."
      track.last_flags |= kSimultaneousOpen;
      break;
    case sSR:
      if (direction == 1 && segment.index == TcpIndex::Ack &&
          (track.last_flags & kSimultaneousOpen) != 0) {
        step.next = sES;
      }
      break;
    case sCL:
      if (segment.index == TcpIndex::Rst) {
        return believe_reset(track, segment, direction, status, settings);
      }
      break;
    case sNO:
    case sES:
    case sFW:
    case sCW:
    case sLA:
      break;
  }
  return step;
}

// How long the entry lives from this packet on: `in_window` of nf_conntrack_tcp_packet().
std::uint32_t timeout_after(const TcpTrack& track, const Segment& segment,
                            const TrackingSettings& settings) {
  const std::uint32_t timeout = timeout_of(track.state, settings);
  const std::uint32_t retransmitting = settings.tcp_timeout_max_retrans;
  const std::uint32_t unacknowledged = settings.tcp_timeout_unacknowledged;
  if (track.retransmitted >= settings.tcp_max_retrans && timeout > retransmitting) {
    return retransmitting;
  }
  const bool may_be_challenged = segment.index == TcpIndex::Rst && track.state == sES;
  const bool waits = ((track.seen[0].flags | track.seen[1].flags) & kUnacknowledged) != 0;
  if ((may_be_challenged || waits) && timeout > unacknowledged) return unacknowledged;
  if (track.last_window == 0 && timeout > retransmitting) return retransmitting;
  return timeout;
}

}  // namespace

bool is_reset(ByteSpan tcp) {
  return (tcp[13] & kRst) != 0;
}

// tcp_new(). What is no SYN is taken for the middle of a connection, of which nothing is known:
// both sides are believed liberally.
bool begin_tcp(TcpTrack& track, ByteSpan tcp, const TrackingSettings& settings) {
  const Segment segment = read(tcp);
  track = {};
  TcpSide& sender = track.seen[0];
  sender.end = sender.max_end = segment.end;
  sender.max_window = std::max<std::uint32_t>(segment.window, 1);
  if (segment.index == TcpIndex::Syn) {
    read_options(segment, sender);
    return true;
  }
  sender.max_end += sender.max_window;
  track.seen[0].flags = track.seen[1].flags = kSackPermitted | kBeLiberal;
  return settings.tcp_loose;
}

TcpAnswer follow_tcp(TcpTrack& track, ByteSpan tcp, bool is_reply, std::uint32_t& status,
                     const TrackingSettings& settings) {
  using What = TcpAnswer::What;
  const Segment segment = read(tcp);
  const std::uint8_t direction = is_reply ? 1 : 0;
  const TcpStep step = transition(track, segment, direction, status, settings);
  switch (step.to) {
    case TcpStep::To::Window:
      switch (check_window(track, segment, is_reply, settings)) {
        case Window::Accept:
          break;
        case Window::Ignore:
          return {.what = What::Ignore};
        case Window::Invalid:
          return {.what = What::Invalid,
                  .lowers_timeout = note_invalid(track, segment, is_reply, status)};
      }
      break;
    case TcpStep::To::InWindow:
      break;
    case TcpStep::To::Ignored:
      return {.what = What::Ignore};
    case TcpStep::To::Invalid:
      return {.what = What::Invalid};
    case TcpStep::To::Reopened:
      return {.what = What::Reopen};
  }

  // in_window:
  track.last_index = segment.index;
  track.last_direction = direction;
  track.state = step.next;
  if (step.old != step.next && step.next == sFW) track.seen[direction].flags |= kCloseInit;
  std::uint32_t timeout = timeout_after(track, segment, settings);
  if ((status & flow_status::kSeenReply) == 0) {
    if (segment.rst) return {.what = What::Kill};  // the only answer is a RST
    // A SYN that is sent again does not renew the time, or a port could be held for ever.
    if (segment.index == TcpIndex::Syn && step.old == sSS) return {.what = What::Ignore};
    // Taken up in its middle (tcp_loose), and nothing has come back yet.
    if (step.next == sES) timeout = std::min(timeout, settings.tcp_timeout_unacknowledged);
  } else if ((status & flow_status::kAssured) == 0 && (step.old == sSR || step.old == sES) &&
             step.next == sES) {
    status |= flow_status::kAssured;
  }
  return {.timeout_s = timeout};
}

}  // namespace rolewall::eval

#include "eval/tcp_track.h"

#include <algorithm>

#include "eval/nat.h"

namespace rolewall::eval {
namespace {

using ruleset::ConntrackSettings;

enum HeaderFlag : std::uint8_t { kFin = 1, kSyn = 2, kRst = 4, kAck = 16 };

// IP_CT_TCP_FLAG_* of include/uapi/linux/netfilter/nf_conntrack_tcp.h.
enum SideFlag : std::uint8_t {
  kWindowScale = 0x01,
  kSackPermitted = 0x02,
  kCloseInit = 0x04,
  kBeLiberal = 0x08,
  kUnacknowledged = 0x10,
  kMaxAckSet = 0x20,
  kChallengeAck = 0x40,
  kSimultaneousOpen = 0x80,
};

constexpr TcpState sSS = TcpState::SynSent, sSR = TcpState::SynRecv, sES = TcpState::Established,
                   sFW = TcpState::FinWait, sCW = TcpState::CloseWait, sLA = TcpState::LastAck,
                   sTW = TcpState::TimeWait, sCL = TcpState::Close, sS2 = TcpState::SynSent2,
                   sIG = TcpState::Ignore, sIV = TcpState::Invalid;

// tcp_conntracks[]: by direction, by what the packet is, by the state before.
using Row = std::array<TcpState, 10>;
constexpr std::array<std::array<Row, 6>, 2> kNext{{
    {{{sSS, sSS, sIG, sIG, sIG, sIG, sIG, sSS, sSS, sS2},
      {sIV, sIV, sSR, sIV, sIV, sIV, sIV, sIV, sIV, sSR},
      {sIV, sIV, sFW, sFW, sLA, sLA, sLA, sTW, sCL, sIV},
      {sES, sIV, sES, sES, sCW, sCW, sTW, sTW, sCL, sIV},
      {sIV, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL},
      {sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV}}},
    {{{sIV, sS2, sIV, sIV, sIV, sIV, sIV, sSS, sIV, sS2},
      {sIV, sSR, sIG, sIG, sIG, sIG, sIG, sIG, sIG, sSR},
      {sIV, sIV, sFW, sFW, sLA, sLA, sLA, sTW, sCL, sIV},
      {sIV, sIG, sSR, sES, sCW, sCW, sTW, sTW, sCL, sIG},
      {sIV, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL},
      {sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV}}},
}};

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

void begin_side(TcpSide& sender, TcpSide& receiver, const Segment& segment, bool is_reply) {
  sender.end = sender.max_end = segment.end;
  sender.max_window = std::max<std::uint32_t>(segment.window, 1);
  read_options(segment, sender);
  if (is_reply && (sender.flags & receiver.flags & kWindowScale) == 0) {
    sender.scale = 0;
    receiver.scale = 0;
  }
}

enum class Window : std::uint8_t { Accept, Ignore, Invalid };

// tcp_in_window().
Window check_window(TcpTrack& track, const Segment& segment, bool is_reply,
                    const ConntrackSettings& settings) {
  constexpr std::uint32_t kLeastAckWindow = 66000;  // MAXACKWINCONST
  TcpSide& sender = track.seen[is_reply ? 1 : 0];
  TcpSide& receiver = track.seen[is_reply ? 0 : 1];
  const auto unless_liberal = [&](Window answer) {
    const bool liberal = (sender.flags & kBeLiberal) != 0 || settings.tcp_be_liberal;
    return liberal ? Window::Accept : answer;
  };
  std::uint32_t sequence = segment.sequence;
  std::uint32_t end = segment.end;
  std::uint32_t ack = segment.ack;
  std::uint32_t window = segment.window;
  std::uint32_t sack = (receiver.flags & kSackPermitted) != 0 ? highest_sack(segment, ack) : ack;

  if (sender.max_window == 0) {
    if (segment.syn) {
      begin_side(sender, receiver, segment, is_reply);
      if (!segment.has_ack) return Window::Accept;
    } else {
      sender.end = end;
      sender.max_window = std::max<std::uint32_t>(window << sender.scale, 1);
      sender.max_end = end + sender.max_window;
      if (receiver.max_window == 0) {
        receiver.end = receiver.max_end = sack;
      } else if (sack == receiver.end + 1) {
        ++receiver.end;
      }
    }
  } else if (segment.syn && after(end, sender.end) &&
             (track.state == TcpState::SynSent || track.state == TcpState::SynRecv)) {
    begin_side(sender, receiver, segment, is_reply);
    if (is_reply && !segment.has_ack) return Window::Accept;
  }
  if (!segment.has_ack || (segment.rst && ack == 0)) ack = sack = receiver.end;
  if (segment.rst && sequence == 0 && track.state == TcpState::SynSent) {
    sequence = end = sender.end;
  }

  const std::uint32_t least_ack = receiver.end - std::max(sender.max_window, kLeastAckWindow) - 1;
  if (!before(sequence, sender.max_end + 1)) {
    const std::uint32_t overshot = end - sender.max_end + 1;
    const bool in_window =
        receiver.max_window != 0 && after(end, sender.end - receiver.max_window - 1);
    if (in_window && after(sack, least_ack) && overshot <= receiver.max_window &&
        before(sack, receiver.end + 1)) {
      sender.end = end;
      sender.flags |= kUnacknowledged;
      return unless_liberal(Window::Ignore);
    }
    return unless_liberal(Window::Invalid);
  }
  if (!before(sack, receiver.end + 1)) return unless_liberal(Window::Invalid);
  const bool in_window =
      receiver.max_window == 0 || after(end, sender.end - receiver.max_window - 1);
  if (!in_window || !after(sack, least_ack)) return unless_liberal(Window::Ignore);

  if (!segment.syn) window <<= sender.scale;
  sender.max_window = std::max(sender.max_window, window + (sack - ack));
  if (after(end, sender.end)) {
    sender.end = end;
    sender.flags |= kUnacknowledged;
  }
  if (segment.has_ack) {
    if ((sender.flags & kMaxAckSet) == 0) {
      sender.max_ack = ack;
      sender.flags |= kMaxAckSet;
    } else if (after(ack, sender.max_ack)) {
      sender.max_ack = ack;
    }
  }
  if (receiver.max_window != 0 && after(end, sender.max_end)) {
    receiver.max_window += end - sender.max_end;
  }
  if (after(sack + window, receiver.max_end - 1)) {
    receiver.max_end = sack + window + (window == 0 ? 1 : 0);
  }
  if (ack == receiver.end) receiver.flags &= static_cast<std::uint8_t>(~kUnacknowledged);

  if (segment.index == TcpIndex::Ack) {
    const std::uint8_t direction = is_reply ? 1 : 0;
    const bool again = track.last_direction == direction && track.last_sequence == sequence &&
                       track.last_ack == ack && track.last_end == end &&
                       track.last_window == segment.window;
    track.retransmitted = again ? static_cast<std::uint8_t>(track.retransmitted + 1) : 0;
    track.last_direction = direction;
    track.last_sequence = sequence;
    track.last_ack = ack;
    track.last_end = end;
    track.last_window = segment.window;
  }
  return Window::Accept;
}

std::uint32_t timeout_of(TcpState state, const ConntrackSettings& settings) {
  switch (state) {
    case TcpState::SynSent:
    case TcpState::SynSent2:
      return settings.tcp_timeout_syn_sent;
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

bool is_closing(TcpState state) {
  return state >= TcpState::FinWait && state <= TcpState::Close;
}

// What the machine lets pass without believing it: note it, for what may answer it.
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
    if (track.state == TcpState::LastAck) track.last_flags |= kChallengeAck;
  }
  if (track.state == TcpState::SynSent && segment.index == TcpIndex::Ack && is_reply) {
    track.last_ack = segment.ack;
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

enum class Reset : std::uint8_t { CheckWindow, SkipWindow, Invalid };

// The case TCP_CONNTRACK_CLOSE: how far a RST is believed.
Reset judge_reset(const TcpTrack& track, const Segment& segment, bool is_reply,
                  std::uint32_t status, const ConntrackSettings& settings, TcpState& next) {
  if (is_closing(track.state)) return Reset::SkipWindow;
  const TcpSide& other = track.seen[is_reply ? 0 : 1];
  const std::uint8_t direction = is_reply ? 1 : 0;
  if ((other.flags & kMaxAckSet) != 0 && track.last_index != TcpIndex::Syn) {
    const bool established =
        track.state == TcpState::Established && (status & flow_status::kAssured) != 0;
    if (segment.sequence == 0 && !established) return Reset::CheckWindow;
    if (before(segment.sequence, other.max_ack) && !settings.tcp_ignore_invalid_rst) {
      return Reset::Invalid;
    }
    if (!established || segment.sequence == other.max_ack) return Reset::CheckWindow;
    if (track.last_index == TcpIndex::Ack && track.last_direction == direction &&
        segment.sequence == track.last_end) {
      return Reset::CheckWindow;
    }
    next = track.state;  // it may be answered by a challenge
  }
  const bool answers_syn = (status & flow_status::kSeenReply) != 0 &&
                           track.last_index == TcpIndex::Syn && track.last_direction != direction;
  const bool answers_ack =
      (status & flow_status::kAssured) == 0 && track.last_index == TcpIndex::Ack;
  if ((answers_syn || answers_ack) && segment.ack == track.last_end) return Reset::SkipWindow;
  const bool answers_challenge = track.state == TcpState::SynSent &&
                                 track.last_index == TcpIndex::Ack && track.last_direction == 1 &&
                                 segment.sequence == track.last_ack;
  return answers_challenge ? Reset::SkipWindow : Reset::CheckWindow;
}

}  // namespace

bool is_reset(ByteSpan tcp) {
  return (tcp[13] & kRst) != 0;
}

bool begin_tcp(TcpTrack& track, ByteSpan tcp, const ConntrackSettings& settings) {
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
                     const ConntrackSettings& settings) {
  using What = TcpAnswer::What;
  const Segment segment = read(tcp);
  const std::uint8_t direction = is_reply ? 1 : 0;
  TcpState old = track.state;
  TcpState next =
      kNext[direction][static_cast<std::size_t>(segment.index)][static_cast<std::size_t>(old)];
  bool check = true;

  if (next == TcpState::SynSent && old >= TcpState::TimeWait && old <= TcpState::Close) {
    const bool closed = ((track.seen[0].flags | track.seen[1].flags) & kCloseInit) != 0;
    const bool aborted = track.last_direction == direction && track.last_index == TcpIndex::Rst;
    if (closed || aborted) return {.what = What::Reopen};
    next = TcpState::Ignore;
  }
  if (next == TcpState::Invalid) return {.what = What::Invalid};
  if (next == TcpState::Ignore) {
    const bool in_sync = segment.index == TcpIndex::SynAck && track.last_index == TcpIndex::Syn &&
                         track.last_direction != direction && segment.ack == track.last_end;
    if (!in_sync) {
      note_ignored(track, segment, is_reply);
      return {.what = What::Ignore};
    }
    // The answer to a SYN that was ignored: both ends are in step, and this says how.
    old = TcpState::SynSent;
    next = TcpState::SynRecv;
    track.last_flags &= static_cast<std::uint8_t>(~kChallengeAck);
    TcpSide& asked = track.seen[track.last_direction];
    asked.end = asked.max_end = track.last_end;
    asked.max_window = std::max<std::uint32_t>(track.last_window, 1);
    asked.scale = track.last_scale;
    asked.flags = track.last_flags;
    track.seen[direction] = {
        .flags = static_cast<std::uint8_t>(track.seen[direction].flags & kBeLiberal)};
  } else if (next == TcpState::TimeWait && old == TcpState::LastAck &&
             segment.index == TcpIndex::Ack && track.last_direction != direction &&
             track.last_index == TcpIndex::Syn && (track.last_flags & kChallengeAck) != 0) {
    track.last_flags &= static_cast<std::uint8_t>(~kChallengeAck);
    return {.what = What::Ignore};
  } else if (next == TcpState::SynSent2) {
    track.last_flags |= kSimultaneousOpen;
  } else if (next == TcpState::SynRecv && is_reply && segment.index == TcpIndex::Ack &&
             (track.last_flags & kSimultaneousOpen) != 0) {
    next = TcpState::Established;
  } else if (next == TcpState::Close && segment.index == TcpIndex::Rst) {
    const Reset reset = judge_reset(track, segment, is_reply, status, settings, next);
    if (reset == Reset::Invalid) return {.what = What::Invalid};
    check = reset == Reset::CheckWindow;
  }

  if (check) {
    switch (check_window(track, segment, is_reply, settings)) {
      case Window::Accept:
        break;
      case Window::Ignore:
        return {.what = What::Ignore};
      case Window::Invalid:
        return {.what = What::Invalid,
                .lowers_timeout = note_invalid(track, segment, is_reply, status)};
    }
  }
  track.last_index = segment.index;
  track.last_direction = direction;
  track.state = next;
  if (old != next && next == TcpState::FinWait) track.seen[direction].flags |= kCloseInit;

  std::uint32_t timeout = timeout_of(next, settings);
  const bool unacknowledged = ((track.seen[0].flags | track.seen[1].flags) & kUnacknowledged) != 0;
  const bool repeats =
      track.retransmitted >= settings.tcp_max_retrans && timeout > settings.tcp_timeout_max_retrans;
  const bool unanswered =
      ((segment.index == TcpIndex::Rst && next == TcpState::Established) || unacknowledged) &&
      timeout > settings.tcp_timeout_unacknowledged;
  if (!repeats && unanswered) {
    timeout = settings.tcp_timeout_unacknowledged;
  } else if (repeats || track.last_window == 0) {
    timeout = std::min(timeout, settings.tcp_timeout_max_retrans);
  }
  if ((status & flow_status::kSeenReply) == 0) {
    if (segment.rst) return {.what = What::Kill};
    if (segment.index == TcpIndex::Syn && old == TcpState::SynSent) return {.what = What::Ignore};
    if (next == TcpState::Established) {
      timeout = std::min(timeout, settings.tcp_timeout_unacknowledged);
    }
  } else if ((status & flow_status::kAssured) == 0 &&
             (old == TcpState::SynRecv || old == TcpState::Established) &&
             next == TcpState::Established) {
    status |= flow_status::kAssured;
  }
  return {.timeout_s = timeout};
}

}  // namespace rolewall::eval

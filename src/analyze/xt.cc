// iptables' matches and targets. What a match says is said as nft's expressions say it (loads.cc,
// ct_loads.cc), where it asks about the packets of PacketSpace alone. Any other is free to hold or
// not, and to drop the packet, as some do where a header that they need is missing ("hotdrop"): so
// an answer that hangs on one is a bound. Of targets those are followed that say at once what
// becomes of the packet, translations, and those that give the packet or its connection a
// mark, or the packet a priority.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analyze/rule_run.h"
#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "net/protocol.h"
#include "ruleset/expr.h"
#include "ruleset/loads.h"

namespace rolewall::analyze {
namespace {

namespace r = ruleset;
namespace protocol = net::protocol;
using r::CtKey;

std::array<std::uint8_t, 2> big_endian16(std::uint16_t number) {
  return {static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
}

// Bit `n` of a word in host order, counted from its lowest: the lowest byte stands first.
constexpr std::size_t bit_in_word(std::size_t n) {
  return n / 8 * 8 + 7 - n % 8;
}

Bits masked_word(BitSpan word, std::uint32_t mask) {
  Bits bits(32);
  for (std::size_t n = 0; n < bits.size(); ++n) {
    if ((mask >> n & 1) != 0) bits[bit_in_word(n)] = word[bit_in_word(n)];
  }
  return bits;
}

Bits word_of(std::uint32_t number) {
  const r::Value value = r::Value::host_u32(number);
  return bits_of({value.begin(), value.end()});
}

Bits shifted(BitSpan word, const r::XtConnmarkTarget& target) {
  Bits bits(32);
  for (std::size_t n = 0; n < bits.size(); ++n) {
    const std::size_t from = target.shifts_right ? n + target.shift : n - target.shift;
    if (from < bits.size()) bits[bit_in_word(n)] = word[bit_in_word(from)];
  }
  return bits;
}

}  // namespace

RuleRun::Step RuleRun::run_xt_match(const r::XtMatch& match) {
  const auto meaning = r::meaning_of(match);
  const bool ipv6 = machine_.ruleset().tables[frame_.table].family == r::Family::Ip6;
  const auto may = [&](std::string_view what) {
    const std::string words = in_words(match, ipv6 ? r::XtFamily::Ipv6 : r::XtFamily::Ipv4);
    return choice(fmt::format("iptables' \"{}\" {}", words, what), FieldKind::NotModelled);
  };
  std::string own_labels;
  const auto free = [&]() -> Step {
    Environment left = now();
    std::string own;
    for (const std::string& what : remembered_by(match)) {
      own = own_writes(what);
      const bool is_set = std::holds_alternative<r::XtSet>(*meaning);
      left = leaving({.where = what, .how = in_words(match, r::XtFamily::Ipv4)}, !is_set);
    }
    const Diagram rest = rest_for(may("holds" + own + own_labels), left);
    return Ends{diagrams_.choose(may("drops the packet"), decided(Fate::Drop), rest)};
  };
  if (!meaning) return free();
  return visit_closed(
      Overloaded{
          [](const r::XtComment&) -> Step { return Goes{}; },
          [&](const OneOf<r::XtMark, r::XtState, r::XtConntrack, r::XtAddrtype, r::XtTcp, r::XtUdp,
                          r::XtMultiport, r::XtIcmp, r::XtTtl, r::XtPkttype, r::XtSet> auto& m)
              -> Step {
            const std::optional<Diagram> holds = xt_holds(m);
            return holds ? Step(Tests{*holds}) : free();
          },
          [&](const r::XtLimit&) -> Step { return Tests{counted("limit", true)}; },
          // The space has no extension headers.
          [](const OneOf<r::XtFrag, r::XtRouting> auto&) -> Step { return Tests{kNothing}; },
          [&](const OneOf<r::XtSctp, r::XtDccp, r::XtEsp, r::XtAh, r::XtConnbytes, r::XtConnlimit,
                          r::XtHelper, r::XtIprange, r::XtLength, r::XtTos, r::XtEcn, r::XtTcpmss,
                          r::XtU32, r::XtString, r::XtMac, r::XtOwner, r::XtCgroup, r::XtDevgroup,
                          r::XtPhysdev, r::XtRealm, r::XtCpu, r::XtTime, r::XtPolicy, r::XtRpfilter,
                          r::XtSocket> auto&) -> Step { return free(); },
          [&](const r::XtConnlabel& label) {
            // What the packet itself has given is another thing than what it came with.
            own_labels = run_connlabel(label);
            return free();
          },
          [&](const OneOf<r::XtHashlimit, r::XtRecent, r::XtQuota, r::XtStatistic, r::XtOptions,
                          r::XtMobility, r::XtIpv6header, r::XtEui64> auto&) -> Step {
            return free();
          },
      },
      *meaning);
}

// connlabel_mt(), which sets a label that is not there. How the match is to be named by that.
std::string RuleRun::run_connlabel(const r::XtConnlabel& label) {
  const std::size_t bit = label.bit / 8 * 8 + 7 - label.bit % 8;
  const Bit was = now().part(Part::KnownLabels)[bit];
  if (label.sets && now().tracked == Tracked::Yes) {
    Environment changed = now();
    for (const Part part : {Part::CtLabels, Part::KnownLabels}) {
      changed.part(part)[bit] = Bit::known(true);
    }
    environment_ = machine_.environments().intern(std::move(changed));
  }
  const bool as_it_came = was == space_.part(Part::KnownLabels)[bit];
  return as_it_came ? "" : fmt::format(" with what this packet wrote ({})", was.code());
}

// --- the connection ----------------------------------------------------------------------------

Diagram RuleRun::has_state(std::uint32_t states) {
  namespace ct_state = r::ct_state;
  const auto is = [&](std::uint32_t state) {
    return (states & state) != 0 ? kEverything : kNothing;
  };
  switch (now().tracked) {
    case Tracked::NotYet:
      if (may_be(carries_connection())) {
        return diagrams_.choose(
            carries_connection(),
            choice("the state that output found of it fits", FieldKind::NotModelled),
            is(ct_state::kInvalid));
      }
      return is(ct_state::kInvalid);
    case Tracked::Never:
      return is(ct_state::kUntracked);
    case Tracked::InZone:
      return is(ct_state::kNew);
    case Tracked::Yes:
      break;
  }
  Diagram all = kNothing;
  for (const std::uint32_t state : {ct_state::kInvalid, ct_state::kEstablished, ct_state::kRelated,
                                    ct_state::kNew, ct_state::kUntracked}) {
    if ((states & state) != 0) {
      all = diagrams_.either(all, diagrams_.where(space_.state(), state, state));
    }
  }
  return all;
}

std::optional<Diagram> RuleRun::xt_holds(const r::XtState& match) {
  return has_state(match.states);
}

// conntrack_mt(): what it asks beside the state and translations is not gone into.
std::optional<Diagram> RuleRun::xt_holds(const r::XtConntrack& match) {
  namespace ct_state = r::ct_state;
  constexpr std::uint32_t kOfEntry = ct_state::kEstablished | ct_state::kRelated | ct_state::kNew;
  const bool asks_flow = match.status || match.protocol || match.source || match.destination ||
                         match.reply_source || match.reply_destination || match.source_port ||
                         match.destination_port || match.reply_source_port ||
                         match.reply_destination_port || match.expires || match.original;
  if (asks_flow) return std::nullopt;
  if (!match.states) return has_state(kOfEntry);
  const std::uint32_t mask = match.states->mask;
  std::uint32_t states = mask & (kOfEntry | ct_state::kInvalid);
  if ((mask & r::XtConntrack::kUntracked) != 0) states |= ct_state::kUntracked;
  Diagram holds = has_state(states);
  const auto is_set = [&](const Bits& status, unsigned bit) {
    Bits byte(8);
    byte.back() = status[bit_in_word(bit)];
    return compare_.equal(byte, std::array<std::uint8_t, 1>{1}).value_or(kNothing);
  };
  const auto add = [&](std::uint32_t asked, unsigned bit) {
    if ((mask & asked) == 0 || now().tracked != Tracked::Yes) return;
    const Diagram known = has_state(ct_state::kEstablished | ct_state::kRelated);
    const Diagram of_first = is_set(now().part(Part::CtStatus), bit);
    const Diagram of_known = is_set(of_known_connection(CtKey::Status, -1, 32), bit);
    holds = diagrams_.either(holds, diagrams_.both(has_state(ct_state::kNew), of_first));
    holds = diagrams_.either(holds, diagrams_.both(known, of_known));
  };
  add(r::XtConntrack::kSourceNat, kSourceNat);
  add(r::XtConntrack::kDestinationNat, kDestinationNat);
  return match.states->inverted ? diagrams_.complement(holds) : holds;
}

std::optional<Diagram> RuleRun::has_mark(BitSpan word, const r::XtMark& match) {
  const r::Value value = r::Value::host_u32(match.value);
  const auto equal = compare_.equal(masked_word(word, match.mask), {value.begin(), value.end()});
  if (!equal) return std::nullopt;
  return match.inverted ? diagrams_.complement(*equal) : *equal;
}

// mark_mt(), and connmark_mt(): a packet without a connection does not match.
std::optional<Diagram> RuleRun::xt_holds(const r::XtMark& match) {
  namespace ct_state = r::ct_state;
  if (!match.of_connection) return has_mark(now().part(Part::Mark), match);
  const bool in_zone = now().tracked == Tracked::InZone;
  const auto of_first = has_mark(in_zone ? Bits(32) : now().part(Part::CtMark), match);
  if (!of_first) return std::nullopt;
  Diagram holds = diagrams_.both(has_state(ct_state::kNew), *of_first);
  if (now().tracked != Tracked::Yes) return holds;
  const auto of_known = has_mark(now().part(Part::KnownMark), match);
  if (!of_known) return std::nullopt;
  const Diagram known = has_state(ct_state::kEstablished | ct_state::kRelated);
  return diagrams_.either(holds, diagrams_.both(known, *of_known));
}

// --- the host ----------------------------------------------------------------------------------

bool RuleRun::has_addresses_as_it_came() const {
  constexpr std::array kAsked{Part::Source4,      Part::Source6,  Part::Destination4,
                              Part::Destination6, Part::InDevice, Part::OutDevice,
                              Part::Mark};
  return std::ranges::all_of(kAsked,
                             [&](Part part) { return now().part(part) == space_.part(part); });
}

// addrtype_mt_v1(): as the routes say, of which nothing is known; but of an address that is still
// the one that came, the same wherever it is asked.
std::optional<Diagram> RuleRun::xt_holds(const r::XtAddrtype& match) {
  const bool same = match.on == r::XtAddrtype::On::Anywhere && has_addresses_as_it_came();
  const auto is_one_of = [&](std::string_view which, std::uint16_t types, bool inverted) {
    if (types == 0) return kEverything;
    const std::string name =
        fmt::format("iptables' addrtype: its {} address is of the types {:#x}", which, types);
    const FieldId is = same ? space_.free(name, 1, FieldKind::NotModelled)
                            : free_here(name, 1, FieldKind::NotModelled);
    return diagrams_.where(is, inverted ? 0 : 1, inverted ? 0 : 1);
  };
  return diagrams_.both(is_one_of("source", match.source, match.source_inverted),
                        is_one_of("destination", match.destination, match.destination_inverted));
}

// --- the packet --------------------------------------------------------------------------------

// A header that another protocol has, or has not, is not read by these rules.
bool RuleRun::all_are_of(std::initializer_list<std::uint8_t> protocols) {
  Diagram all = kNothing;
  for (const std::uint8_t number : protocols) {
    all = diagrams_.either(all, space_.is(Part::Protocol, number));
  }
  return all_are(all);
}

std::optional<Diagram> RuleRun::has_port(Part part, const r::XtPorts& ports) {
  std::optional<Diagram> within = kNothing;
  if (ports.first <= ports.last) {
    within =
        compare_.between(now().part(part), big_endian16(ports.first), big_endian16(ports.last));
  }
  return within && ports.inverted ? diagrams_.complement(*within) : within;
}

std::optional<Diagram> RuleRun::have_ports(const r::XtPorts& source,
                                           const r::XtPorts& destination) {
  const auto from = has_port(Part::Transport0, source);
  const auto to = has_port(Part::Transport2, destination);
  if (!from || !to) return std::nullopt;
  return diagrams_.both(*from, *to);
}

std::optional<Diagram> RuleRun::xt_holds(const r::XtTcp& match) {
  // Whether it has the option: such packets are not in the space.
  if (match.option != 0 || !all_are_of({protocol::kTcp})) return std::nullopt;
  Bits flags = now().part(Part::Flags);
  for (unsigned n = 0; n < 8; ++n) {
    if ((match.flag_mask >> n & 1) == 0) flags[7 - n] = Bit();
  }
  const auto equal = compare_.equal(flags, std::array{match.flag_value});
  if (!equal) return std::nullopt;
  const auto ports = have_ports(match.source, match.destination);
  if (!ports) return std::nullopt;
  return diagrams_.both(*ports, match.flags_inverted ? diagrams_.complement(*equal) : *equal);
}

std::optional<Diagram> RuleRun::xt_holds(const r::XtUdp& match) {
  if (!all_are_of({protocol::kUdp, protocol::kUdpLite})) return std::nullopt;
  return have_ports(match.source, match.destination);
}

std::optional<Diagram> RuleRun::xt_holds(const r::XtMultiport& match) {
  using Which = r::XtMultiport::Which;
  if (!all_are_of({protocol::kTcp, protocol::kUdp, protocol::kUdpLite, protocol::kSctp})) {
    return std::nullopt;
  }
  Diagram found = kNothing;
  for (const r::XtPorts& ports : match.ports) {
    for (const Part part : {Part::Transport0, Part::Transport2}) {
      const bool is_source = part == Part::Transport0;
      if (match.which == (is_source ? Which::Destination : Which::Source)) continue;
      const auto within = has_port(part, ports);
      if (!within) return std::nullopt;
      found = diagrams_.either(found, *within);
    }
  }
  return match.inverted ? diagrams_.complement(found) : found;
}

// Of ICMP the type 255 stands for any; of ICMPv6 it is a type.
std::optional<Diagram> RuleRun::xt_holds(const r::XtIcmp& match) {
  if (!all_are_of({match.ipv6 ? protocol::kIcmpv6 : protocol::kIcmp})) return std::nullopt;
  const BitSpan header(now().part(Part::Transport0));
  const auto type = compare_.equal(header.first(8), std::array{match.type});
  std::optional<Diagram> code = kNothing;
  if (match.code_first <= match.code_last) {
    code = compare_.between(header.subspan(8), std::array{match.code_first},
                            std::array{match.code_last});
  }
  if (!type || !code) return std::nullopt;
  const bool any = !match.ipv6 && match.type == 0xff;
  const Diagram within = any ? kEverything : diagrams_.both(*type, *code);
  return match.inverted ? diagrams_.complement(within) : within;
}

std::optional<Diagram> RuleRun::xt_holds(const r::XtTtl& match) {
  const Bits& hops = now().part(Part::TimeToLive);
  const std::array value{match.value};
  const auto not_of = [&](std::optional<Diagram> set) {
    return set ? std::optional(diagrams_.complement(*set)) : std::nullopt;
  };
  switch (match.is) {
    case r::XtTtl::Is::Equal:
      return compare_.equal(hops, value);
    case r::XtTtl::Is::NotEqual:
      return not_of(compare_.equal(hops, value));
    case r::XtTtl::Is::Less:
      return not_of(compare_.at_least(hops, value));
    case r::XtTtl::Is::Greater:
      return not_of(compare_.at_most(hops, value));
  }
  return std::nullopt;
}

std::optional<Diagram> RuleRun::xt_holds(const r::XtPkttype& match) {
  std::optional<Diagram> is = kNothing;
  if (match.type <= 0xff) {
    is = compare_.equal(now().part(Part::Type), std::array{static_cast<std::uint8_t>(match.type)});
  }
  if (!is) return std::nullopt;
  return match.inverted ? diagrams_.complement(*is) : *is;
}

// reject_tg() and reject_tg6(): their numbers are those of ipt_REJECT.h and ip6t_REJECT.h.
std::string RuleRun::answer_of(const r::XtReject& reject, bool ipv6) {
  if (reject.with == r::xt_tcp_reset(ipv6)) return "a reset";
  constexpr std::array<int, 9> kIcmp{0, 1, 2, 3, -1, 9, 10, -1, 13};
  constexpr std::array<int, 9> kIcmpv6{0, 1, 2, 3, 4, -1, -1, 5, 6};
  const int code = reject.with < kIcmp.size() ? (ipv6 ? kIcmpv6 : kIcmp)[reject.with] : -1;
  return code < 0 ? fmt::format("iptables' answer {}", reject.with)
                  : fmt::format("unreachable, code {}", code);
}

// --- targets -----------------------------------------------------------------------------------

void RuleRun::turn_bits(Bits& word, std::uint32_t clears, const Bits& turns,
                        std::string_view what) {
  for (std::size_t n = 0; n < word.size(); ++n) {
    Bit& bit = word[bit_in_word(n)];
    const Bit turn = turns[bit_in_word(n)];
    if ((clears >> n & 1) != 0) bit = Bit();
    if (turn.is_known()) {
      if (turn.value()) bit = bit.turned();
    } else if (bit.is_known()) {
      bit = bit.value() ? turn.turned() : turn;
    } else if (bit == turn || bit == turn.turned()) {
      bit = Bit::known(bit != turn);
    } else {
      bit = free_bit_here(fmt::format("{}, bit {}", what, n));
    }
  }
}

// connmark_tg_shift(). What becomes of a connection's first packet, and of one of a connection that
// was known, whose mark is another.
RuleRun::Step RuleRun::run_connmark(const r::XtConnmarkTarget& target) {
  namespace ct_state = r::ct_state;
  using Does = r::XtConnmarkTarget::Does;
  Environment changed = now();
  if (now().tracked == Tracked::InZone) {
    // The connection is the zone's template yet, whose mark is nobody's.
    if (target.does != Does::Restores) {
      return run_unsupported({.name = "iptables' target CONNMARK", .reason = "of a template"});
    }
    turn_bits(changed.part(Part::Mark), target.packet_mask, Bits(32), "CONNMARK");
    return Changes{std::move(changed)};
  }
  if (now().tracked != Tracked::Yes) return Goes{};
  constexpr std::array kMarks{std::pair(Part::CtMark, "CONNMARK"),
                              std::pair(Part::KnownMark, "CONNMARK of a known connection")};
  if (target.does == Does::Sets) {
    for (const auto& [part, what] : kMarks) {
      Bits& mark = changed.part(part);
      turn_bits(mark, target.connection_mask, word_of(target.value), what);
      mark = shifted(mark, target);
    }
    return Changes{std::move(changed)};
  }
  if (target.does == Does::Saves) {
    const Bits saved = shifted(masked_word(now().part(Part::Mark), target.packet_mask), target);
    for (const auto& [part, what] : kMarks) {
      turn_bits(changed.part(part), target.connection_mask, saved, what);
    }
    return Changes{std::move(changed)};
  }
  const auto restored = [&](Part from, const char* what) {
    Environment to = now();
    const Bits mark = shifted(masked_word(now().part(from), target.connection_mask), target);
    turn_bits(to.part(Part::Mark), target.packet_mask, mark, what);
    return to;
  };
  const Diagram first = has_state(ct_state::kNew);
  const Diagram known = has_state(ct_state::kEstablished | ct_state::kRelated);
  const Diagram neither = diagrams_.complement(diagrams_.either(first, known));
  Diagram all = rest_for(neither, now());
  for (const auto& [packets, part, what] : {std::tuple(first, kMarks[0].first, kMarks[0].second),
                                            std::tuple(known, kMarks[1].first, kMarks[1].second)}) {
    all = diagrams_.choose(packets, rest_for(packets, restored(part, what)), all);
  }
  return Ends{all};
}

RuleRun::Step RuleRun::run_xt_target(const r::XtTarget& target) {
  const auto anything = [&]() -> Step {
    return run_unsupported(
        {.name = fmt::format("iptables' target {}", target.name), .reason = "it is not modelled"});
  };
  const auto meaning = r::meaning_of(target);
  if (!meaning) return anything();
  return visit_closed(
      Overloaded{
          [&](const OneOf<r::XtNotes, r::XtTee> auto&) {
            return run_log(Left{.where = target.name, .how = in_words(target, r::XtFamily::Ipv4)});
          },
          [&](const r::XtReject& reject) -> Step {
            const bool ipv6 = machine_.ruleset().tables[frame_.table].family == r::Family::Ip6;
            return rejected(answer_of(reject, ipv6));
          },
          [&](const r::XtCt& ct) { return ct.untracks ? run_notrack() : anything(); },
          [&](const r::XtNat& nat) { return run_xt_nat(nat); },
          [&](const r::XtSetMark& mark) -> Step {
            Environment changed = now();
            turn_bits(changed.part(Part::Mark), mark.mask, word_of(mark.value), "MARK");
            return Changes{std::move(changed)};
          },
          [&](const r::XtClassify& classify) -> Step {
            const r::Value priority = r::Value::host_u32(classify.priority);
            Environment changed = now();
            changed.part(Part::Priority) = bits_of({priority.begin(), priority.end()});
            return Changes{std::move(changed)};
          },
          [&](const r::XtConnmarkTarget& t) { return run_connmark(t); },
          [&](const OneOf<r::XtSetMss, r::XtStripOptions, r::XtSetTos, r::XtSetTtl, r::XtSetEcn,
                          r::XtTproxyTarget, r::XtSynproxyTarget, r::XtQueue> auto&) -> Step {
            return anything();
          },
          [&](const r::XtSetTarget&) -> Step {
            Environment left = now();
            for (const std::string& what : remembered_by(target)) {
              left = leaving({.where = what, .how = in_words(target, r::XtFamily::Ipv4)});
              environment_ = machine_.environments().intern(left);
            }
            return anything();
          },
      },
      *meaning);
}

}  // namespace rolewall::analyze

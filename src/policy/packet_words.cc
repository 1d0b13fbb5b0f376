// packet = service SP end SP ">" SP end { SP option }
// end    = selector [ ":" port ] | "[" IPv6 "]" ":" port
// option =
// ("in"|"out"|"at"|"state"|"flags"|"family"|"user"|"length"|"ttl"|"dscp"|"df"|"frag"|"time")
//          "=" value
#include "policy/packet_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/calendar.h"
#include "base/suggest.h"
#include "net/ct_names.h"
#include "net/dscp.h"
#include "net/fields.h"
#include "policy/codes.h"
#include "policy/load.h"
#include "policy/names.h"
#include "policy/service.h"

namespace rolewall::policy {
namespace {

constexpr std::string_view kExample = "for example \"https internet > lb-01 in=public\"";
constexpr std::size_t kLongestPacket = 4096;

struct Word {
  std::string_view text;
  std::size_t offset = 0;
};

std::vector<Word> split_words(std::string_view text) {
  std::vector<Word> words;
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t start = text.find_first_not_of(" \t", i);
    if (start == std::string_view::npos) break;
    i = std::min(text.find_first_of(" \t", start), text.size());
    words.push_back({text.substr(start, i - start), start});
  }
  return words;
}

bool is_another_arrow(const Word& word) {
  return word.text == "->" || word.text == "-->" || word.text == "=>" || word.text == "\u2192";
}

// In the order of net::kCtStates.
constexpr std::array<FlowState, net::kCtStates.size()> kStates = {
    FlowState::Invalid, FlowState::Established, FlowState::Related, FlowState::New,
    FlowState::Untracked};

bool names_ports(const ServiceLiteral& literal) {
  return literal.ports_given || !literal.destination.is_all() || !literal.source.is_all();
}

bool is_self(const End& end) {
  return end.selectors.items.size() == 1 && !end.selectors.items[0].negated &&
         end.selectors.items[0].term.kind == TermKind::Self;
}

class PacketParser {
 public:
  PacketParser(const Scope& scope, std::string_view text, const Place& place, Wording wording)
      : scope_(scope), text_(text), place_(place), wording_(wording) {
    packet_.text = text;
    packet_.span = place.span;
  }

  std::optional<PacketWords> parse() {
    if (text_.size() > kLongestPacket) {
      fail(0, fmt::format("a packet of more than {} characters", kLongestPacket), "");
      return std::nullopt;
    }
    const std::vector<Word> words = split_words(text_);
    const auto arrow =
        std::find_if(words.begin(), words.end(), [](const Word& word) { return word.text == ">"; });
    const auto before = static_cast<std::size_t>(arrow - words.begin());
    if (arrow == words.end()) {
      const bool glued = text_.find('>') != std::string_view::npos;
      const auto other = std::ranges::find_if(words, is_another_arrow);
      std::string hint = glued ? "put spaces around the `>`" : std::string(kExample);
      if (other != words.end()) hint = fmt::format("write `>` in place of `{}`", other->text);
      fail(0, fmt::format("{} describes no packet: there is no `>` between spaces", quote(text_)),
           std::move(hint));
      return std::nullopt;
    }
    if (before < 2) {
      fail(before == 0 ? 0 : words[0].offset, "a packet begins with a service and its source",
           std::string(kExample));
      return std::nullopt;
    }
    if (arrow + 1 == words.end()) {
      fail(arrow->offset, "the packet has no destination", std::string(kExample));
      return std::nullopt;
    }
    parse_service(words, before - 1);
    parse_end(words[before - 1], packet_.from);
    parse_end(words[before + 1], packet_.to);
    for (std::size_t i = before + 2; i < words.size(); ++i) {
      if (is_another_arrow(words[i])) {
        fail(words[i].offset, fmt::format("{} is not a packet option", quote(words[i].text)),
             "in a file of questions, the expected verdict stands behind `=>`");
        break;  // a verdict is none either
      }
      parse_option(words[i]);
    }
    check_unspecified(packet_.from, packet_.to);
    check_unspecified(packet_.to, packet_.from);
    check_ports();
    check_flags();
    check_df();
    if (scope_.self) check_self();
    if (wrong_) return std::nullopt;
    return std::move(packet_);
  }

 private:
  void fail(std::size_t offset, std::string message, std::string hint) {
    report_at(Code::BadPacket, offset, std::move(message), std::move(hint));
  }
  void report_at(Code code, std::size_t offset, std::string message, std::string hint) {
    report(scope_.diagnostics, code, place_.at(offset), std::move(message), std::move(hint));
    wrong_ = true;
  }

  // One word, or "udp/68 from 67".
  void parse_service(const std::vector<Word>& words, std::size_t count) {
    const bool with_source = count == 3 && words[1].text == "from";
    if (count != 1 && !with_source) {
      fail(words[1].offset,
           fmt::format("{} is unexpected: write one service, one source, `>`, one destination",
                       quote(words[1].text)),
           std::string(kExample));
      return;
    }
    const std::size_t end = words[count - 1].offset + words[count - 1].text.size();
    const std::string_view service = text_.substr(words[0].offset, end - words[0].offset);
    packet_.service.given = true;
    packet_.service.span = place_.at(words[0].offset);
    service_known_ = add_service(scope_.policy, service, place_, words[0].offset, packet_.service,
                                 scope_.diagnostics);
    wrong_ = wrong_ || !service_known_;
  }

  void parse_end(const Word& word, End& end) {
    end.selectors.given = true;
    end.selectors.span = place_.at(word.offset);
    const auto comma = word.text.find(',');
    if (comma == std::string_view::npos) {
      parse_one(word, end);
      return;
    }
    if (wording_ == Wording::Packet) {
      fail(word.offset + comma, "a packet has one source and one destination",
           "write a packet for each of them");
      return;
    }
    // As a rule's list: what stands plain, less what is negated.
    for (std::size_t from = 0; from <= word.text.size() && !wrong_;) {
      const std::size_t to = std::min(word.text.find(',', from), word.text.size());
      const Word part{word.text.substr(from, to - from), word.offset + from};
      if (part.text.empty()) {
        fail(part.offset, "a name is missing beside the comma", "for example `internet,!office`");
      } else {
        parse_one(part, end);
      }
      if (end.port) {
        fail(part.offset, "a list of ends has no port", "write the port as the service: `tcp/443`");
      }
      from = to + 1;
    }
  }

  void parse_one(const Word& word, End& end) {
    std::string_view text = word.text;
    std::size_t offset = word.offset;
    if (text.starts_with('[')) {
      const auto close = text.find("]:");
      const std::string_view inside =
          text.substr(1, close == std::string_view::npos ? std::string_view::npos : close - 1);
      if (close == std::string_view::npos || !net::parse_address(inside) ||
          inside.find(':') == std::string_view::npos) {
        fail(offset, fmt::format("{} is not an IPv6 address with a port", quote(text)),
             "for example [2001:db8::1]:443");
        return;
      }
      if (!parse_port(text.substr(close + 2), offset + close + 2, end)) return;
      text = inside;
      ++offset;
    } else if (const auto colon = port_colon(text)) {
      if (!parse_port(text.substr(*colon + 1), offset + *colon + 1, end)) return;
      text = text.substr(0, *colon);
    }
    auto selector = parse_selector(scope_, text, place_, offset);
    if (!selector) {
      wrong_ = true;
      return;
    }
    end.selectors.items.push_back(std::move(*selector));
  }

  // A host without an address asks a group or all of its link, nobody else.
  void check_unspecified(const End& end, const End& other) {
    const auto is_group = [](const Selector& item) {
      return item.term.kind == TermKind::Prefix && net::is_group(item.term.prefix.address);
    };
    if (std::ranges::any_of(other.selectors.items, is_group)) return;
    for (const Selector& item : end.selectors.items) {
      const Term& term = item.term;
      if (!is_bare_unspecified(term)) continue;
      const bool ipv4 = net::is_ipv4(term.prefix.address);
      report(scope_.diagnostics, Code::BadPacket, term.span,
             fmt::format("{} is the address of a host that has none", quote(term.text)),
             fmt::format("for any host write `internet`, a network, or `{}`; that address itself "
                         "is `{}/{}`",
                         ipv4 ? "0.0.0.0/0" : "::/0", term.text,
                         net::address_bits(term.prefix.address)));
      wrong_ = true;
    }
  }

  // Where the port of "name:443", "role:web:443" or "10.0.0.1:443" begins; a bare IPv6 address has
  // colons of its own.
  static std::optional<std::size_t> port_colon(std::string_view text) {
    const auto last = text.rfind(':');
    if (last == std::string_view::npos) return std::nullopt;
    const std::string_view bare = text.starts_with('!') ? text.substr(1) : text;
    if (net::parse_prefix(bare)) return std::nullopt;
    std::size_t start = text.size() - bare.size();
    for (const std::string_view qualifier : {"host:", "role:", "tag:", "net:"}) {
      if (bare.starts_with(qualifier)) start += qualifier.size();
    }
    if (last < start || text.find(':', start) != last) return std::nullopt;
    return last;
  }

  bool parse_port(std::string_view text, std::size_t offset, End& end) {
    const auto port = parse_number(text, 65535);
    if (!port) {
      fail(offset, fmt::format("{} is not a port", quote(text)), "a number from 0 to 65535");
      return false;
    }
    end.port = static_cast<std::uint16_t>(*port);
    port_offset_ = offset;
    return true;
  }

  void parse_option(const Word& word) {
    const auto equals = word.text.find('=');
    const std::string_view key = word.text.substr(0, equals);
    static const std::vector<std::string> kNames = {"in",     "out",  "at",     "state", "flags",
                                                    "family", "user", "length", "ttl",   "dscp",
                                                    "df",     "frag", "time"};
    const bool known = std::find(kNames.begin(), kNames.end(), key) != kNames.end();
    if (!known || equals == std::string_view::npos) {
      std::string hint = did_you_mean(key, kNames);
      if (known) hint = fmt::format("{}=VALUE", key);
      if (hint.empty()) hint = fmt::format("{}", fmt::join(kNames, ", "));
      fail(word.offset, fmt::format("{} is not a packet option", quote(word.text)),
           std::move(hint));
      return;
    }
    if (!seen_.insert(key).second) {
      fail(word.offset, fmt::format("`{}=` is given twice", key), "");
      return;
    }
    set_option(key, {word.text.substr(equals + 1), word.offset + equals + 1});
  }

  void set_option(std::string_view key, const Word& value) {
    if (key == "in") packet_.in = parse_device(value);
    if (key == "out") packet_.out = parse_device(value);
    if (key == "at") parse_at(value);
    if (key == "state") parse_state(value);
    if (key == "flags") parse_flags(value);
    if (key == "family") parse_family(value);
    if (key == "user") parse_user(value);
    if (key == "length") packet_.length = parse_range<std::uint32_t>(value, 20, 65535);
    if (key == "ttl") packet_.ttl = parse_range<std::uint8_t>(value, 0, 255);
    if (key == "dscp") parse_dscp(value);
    if (key == "df") parse_df(value);
    if (key == "frag") parse_fragment(value);
    if (key == "time") parse_time(value);
  }

  // Some host of the site must have it. Whether a host that is asked does is the sampler's
  // question.
  std::optional<InterfaceWord> parse_device(const Word& value) {
    const bool fits = !value.text.empty() && value.text.size() <= kLongestName &&
                      value.text.find_first_of("/*") == std::string_view::npos;
    if (!fits) {
      fail(value.offset, fmt::format("{} is not an interface", quote(value.text)),
           "write the name of an interface, or one device");
      return std::nullopt;
    }
    InterfaceWord word{std::string(value.text), place_.at(value.offset)};
    const std::vector<Host>& hosts = scope_.policy.hosts;
    if (std::ranges::any_of(hosts,
                            [&](const Host& host) { return has_interface(host, value.text); })) {
      return word;
    }
    report_unknown_interface(word, hosts, "no host", scope_.diagnostics);
    wrong_ = true;
    return std::nullopt;
  }

  void parse_at(const Word& value) {
    if (value.text == "self") {
      if (!scope_.self) {
        report_at(Code::SelfNotHere, value.offset, "`self` means no host here", "name the host");
      }
      packet_.at_self = true;
      return;
    }
    std::string_view name = value.text;
    if (name.starts_with("host:")) name.remove_prefix(5);
    packet_.at = find_host(scope_.policy, name);
    if (packet_.at) return;
    report_at(Code::UnknownName, value.offset,
              fmt::format("there is no host {}", quote(value.text)),
              did_you_mean(name, candidates(scope_.policy, TermKind::Host, scope_.diagnostics)));
  }

  void parse_state(const Word& value) {
    std::vector<std::string> words;
    for (std::size_t i = 0; i < kStates.size(); ++i) {
      if (net::kCtStates[i].name == value.text) packet_.state = kStates[i];
      words.emplace_back(net::kCtStates[i].name);
    }
    if (packet_.state) return;
    fail(value.offset, fmt::format("{} is not a connection state", quote(value.text)),
         did_you_mean(value.text, words));
  }

  // "syn,ack"; "none" for no flag at all.
  void parse_flags(const Word& value) {
    flags_offset_ = value.offset;
    std::uint8_t flags = 0;
    std::string_view rest = value.text;
    while (value.text != "none") {
      const std::string_view word = rest.substr(0, rest.find(','));
      const auto flag = std::ranges::find(net::kTcpFlags, word, &net::TcpFlag::name);
      if (flag == net::kTcpFlags.end()) {
        fail(value.offset + (value.text.size() - rest.size()),
             fmt::format("{} is not a TCP flag", quote(word)),
             "fin, syn, rst, psh, ack, urg, ece and cwr, with commas between");
        return;
      }
      flags = static_cast<std::uint8_t>(flags | flag->bit);
      if (word.size() == rest.size()) break;
      rest.remove_prefix(word.size() + 1);
    }
    packet_.tcp_flags = flags;
  }

  void parse_family(const Word& value) {
    if (value.text == "4" || value.text == "6") {
      packet_.family = value.text == "4" ? 4 : 6;
      return;
    }
    fail(value.offset, fmt::format("{} is not an address family", quote(value.text)),
         "family=4 or family=6");
  }

  void parse_user(const Word& value) {
    if (value.text == "root") {
      packet_.user = 0;
      return;
    }
    const auto number = parse_number(value.text, 0xfffffffe);
    if (number) {
      packet_.user = static_cast<std::uint32_t>(*number);
      return;
    }
    fail(value.offset, fmt::format("{} is not a user", quote(value.text)), "a number, or root");
  }

  void parse_dscp(const Word& value) {
    constexpr std::uint8_t kMost = 63;
    const auto named = std::ranges::find(net::kDscpNames, value.text, &net::Dscp::name);
    if (named != net::kDscpNames.end()) {
      packet_.dscp = named->value;
    } else if (const auto number = parse_number(value.text, kMost)) {
      packet_.dscp = static_cast<std::uint8_t>(*number);
    } else {
      fail(value.offset, fmt::format("{} is not a DSCP", quote(value.text)),
           "a number from 0 to 63, or a name as nft has it: ef, af21, cs1");
    }
  }

  void parse_df(const Word& value) {
    df_offset_ = value.offset;
    packet_.dont_fragment = value.text == "1";
    if (value.text == "1" || value.text == "0") return;
    fail(value.offset, fmt::format("{} is not a bit", quote(value.text)),
         "df=1: routers must not cut it in pieces (IPv4); df=0: they may");
  }

  // "first", "later", or an offset.
  void parse_fragment(const Word& value) {
    constexpr std::uint16_t kUsualOffset = 1480;  // behind what Ethernet holds of IPv4
    if (value.text == "first") {
      packet_.fragment = {.offset = 0, .more_follow = true};
      return;
    }
    const auto offset = value.text == "later" ? std::optional<std::uint64_t>(kUsualOffset)
                                              : parse_number(value.text, 65528);
    if (offset && *offset % 8 == 0 && *offset != 0) {
      packet_.fragment = {.offset = static_cast<std::uint16_t>(*offset), .more_follow = false};
      return;
    }
    fail(value.offset, fmt::format("{} is not a fragment", quote(value.text)),
         "frag=first, frag=later, or where it begins in its datagram: a multiple of 8 bytes up to "
         "65528");
  }

  void parse_time(const Word& value) {
    packet_.time_ns = parse_moment(value.text);
    if (packet_.time_ns) return;
    fail(value.offset, fmt::format("{} is not a time", quote(value.text)),
         "write 2026-12-24T08:30 for UTC, or the place's own time with what it is ahead of UTC: "
         "2026-12-24T09:30+01:00");
  }

  template <class Number>
  std::optional<Number> parse_range(const Word& value, std::uint64_t least, std::uint64_t most) {
    const auto number = parse_number(value.text, most);
    if (number && *number >= least) return static_cast<Number>(*number);
    fail(value.offset,
         fmt::format("{} is not a number from {} to {}", quote(value.text), least, most), "");
    return std::nullopt;
  }

  // A port stands in the service or after an address: not in both, and not in neither.
  void check_ports() {
    const auto& literals = packet_.service.literals;
    if (!service_known_ || literals.empty()) return;
    const bool named = std::any_of(literals.begin(), literals.end(), names_ports);
    const bool portless = std::any_of(literals.begin(), literals.end(), [](const auto& literal) {
      return !net::has_ports(literal.protocol);
    });
    const std::string service = quote(packet_.service.names[0]);
    if ((packet_.from.port || packet_.to.port) && (named || portless)) {
      fail(port_offset_,
           named ? fmt::format("the service {} already has its ports", service)
                 : fmt::format("the service {} has no ports", service),
           "write a port after `:` only with a bare `tcp`, `udp` or `sctp`");
    }
    const bool open = std::any_of(literals.begin(), literals.end(), [](const auto& literal) {
      return net::has_ports(literal.protocol) && literal.destination.is_all() &&
             !literal.ports_given;
    });
    if (!open || packet_.to.port || wrong_ || wording_ == Wording::Law) return;
    report_at(Code::PortNeeded, offset_of_service(),
              fmt::format("{} needs a destination port", service),
              "for example tcp/443, or `:443` after the destination");
  }

  void check_flags() {
    if (!packet_.tcp_flags || !service_known_) return;
    const bool tcp =
        std::all_of(packet_.service.literals.begin(), packet_.service.literals.end(),
                    [](const auto& literal) { return literal.protocol == net::protocol::kTcp; });
    if (tcp) return;
    fail(flags_offset_, fmt::format("{} has no TCP flags", quote(packet_.service.names[0])), "");
  }

  void check_df() {
    if (!packet_.dont_fragment || packet_.family != 6) return;
    fail(df_offset_, "IPv6 has no such bit: its routers never cut a packet in pieces", "");
  }

  void check_self() {
    if (is_self(packet_.from) || is_self(packet_.to) || packet_.at_self || wrong_) return;
    report_at(Code::NoSelf, 0, fmt::format("{} does not say which end this host is", quote(text_)),
              "write `self` on one side, or add at=self");
  }

  std::size_t offset_of_service() const {
    return std::min(text_.find_first_not_of(" \t"), text_.size());
  }

  const Scope& scope_;
  std::string_view text_;
  const Place& place_;
  Wording wording_;
  PacketWords packet_;
  std::set<std::string_view> seen_;
  std::size_t port_offset_ = 0;
  std::size_t flags_offset_ = 0;
  std::size_t df_offset_ = 0;
  bool service_known_ = false;
  bool wrong_ = false;
};

}  // namespace

void report_unknown_interface(const InterfaceWord& word, std::span<const Host> hosts,
                              std::string_view who, Diagnostics& diagnostics) {
  std::set<std::string> names;
  std::set<std::string> devices;
  if (can_afford_hint(diagnostics, hosts.size())) {
    for (const Host& host : hosts) {
      for (const HostInterface& interface : host.interfaces) {
        names.insert(interface.name);
        devices.insert(interface.devices.begin(), interface.devices.end());
      }
    }
  }
  std::vector<std::string> known(names.begin(), names.end());
  known.insert(known.end(), devices.begin(), devices.end());
  std::string hint = did_you_mean(word.text, known);
  constexpr std::size_t kShown = 8;
  if (hint.empty() && !names.empty() && names.size() <= kShown) {
    hint = fmt::format("there {} {}", names.size() == 1 ? "is" : "are", fmt::join(names, ", "));
  }
  report(diagnostics, Code::UnknownInterface, word.span,
         fmt::format("{} has an interface or device named {}", who, quote(word.text)),
         std::move(hint));
}

std::optional<PacketWords> parse_packet_words(const Scope& scope, std::string_view text,
                                              const Place& place, Wording wording) {
  return PacketParser(scope, text, place, wording).parse();
}

std::optional<PacketWords> parse_packet(const Policy& policy, std::string_view text, Span span,
                                        bool in_role, Diagnostics& diagnostics, bool every) {
  const Scope scope{policy, diagnostics, nullptr, in_role, std::nullopt};
  return parse_packet_words(scope, text, {span, 0, true}, every ? Wording::Law : Wording::Packet);
}

}  // namespace rolewall::policy

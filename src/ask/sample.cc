#include "ask/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "ask/own_address.h"
#include "eval/build.h"
#include "eval/route.h"
#include "policy/codes.h"
#include "policy/packet_words.h"
#include "ruleset/loads.h"

namespace rolewall::ask {

// Who is asked about a packet from a host to a host.
struct Asked {
  using Index = policy::Index;
  std::optional<Index> sender;
  std::optional<Index> through;
  std::optional<Index> receiver;
  bool any() const { return sender || through || receiver; }

  // The host whose interface a word names, where it has none of that name.
  std::optional<Index> lacks(const policy::Policy& policy, const policy::PacketWords& words) const {
    const std::optional<Index> arrives = through ? through : receiver;
    const std::optional<Index> leaves = through ? through : sender ? sender : receiver;
    for (const auto& [word, host] : {std::pair(&words.in, arrives), {&words.out, leaves}}) {
      if (*word && host && !policy::has_interface(policy.hosts[*host], (*word)->text)) return host;
    }
    return std::nullopt;
  }
};

namespace {

using policy::Code;
using policy::FlowState;
using policy::Index;

std::vector<std::uint16_t> ends_of(const net::PortRange& range) {
  if (range.first == range.last) return {range.first};
  return {range.first, range.last};
}

// What a service and the ports of the ends say of the transport header, one entry a sample.
std::vector<eval::PacketFields> transports(const policy::PacketWords& words, bool ipv4,
                                           Diagnostics& diagnostics) {
  std::vector<eval::PacketFields> found;
  eval::PacketFields usual;
  if (words.tcp_flags) usual.tcp_flags = *words.tcp_flags;
  if (words.length) usual.length = *words.length;
  if (words.ttl) usual.ttl = *words.ttl;
  if (words.dscp) usual.dscp = *words.dscp;
  usual.dont_fragment = words.dont_fragment.value_or(false);
  if (words.fragment) {
    usual.fragment_offset = words.fragment->offset;
    usual.more_fragments = words.fragment->more_follow;
  }

  for (const policy::ServiceLiteral& literal : words.service.literals) {
    eval::PacketFields fields = usual;
    fields.protocol = literal.protocol;
    if (literal.protocol == net::protocol::kIcmp || literal.protocol == net::protocol::kIcmpv6) {
      const bool icmp = literal.protocol == net::protocol::kIcmp;
      if (icmp != ipv4) continue;
      constexpr std::uint8_t kEchoRequest = 8;
      constexpr std::uint8_t kEchoRequestV6 = 128;
      fields.icmp_type = literal.icmp_type.value_or(icmp ? kEchoRequest : kEchoRequestV6);
      found.push_back(fields);
      continue;
    }
    if (!net::has_ports(literal.protocol)) {
      found.push_back(fields);
      continue;
    }
    std::vector<std::uint16_t> destinations;
    if (words.to.port) {
      destinations = {*words.to.port};
    } else if (literal.ports_given) {
      destinations = ends_of(literal.destination);
    } else {
      report(diagnostics, Code::PortNeeded, words.span,
             fmt::format("`{}` has no port", literal.text),
             fmt::format("write `{0}/443`, or a port after the address", literal.text));
      return {};
    }
    std::vector<std::uint16_t> sources{usual.source_port};
    if (words.from.port) {
      sources = {*words.from.port};
    } else if (!literal.source.is_all()) {
      sources = ends_of(literal.source);
    }
    for (const std::uint16_t destination : destinations) {
      for (const std::uint16_t source : sources) {
        fields.destination_port = destination;
        fields.source_port = source;
        found.push_back(fields);
      }
    }
  }
  return found;
}

// Whether each of them can be as short as the words say.
bool can_be_so_short(const policy::PacketWords& words, const std::vector<Sample>& samples,
                     Diagnostics& diagnostics) {
  if (!words.length || samples.empty()) return true;
  std::size_t least = SIZE_MAX;
  std::size_t longest = 0;
  for (const Sample& sample : samples) {
    eval::PacketFields shortest = sample.fields;
    shortest.length = 0;
    const std::size_t headers = eval::build(shortest).bytes.size();
    least = std::min(least, headers);
    longest = std::max(longest, headers);
  }
  if (longest <= *words.length) return true;
  report(diagnostics, Code::BadPacket, words.span,
         fmt::format("a packet of these words has at least {} bytes, `length` says {}", longest,
                     *words.length),
         least < longest
             ? fmt::format("of another family or service they may have {}: name it", least)
             : "`length` counts from the IP header on, with all headers");
  return false;
}

// `near`: the packet goes to a group or to a link's own address; `leaves`: by a named interface.
Asked asked(const Party& from, const Party& to, bool near, bool leaves, std::optional<Index> at,
            const Asking& asking) {
  constexpr std::optional<Index> kNobody;
  if (asking.alone) {
    const std::optional<Index>& self = asking.self;
    if (from.host == self) return {self, kNobody, kNobody};
    if (near && leaves && at == self) return {self, kNobody, kNobody};
    if (to.host == self || (near && at == self)) return {kNobody, kNobody, self};
    if (at == self) return {kNobody, self, kNobody};
    return {};
  }
  if (!at) return {from.host, kNobody, to.host};
  if (from.host == at) return {at, kNobody, kNobody};
  if (near && leaves) return {at, kNobody, kNobody};
  if (to.host == at || near) return {from.host, kNobody, at};
  return {from.host, at, to.host};
}

// What they say beside the headers and the ends.
void take_words(const policy::PacketWords& words, Sample& sample) {
  sample.says_length = words.length.has_value();
  sample.says_ttl = words.ttl.has_value();
  sample.says_dscp = words.dscp.has_value();
  sample.says_fragment = words.dont_fragment || words.fragment;
  if (words.state) sample.ct_state = ct_state_of(*words.state);
  sample.user = words.user;
  sample.time_ns = words.time_ns;
  if (words.in) sample.in = words.in->text;
  if (words.out) sample.out = words.out->text;
}

// The receiver's own address as source: no packet that arrives has it.
bool bears(const Ends& ends, std::optional<Index> host, const net::Address& address) {
  if (!host) return false;
  const std::vector<Index> bearers = ends.bearers(address);
  return std::binary_search(bearers.begin(), bearers.end(), *host);
}

// Of what a host sends it is said that it arrives.
void report_own_source(const policy::PacketWords& words, const std::string& host,
                       Diagnostics& diagnostics) {
  report(diagnostics, Code::NotAnEnd, words.span,
         fmt::format("`in={}`: nobody is asked to whom this packet arrives: its source is {}'s own "
                     "address",
                     words.in->text, host),
         fmt::format("without `in=`, {} sends it; what arrives with an address of its own, its "
                     "kernel discards",
                     host));
}

// Where a word of the packet stands.
Span place_of(const policy::PacketWords& words, std::string_view word) {
  Span place = words.span;
  const std::size_t at = words.text.find(word);
  if (at != std::string::npos && place.column != 0) {
    place.column += static_cast<std::uint32_t>(at);
  }
  return place;
}

// A machine of several addresses gets the one that its routes tell.
void choose_own_address(const policy::PacketWords& words, const Asking& asking, const Party& from,
                        const Party& to, eval::PacketFields& header) {
  if (asking.routes == nullptr) return;
  const auto choose = [&](const Party& party, const auto& interface, const net::Address& peer,
                          net::Address& own) {
    if (party.host != asking.self || party.addresses.size() < 2) return;
    if (auto address = own_address(*asking.routes, peer, interface ? interface->text : "")) {
      own = *address;
    }
  };
  choose(to, words.in, header.source, header.destination);
  choose(from, words.out, header.destination, header.source);
}

// Whether the host translates destinations: what it receives may then go on.
bool may_pass_on(const policy::Policy& policy, const Asking& asking, Index host) {
  return asking.translates || std::ranges::any_of(policy.files, [&](const policy::RuleFile& file) {
           return std::ranges::count(file.hosts, host) != 0 &&
                  std::ranges::any_of(file.rules, [](const policy::Rule& rule) {
                    return rule.direction == policy::Direction::Nat;
                  });
         });
}

}  // namespace

std::uint32_t ct_state_of(FlowState state) {
  switch (state) {
    case FlowState::New:
      return ruleset::ct_state::kNew;
    case FlowState::Established:
      return ruleset::ct_state::kEstablished;
    case FlowState::Related:
      return ruleset::ct_state::kRelated;
    case FlowState::Invalid:
      return ruleset::ct_state::kInvalid;
    case FlowState::Untracked:
      return ruleset::ct_state::kUntracked;
  }
  return 0;
}

// Why packets that words name are none to ask about.
struct Sampler::Unasked {
  std::vector<Index> lacking;            // hosts that would be asked if they had the interface
  bool nobody = false;                   // no host is at either end, nor between
  std::optional<Index> arrives_nowhere;  // who sends what is said to arrive
  std::optional<Index> leaves_nowhere;   // who only receives what is said to leave
  std::optional<Index> sends_nothing;    // the same of what is said to have a sender's user
};

// Who is asked about a packet between two addresses, if anybody is: else `unasked` says why not,
// where the words are the reason.
bool Sampler::is_asked(const Asked& who, const policy::PacketWords& words, const Asking& asking,
                       Unasked& unasked) const {
  if (words.in && who.sender && !who.through && !who.receiver) {
    unasked.arrives_nowhere = who.sender;
  } else if (!who.any()) {
    unasked.nobody = true;
  } else if (words.out && !who.sender && !who.through &&
             !may_pass_on(policy_, asking, *who.receiver)) {
    unasked.leaves_nowhere = who.receiver;
  } else if (words.user && !who.sender) {
    unasked.sends_nothing = who.through ? who.through : who.receiver;
  } else if (const auto host = who.lacks(policy_, words)) {
    unasked.lacking.push_back(*host);
  } else {
    return true;
  }
  return false;
}

Sample Sampler::sample_of(const Asked& who, const policy::PacketWords& words, const Asking& asking,
                          const eval::PacketFields& header) const {
  Sample sample;
  sample.fields = header;
  take_words(words, sample);
  sample.sender = who.sender;
  sample.through = who.through;
  sample.receiver = who.receiver;
  if (who.through) sample.at = policy_.hosts[*who.through].name;
  sample.alone = asking.alone;
  return sample;
}

std::vector<Sample> Sampler::take(const policy::PacketWords& words, const Asking& asking,
                                  Diagnostics& diagnostics) const {
  std::size_t count = 0;
  return take_some(words, asking, kMaxSamples, count, diagnostics);
}

std::vector<Sample> Sampler::take_first(const policy::PacketWords& words, const Asking& asking,
                                        std::size_t& count, Diagnostics& diagnostics) const {
  // Whether each can be so short is asked of all.
  return take_some(words, asking, words.length ? kMaxSamples : 1, count, diagnostics);
}

const std::vector<Party>& Sampler::parties(const policy::Selectors& selectors, const Asking& asking,
                                           std::vector<Party>& own) const {
  if (std::ranges::any_of(selectors.items, [](const policy::Selector& item) {
        return item.term.kind == policy::TermKind::Self;
      })) {
    own = ends_.parties(selectors, asking.self);
    return own;
  }
  std::string name;
  for (const auto& [negated, term] : selectors.items) {
    name += fmt::format("{}{}.{}.{},", negated ? "!" : "", static_cast<int>(term.kind), term.index,
                        term.text);
  }
  const auto known = parties_.find(name);
  if (known != parties_.end()) return known->second;
  return parties_.emplace(std::move(name), ends_.parties(selectors, asking.self)).first->second;
}

std::vector<Sample> Sampler::take_some(const policy::PacketWords& words, const Asking& asking,
                                       std::size_t most, std::size_t& count,
                                       Diagnostics& diagnostics) const {
  count = 0;
  const std::optional<Index> at = words.at_self ? asking.self : words.at;
  if (asking.alone && at && at != asking.self) {
    report(diagnostics, Code::NotAnEnd, place_of(words, "at="),
           fmt::format("`at={}`: {} alone is asked here", policy_.hosts[*at].name,
                       asking.self ? policy_.hosts[*asking.self].name : "no host"),
           "write `at=self`; a test in site.toml, and `eval` without --host, ask every host");
    return {};
  }
  std::vector<Party> own_sources;
  std::vector<Party> own_destinations;
  const std::vector<Party>& sources = parties(words.from.selectors, asking, own_sources);
  const std::vector<Party>& destinations = parties(words.to.selectors, asking, own_destinations);

  std::vector<Sample> samples;
  Unasked unasked;
  for (const bool ipv4 : {true, false}) {
    if (words.family && (*words.family == 4) != ipv4) continue;
    if (words.dont_fragment && !ipv4) continue;
    const std::size_t errors = diagnostics.error_count();
    const auto headers = transports(words, ipv4, diagnostics);
    if (diagnostics.error_count() > errors) return {};
    for (eval::PacketFields header : headers) {
      for (const Party& from : sources) {
        for (const Party& to : destinations) {
          const auto addresses = ends_.meet(from, to, ipv4);
          if (!addresses) continue;
          std::tie(header.source, header.destination) = *addresses;
          choose_own_address(words, asking, from, to, header);
          const net::Address& source = header.source;
          const net::Address& destination = header.destination;
          // Nobody passes these on: `out=` alone says that the one who is asked sends them.
          const bool near = net::is_group(destination) || eval::is_link_local(destination);
          const bool leaves = words.out && !words.in;
          const Asked who = asked(from, to, near, leaves, at, asking);
          if (from.host && (from.host == to.host || bears(ends_, who.receiver, source))) continue;
          // Who bears an address of the packet's is its end: another of them is asked here.
          if (bears(ends_, who.through, source) || bears(ends_, who.through, destination)) continue;
          // Of a network at whose edge the host stands: others pass through it.
          if (at && who.sender == at && from.sampled) continue;
          if (!is_asked(who, words, asking, unasked)) continue;
          if (count++ == kMaxSamples) {
            report(diagnostics, Code::TooManySamples, words.span,
                   fmt::format("this describes more than {} packets", kMaxSamples),
                   "ask about a role or a host instead");
            return {};
          }
          if (samples.size() < most) samples.push_back(sample_of(who, words, asking, header));
        }
      }
    }
  }
  if (!can_be_so_short(words, samples, diagnostics)) return {};
  if (samples.empty()) report_unasked(words, asking.alone ? asking.self : at, unasked, diagnostics);
  return samples;
}

void Sampler::report_unasked(const policy::PacketWords& words, std::optional<Index> host,
                             const Unasked& unasked, Diagnostics& diagnostics) const {
  if (!unasked.lacking.empty()) {
    report_lacking(words, unasked.lacking, diagnostics);
  } else if (unasked.arrives_nowhere) {
    report_own_source(words, policy_.hosts[*unasked.arrives_nowhere].name, diagnostics);
  } else if (unasked.leaves_nowhere) {
    report(diagnostics, Code::NotAnEnd, words.out->span,
           fmt::format("`out={}`: this packet ends at {}, and leaves it by no interface",
                       words.out->text, policy_.hosts[*unasked.leaves_nowhere].name),
           "leave `out=` out; `in=` says by which interface it arrives, `at=` which host passes a "
           "packet on");
  } else if (unasked.sends_nothing) {
    report(diagnostics, Code::NotAnEnd, place_of(words, "user="),
           fmt::format("`user=` says who sends a packet, and {} does not send this one",
                       policy_.hosts[*unasked.sends_nothing].name),
           "leave `user=` out, or ask the host that sends it");
  } else if (unasked.nobody) {
    report_nobody_asked(words, host, diagnostics);
  }
}

void Sampler::report_nobody_asked(const policy::PacketWords& words, std::optional<Index> host,
                                  Diagnostics& diagnostics) const {
  if (host) {
    report(diagnostics, Code::NotAnEnd, words.span,
           fmt::format("neither end of this packet is {}", policy_.hosts[*host].name),
           "add `at=` to ask about a forwarded packet or one to a multicast address");
  } else {
    report(diagnostics, Code::NotAnEnd, words.span,
           "neither end of this packet is a host of the site",
           "name a host, or add `at=` with the host to ask");
  }
}

bool Sampler::lacks_interface(const policy::PacketWords& words, Index host) const {
  const policy::Host& asked = policy_.hosts[host];
  return (words.in && !policy::has_interface(asked, words.in->text)) ||
         (words.out && !policy::has_interface(asked, words.out->text));
}

void Sampler::report_lacking(const policy::PacketWords& words, const std::vector<Index>& hosts,
                             Diagnostics& diagnostics) const {
  std::vector<policy::Host> asked;
  for (const Index host : std::set<Index>(hosts.begin(), hosts.end())) {
    asked.push_back(policy_.hosts[host]);
  }
  for (const auto* word : {&words.in, &words.out}) {
    if (!*word || std::ranges::any_of(asked, [&](const policy::Host& host) {
          return policy::has_interface(host, (*word)->text);
        })) {
      continue;
    }
    policy::report_unknown_interface(**word, asked, "no host that is asked", diagnostics);
  }
}

}  // namespace rolewall::ask

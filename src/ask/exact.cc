// The words of a packet as a set of packets, and whether the host accepts one of it.
#include "ask/exact.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analyze/analysis.h"
#include "net/protocol.h"

namespace rolewall::ask {
namespace {

using analyze::Diagram;
using analyze::Part;
using policy::Expectation;
using policy::Index;

constexpr std::array<analyze::Fate, 1> kAccepted{analyze::Fate::Accept};

std::uint64_t first_half(std::string_view name, std::uint8_t filler) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    value = value << 8 | (i < name.size() ? static_cast<std::uint8_t>(name[i]) : filler);
  }
  return value;
}
std::uint64_t second_half(std::string_view name, std::uint8_t filler) {
  return first_half(name.size() > 8 ? name.substr(8) : std::string_view(), filler);
}

}  // namespace

// Sets of packets, in the space of one host's analysis.
class Prover::Words {
 public:
  Words(analyze::Analysis& analysis, const ruleset::Host& host, bool arrives)
      : d_(analysis.diagrams()), space_(analysis.space()), host_(host), arrives_(arrives) {}

  // Absent: the words say something that no field is.
  std::optional<Diagram> packets(const policy::PacketWords& words, const net::AddressSet& from,
                                 const net::AddressSet& to) {
    if (words.fragment || words.time_ns) return std::nullopt;
    Diagram all =
        words.state ? is(space_.state(), ct_state_of(*words.state)) : space_.first_packets();
    all = d_.both(all, d_.both(in(Part::Source4, Part::Source6, from),
                               in(Part::Destination4, Part::Destination6, to)));
    all = d_.both(all, of_service(words));
    all = d_.both(all, by_devices(words));
    all = d_.both(all, of_options(words));
    return d_.both(all, space_.packets());
  }

 private:
  Diagram is(analyze::FieldId field, std::uint64_t value) { return d_.where(field, value, value); }
  Diagram within(Part part, std::uint64_t first, std::uint64_t last) {
    return d_.where(space_.field(part), first, last);
  }

  Diagram in(Part ipv4, Part ipv6, const net::AddressSet& set) {
    if (set.is_all()) return analyze::kEverything;
    std::vector<analyze::Values> values;
    for (const auto& interval : set.ipv4.intervals()) {
      values.push_back({interval.first.value, interval.last.value});
    }
    const Diagram of_ipv4 = d_.where(space_.field(ipv4), values);
    analyze::Comparison compare(d_);
    std::vector<Diagram> all;
    for (const auto& interval : set.ipv6.intervals()) {
      all.push_back(*compare.between(space_.part(ipv6), net::to_bytes(interval.first),
                                     net::to_bytes(interval.last)));
    }
    return d_.choose(space_.is_ipv4(), of_ipv4, d_.union_of(std::move(all)));
  }

  Diagram of_service(const policy::PacketWords& words) {
    if (!words.service.given && words.service.literals.empty()) return analyze::kEverything;
    std::vector<Diagram> all;
    for (const policy::ServiceLiteral& literal : words.service.literals) {
      Diagram of = is(space_.field(Part::Protocol), literal.protocol);
      if (literal.protocol == net::protocol::kIcmp) of = d_.both(of, space_.is_ipv4());
      if (literal.protocol == net::protocol::kIcmpv6) of = d_.both(of, space_.is_ipv6());
      if (literal.icmp_type) {
        const std::uint64_t type = std::uint64_t{*literal.icmp_type} << 8;
        of = d_.both(of, within(Part::Transport0, type, type | 0xff));
      } else if (net::has_ports(literal.protocol)) {
        const net::PortRange to =
            words.to.port ? net::PortRange{*words.to.port, *words.to.port} : literal.destination;
        const net::PortRange from =
            words.from.port ? net::PortRange{*words.from.port, *words.from.port} : literal.source;
        of = d_.both(of, within(Part::Transport2, to.first, to.last));
        of = d_.both(of, within(Part::Transport0, from.first, from.last));
      }
      all.push_back(of);
    }
    return d_.union_of(std::move(all));
  }

  Diagram of_options(const policy::PacketWords& words) {
    Diagram all = analyze::kEverything;
    const auto narrow = [&](Diagram by) { all = d_.both(all, by); };
    if (words.family) narrow(*words.family == 4 ? space_.is_ipv4() : space_.is_ipv6());
    if (words.tcp_flags) narrow(within(Part::Flags, *words.tcp_flags, *words.tcp_flags));
    if (words.length) narrow(within(Part::Length, *words.length, *words.length));
    if (words.ttl) narrow(within(Part::TimeToLive, *words.ttl, *words.ttl));
    if (words.dscp) {
      const std::uint64_t first = std::uint64_t{*words.dscp} << 2;
      narrow(within(Part::TrafficClass, first, first | 3));
    }
    if (words.dont_fragment) {
      narrow(
          within(Part::DontFragment, *words.dont_fragment ? 1 : 0, *words.dont_fragment ? 1 : 0));
    }
    if (words.user) {
      narrow(d_.both(is(space_.has_user(), 1), is(space_.user(), *words.user)));
    }
    // A socket has both owners; one that has only a group is no program's.
    narrow(d_.choose(is(space_.has_user(), 1), analyze::kEverything, is(space_.has_group(), 0)));
    // PACKET_HOST; to a group PACKET_MULTICAST.
    const Diagram group =
        d_.choose(space_.is_ipv4(), within(Part::Destination4, 0xe0000000, 0xefffffff),
                  within(Part::Destination6, 0xff000000, 0xffffffff));
    narrow(d_.choose(group, within(Part::Type, 2, 2), within(Part::Type, 0, 0)));
    return all;
  }

  Diagram device(Part part, std::string_view name) {
    const analyze::FieldId first = space_.field(part);
    const bool any = name.ends_with('*');
    if (any) name.remove_suffix(1);
    const std::uint8_t highest = any ? 0xff : 0;
    if (any && name.size() < 8) {
      return d_.where(first, first_half(name, 0), first_half(name, highest));
    }
    return d_.both(is(first, first_half(name, 0)),
                   d_.where(first + 1, second_half(name, 0), second_half(name, highest)));
  }

  // As interfaces_for() says of one address: the interface that it is behind, else those with
  // nothing behind them, else all.
  Diagram by_devices(const policy::PacketWords& words) {
    const Part part = arrives_ ? Part::InDevice : Part::OutDevice;
    const Part ipv4 = arrives_ ? Part::Source4 : Part::Destination4;
    const Part ipv6 = arrives_ ? Part::Source6 : Part::Destination6;
    const auto& word = arrives_ ? words.in : words.out;
    Diagram all = d_.complement(device(part, "lo"));
    all = d_.minus(all, device(part, ""));
    if (arrives_) all = d_.both(all, device(Part::OutDevice, ""));
    if (host_.interfaces.empty()) return all;
    net::AddressSet behind;
    bool has_open = false;
    for (const ruleset::Interface& interface : host_.interfaces) {
      behind = behind | interface.behind;
      has_open = has_open || interface.behind.empty();
    }
    std::vector<Diagram> ways;
    for (const ruleset::Interface& interface : host_.interfaces) {
      const Diagram by = device(part, interface.device);
      if (word) {
        if (interface.name == word->text || interface.device == word->text) ways.push_back(by);
        continue;
      }
      const bool takes_rest = interface.behind.empty() || !has_open;
      const net::AddressSet beside = takes_rest ? interface.behind | ~behind : interface.behind;
      ways.push_back(d_.both(by, in(ipv4, ipv6, beside)));
    }
    return d_.both(all, d_.union_of(std::move(ways)));
  }

  analyze::Diagrams& d_;
  analyze::PacketSpace& space_;
  const ruleset::Host& host_;
  bool arrives_;
};

struct Prover::Impl {
  const policy::Policy& policy;
  Site& site;
  Index host;
  const ruleset::Snapshot& snapshot;
  analyze::Analysis analysis;
};

Prover::Prover(const policy::Policy& policy, Site& site, Index host)
    : impl_(new Impl{policy, site, host, site.snapshot(host),
                     analyze::Analysis(site.snapshot(host).ruleset, site.snapshot(host).host)}) {}
Prover::~Prover() = default;

namespace {

// The packet in fields that words can say, as it is asked again.
Sample sample_like(const eval::Packet& packet, const Sample& like, bool arrives) {
  const bool ipv6 = eval::is_ipv6(packet);
  const std::vector<std::uint8_t>& bytes = packet.bytes;
  const std::size_t header = ipv6 ? 40 : 20;
  const auto address = [&](std::size_t at) {
    return net::address_from_bytes(std::span(bytes).subspan(at, ipv6 ? 16 : 4));
  };
  const auto number = [&](std::size_t at) {
    return at + 1 < bytes.size() ? static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1])
                                 : std::uint16_t{0};
  };
  Sample sample = like;
  sample.fields.source = address(ipv6 ? 8 : 12);
  sample.fields.destination = address(ipv6 ? 24 : 16);
  sample.fields.protocol = bytes[ipv6 ? 6 : 9];
  sample.fields.source_port = number(header);
  sample.fields.destination_port = number(header + 2);
  if (header + 13 < bytes.size()) sample.fields.tcp_flags = bytes[header + 13];
  if (header + 1 < bytes.size()) {
    sample.fields.icmp_type = bytes[header];
    sample.fields.icmp_code = bytes[header + 1];
  }
  sample.fields.ttl = bytes[ipv6 ? 7 : 8];
  sample.fields.length = static_cast<std::uint32_t>(bytes.size());
  sample.fields.dscp =
      static_cast<std::uint8_t>(ipv6 ? (bytes[0] & 15) << 2 | bytes[1] >> 6 : bytes[1] >> 2);
  sample.fields.dont_fragment = !ipv6 && (bytes[6] & 0x40) != 0;
  sample.ct_state = packet.ct_state;
  sample.user = packet.user;
  (arrives ? sample.in : sample.out) = arrives ? packet.in_device : packet.out_device;
  return sample;
}

}  // namespace

Proof Prover::prove(const TestCase& test_case) {
  const policy::PacketWords& words = test_case.packet->words;
  const Sample& like = test_case.samples.front();
  const bool arrives = like.receiver == impl_->host;
  // What passes through is asked of samples alone.
  const bool one_way = std::ranges::all_of(test_case.samples, [&](const Sample& sample) {
    return !sample.through && (sample.receiver == impl_->host) == arrives;
  });
  if (!one_way) return {};
  const net::AddressSet own = impl_->policy.hosts[impl_->host].all_addresses();
  net::AddressSet from = policy::addresses_of(impl_->policy, words.from.selectors, impl_->host);
  net::AddressSet to = policy::addresses_of(impl_->policy, words.to.selectors, impl_->host);
  // The far end is another host.
  (arrives ? from : to) = (arrives ? from : to) - own;

  analyze::Analysis& analysis = impl_->analysis;
  const auto direction = arrives ? analyze::Direction::Arrive : analyze::Direction::Send;
  struct Found {
    bool asked = false;
    std::optional<analyze::Witness> witness;
  };
  const auto found = analyze::Analysis::within_budget<Found>([&] {
    Words of(analysis, impl_->snapshot.host, arrives);
    const auto packets = of.packets(words, from, to);
    if (!packets) return Found{};
    const auto accepted = analysis.by_choice(direction, kAccepted);
    if (!accepted) throw analyze::BudgetEnded{accepted.error().why};
    const Diagram broken = analysis.diagrams().both(*accepted, *packets);
    return Found{true, analysis.witness(direction, broken)};
  });
  if (!found) return {Proof::Outcome::NotProven, {}, found.error().why};
  if (!found->asked) return {};
  if (!found->witness) return {Proof::Outcome::Holds, {}, ""};
  Answer answer = impl_->site.ask(sample_like(found->witness->packet, like, arrives));
  if (answer.verdict == Verdict::Accept) {
    return {Proof::Outcome::Broken, std::move(answer), ""};
  }
  if (!found->witness->choices.empty()) {
    return {Proof::Outcome::NotProven,
            {},
            fmt::format("`{}` may be accepted: {}", answer.packet,
                        fmt::join(found->witness->choices, ", "))};
  }
  return {Proof::Outcome::NotProven,
          {},
          fmt::format("the analyser says that `{}` is accepted, the evaluator does not: please "
                      "report this mistake of ours",
                      answer.packet)};
}

std::map<std::size_t, Answer> prove_tests(const policy::Policy& policy, Site& site,
                                          TestReport& report) {
  std::map<std::size_t, Answer> broken;
  std::map<Index, std::vector<std::size_t>> by_host;
  for (std::size_t i = 0; i < report.cases.size(); ++i) {
    const TestCase& test_case = report.cases[i];
    const bool denies = test_case.packet->expected != Expectation::Accept;
    if (!denies || !test_case.host || test_case.samples.empty()) continue;
    by_host[*test_case.host].push_back(i);
  }
  for (const auto& [host, cases] : by_host) {
    Prover prover(policy, site, host);
    for (const std::size_t index : cases) {
      Proof proof = prover.prove(report.cases[index]);
      switch (proof.outcome) {
        case Proof::Outcome::Holds:
          report.proven.insert(index);
          break;
        case Proof::Outcome::NotAsked:
          break;
        case Proof::Outcome::Broken:
          broken.emplace(index, std::move(*proof.counterexample));
          break;
        case Proof::Outcome::NotProven:
          report.not_proven.emplace(index, std::move(proof.why));
          break;
      }
    }
  }
  return broken;
}

}  // namespace rolewall::ask

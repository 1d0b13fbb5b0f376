#include "ask/reach.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "ask/alike.h"
#include "ask/reach_candidates.h"
#include "ask/sample.h"
#include "net/address_set.h"
#include "policy/effective.h"
#include "policy/kinds.h"
#include "policy/load.h"

namespace rolewall::ask {
namespace {

constexpr std::string_view kPingService = "ping";

// `tcp` alone names no packet.
bool is_reach_literal(const policy::ServiceLiteral& literal) {
  return !net::has_ports(literal.protocol) || literal.ports_given;
}

// What a link needs to work, as shipped blocks have it on every host: no service that is offered.
bool is_of_link(const policy::ServiceLiteral& literal) {
  const bool icmp = literal.protocol == net::protocol::kIcmp;
  if (!icmp && literal.protocol != net::protocol::kIcmpv6) return false;
  constexpr std::uint8_t kEcho4 = 8;
  constexpr std::uint8_t kEcho6 = 128;
  return literal.icmp_type != (icmp ? kEcho4 : kEcho6);
}

// What is asked about, and what it is called where it is open.
struct AskedService {
  std::string words;  // of a packet
  std::string name;
};

// A port that rules name by no less than all ports; absent: each has a name.
std::optional<std::uint16_t> unnamed_port(const std::vector<policy::ServiceLiteral>& named,
                                          std::uint8_t protocol) {
  constexpr std::uint32_t kFirst = 40001;  // an unlikely one
  constexpr std::uint32_t kLast = 65535;
  std::vector<bool> ports(kLast + 1);
  for (const policy::ServiceLiteral& literal : named) {
    const auto [first, last] = literal.destination;
    if (literal.protocol != protocol || (first <= 1 && last == kLast)) continue;
    for (std::uint32_t port = first; port <= last; ++port) ports[port] = true;
  }
  for (std::uint32_t i = 0; i < kLast; ++i) {
    const std::uint32_t port = (kFirst - 1 + i) % kLast + 1;
    if (!ports[port]) return static_cast<std::uint16_t>(port);
  }
  return std::nullopt;
}

// What no rule names, which a rule for every service admits as well.
std::vector<AskedService> unnamed_services(const std::vector<policy::ServiceLiteral>& named) {
  std::vector<AskedService> all;
  for (const auto& [protocol, word, name] :
       {std::tuple(net::protocol::kTcp, "tcp", kEveryOtherTcpPort),
        std::tuple(net::protocol::kUdp, "udp", kEveryOtherUdpPort)}) {
    if (const auto port = unnamed_port(named, protocol)) {
      all.push_back({fmt::format("{}/{}", word, *port), std::string(name)});
    }
  }
  constexpr std::uint8_t kExperiment = 253;  // RFC 3692: nobody's
  const bool is_named = std::ranges::any_of(
      named, [](const auto& literal) { return literal.protocol == kExperiment; });
  if (!is_named) {
    all.push_back({fmt::format("protocol/{}", kExperiment), std::string(kEveryOtherProtocol)});
  }
  return all;
}

// Each service that a rule names, by its name there; and what no rule names.
std::vector<AskedService> services_of(const policy::Policy& policy) {
  std::set<std::string> names;
  std::set<std::string> own;  // of them, those that the site's rules name
  std::vector<policy::ServiceLiteral> literals;
  for (const policy::RuleFile& file : policy.files) {
    if (file.hosts.empty()) continue;
    for (const policy::Rule& rule : file.rules) {
      const policy::ServiceList& services = rule.conditions.services;
      names.insert(services.names.begin(), services.names.end());
      if (!file.shipped) own.insert(services.names.begin(), services.names.end());
      literals.insert(literals.end(), services.literals.begin(), services.literals.end());
    }
  }
  if (policy.service_names.contains(kPingService)) names.emplace(kPingService);
  Diagnostics ignored;
  std::vector<AskedService> all;
  for (const std::string& name : names) {
    const bool is_own = own.contains(name);
    if (std::ranges::any_of(parse_service(policy, name, ignored), [&](const auto& literal) {
          return is_reach_literal(literal) && (is_own || !is_of_link(literal));
        })) {
      all.push_back({name, name});
    }
  }
  std::ranges::move(unnamed_services(literals), std::back_inserter(all));
  return all;
}

// The more of a packet's fates it may be, the more open: what may pass must not look shut.
int openness(Verdict verdict) {
  if (verdict == Verdict::Accept) return 2;
  return is_denied(verdict) ? 0 : 1;
}

class ReachAsker {
 public:
  ReachAsker(const policy::Policy& policy, policy::Date date, Site& site,
             const ReachQuestion& question)
      : policy_(policy),
        services_(services_of(policy)),
        candidates_(policy, date, literals_of(policy, services_)),
        site_(site),
        sampler_(policy),
        alike_(policy, date),
        through_(question.through),
        most_packets_(question.most_packets) {
    for (policy::Index host = 0; host < policy.hosts.size(); ++host) {
      numbers_.emplace(policy.hosts[host].name, host);
    }
  }

  // Whether it was given up because there are too many packets to ask about.
  bool gave_up() const { return count_ > most_packets_; }

  // Each service that is open between them, in order.
  Result<void> ask(const std::string& from, const std::string& to, std::vector<Reach>& found) {
    const Groups& senders = groups_of(from);
    const Groups& receivers = groups_of(to);
    for (const std::size_t service :
         candidates_.between({senders, addresses_of(from)}, {receivers, addresses_of(to)})) {
      auto cell = ask(from, to, services_[service]);
      if (!cell) return std::unexpected(cell.error());
      if (*cell) found.push_back(std::move(**cell));
    }
    return {};
  }

 private:
  using Groups = ReachCandidates::Groups;

  Result<std::optional<Reach>> ask(const std::string& from, const std::string& to,
                                   const AskedService& asked) {
    const std::string& service = asked.words;
    const Groups& senders = groups_of(from);
    const Groups& receivers = groups_of(to);
    std::vector<Sample> samples;
    const std::vector<std::string> from_literals = literals_in(from, to, service, true);
    const std::vector<std::string> to_literals = literals_in(to, from, service, false);
    for (const std::string& sender : few_of(from, senders, {})) {
      for (const std::string& receiver : to_literals) {
        TRY(take(fmt::format("{} {} > {}", service, sender, receiver), samples, true));
      }
      for (const std::string& receiver : few_of(to, receivers, senders)) {
        if (sender == receiver && sender.starts_with("host:")) continue;
        TRY(take(fmt::format("{} {} > {}", service, sender, receiver), samples, false));
      }
    }
    for (const std::string& sender : from_literals) {
      for (const std::string& receiver : few_of(to, receivers, {})) {
        TRY(take(fmt::format("{} {} > {}", service, sender, receiver), samples, true));
      }
      for (const std::string& receiver : to_literals) {
        TRY(take(fmt::format("{} {} > {}", service, sender, receiver), samples, true));
      }
    }
    auto found = gather({from, to, asked.name, {}, 0}, samples);
    if (!found) return found;
    for (Passage& passage : found->open) {
      passage.like_from = like(senders, passage.from);
      passage.like_to = like(receivers, passage.to);
    }
    return found;
  }

  static std::vector<std::vector<policy::ServiceLiteral>> literals_of(
      const policy::Policy& policy, const std::vector<AskedService>& services) {
    std::vector<std::vector<policy::ServiceLiteral>> all;
    Diagnostics ignored;
    for (const AskedService& service : services) {
      all.push_back(policy::parse_service(policy, service.words, ignored));
    }
    return all;
  }

  // What the rules at the other end may see of it. Whoever passes packets on may give them others.
  const net::AddressSet& addresses_of(const std::string& end) {
    const auto [at, is_new] = addresses_.try_emplace(end, net::AddressSet::all());
    if (!is_new || !through_.empty()) return at->second;
    Diagnostics ignored;
    const auto words =
        policy::parse_packet(policy_, fmt::format("tcp/1 {} > any", end), {}, false, ignored);
    if (words && words->from.selectors.given) {
      at->second = policy::addresses_of(policy_, words->from.selectors, 0);
    }
    return at->second;
  }

  // Of a role or tag, the hosts that are alike together; nothing of anything else.
  const Groups& groups_of(const std::string& end) {
    const auto [at, is_new] = groups_.try_emplace(end);
    if (is_new) at->second = made_groups_of(end);
    return at->second;
  }

  Groups made_groups_of(const std::string& end) const {
    const auto [begin, last] = policy_.names.equal_range(end);
    if (std::distance(begin, last) != 1) return {};
    if (begin->second.kind == policy::TermKind::Role) {
      return alike_.groups(policy_.files[begin->second.index].hosts);
    }
    if (begin->second.kind == policy::TermKind::Tag) {
      return alike_.groups(policy_.tags[begin->second.index].hosts);
    }
    return {};
  }

  // One host of each group, in words; of one that is asked by itself too, another.
  std::vector<std::string> few_of(const std::string& end, const Groups& groups,
                                  const Groups& askers) const {
    if (groups.empty()) return {end};
    std::vector<std::string> words;
    for (const auto& group : groups) {
      const bool asks = std::ranges::any_of(
          askers, [&](const auto& each) { return each.front() == group.front(); });
      const policy::Index host = asks && group.size() > 1 ? group[1] : group[0];
      words.push_back("host:" + policy_.hosts[host].name);
    }
    return words;
  }

  // What a rule for a service names literally at one end, and whose rule it is.
  struct NamedAddresses {
    net::AddressSet addresses;
    const std::vector<policy::Index>* hosts = nullptr;
  };

  const std::vector<NamedAddresses>& named_for(const std::string& service, bool sends) {
    const auto [at, is_new] = named_.try_emplace({service, sends});
    if (!is_new) return at->second;
    Diagnostics ignored;
    const auto asked = policy::parse_service(policy_, service, ignored);
    for (const policy::RuleFile& file : policy_.files) {
      if (file.hosts.empty()) continue;
      for (const policy::Rule& rule : file.rules) {
        const policy::Direction other =
            sends ? policy::Direction::Outbound : policy::Direction::Inbound;
        const bool translates = rule.direction == policy::Direction::Nat;
        if (rule.direction == other || (rule.action != policy::Action::Accept && !translates)) {
          continue;
        }
        const policy::ServiceList& services = rule.conditions.services;
        const bool meets =
            !services.given || std::ranges::any_of(services.literals, [&](const auto& each) {
              return std::ranges::any_of(
                  asked, [&](const auto& one) { return policy::literals_meet(each, one); });
            });
        if (meets) add_named(sends ? rule.conditions.from : rule.conditions.to, file, at->second);
      }
    }
    return at->second;
  }

  void add_named(const policy::Selectors& selectors, const policy::RuleFile& file,
                 std::vector<NamedAddresses>& all) const {
    for (const policy::Selector& item : selectors.items) {
      if (item.negated || item.term.kind != policy::TermKind::Prefix) continue;
      all.push_back({policy::addresses_of(policy_, selectors, file.hosts.front()) &
                         net::AddressSet::from({item.term.prefix}),
                     &file.hosts});
    }
  }

  struct EndSet {
    bool is_of_hosts = false;  // hosts have their own samples
    net::AddressSet addresses = net::AddressSet::all();
  };

  const EndSet& set_of(const std::string& end) {
    const auto [at, is_new] = sets_.try_emplace(end);
    if (!is_new) return at->second;
    Diagnostics ignored;
    const auto words =
        policy::parse_packet(policy_, fmt::format("tcp/1 {} > any", end), {}, false, ignored);
    if (!words || !words->from.selectors.given) return at->second;
    const policy::Selectors& selectors = words->from.selectors;
    at->second.addresses = policy::addresses_of(policy_, selectors, 0);
    at->second.is_of_hosts = std::ranges::all_of(selectors.items, [](const auto& item) {
      const policy::TermKind kind = item.term.kind;
      return item.negated || kind == policy::TermKind::Self || kind == policy::TermKind::Host ||
             kind == policy::TermKind::Role || kind == policy::TermKind::Tag;
    });
    return at->second;
  }

  // Of each set that a rule for the service names literally, the first address that lies in the
  // end: the ends of a network say nothing of what is open to a part of it.
  struct LiteralOfEnd {
    std::string word;
    const std::vector<policy::Index>* hosts = nullptr;  // whose rule names it
  };

  const std::vector<LiteralOfEnd>& literals_of_end(const std::string& end,
                                                   const std::string& service, bool sends) {
    const auto [at, is_new] = literals_.try_emplace({end, service, sends});
    if (!is_new) return at->second;
    const EndSet& here = set_of(end);
    if (here.is_of_hosts) return at->second;
    for (const NamedAddresses& named : named_for(service, sends)) {
      const net::AddressSet both = named.addresses & here.addresses;
      std::vector<net::Prefix> prefixes = net::to_prefixes(both.ipv4);
      if (prefixes.empty()) prefixes = net::to_prefixes(both.ipv6);
      if (prefixes.empty()) continue;
      at->second.push_back({net::format(prefixes.front().address), named.hosts});
    }
    return at->second;
  }

  // Whether one of a role's hosts is of the end.
  bool is_any_of_end(const std::vector<policy::Index>& hosts, const std::string& end) {
    const auto [at, is_new] = of_end_.try_emplace({&hosts, end});
    if (is_new) {
      const EndSet& there = set_of(end);
      at->second = std::ranges::any_of(hosts, [&](policy::Index host) {
        return !(policy_.hosts[host].all_addresses() & there.addresses).empty();
      });
    }
    return at->second;
  }

  std::vector<std::string> literals_in(const std::string& end, const std::string& other,
                                       const std::string& service, bool sends) {
    std::vector<std::string> words;
    const bool has_hosts = through_.empty() && set_of(other).is_of_hosts;
    for (const LiteralOfEnd& literal : literals_of_end(end, service, sends)) {
      if (has_hosts && !is_any_of_end(*literal.hosts, other)) continue;
      if (std::ranges::find(words, literal.word) == words.end()) words.push_back(literal.word);
    }
    return words;
  }

  // `is_literal`: an address that is no end beside the other, as a group's that sends, is none.
  Result<void> take(std::string words, std::vector<Sample>& samples, bool is_literal) {
    if (!through_.empty()) words += " at=" + through_;
    Diagnostics findings;
    const auto packet = policy::parse_packet(policy_, words, {}, false, findings);
    if (!packet && is_literal) return {};
    if (!packet) return fail(ErrorKind::Usage, why(words, findings));
    std::vector<Sample> more = sampler_.take(*packet, {}, findings);
    if (findings.has_errors() && is_literal) return {};
    if (findings.has_errors()) return fail(ErrorKind::Usage, why(words, findings));
    count_ += more.size();
    if (gave_up()) {
      return fail(ErrorKind::Usage,
                  fmt::format("more than {} packets would have to be asked: name one end, as "
                              "`rolewall reach {}` does, or both",
                              most_packets_, an_end()));
    }
    samples.insert(samples.end(), more.begin(), more.end());
    return {};
  }

  // For an example: a role, where there is one.
  std::string an_end() const {
    const std::vector<std::string> ends = reach_ends(policy_);
    const auto role = std::ranges::find_if(policy_.files, [](const policy::RuleFile& file) {
      return file.is_role && !file.hosts.empty();
    });
    return role == policy_.files.end() ? ends.front() : role->name;
  }

  // How many more there are that are alike, of the hosts that the end stands for.
  std::size_t like(const Groups& groups, const std::string& name) const {
    const auto host = numbers_.find(name);
    if (host == numbers_.end()) return 0;
    for (const auto& group : groups) {
      if (std::ranges::find(group, host->second) != group.end()) return group.size() - 1;
    }
    return 0;
  }

  static std::string why(const std::string& words, const Diagnostics& findings) {
    const std::string message = findings.all().empty() ? "" : findings.all()[0].message;
    const std::string hint = findings.all().empty() ? "" : findings.all()[0].hint;
    return fmt::format("`{}`: {}{}", words, message, hint.empty() ? "" : "; " + hint);
  }

  std::string name_of_end(std::optional<policy::Index> host, const std::string& end) const {
    return host ? policy_.hosts[*host].name : end;
  }

  std::optional<Reach> gather(Reach reach, const std::vector<Sample>& samples) {
    std::map<std::pair<std::string, std::string>, Passage> passages;
    for (const Sample& sample : samples) {
      const std::string from = name_of_end(sample.sender, reach.from);
      const std::string to = name_of_end(sample.receiver, reach.to);
      const auto [at, fresh] = passages.try_emplace({from, to}, Passage{from, to, 0, 0, {}, {}});
      if (!fresh && at->second.verdict == Verdict::Accept) continue;  // no fate is more open
      if (site_.is_surely_denied(sample)) {
        if (fresh) at->second.verdict = Verdict::Drop;
        continue;
      }
      Answer answer = site_.ask(sample);
      if (!fresh && openness(answer.verdict) <= openness(at->second.verdict)) continue;
      at->second.verdict = answer.verdict;
      at->second.hops = std::move(answer.hops);
    }
    reach.pairs = passages.size();
    for (auto& [names, passage] : passages) {
      if (openness(passage.verdict) > 0) reach.open.push_back(std::move(passage));
    }
    if (reach.open.empty()) return std::nullopt;
    return reach;
  }

  const policy::Policy& policy_;
  const std::vector<AskedService> services_;
  ReachCandidates candidates_;
  Site& site_;
  Sampler sampler_;
  Alike alike_;
  std::string through_;
  std::size_t most_packets_;
  std::map<std::string, policy::Index> numbers_;      // of the hosts, by their names
  std::map<std::string, Groups> groups_;              // by the end's name
  std::map<std::string, net::AddressSet> addresses_;  // likewise
  std::map<std::string, EndSet> sets_;                // likewise, whoever passes them on
  // By the service, and whether it is the sender's end.
  std::map<std::pair<std::string, bool>, std::vector<NamedAddresses>> named_;
  std::map<std::tuple<std::string, std::string, bool>, std::vector<LiteralOfEnd>> literals_;
  std::map<std::pair<const std::vector<policy::Index>*, std::string>, bool> of_end_;
  std::size_t count_ = 0;
};

bool is_network(const policy::Policy& policy, const std::string& end) {
  return std::ranges::any_of(policy.networks, [&](const policy::Network& network) {
    return !network.shipped && network.name == end;
  });
}

bool is_of_site(const policy::Policy& policy, const std::string& end) {
  const auto [begin, last] = policy.names.equal_range(end);
  return std::any_of(begin, last, [](const auto& entry) {
    return entry.second.kind != policy::TermKind::Network;
  });
}

using EndPairs = std::vector<std::pair<std::string, std::string>>;

// Of the ends that are asked: the pairs of a network that nobody named apart.
struct AskedPairs {
  EndPairs plain;
  EndPairs of_networks;
};

AskedPairs pairs_of(const policy::Policy& policy, const ReachQuestion& question,
                    const std::vector<std::string>& ends) {
  const auto of = [&](const std::string& named) {
    return named.empty() ? ends : std::vector<std::string>{named};
  };
  const auto is_unnamed_network = [&](const std::string& end) {
    return end != question.from && end != question.to && is_network(policy, end);
  };
  const bool both_named = !question.from.empty() && !question.to.empty();
  AskedPairs pairs;
  for (const std::string& from : of(question.from)) {
    for (const std::string& to : of(question.to)) {
      // Between two ends outside nobody is asked.
      const bool some_host = is_of_site(policy, from) || is_of_site(policy, to);
      if (!some_host && question.through.empty() && !both_named) continue;
      const bool has_network = is_unnamed_network(from) || is_unnamed_network(to);
      (has_network ? pairs.of_networks : pairs.plain).emplace_back(from, to);
    }
  }
  return pairs;
}

Result<void> ask_all(const EndPairs& pairs, ReachAsker& asked, std::vector<Reach>& found) {
  for (const auto& [from, to] : pairs) TRY(asked.ask(from, to, found));
  return {};
}

// In the order of the ends.
void put_in_order(std::vector<Reach>& cells, const std::vector<std::string>& ends) {
  std::map<std::string, std::size_t> order;
  for (const std::string& end : ends) order.emplace(end, order.size());
  std::ranges::stable_sort(
      cells, {}, [&](const Reach& cell) { return std::pair(order[cell.from], order[cell.to]); });
}

// An end that is none is told as it was written, and not in a packet of ours.
Result<void> is_end(const policy::Policy& policy, const std::string& end,
                    std::string_view packet_of) {
  Diagnostics findings;
  if (end.empty() ||
      policy::parse_packet(policy, fmt::format(fmt::runtime(packet_of), end), {}, false, findings))
    return {};
  if (!findings.has_errors()) return {};
  const Diagnostic& first = findings.all().front();
  return fail(ErrorKind::Usage, first.message + (first.hint.empty() ? "" : "; " + first.hint));
}

// What comes to a host of the receivers by way of `through`'s own address.
Result<std::vector<std::string>> translated_by(const policy::Policy& policy,
                                               const ReachQuestion& question, ReachAsker& asked) {
  std::set<std::string> receivers;
  Diagnostics ignored;
  const auto words =
      policy::parse_packet(policy, fmt::format("tcp/1 any > {}", question.to), {}, false, ignored);
  if (!words) return std::vector<std::string>();
  const net::AddressSet wanted = policy::addresses_of(policy, words->to.selectors, 0);
  for (const policy::Host& host : policy.hosts) {
    if (!(host.all_addresses() & wanted).empty()) receivers.insert(host.name);
  }
  std::vector<Reach> found;
  TRY(asked.ask(question.from, question.through, found));
  std::vector<std::string> services;
  for (const Reach& each : found) {
    const bool ends_there = std::ranges::any_of(each.open, [&](const Passage& passage) {
      return std::ranges::any_of(passage.hops, [&](const Hop& hop) {
        return hop.host != question.through && hop.host != passage.from &&
               receivers.contains(hop.host);
      });
    });
    if (ends_there) services.push_back(each.service);
  }
  return services;
}

}  // namespace

std::vector<std::string> reach_ends(const policy::Policy& policy) {
  std::vector<std::string> ends = {"internet"};
  if (policy.management) ends.emplace_back("management");
  for (const policy::RuleFile& file : policy.files) {
    if (file.is_role && !file.hosts.empty()) ends.push_back(file.name);
  }
  for (const policy::Network& network : policy.networks) {
    if (network.used && !network.shipped) ends.push_back(network.name);
  }
  return ends;
}

Result<ReachAnswer> reach(const policy::Policy& policy, policy::Date date, Site& site,
                          const ReachQuestion& question) {
  TRY(is_end(policy, question.from, "tcp/1 {} > any"));
  TRY(is_end(policy, question.to, "tcp/1 any > {}"));
  TRY(is_end(policy, question.through, "tcp/1 any > any at={}"));
  const std::vector<std::string> ends = reach_ends(policy);
  const AskedPairs pairs = pairs_of(policy, question, ends);
  ReachAsker asked(policy, date, site, question);
  ReachAnswer answer;
  TRY(ask_all(pairs.plain, asked, answer.cells));
  const std::size_t plain = answer.cells.size();
  if (const auto more = ask_all(pairs.of_networks, asked, answer.cells); !more) {
    if (!asked.gave_up()) return std::unexpected(more.error());
    answer.cells.resize(plain);
    std::ranges::copy_if(ends, std::back_inserter(answer.left_out), [&](const std::string& end) {
      return end != question.from && end != question.to && is_network(policy, end);
    });
  }
  put_in_order(answer.cells, ends);
  const bool names_all =
      !question.from.empty() && !question.to.empty() && !question.through.empty();
  if (answer.cells.empty() && names_all) {
    ReachQuestion to_itself = question;
    to_itself.through.clear();
    ReachAsker once_more(policy, date, site, to_itself);
    auto translated = translated_by(policy, question, once_more);
    if (translated) answer.translated = std::move(*translated);
  }
  return answer;
}

}  // namespace rolewall::ask

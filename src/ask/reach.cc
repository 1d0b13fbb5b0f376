#include "ask/reach.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "ask/sample.h"
#include "policy/load.h"

namespace rolewall::ask {
namespace {

constexpr std::size_t kMostPackets = 2'000'000;

bool is_reach_literal(const policy::ServiceLiteral& literal) {
  if (net::has_ports(literal.protocol)) return literal.ports_given;
  constexpr std::uint8_t kEcho4 = 8;
  constexpr std::uint8_t kEcho6 = 128;
  return literal.icmp_type == (literal.protocol == net::protocol::kIcmp ? kEcho4 : kEcho6);
}

// Each service that a rule names, by its name there; and what no rule names.
std::vector<std::string> services_of(const policy::Policy& policy) {
  std::set<std::string> names;
  std::set<std::uint16_t> ports;
  for (const policy::RuleFile& file : policy.files) {
    if (file.hosts.empty()) continue;
    for (const policy::Rule& rule : file.rules) {
      const policy::ServiceList& services = rule.conditions.services;
      names.insert(services.names.begin(), services.names.end());
      for (const auto& literal : services.literals) ports.insert(literal.destination.first);
    }
  }
  std::uint16_t unnamed = 40001;
  while (ports.contains(unnamed)) ++unnamed;
  Diagnostics ignored;
  std::vector<std::string> all;
  for (const std::string& name : names) {
    if (std::ranges::any_of(parse_service(policy, name, ignored), is_reach_literal))
      all.push_back(name);
  }
  all.push_back(fmt::format("tcp/{}", unnamed));
  all.push_back(fmt::format("udp/{}", unnamed));
  return all;
}

// The more of a packet's fates it may be, the more open: what may pass must not look shut.
int openness(Verdict verdict) {
  if (verdict == Verdict::Accept) return 2;
  return is_denied(verdict) ? 0 : 1;
}

class ReachAsker {
 public:
  ReachAsker(const policy::Policy& policy, Site& site, const ReachQuestion& question)
      : policy_(policy), site_(site), sampler_(policy), through_(question.through) {}

  Result<std::optional<Reach>> ask(const std::string& from, const std::string& to,
                                   const std::string& service) {
    std::string words = fmt::format("{} {} > {}", service, from, to);
    if (!through_.empty()) words += " at=" + through_;
    Diagnostics findings;
    const auto packet = policy::parse_packet(policy_, words, {}, false, findings);
    if (!packet) return fail(ErrorKind::Usage, why(words, findings));
    std::vector<Sample> samples = sampler_.take(*packet, {}, findings);
    if (findings.has_errors()) return fail(ErrorKind::Usage, why(words, findings));
    count_ += samples.size();
    if (count_ > kMostPackets) {
      return fail(ErrorKind::Usage,
                  fmt::format("more than {} packets would have to be asked: name one or both ends",
                              kMostPackets));
    }
    return gather({from, to, service, {}, 0}, samples);
  }

 private:
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
      const auto [at, fresh] = passages.try_emplace({from, to}, Passage{from, to, {}, {}});
      if (!fresh && at->second.verdict == Verdict::Accept) continue;  // no fate is more open
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
  Site& site_;
  Sampler sampler_;
  std::string through_;
  std::size_t count_ = 0;
};

bool is_of_site(const policy::Policy& policy, const std::string& end) {
  const auto [begin, last] = policy.names.equal_range(end);
  return std::any_of(begin, last, [](const auto& entry) {
    return entry.second.kind != policy::TermKind::Network;
  });
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

Result<std::vector<Reach>> reach(const policy::Policy& policy, Site& site,
                                 const ReachQuestion& question) {
  const std::vector<std::string> all = reach_ends(policy);
  const auto ends = [&](const std::string& named) {
    return named.empty() ? all : std::vector<std::string>{named};
  };
  const bool both_named = !question.from.empty() && !question.to.empty();
  const std::vector<std::string> services = services_of(policy);
  ReachAsker asked(policy, site, question);
  std::vector<Reach> found;
  for (const std::string& from : ends(question.from)) {
    for (const std::string& to : ends(question.to)) {
      // Between two ends outside nobody is asked.
      const bool some_host = is_of_site(policy, from) || is_of_site(policy, to);
      if (!some_host && question.through.empty() && !both_named) continue;
      for (const std::string& service : services) {
        auto cell = asked.ask(from, to, service);
        if (!cell) return std::unexpected(cell.error());
        if (*cell) found.push_back(std::move(**cell));
      }
    }
  }
  return found;
}

}  // namespace rolewall::ask

#include "observe/listening.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "net/known_addresses.h"
#include "net/protocol.h"
#include "observe/admitted.h"

namespace rolewall::observe {
namespace {

// More are counted and not listed.
constexpr std::size_t kMostListed = 50;

std::string_view name_of_protocol(std::uint8_t protocol) {
  return protocol == net::protocol::kTcp ? "tcp" : "udp";
}

bool is_admitted(const Admission& own, const Listening& socket, bool translations) {
  const Port port{socket.protocol, socket.port};
  std::optional<net::Address> to;
  if (!net::is_unspecified(socket.address)) to = socket.address;
  const bool ipv6 = !net::is_ipv4(socket.address);
  return !own.of(ipv6, port, to, translations).empty() ||
         (socket.both_families && !own.of(false, port, to, translations).empty());
}

void take_first(std::vector<Finding>& all, std::vector<Finding> some) {
  const std::size_t more = some.size() > kMostListed ? some.size() - kMostListed : 0;
  some.resize(some.size() - more);
  all.insert(all.end(), some.begin(), some.end());
  if (more != 0) {
    all.push_back({Weight::Note, some.back().code, fmt::format("and {} others", more), ""});
  }
}

std::vector<Finding> not_admitted(const Admission& own, const std::vector<Listening>& sockets,
                                  bool translations) {
  // Sockets of one program and port together.
  std::map<std::tuple<bool, std::uint8_t, std::uint16_t, std::string>, std::set<std::string>> found;
  for (const Listening& socket : sockets) {
    if (is_admitted(own, socket, translations)) continue;
    found[{socket.may_be_client, socket.protocol, socket.port, socket.program}].insert(
        net::format(socket.address));
  }
  std::vector<Finding> findings;
  for (const auto& [key, addresses] : found) {
    const auto& [may_be_client, protocol, port, program] = key;
    findings.push_back(
        {.weight = Weight::Note,
         .code = Code::UnadmittedListener,
         .what = fmt::format("{} listens on {}/{} (at {}), but no rule admits it{}",
                             program.empty() ? "a program" : program, name_of_protocol(protocol),
                             port, fmt::join(addresses, ", "),
                             may_be_client ? "; or it is a client that waits for an answer" : ""),
         .hint = ""});
  }
  return findings;
}

// What a rule admits of one protocol, in ranges that meet put together.
struct Ports {
  std::vector<PortRange> ranges;

  void add(PortRange range) {
    if (!ranges.empty() && ranges.back().last + 1 >= range.first) {
      ranges.back().last = std::max(ranges.back().last, range.last);
    } else {
      ranges.push_back(range);
    }
  }
  bool is_all() const {
    return ranges.size() == 1 && ranges[0].first == 0 && ranges[0].last == 0xffff;
  }
  bool has(std::uint16_t port) const {
    return std::ranges::any_of(
        ranges, [&](const PortRange& r) { return r.first <= port && port <= r.last; });
  }
};

std::string words_of(std::uint8_t protocol, const Ports& ports) {
  std::vector<std::string> parts;
  for (const PortRange& range : ports.ranges) {
    parts.push_back(
        range.first == range.last
            ? fmt::format("{}/{}", name_of_protocol(protocol), range.first)
            : fmt::format("{}/{}-{}", name_of_protocol(protocol), range.first, range.last));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Not a built-in step, nor a translation, whose port is another machine's or not this one.
bool is_a_policy_rule(std::string_view rule) {
  return !rule.starts_with('(') && rule.find(".nat.") == std::string_view::npos;
}

std::vector<Finding> idle(const Admission& own, const std::vector<PortRange>& ranges,
                          const std::vector<Listening>& sockets, bool translations) {
  using ByProtocol = std::map<std::uint8_t, Ports>;
  std::map<std::string, ByProtocol> admitted;
  for (const std::uint8_t protocol : {net::protocol::kTcp, net::protocol::kUdp}) {
    for (const PortRange& range : ranges) {
      std::set<std::string> rules;
      for (const bool ipv6 : {false, true}) {
        rules.merge(own.of(ipv6, {protocol, range.first}, std::nullopt, translations));
      }
      for (const std::string& rule : rules) {
        if (is_a_policy_rule(rule)) admitted[rule][protocol].add(range);
      }
    }
  }
  std::vector<Finding> findings;
  for (const auto& [rule, protocols] : admitted) {
    std::vector<std::string> words;
    bool used = false;
    for (const auto& [number, held] : protocols) {
      const std::uint8_t protocol = number;
      const Ports& ports = held;
      used |= ports.is_all() || std::ranges::any_of(sockets, [&](const Listening& socket) {
                return socket.protocol == protocol && ports.has(socket.port);
              });
      words.push_back(words_of(protocol, ports));
    }
    if (used) continue;
    findings.push_back({.weight = Weight::Note,
                        .code = Code::IdleRule,
                        .what = fmt::format("{} admits {}, but nothing listens there", rule,
                                            fmt::join(words, ", ")),
                        .hint = ""});
  }
  return findings;
}

}  // namespace

std::vector<Finding> listening(const ruleset::Table& own, const std::vector<Listening>& sockets,
                               bool translations) {
  std::vector<Finding> findings;
  const Admission admission(own);
  take_first(findings, not_admitted(admission, sockets, translations));
  take_first(findings, idle(admission, told_apart(own), sockets, translations));
  return findings;
}

}  // namespace rolewall::observe

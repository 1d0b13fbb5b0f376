#include "observe/written_policy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "net/icmp_types.h"

namespace rolewall::observe {
namespace {

constexpr std::string_view kAccept = "accept";
constexpr std::string_view kHost = "host";

// Keys that say nothing about which packets a rule is for, beside those that are read.
constexpr std::array<std::string_view, 9> kNoConditions = {
    "action", "service", "from", "to", "on", "limit", "connections", "log", "log-limit"};
constexpr std::array<std::string_view, 7> kNeither = {"helper",  "mss", "expires",      "comment",
                                                      "enabled", "id",  "redirect-only"};

const std::vector<std::string>* values_of(const ruleset::Written& written, std::string_view key) {
  const auto at = std::ranges::find(written.keys, key, &WrittenKey::key);
  return at == written.keys.end() ? nullptr : &at->values;
}

std::optional<std::uint16_t> port_number(std::string_view text) {
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<net::PortRange> port_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = port_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : port_number(text.substr(dash + 1));
  if (!first || !last) return std::nullopt;
  return net::PortRange{*first, *last};
}

std::optional<std::uint8_t> protocol_number(std::string_view word) {
  for (const std::uint8_t number : {net::protocol::kTcp, net::protocol::kUdp, net::protocol::kSctp,
                                    net::protocol::kIcmp, net::protocol::kIcmpv6}) {
    if (net::protocol_name(number) == word) return number;
  }
  return std::nullopt;
}

std::optional<std::uint8_t> icmp_type_in(std::uint8_t protocol, std::string_view text) {
  const auto number = port_number(text);
  if (number && *number <= 255) return static_cast<std::uint8_t>(*number);
  for (const net::IcmpType& type : net::icmp_types(protocol)) {
    if (type.name == text) return type.number;
  }
  return std::nullopt;
}

// Whether a packet of this type, if it is known, can be one of the part's.
bool fits_type(const ServicePart& part, std::optional<std::uint8_t> icmp_type) {
  return !part.icmp_type || !icmp_type || *part.icmp_type == *icmp_type;
}

std::optional<ServicePart> service_part(std::string_view literal) {
  const std::size_t slash = literal.find('/');
  const std::string_view word = literal.substr(0, slash);
  const std::string_view rest =
      slash == std::string_view::npos ? std::string_view() : literal.substr(slash + 1);
  if (word == "protocol") {
    const auto number = port_number(rest);
    if (!number || *number > 255) return std::nullopt;
    return ServicePart{
        .protocol = static_cast<std::uint8_t>(*number), .ports = {}, .icmp_type = std::nullopt};
  }
  const auto protocol = protocol_number(word);
  if (!protocol) return std::nullopt;
  ServicePart part{.protocol = *protocol, .ports = {}, .icmp_type = std::nullopt};
  if (rest.empty()) return part;
  if (!net::has_ports(*protocol)) {
    part.icmp_type = icmp_type_in(*protocol, rest);
    return part.icmp_type ? std::optional(part) : std::nullopt;
  }
  const std::size_t space = rest.find(' ');
  const auto ports = port_range(rest.substr(0, space));
  if (!ports) return std::nullopt;
  if (space != std::string_view::npos) {
    constexpr std::string_view kFrom = " from ";
    if (!rest.substr(space).starts_with(kFrom)) return std::nullopt;
    const auto from_ports = port_range(rest.substr(space + kFrom.size()));
    if (!from_ports) return std::nullopt;
    part.from_ports = *from_ports;
  }
  part.ports = *ports;
  return part;
}

KnownService known_service(const std::vector<std::string>& literals) {
  KnownService service;
  for (const std::string& literal : literals) {
    const auto part = service_part(literal);
    if (part) service.parts.push_back(*part);
    if (!part) service.all_parts_known = false;
  }
  return service;
}

// As the record writes them; absent where one is no address ("300 prefixes (...)").
std::optional<net::AddressSet> address_list(const std::vector<std::string>& texts) {
  std::vector<net::Prefix> prefixes;
  for (const std::string& text : texts) {
    const auto prefix = net::parse_prefix(text);
    if (!prefix) return std::nullopt;
    prefixes.push_back(*prefix);
  }
  return net::AddressSet::from(prefixes);
}

net::AddressSet link_local() {
  return net::AddressSet::from(
      {*net::parse_prefix("169.254.0.0/16"), *net::parse_prefix("fe80::/10")});
}

// How many addresses, roughly: enough to tell which of two sets is smaller.
long double width_of(const net::AddressSet& set) {
  long double width = 0;
  for (const net::Prefix& prefix : net::to_prefixes(set.ipv4)) {
    width += static_cast<long double>(net::Uint128{1} << (32 - prefix.length));
  }
  for (const net::Prefix& prefix : net::to_prefixes(set.ipv6)) {
    width += prefix.length == 0
                 ? 3.4e38L
                 : static_cast<long double>(net::Uint128{1} << (128 - prefix.length));
  }
  return width;
}

}  // namespace

std::string_view name_of(Direction direction) {
  switch (direction) {
    case Direction::Inbound:
      return "inbound";
    case Direction::Outbound:
      return "outbound";
    case Direction::Forward:
      return "forward";
    case Direction::Nat:
      return "nat";
  }
  return "";
}

std::optional<Direction> direction_of(std::string_view rule) {
  const std::size_t first = rule.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = rule.find('.', first + 1);
  const std::string_view word = rule.substr(first + 1, second - first - 1);
  for (const Direction direction :
       {Direction::Inbound, Direction::Outbound, Direction::Forward, Direction::Nat}) {
    if (name_of(direction) == word) return direction;
  }
  return std::nullopt;
}

std::string WrittenRule::service() const {
  return services.empty() ? "any service" : fmt::format("{}", fmt::join(services, ", "));
}

bool WrittenRule::translates_destination() const {
  return direction == Direction::Nat &&
         std::ranges::find(keys, "new-destination", &WrittenKey::key) != keys.end();
}

bool WrittenRule::serves(std::uint8_t protocol, std::uint16_t from_port, std::uint16_t port,
                         std::optional<std::uint8_t> icmp_type) const {
  if (services.empty()) return true;
  return std::ranges::any_of(parts, [&](const ServicePart& part) {
    return part.protocol == protocol && part.ports.contains(port) &&
           part.from_ports.contains(from_port) && fits_type(part, icmp_type);
  });
}

WrittenPolicy::WrittenPolicy(const ruleset::Snapshot& snapshot,
                             const std::map<std::string, std::vector<net::Prefix>>& hosts)
    : self_(snapshot.host.name) {
  for (const auto& [name, addresses] : hosts) {
    add_name(name, net::AddressSet::from(addresses), kHost);
  }
  add_names(snapshot);
  for (const ruleset::Written& written : snapshot.written) {
    if (written.kind == ruleset::kWrittenRule) add_rule(written);
  }
  // What the kernel holds and the record has no words for still has its line.
  for (const auto& [name, source] : snapshot.sources) {
    if (rule(name) != nullptr || !direction_of(name)) continue;
    rules_.push_back({.name = name,
                      .file = source.file,
                      .line = source.line,
                      .direction = *direction_of(name),
                      .action = "",
                      .services = {},
                      .parts = {},
                      .all_parts_known = false,
                      .from = std::nullopt,
                      .to = std::nullopt,
                      .from_words = {},
                      .to_words = {},
                      .conditions = {},
                      .keys = {}});
  }
}

void WrittenPolicy::add_names(const ruleset::Snapshot& snapshot) {
  for (const ruleset::Written& written : snapshot.written) {
    if (written.kind == "service") {
      const auto* values = values_of(written, "service");
      if (values != nullptr) services_[written.name] = known_service(*values);
    } else if (written.kind == "defaults") {
      defaults_ = {written};
    } else if (const auto* out = values_of(written, "left out"); out != nullptr) {
      const auto set = address_list(*out);
      if (set) add_name(written.name, ~*set, written.kind);
    } else if (const auto* in = values_of(written, "addresses"); in != nullptr) {
      const auto set = address_list(*in);
      if (set) add_name(written.name, *set, written.kind);
    }
  }
}

void WrittenPolicy::add_name(const std::string& name, net::AddressSet addresses,
                             std::string_view kind) {
  const bool is_any = (net::AddressSet::all() - addresses).empty();
  const long double width = width_of(addresses);
  named_.push_back({.name = name,
                    .addresses = std::move(addresses),
                    .is_host = kind == kHost,
                    .is_network = kind == "network",
                    .is_any = is_any,
                    .width = width});
}

void WrittenPolicy::add_rule(const ruleset::Written& written) {
  const auto direction = direction_of(written.name);
  if (!direction) return;
  WrittenRule rule{.name = written.name,
                   .file = written.file,
                   .line = written.line,
                   .direction = *direction,
                   .action = std::string(kAccept),
                   .services = {},
                   .parts = {},
                   .all_parts_known = true,
                   .from = net::AddressSet::all(),
                   .to = net::AddressSet::all(),
                   .from_words = {},
                   .to_words = {},
                   .conditions = {},
                   .keys = written.keys};
  for (const auto& [key, values] : written.keys) {
    if (key == "action" && !values.empty()) rule.action = values.front();
    if (key == "service") rule.services = values;
    if (key == "from") rule.from_words = values;
    if (key == "to") rule.to_words = values;
    if (std::ranges::find(kNoConditions, key) == kNoConditions.end() &&
        std::ranges::find(kNeither, key) == kNeither.end()) {
      rule.conditions.push_back(key);
    }
  }
  if (!rule.from_words.empty()) rule.from = addresses_of(rule.from_words);
  if (!rule.to_words.empty()) rule.to = addresses_of(rule.to_words);
  for (const std::string& service : rule.services) {
    const auto named = services_.find(service);
    const KnownService known = named == services_.end() ? known_service({service}) : named->second;
    rule.parts.insert(rule.parts.end(), known.parts.begin(), known.parts.end());
    rule.all_parts_known = rule.all_parts_known && known.all_parts_known;
  }
  rules_.push_back(std::move(rule));
}

std::optional<net::AddressSet> WrittenPolicy::term(std::string_view text) const {
  if (text == "any") return net::AddressSet::all();
  if (text == "link-local") return link_local();
  if (const auto prefix = net::parse_prefix(text)) return net::AddressSet::from({*prefix});
  for (const NamedAddresses& each : named_) {
    if (each.name == text) return each.addresses;
  }
  return std::nullopt;
}

// What is negated is taken away from the others, or from all where there are none.
std::optional<net::AddressSet> WrittenPolicy::addresses_of(
    const std::vector<std::string>& terms) const {
  net::AddressSet in;
  net::AddressSet out;
  bool has_positive = false;
  for (const std::string_view text : terms) {
    const bool negated = text.starts_with('!');
    const auto set = term(negated ? text.substr(1) : text);
    if (!set) return std::nullopt;
    (negated ? out : in) = (negated ? out : in) | *set;
    has_positive = has_positive || !negated;
  }
  return (has_positive ? in : net::AddressSet::all()) - out;
}

const WrittenRule* WrittenPolicy::rule(std::string_view name) const {
  const auto at = std::ranges::find(rules_, name, &WrittenRule::name);
  return at == rules_.end() ? nullptr : &*at;
}

std::string WrittenPolicy::free_id(Direction direction, std::string service,
                                   const std::set<std::string>& further) const {
  std::ranges::replace(service, '/', '-');
  const auto is_taken = [&](const std::string& id) {
    const std::string end = fmt::format(".{}.{}", observe::name_of(direction), id);
    return further.contains(end) || std::ranges::any_of(rules_, [&](const WrittenRule& rule) {
             return rule.name.ends_with(end);
           });
  };
  std::string id = service;
  for (int number = 2; is_taken(id); ++number) id = fmt::format("{}-{}", service, number);
  return id;
}

bool WrittenPolicy::is_network(std::string_view name) const {
  return std::ranges::any_of(
      named_, [&](const NamedAddresses& each) { return each.is_network && each.name == name; });
}

bool WrittenPolicy::means_what_client_wrote(Direction direction) const {
  return direction == Direction::Forward ||
         std::ranges::any_of(rules_, [](const WrittenRule& rule) {
           return rule.direction == Direction::Forward || rule.direction == Direction::Nat;
         });
}

const ruleset::Written* WrittenPolicy::defaults() const {
  return defaults_.empty() ? nullptr : &defaults_.front();
}

std::string WrittenPolicy::name_of(const net::Address& address) const {
  const NamedAddresses* best = nullptr;
  for (const NamedAddresses& each : named_) {
    if (!each.addresses.contains(address)) continue;
    if (each.is_host) return each.name;
    if (!each.is_any && (best == nullptr || each.width < best->width)) best = &each;
  }
  return best == nullptr ? "" : best->name;
}

std::string WrittenPolicy::host_name(const net::Address& address) const {
  for (const NamedAddresses& each : named_) {
    if (each.is_host && each.addresses.contains(address)) return each.name;
  }
  return "";
}

std::string WrittenPolicy::service_name(std::uint8_t protocol, std::uint16_t from_port,
                                        std::uint16_t port,
                                        std::optional<std::uint8_t> icmp_type) const {
  const auto is_for_this = [&](const ServicePart& part) {
    if (part.protocol != protocol || !part.from_ports.contains(from_port)) return false;
    return icmp_type ? part.icmp_type == icmp_type : part.ports.contains(port);
  };
  const auto has_no_other_port = [&](const ServicePart& part) {
    return !net::has_ports(part.protocol) || part.ports == net::PortRange{port, port};
  };
  for (const Services* services : {&services_, &further_services_}) {
    std::vector<std::string> names;
    for (const auto& [name, service] : *services) {
      if (std::ranges::any_of(service.parts, is_for_this) &&
          std::ranges::all_of(service.parts, has_no_other_port)) {
        names.push_back(name);
      }
    }
    if (names.size() == 1) return names.front();
    if (!names.empty()) break;
  }
  return service_literal(protocol, port, icmp_type);
}

void WrittenPolicy::add_service(const std::string& name, const std::vector<std::string>& literals) {
  if (!services_.contains(name)) further_services_.try_emplace(name, known_service(literals));
}

std::string service_literal(std::uint8_t protocol, std::uint16_t port,
                            std::optional<std::uint8_t> icmp_type) {
  const std::string_view word = net::protocol_name(protocol);
  if (word.empty()) return fmt::format("protocol/{}", protocol);
  if (net::has_ports(protocol)) return fmt::format("{}/{}", word, port);
  if (!icmp_type) return std::string(word);
  for (const net::IcmpType& type : net::icmp_types(protocol)) {
    if (type.number == *icmp_type) return fmt::format("{}/{}", word, type.name);
  }
  return fmt::format("{}/{}", word, *icmp_type);
}

}  // namespace rolewall::observe

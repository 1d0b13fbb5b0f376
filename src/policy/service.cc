#include "policy/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/suggest.h"
#include "net/icmp_types.h"
#include "policy/codes.h"
#include "policy/keys.h"
#include "policy/load.h"
#include "policy/names.h"

namespace rolewall::policy {
namespace {

// The longest list of literals that one service may name.
constexpr std::size_t kMostLiterals = 1024;

struct ProtocolWord {
  std::string_view word;
  std::uint8_t number;
};
constexpr std::array kProtocols = {
    ProtocolWord{"tcp", net::protocol::kTcp},       ProtocolWord{"udp", net::protocol::kUdp},
    ProtocolWord{"sctp", net::protocol::kSctp},     ProtocolWord{"icmp", net::protocol::kIcmp},
    ProtocolWord{"icmpv6", net::protocol::kIcmpv6}, ProtocolWord{"protocol", 0}};

// The protocol's keyword at the front: what stands before '/' or ' '.
std::string_view keyword(std::string_view text) {
  return text.substr(0, text.find_first_of("/ "));
}

const ProtocolWord* find_protocol(std::string_view word) {
  const auto found = std::find_if(kProtocols.begin(), kProtocols.end(),
                                  [&](const ProtocolWord& p) { return p.word == word; });
  return found == kProtocols.end() ? nullptr : &*found;
}

std::optional<net::PortRange> parse_ports(std::string_view text, Span span,
                                          Diagnostics& diagnostics) {
  const auto dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash), 65535);
  const auto last =
      dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1), 65535);
  if (!first || !last) {
    report(diagnostics, Code::BadService, span,
           fmt::format("{} is not a port or range of ports", quote(text)),
           text.find(',') == std::string_view::npos
               ? "a number from 0 to 65535, or two with `-` between: 8000-8010"
               : "several stand in a list: [\"tcp/80\", \"tcp/443\"]");
    return std::nullopt;
  }
  if (*first > *last) {
    report(diagnostics, Code::BadService, span,
           fmt::format("the range {} runs backwards", quote(text)),
           fmt::format("did you mean `{}-{}`?", *last, *first));
    return std::nullopt;
  }
  return net::PortRange{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

std::optional<std::uint8_t> parse_icmp_type(std::uint8_t protocol, std::string_view text, Span span,
                                            Diagnostics& diagnostics) {
  std::vector<std::string> names;
  for (const net::IcmpType& type : net::icmp_types(protocol)) {
    if (type.name == text) return type.number;
    names.emplace_back(type.name);
  }
  if (const auto number = parse_number(text, 255)) return static_cast<std::uint8_t>(*number);
  report(diagnostics, Code::BadService, span,
         fmt::format("{} is not a type of {}", quote(text),
                     protocol == net::protocol::kIcmp ? "icmp" : "icmpv6"),
         did_you_mean(text, names));
  return std::nullopt;
}

// "/443 from 1024-65535", "/443", " from 67", "" after a protocol with ports.
bool parse_port_part(std::string_view text, const Place& place, std::size_t offset,
                     ServiceLiteral& literal, Diagnostics& diagnostics) {
  constexpr std::string_view kFrom = " from ";
  const auto from = text.find(kFrom);
  const std::string_view destination = text.substr(0, from);
  if (!destination.empty() && destination[0] != '/') {
    report(diagnostics, Code::BadService, place.at(offset),
           fmt::format("{} is not understood after the protocol", quote(destination)),
           "tcp/443, tcp/8000-8010, udp/68 from 67");
    return false;
  }
  if (!destination.empty()) {
    const auto ports = parse_ports(destination.substr(1), place.at(offset + 1), diagnostics);
    if (!ports) return false;
    literal.destination = *ports;
    literal.ports_given = true;
  }
  if (from == std::string_view::npos) return true;
  const std::size_t start = from + kFrom.size();
  const auto ports = parse_ports(text.substr(start), place.at(offset + start), diagnostics);
  if (!ports) return false;
  literal.source = *ports;
  return true;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

// What other programs write: "443/tcp", "tcp:443", "TCP/443".
std::string spelt_elsewhere(std::string_view text) {
  std::string lower = lower_case(text);
  const std::string_view rest = lower;
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    const std::string_view before = rest.substr(0, slash);
    const std::string_view after = rest.substr(slash + 1);
    if (find_protocol(after) != nullptr &&
        before.find_first_not_of("0123456789-") == std::string_view::npos) {
      return fmt::format("did you mean `{}/{}`?", after, before);
    }
  }
  if (const auto colon = rest.find(':');
      colon != std::string_view::npos && find_protocol(rest.substr(0, colon)) != nullptr) {
    lower[colon] = '/';
  }
  const bool other = lower != text && find_protocol(keyword(lower)) != nullptr;
  return other ? fmt::format("did you mean `{}`?", lower) : "";
}

void report_unknown_service(const Policy& policy, std::string_view text, Span span,
                            Diagnostics& diagnostics) {
  std::vector<std::string> names;
  if (can_afford_hint(diagnostics, policy.service_names.size())) {
    for (const auto& entry : policy.service_names) names.push_back(entry.first);
    for (const ProtocolWord& protocol : kProtocols) names.emplace_back(protocol.word);
  }
  const std::string_view word = keyword(text);
  // `https/tcp`: the service is there, and says all by itself.
  if (policy.service_names.contains(word)) {
    report(diagnostics, Code::UnknownService, span,
           fmt::format("there is no service {}", quote(text)),
           fmt::format("did you mean `{}`? A service has its protocol and ports already", word));
    return;
  }
  std::string hint = did_you_mean(word, names);
  if (const std::string lower = lower_case(word); policy.service_names.contains(lower)) {
    hint = fmt::format("did you mean `{}`?", lower);
  }
  if (text.find(',') != std::string_view::npos) {
    hint = "several stand in a list: [\"http\", \"https\"]";
  }
  if (text.starts_with('!')) hint = "`!` only works with addresses: it cannot exclude services";
  if (parse_number(text, 65535)) hint = fmt::format("did you mean `tcp/{}`?", text);
  const std::string spelt = spelt_elsewhere(text);
  if (!spelt.empty()) hint = spelt;
  report(diagnostics, Code::UnknownService, span,
         fmt::format("there is no service {}", quote(word.empty() || !spelt.empty() ? text : word)),
         std::move(hint));
}

Service read_service(const Member& member, Diagnostics& diagnostics) {
  Service service;
  service.name = member.key;
  service.span = member.span;
  // A service with wrong literals keeps its name, so that its uses are no second error.
  if (!check_type(member.value, KeyType::Strings, member.key, diagnostics)) return service;
  const auto items = items_of(member.value);
  if (items.size() > kMostLiterals) {
    report(diagnostics, Code::BadService, member.value.span(),
           fmt::format("more than {} literals", kMostLiterals));
    return service;
  }
  for (const Value& item : items) {
    if (!is_literal(item.text)) {
      report(
          diagnostics, Code::BadService, item.span(),
          fmt::format("{} is not a literal: a service lists literals, not names", quote(item.text)),
          "tcp/443, udp/53, icmp/echo-request, protocol/112");
      continue;
    }
    auto literal = parse_literal(item.text, item.place, 0, diagnostics);
    if (literal) service.literals.push_back(std::move(*literal));
  }
  return service;
}

void check_agrees(const Service& earlier, const Service& service, Diagnostics& diagnostics) {
  const bool same_rank = earlier.of_block && service.of_block && earlier.shipped == service.shipped;
  const bool same =
      std::equal(earlier.literals.begin(), earlier.literals.end(), service.literals.begin(),
                 service.literals.end(),
                 [](const ServiceLiteral& a, const ServiceLiteral& b) { return a.text == b.text; });
  if (!same_rank || same) return;
  Diagnostic& diagnostic = report(
      diagnostics, Code::ConflictingDefaults, service.span,
      fmt::format("two blocks have different defaults for the service {}", quote(service.name)),
      fmt::format("define service {} in site.toml", quote(service.name)));
  diagnostic.notes.push_back({earlier.span, "the other is here"});
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t most) {
  std::uint64_t number = 0;
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > most) {
    return std::nullopt;
  }
  return number;
}

bool is_literal(std::string_view text) {
  return find_protocol(keyword(text)) != nullptr;
}

std::optional<ServiceLiteral> parse_literal(std::string_view text, const Place& place,
                                            std::size_t offset, Diagnostics& diagnostics) {
  const std::string_view word = keyword(text);
  const ProtocolWord* protocol = find_protocol(word);
  if (protocol == nullptr) {
    report(diagnostics, Code::BadService, place.at(offset),
           fmt::format("{} is not a service", quote(text)));
    return std::nullopt;
  }
  ServiceLiteral literal;
  literal.protocol = protocol->number;
  literal.text = text;
  literal.span = place.at(offset);
  const std::string_view rest = text.substr(word.size());
  const std::size_t rest_offset = offset + word.size();
  if (net::has_ports(literal.protocol)) {
    if (!parse_port_part(rest, place, rest_offset, literal, diagnostics)) return std::nullopt;
    return literal;
  }
  if (protocol->number == 0) {
    const auto number = rest.starts_with('/') ? parse_number(rest.substr(1), 255) : std::nullopt;
    if (!number) {
      report(diagnostics, Code::BadService, literal.span,
             fmt::format("{} is not a protocol", quote(text)),
             "`protocol/` and a number from 0 to 255");
      return std::nullopt;
    }
    literal.protocol = static_cast<std::uint8_t>(*number);
    return literal;
  }
  if (rest.empty()) return literal;
  if (rest[0] != '/') {
    report(diagnostics, Code::BadService, place.at(rest_offset),
           fmt::format("{} has no ports", word), fmt::format("{}/echo-request", word));
    return std::nullopt;
  }
  literal.icmp_type =
      parse_icmp_type(literal.protocol, rest.substr(1), place.at(rest_offset + 1), diagnostics);
  if (!literal.icmp_type) return std::nullopt;
  return literal;
}

bool add_service(const Policy& policy, std::string_view text, const Place& place,
                 std::size_t offset, ServiceList& list, Diagnostics& diagnostics) {
  list.names.emplace_back(text);
  if (is_literal(text)) {
    auto literal = parse_literal(text, place, offset, diagnostics);
    if (!literal) return false;
    list.literals.push_back(std::move(*literal));
    return true;
  }
  const auto found = policy.service_names.find(text);
  if (found == policy.service_names.end()) {
    report_unknown_service(policy, text, place.at(offset), diagnostics);
    return false;
  }
  const Service& service = policy.services[found->second];
  list.literals.insert(list.literals.end(), service.literals.begin(), service.literals.end());
  return true;
}

ServiceList parse_services(const Policy& policy, const Value& value, Diagnostics& diagnostics) {
  ServiceList list;
  list.given = true;
  list.span = value.span();
  for (const Value& item : items_of(value)) {
    add_service(policy, item.text, item.place, 0, list, diagnostics);
  }
  return list;
}

std::vector<ServiceLiteral> parse_service(const Policy& policy, std::string_view text,
                                          Diagnostics& diagnostics) {
  ServiceList list;
  add_service(policy, text, Place{}, 0, list, diagnostics);
  return std::move(list.literals);
}

void read_services(Policy& policy, const Value& table, bool shipped, bool of_block,
                   Diagnostics& diagnostics) {
  for (const Member& member : table.members) {
    if (!check_id(member.key, "service", member.span, diagnostics)) continue;
    if (find_protocol(member.key) != nullptr) {
      report(
          diagnostics, Code::ReservedName, member.span,
          fmt::format("{} is a protocol and cannot be the name of a service", quote(member.key)));
      continue;
    }
    Service service = read_service(member, diagnostics);
    service.shipped = shipped;
    service.of_block = of_block;
    const auto earlier = policy.service_names.find(member.key);
    if (earlier != policy.service_names.end()) {
      check_agrees(policy.services[earlier->second], service, diagnostics);
      continue;
    }
    policy.service_names.emplace(service.name, static_cast<Index>(policy.services.size()));
    policy.services.push_back(std::move(service));
  }
}

}  // namespace rolewall::policy

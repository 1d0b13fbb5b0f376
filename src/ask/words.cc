// A sample in the words of docs/policy-language.md's packet grammar.

#include <fmt/format.h>

#include <algorithm>

#include "ask/sample.h"
#include "base/calendar.h"
#include "net/ct_names.h"
#include "net/dscp.h"
#include "net/fields.h"

namespace rolewall::ask {
namespace {

std::string end(const net::Address& address, std::uint16_t port) {
  return net::is_ipv4(address) ? fmt::format("{}:{}", net::format(address), port)
                               : fmt::format("[{}]:{}", net::format(address), port);
}

std::string flags_in_words(std::uint8_t flags) {
  std::string words;
  for (const net::TcpFlag& flag : net::kTcpFlags) {
    if ((flags & flag.bit) == 0) continue;
    if (!words.empty()) words += ',';
    words += flag.name;
  }
  return words.empty() ? "none" : words;
}

std::string dscp_in_words(std::uint8_t value) {
  const auto named = std::ranges::find(net::kDscpNames, value, &net::Dscp::value);
  return named == net::kDscpNames.end() ? std::to_string(value) : std::string(named->name);
}

std::string_view name_of_state(std::uint32_t bit) {
  return std::ranges::find(net::kCtStates, bit, &net::BitName::bit)->name;
}

}  // namespace

std::string to_words(const Sample& sample) {
  const eval::PacketFields& fields = sample.fields;
  const eval::PacketFields usual;
  std::string words;
  if (net::has_ports(fields.protocol)) {
    words = fmt::format("{} {} > {}", net::protocol_name(fields.protocol),
                        end(fields.source, fields.source_port),
                        end(fields.destination, fields.destination_port));
    if (fields.protocol == net::protocol::kTcp) {
      words += fmt::format(" flags={}", flags_in_words(fields.tcp_flags));
    }
  } else {
    std::string service = fmt::format("protocol/{}", fields.protocol);
    if (fields.protocol == net::protocol::kIcmp) service = fmt::format("icmp/{}", fields.icmp_type);
    if (fields.protocol == net::protocol::kIcmpv6) {
      service = fmt::format("icmpv6/{}", fields.icmp_type);
    }
    words = fmt::format("{} {} > {}", service, net::format(fields.source),
                        net::format(fields.destination));
  }
  if (!sample.at.empty()) words += fmt::format(" at={}", sample.at);
  if (!sample.in.empty()) words += fmt::format(" in={}", sample.in);
  if (!sample.out.empty()) words += fmt::format(" out={}", sample.out);
  if (sample.ct_state) words += fmt::format(" state={}", name_of_state(*sample.ct_state));
  if (sample.user) words += fmt::format(" user={}", *sample.user);
  if (fields.length != usual.length) words += fmt::format(" length={}", fields.length);
  if (fields.ttl != usual.ttl) words += fmt::format(" ttl={}", fields.ttl);
  if (fields.dscp != usual.dscp) words += fmt::format(" dscp={}", dscp_in_words(fields.dscp));
  if (fields.dont_fragment) words += " df=1";
  if (fields.fragment_offset != 0) {
    words += fmt::format(" frag={}", fields.fragment_offset);
  } else if (fields.more_fragments) {
    words += " frag=first";
  }
  if (sample.time_ns) words += fmt::format(" time={}", format_moment(*sample.time_ns));
  return words;
}

}  // namespace rolewall::ask

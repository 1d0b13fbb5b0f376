#include "compile/lowered_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "net/address.h"
#include "net/protocol.h"

namespace rolewall::compile {
namespace {

constexpr std::size_t kMostIntervals = 8;  // of a family that are shown

std::string text_of(const net::PortRange& range) {
  return range.first == range.last ? fmt::format("{}", range.first)
                                   : fmt::format("{}-{}", range.first, range.last);
}

// "tcp/443", "udp/68 from 67", "icmp/8 (ipv4)", "protocol/112"
std::string text_of(const Traffic& box) {
  const std::string_view name = net::protocol_name(box.protocol);
  std::string text = name.empty() ? fmt::format("protocol/{}", box.protocol) : std::string(name);
  if (!box.every_destination()) text += "/" + text_of(box.destination);
  if (!box.source.is_all()) text += " from " + text_of(box.source);
  if (!box.families.both()) text += box.families.ipv4 ? " (ipv4)" : " (ipv6)";
  return text;
}

template <class Ip>
void add_intervals(std::vector<std::string>& texts, const net::IntervalSet<Ip>& set) {
  const auto& intervals = set.intervals();
  for (std::size_t i = 0; i < intervals.size() && i < kMostIntervals; ++i) {
    const std::string first = net::format(net::Address(intervals[i].first));
    const std::string last = net::format(net::Address(intervals[i].last));
    texts.push_back(first == last ? first : first + "-" + last);
  }
  if (intervals.size() > kMostIntervals) {
    texts.push_back(fmt::format("{} more", intervals.size() - kMostIntervals));
  }
}

std::string text_of(const AddressCondition& condition) {
  std::vector<std::string> texts;
  add_intervals(texts, condition.set.ipv4);
  add_intervals(texts, condition.set.ipv6);
  return fmt::format("{}{{{}}}", condition.name, fmt::join(texts, ", "));
}

// The conditions that are there, each with its word.
std::string text_of(const Conditions& conditions) {
  const auto& [service, source, destination, in_devices, out_devices, user] = conditions;
  std::string text;
  const auto add = [&](std::string_view word, std::string_view what) {
    text += fmt::format("  {} {}", word, what);
  };
  if (!service.any) {
    std::vector<std::string> boxes;
    for (const Traffic& box : service.traffic) boxes.push_back(text_of(box));
    add("service", fmt::format("{{{}}}", fmt::join(boxes, ", ")));
  }
  if (!source.any()) add("from", text_of(source));
  if (!destination.any()) add("to", text_of(destination));
  if (!in_devices.empty()) add("in", fmt::format("{{{}}}", fmt::join(in_devices, ", ")));
  if (!out_devices.empty()) add("out", fmt::format("{{{}}}", fmt::join(out_devices, ", ")));
  if (user) add("user", fmt::format("{}", *user));
  return text;
}

std::string_view name_of(policy::Translation::Kind kind) {
  switch (kind) {
    case policy::Translation::Kind::Destination:
      return "new-destination";
    case policy::Translation::Kind::Local:
      return "new-destination self";
    case policy::Translation::Kind::Source:
      return "new-source";
    case policy::Translation::Kind::Masquerade:
      return "new-source masquerade";
  }
  return "";
}

std::string text_of(const policy::Translation& translation) {
  std::string text(name_of(translation.kind));
  for (const net::Address& address : translation.addresses) text += " " + net::format(address);
  if (translation.port) text += fmt::format(" port {}", *translation.port);
  return text;
}

std::string text_of(const policy::Rate& rate) {
  return fmt::format("{}/{}s burst {}{}", rate.count, rate.per_seconds, rate.burst,
                     rate.per_source ? "" : " in all");
}

std::string text_of(const LoweredRule& rule) {
  std::string text = rule.full_name + text_of(rule.conditions);
  if (rule.limit) text += "  limit " + text_of(*rule.limit);
  if (rule.connections) text += fmt::format("  connections {}", *rule.connections);
  if (rule.log) text += "  log";
  if (rule.log_limit) text += "  log-limit " + text_of(*rule.log_limit);
  if (rule.helper != nullptr) text += fmt::format("  helper {}", rule.helper->name);
  if (const auto& size = rule.segment_size) {
    text += size->bytes ? fmt::format("  mss {}", *size->bytes) : std::string("  mss path");
  }
  return fmt::format(
      "{}  {}\n", text,
      rule.translation ? text_of(*rule.translation) : std::string(name_of(rule.action)));
}

}  // namespace

std::string text_of(const LoweredPolicy& policy) {
  std::string text;
  const auto add = [&](std::string_view title, const std::vector<LoweredRule>& rules) {
    if (rules.empty()) return;
    text += fmt::format("{}:\n", title);
    for (const LoweredRule& rule : rules) text += "  " + text_of(rule);
  };
  add("early", policy.early);
  add("inbound", policy.inbound);
  add("outbound", policy.outbound);
  add("forward", policy.forward);
  add("new destination", policy.new_destination);
  add("new source", policy.new_source);
  return text;
}

}  // namespace rolewall::compile

#include "policy/accept_keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/suggest.h"
#include "policy/codes.h"
#include "policy/service.h"

namespace rolewall::policy {
namespace {

void report_unknown(const Value& value, Diagnostics& diagnostics) {
  std::vector<std::string> names;
  for (const net::ConntrackHelper& each : net::kConntrackHelpers) names.emplace_back(each.name);
  const std::string near = did_you_mean(value.text, names);
  report(diagnostics, Code::BadHelper, value.span(),
         fmt::format("the kernel has no helper {}", quote(value.text)),
         near.empty() ? fmt::format("its helpers are {}", fmt::join(names, ", ")) : near);
}

std::string_view protocols_of(const net::ConntrackHelper& helper) {
  if (!helper.udp) return "TCP";
  return helper.tcp ? "TCP or UDP" : "UDP";
}

}  // namespace

const net::ConntrackHelper* read_helper(const Section& section, const Rule& rule,
                                        Diagnostics& diagnostics) {
  const Value* value = section.find("helper");
  if (value == nullptr) return nullptr;
  const net::ConntrackHelper* helper = net::find_conntrack_helper(value->text);
  if (helper == nullptr) {
    report_unknown(*value, diagnostics);
    return nullptr;
  }
  if (rule.action != Action::Accept) {
    report(diagnostics, Code::BadHelper, value->span(),
           "only a rule that accepts can have a helper");
    return nullptr;
  }
  const ServiceList& services = rule.conditions.services;
  const auto fits = [&](const ServiceLiteral& each) { return helper->is_of(each.protocol); };
  if (!services.given || !std::ranges::all_of(services.literals, fits)) {
    report(diagnostics, Code::BadHelper, value->span(),
           fmt::format("the helper {} reads {}, and the rule accepts other packets, too",
                       quote(value->text), protocols_of(*helper)),
           "give the service that it is for a rule of its own");
    return nullptr;
  }
  return helper;
}

// RFC 9293 (3.7.1): 536 is what every host takes.
std::optional<SegmentSize> read_segment_size(const Section& section, const Rule& rule,
                                             Diagnostics& diagnostics) {
  constexpr std::int64_t kLeast = 536;
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint16_t>::max();
  const Value* value = section.find("mss");
  if (value == nullptr) return std::nullopt;
  const auto refuse = [&](std::string message, std::string hint = "") {
    report(diagnostics, Code::BadValue, value->span(), std::move(message), std::move(hint));
    return std::nullopt;
  };
  const ServiceList& services = rule.conditions.services;
  const auto is_tcp = [](const ServiceLiteral& each) {
    return each.protocol == net::protocol::kTcp;
  };
  if (rule.action != Action::Accept) return refuse("only a rule that accepts can have `mss`");
  if (services.given && std::ranges::none_of(services.literals, is_tcp)) {
    return refuse("`mss` is TCP's segment size, and the rule accepts no TCP");
  }
  if (value->kind == ValueKind::String) {
    if (value->text == "path") return SegmentSize{};
    return refuse(
        fmt::format("{} is not a segment size: \"path\" or a number of bytes", quote(value->text)),
        parse_number(value->text, kMost) ? "write the number without quotes" : "");
  }
  if (value->integer < kLeast || value->integer > std::int64_t{kMost}) {
    return refuse(fmt::format("{} is not a segment size: {} to {}", value->integer, kLeast, kMost));
  }
  return SegmentSize{static_cast<std::uint16_t>(value->integer)};
}

}  // namespace rolewall::policy

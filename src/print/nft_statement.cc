#include "print/nft_statement.h"

#include <fmt/format.h>

#include <array>

#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/names.h"

namespace rolewall::print {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)

Text limit_text(const Limit& limit) {
  const std::string_view unit = name_of_period(limit.per_seconds);
  if (unit.empty()) return cannot(fmt::format("a rate per {} seconds", limit.per_seconds));
  const bool bytes = limit.unit == LimitUnit::Bytes;
  std::string text = fmt::format("limit rate {}{}{}/{}", limit.over ? "over " : "", limit.rate,
                                 bytes ? " bytes" : "", unit);
  // nft's own burst is 5 packets, or no bytes.
  if (!bytes || limit.burst != 0) {
    text += fmt::format(" burst {} {}", limit.burst, bytes ? "bytes" : "packets");
  }
  return text;
}

// Syslog's levels, in their order; the last is the audit subsystem.
constexpr auto kLogLevels = std::to_array<std::string_view>(
    {"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit"});

}  // namespace

Text verdict_text(const Verdict& verdict) {
  switch (verdict.code) {
    case VerdictCode::Accept:
    case VerdictCode::Drop:
    case VerdictCode::Continue:
    case VerdictCode::Return:
      return std::string(name_of(verdict.code));
    case VerdictCode::Jump:
    case VerdictCode::Goto: {
      Text chain = identifier(verdict.chain);
      return chain ? Text(fmt::format("{} {}", name_of(verdict.code), *chain)) : chain;
    }
    case VerdictCode::Queue:
    case VerdictCode::Break:
      break;
  }
  return cannot(fmt::format("the verdict {} has no nft syntax", name_of(verdict.code)));
}

Text stateful_text(const StatefulExpr& expr) {
  return visit_closed(
      Overloaded{[](const Counter& counter) -> Text {
                   if (counter == Counter{}) return "counter";
                   return fmt::format("counter packets {} bytes {}", counter.packets,
                                      counter.bytes);
                 },
                 [](const Limit& limit) { return limit_text(limit); },
                 [](const Connlimit& limit) -> Text {
                   return fmt::format("ct count {}{}", limit.over ? "over " : "", limit.count);
                 },
                 [](const Quota& quota) -> Text {
                   std::string text =
                       fmt::format("quota {}{} bytes", quota.over ? "over " : "", quota.bytes);
                   if (quota.consumed != 0) text += fmt::format(" used {} bytes", quota.consumed);
                   return text;
                 },
                 [](const Last&) -> Text { return cannot("nft 1.0.6 has no syntax for `last`"); }},
      expr);
}

Text log_text(const Log& log) {
  std::string text = "log";
  if (!log.prefix.empty()) {
    if (log.prefix.find('$') != std::string::npos) {
      return cannot("nft reads a $ in a log prefix as a variable");
    }
    const Text prefix = in_quotes(log.prefix);
    if (!prefix) return prefix;
    text += " prefix " + *prefix;
  }
  if (log.group) {
    if (log.flags != 0) return cannot("nft allows no flags with a log group");
    text += fmt::format(" group {}", *log.group);
    if (log.snaplen != 0) text += fmt::format(" snaplen {}", log.snaplen);
    if (log.queue_threshold != 0) text += fmt::format(" queue-threshold {}", log.queue_threshold);
    return text;
  }
  if (log.snaplen != 0 || log.queue_threshold != 0) {
    return cannot("a snap length and a queue threshold need a log group");
  }
  if (log.level >= kLogLevels.size()) {
    return cannot(fmt::format("there is no log level {}", log.level));
  }
  if (log.level != Log{}.level) text += fmt::format(" level {}", kLogLevels[log.level]);
  // NF_LOG_* of include/net/netfilter/nf_log.h.
  constexpr std::uint32_t kTcpSequence = 0x01;
  constexpr std::uint32_t kTcpOptions = 0x02;
  constexpr std::uint32_t kIpOptions = 0x04;
  constexpr std::uint32_t kUid = 0x08;
  constexpr std::uint32_t kEther = 0x20;
  std::uint32_t left = log.flags;
  const auto take = [&](std::uint32_t bits, std::string_view words) {
    if ((left & bits) != bits) return;
    left &= ~bits;
    text += words;
  };
  take(kTcpSequence | kTcpOptions, " flags tcp sequence,options");
  take(kTcpSequence, " flags tcp sequence");
  take(kTcpOptions, " flags tcp options");
  take(kIpOptions, " flags ip options");
  take(kUid, " flags skuid");
  take(kEther, " flags ether");
  if (left != 0) return cannot(fmt::format("the log flags {:#x} have no nft syntax", left));
  return text;
}

}  // namespace rolewall::print

#include "ruleset/iptables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace rolewall::ruleset {
namespace {

constexpr std::string_view kMatch = "match";
constexpr std::string_view kTarget = "target";

std::string_view name_of(const Unsupported& expr, std::string_view kind) {
  if (expr.name != kind) return {};
  const std::string_view text = expr.reason;
  const std::size_t begin = text.find('`');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin + 1, text.find('`', begin + 1) - begin - 1);
}

}  // namespace

Unsupported iptables_extension(std::string_view kind, std::string_view name) {
  return {std::string(kind), fmt::format("iptables' {} `{}` is not modelled", kind, name)};
}

std::string_view iptables_target(const Unsupported& expr) {
  return name_of(expr, kTarget);
}

std::string_view iptables_match(const Unsupported& expr) {
  return name_of(expr, kMatch);
}

TargetWork work_of_target(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNote{"AUDIT", "IDLETIMER", "LED",  "LOG",
                                                  "NFLOG", "SET",       "TRACE"};
  constexpr std::array<std::string_view, 12> kWrite{
      "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "DSCP", "HL",
      "MARK",     "SECMARK",  "TCPMSS",   "TCPOPTSTRIP", "TOS",  "TTL"};
  if (std::ranges::find(kNote, name) != kNote.end()) return TargetWork::Notes;
  if (std::ranges::find(kWrite, name) != kWrite.end()) return TargetWork::Writes;
  return name == "REJECT" ? TargetWork::Rejects : TargetWork::Unknown;
}

}  // namespace rolewall::ruleset

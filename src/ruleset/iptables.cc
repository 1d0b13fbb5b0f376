#include "ruleset/iptables.h"

#include <fmt/format.h>

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

}  // namespace rolewall::ruleset

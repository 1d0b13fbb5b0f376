#include "ask/answer.h"

#include <array>
#include <utility>

namespace rolewall::ask {
namespace {

constexpr std::array<std::pair<Verdict, std::string_view>, 7> kNames = {{
    {Verdict::Accept, "accept"},
    {Verdict::Drop, "drop"},
    {Verdict::Reject, "reject"},
    {Verdict::Stack, "stack"},
    {Verdict::Held, "held"},
    {Verdict::Conditional, "conditional"},
    {Verdict::Undecided, "undecided"},
}};

}  // namespace

std::string_view name_of(Verdict verdict) {
  for (const auto& [value, name] : kNames) {
    if (value == verdict) return name;
  }
  return {};
}

std::optional<Verdict> verdict_from(std::string_view name) {
  for (const auto& [value, text] : kNames) {
    if (text == name) return value;
  }
  return std::nullopt;
}

}  // namespace rolewall::ask

#include "report/anchors.h"

#include <fmt/format.h>

namespace rolewall::report {
namespace {

std::tuple<std::uint32_t, std::uint32_t, std::uint32_t> key_of(const Span& span) {
  return {static_cast<std::uint32_t>(span.file), span.line, span.column};
}

}  // namespace

std::string roles_of(const Model& model, const HostKind& kind) {
  std::string names;
  for (const policy::Index role : kind.policy.host->roles) {
    names += (names.empty() ? "" : ", ") + model.policy.files[role].name;
  }
  return names;
}

Anchors::Anchors(const Model& model) {
  for (const HostKind& kind : model.hosts) {
    for (const policy::Host* host : kind.hosts) add(host->span, "host");
    const std::string roles = roles_of(model, kind);
    roles_.try_emplace(roles, fmt::format("role-{}", roles_.size() + 1));
    for (const auto* list :
         {&kind.policy.inbound, &kind.policy.outbound, &kind.policy.forward, &kind.policy.nat}) {
      for (const policy::EffectiveRule& each : *list) add(each.rule->span, "rule");
    }
  }
}

void Anchors::add(const Span& span, const char* word) {
  if (span.known())
    places_.try_emplace(key_of(span), fmt::format("{}-{}", word, places_.size() + 1));
}

std::string Anchors::of(const Span& span) const {
  const auto found = places_.find(key_of(span));
  return span.known() && found != places_.end() ? found->second : "";
}

}  // namespace rolewall::report

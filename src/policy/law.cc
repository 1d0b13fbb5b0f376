#include "policy/law.h"

#include <fmt/format.h>

#include "policy/codes.h"
#include "policy/packet_words.h"

namespace rolewall::policy {
namespace {

Law read_packets(const Scope& scope, LawKind kind, const Section& section) {
  Law law;
  law.kind = kind;
  law.span = section.span();
  law.name = section.text("name");
  for (const Value& item : section.items("packets")) {
    auto words = parse_packet_words(scope, item.text, item.place, Wording::Law);
    if (!words) continue;
    if (words->fragment || words->time_ns) {
      report(scope.diagnostics, Code::BadPacket, words->span,
             "a law is about whole packets at any time: `frag=` and `time=` have no place in it",
             "ask about them in a [[test]]");
      continue;
    }
    law.packets.push_back(std::move(*words));
  }
  return law;
}

std::string in_brackets(LawKind kind) {
  return fmt::format("[[{}]]", word_of(kind));
}

}  // namespace

std::string_view word_of(LawKind kind) {
  return kind == LawKind::Never ? "never" : "always";
}

Law read_law(Loader& loader, const RuleSource& source, LawKind kind, const Value& table) {
  const Section section(table, keys::kLaw, in_brackets(kind), source.top, loader.diagnostics);
  Law law = read_packets(loader.scope(true, source.used_at), kind, section);
  if (loader.policy.files[source.file].shipped) {
    report(loader.diagnostics, Code::ShippedTest, law.span, "a shipped block has no laws",
           "a role may open more: write them in the role");
  }
  return law;
}

Law read_site_law(Loader& loader, Keys top, LawKind kind, const Value& table) {
  const Section section(table, keys::kLaw, in_brackets(kind), top, loader.diagnostics);
  return read_packets(loader.scope(false), kind, section);
}

}  // namespace rolewall::policy

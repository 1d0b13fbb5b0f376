// The front end on any site: it must not crash, hang or point outside of the files it read, and a
// policy without errors must keep the promises of policy.h.
//
// The input is the site's files, each after a line "=== NAME", and after "=== packet" the words of
// a packet.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "policy/effective.h"
#include "policy/lint.h"
#include "policy/load.h"
#include "support/memory_files.h"

namespace {

using namespace rolewall;          // NOLINT(google-build-using-namespace)
using namespace rolewall::policy;  // NOLINT(google-build-using-namespace)

constexpr Date kToday{std::chrono::year(2026), std::chrono::month(6), std::chrono::day(1)};

void require(bool condition) {
  if (!condition) std::abort();
}

std::map<std::string, std::string> split(std::string_view text) {
  std::map<std::string, std::string> files;
  std::string* file = nullptr;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end);
    if (line.starts_with("=== ")) {
      const std::string_view name = line.substr(4, line.find('\n') - 4);
      file = &files[(name.starts_with("shipped/") ? "" : "site/") + std::string(name)];
    } else if (file != nullptr) {
      *file += line;
    }
  }
  return files;
}

void check_places(const Policy& policy, const Diagnostics& diagnostics) {
  for (const Diagnostic& each : diagnostics.all()) {
    require(!each.code.empty() && !each.message.empty());
    require(!each.span.known() || each.span.file < policy.sources.size());
    for (const DiagnosticNote& note : each.notes) {
      require(!note.span.known() || note.span.file < policy.sources.size());
    }
    for (const char c : each.message) require(static_cast<unsigned char>(c) >= ' ');
  }
}

// No selector list that was written down stands for nothing.
void check_selectors(const Policy& policy, const Rule& rule, const Selectors& selectors,
                     Index host) {
  require(!selectors.given || !selectors.items.empty());
  if (rule.left_out) return;
  require(!addresses_of(policy, selectors, host).empty());
}

void check_policy(const Policy& policy) {
  Diagnostics findings;
  lint(policy, kToday, findings);
  require(!findings.has_errors());
  check_places(policy, findings);
  for (Index host = 0; host < policy.hosts.size(); ++host) {
    const HostPolicy effective = effective_policy(policy, host, kToday);
    for (const auto* rules : {&effective.inbound, &effective.outbound}) {
      for (const EffectiveRule& each : *rules) {
        const Rule& rule = *each.rule;
        require(rule.enabled && !rule.left_out && !rule.id.empty());
        require(rule.full_name.size() <= 128);
        require(!rule.conditions.services.given || !rule.conditions.services.literals.empty());
        check_selectors(policy, rule, rule.conditions.from, host);
        check_selectors(policy, rule, rule.conditions.to, host);
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto files = split({reinterpret_cast<const char*>(data), size});
  const std::string packet = files["site/packet"];
  Diagnostics diagnostics;
  const LoadOptions options{"shipped", kToday};
  const Policy policy = load("site", options, MemoryFiles(std::move(files)), diagnostics);
  check_places(policy, diagnostics);
  if (!diagnostics.has_errors()) check_policy(policy);
  Diagnostics words;
  for (const bool in_role : {false, true}) {
    const auto parsed = parse_packet(policy, packet, {}, in_role, words);
    require(parsed || words.has_errors());
  }
  return 0;
}

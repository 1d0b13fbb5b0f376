#include "site_text.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "base/file.h"
#include "policy/load.h"
#include "policy/toml_file.h"
#include "support/memory_files.h"

namespace rolewall::test {

SiteFiles small_site(const SiteFiles& extra) {
  SiteFiles files;
  for (const auto& entry : std::filesystem::directory_iterator(SMALL_SITE)) {
    const auto text = read_file(entry.path().string(), policy::kLargestPolicyFile);
    REQUIRE_MESSAGE(text, entry.path().string());
    files[entry.path().filename().string()] = *text;
  }
  for (const auto& [name, text] : extra) files[name] = text;
  return files;
}

policy::Policy load_site(const SiteFiles& files) {
  Diagnostics diagnostics;
  policy::Policy policy = load_site(files, diagnostics);
  for (const Diagnostic& finding : diagnostics.all()) {
    if (finding.severity == Severity::Error) {
      FAIL((policy.sources.format(finding.span) + ": " + finding.message));
    }
  }
  return policy;
}

policy::Policy load_site(const SiteFiles& files, Diagnostics& diagnostics) {
  using namespace std::chrono;
  const policy::LoadOptions options{"", year{2026} / 11 / 21, false, false};
  SiteFiles of_site;
  for (const auto& [name, text] : files) of_site["site/" + name] = text;
  return policy::load("site", options, policy::MemoryFiles(std::move(of_site)), diagnostics);
}

policy::PacketWords words(const policy::Policy& policy, const std::string& text, bool in_role) {
  Diagnostics diagnostics;
  const auto packet = policy::parse_packet(policy, text, {kNoFile, 1, 1}, in_role, diagnostics);
  if (!packet || diagnostics.has_errors()) {
    FAIL((text + ": " + (diagnostics.all().empty() ? "" : diagnostics.all()[0].message)));
  }
  return *packet;
}

policy::Index host(const policy::Policy& policy, const std::string& name) {
  const auto index = policy::find_host(policy, name);
  REQUIRE(index.has_value());
  return *index;
}

}  // namespace rolewall::test

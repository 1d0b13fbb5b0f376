// Any text as the words of a packet, asked of a small site: they must not crash, what is wrong with
// them must lie within them, and each packet that they stand for must read back from its own words.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ask/sample.h"
#include "policy/load.h"
#include "support/memory_files.h"

namespace {

using namespace rolewall;  // NOLINT(google-build-using-namespace)

constexpr policy::Date kToday{std::chrono::year(2026), std::chrono::month(6), std::chrono::day(1)};
// A question about every port or host of the site is legal, and says nothing more here.
constexpr std::size_t kMostSamples = 200;

void require(bool condition) {
  if (!condition) std::abort();
}

policy::Policy make_site() {
  Diagnostics diagnostics;
  policy::Policy site = policy::load("site", {"shipped", kToday},
                                     policy::MemoryFiles({{"site/site.toml", R"(
[networks]
office = ["198.51.100.0/24", "2001:db8:1::/48"]
[interfaces]
public  = {}
private = { behind = ["office"] }
[hosts.web-01]
role       = "web"
addresses  = ["10.0.2.10", "fd00::10"]
interfaces = { public = "eth0", private = "eth1" }
[hosts.db-01]
role      = "db"
addresses = ["10.0.3.10", "fd00:3::10"]
)"},
                                                          {"site/web.toml", "role = \"web\"\n"},
                                                          {"site/db.toml", "role = \"db\"\n"},
                                                          {"shipped/services.toml", R"([services]
https = "tcp/443"
ping = ["icmp/echo-request", "icmpv6/echo-request"]
dhcp = "udp/68 from 67"
many = ["tcp/1-1024", "sctp/5060", "protocol/112"]
)"}}),
                                     diagnostics);
  require(!diagnostics.has_errors());
  return site;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const policy::Policy site = make_site();
  static const ask::Sampler sampler(site);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool in_role : {false, true}) {
    Diagnostics diagnostics;
    const auto words = policy::parse_packet(site, text, {0, 1, 1}, in_role, diagnostics);
    require(words || diagnostics.has_errors());
    for (const Diagnostic& each : diagnostics.all()) {
      require(each.span.line == 1 && each.span.column <= size + 1);
      for (const char c : each.message) require(static_cast<unsigned char>(c) >= ' ');
    }
    if (!words) continue;
    Diagnostics findings;
    const auto samples = sampler.take(*words, {.self = policy::Index{0}}, findings);
    if (samples.size() > kMostSamples) continue;
    for (const ask::Sample& sample : samples) {
      const std::string said = ask::to_words(sample);
      Diagnostics none;
      const auto again = policy::parse_packet(site, said, {0, 1, 1}, false, none);
      require(again && none.all().empty());
      const auto one = sampler.take(*again, {.self = policy::Index{0}}, none);
      require(one.size() == 1 && ask::to_words(one[0]) == said);
    }
  }
  return 0;
}

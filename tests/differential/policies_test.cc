// The compiler and the evaluator against a plain reading of the policy: first every pair of rules
// from a small stock, then sites at random. ROLEWALL_DIFFERENTIAL_SITES=5000 makes a longer run of
// the latter, ROLEWALL_DIFFERENTIAL_SEED=17 begins it elsewhere; a failure prints the seed of the
// one site, so that SITES=1 with that SEED repeats it. ROLEWALL_DIFFERENTIAL_STOCK=7 takes only so
// many of the stock's rules.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>
#include <span>

#include "differential/engines.h"
#include "differential/generator.h"
#include "unit/policy/memory_site.h"

namespace rolewall::differential {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Tally {
  std::size_t sites = 0;
  std::size_t asked = 0;
  std::size_t unanswered = 0;
  std::set<std::string> deciders;  // rules and built-in steps that decided something
};

std::string summary(const Tally& tally) {
  return fmt::format("{} sites, {} packets asked of 4 engines ({} without an answer), {} deciders",
                     tally.sites, tally.asked, tally.unanswered, tally.deciders.size());
}

// Asks all packets of each host.
template <class PacketsOf>
void compare(const SiteFiles& files, const policy::MemorySite& site, const test::RunTime& run_time,
             const std::string& repeat, Tally& tally, const PacketsOf& packets_of) {
  for (policy::Index host = 0; host < site.policy.hosts.size(); ++host) {
    Engines engines(site.policy, host, policy::MemorySite::kToday, run_time);
    for (const reference::Packet& packet : packets_of(site.policy.hosts[host])) {
      if (const auto lines = engines.disagreement(packet)) {
        FAIL(fmt::format("{}\nhost {}\n{}\npacket {}\n{}\n{}", repeat, site.policy.hosts[host].name,
                         format(run_time), format(packet), *lines, format(files)));
      }
    }
    tally.asked += engines.asked();
    tally.unanswered += engines.unanswered();
    tally.deciders.insert(engines.deciders().begin(), engines.deciders().end());
  }
  ++tally.sites;
}

// Rules that a random draw may well make, and only these. A site that none of its packets can match
// is an error of its own.
bool only_void_rules(const Diagnostics& diagnostics) {
  return std::ranges::all_of(diagnostics.all(), [](const Diagnostic& diagnostic) {
    return diagnostic.severity != Severity::Error || diagnostic.code == "matches-nothing" ||
           diagnostic.code == "empty-selector";
  });
}

std::string findings(const policy::MemorySite& site) {
  std::string text;
  for (const std::string& code : site.codes()) text += code + '\n';
  return text;
}

TEST_CASE("every pair of rules from a small stock") {
  constexpr auto kStock = std::to_array<std::string_view>({
      "service = \"tcp/22\"",
      "service = \"tcp/20-30\"\nfrom = \"office\"",
      "service = [\"tcp/22\", \"udp/53\"]\nfrom = \"!office\"\naction = \"drop\"",
      "service = \"tcp\"\nfrom = \"internet\"\naction = \"reject\"",
      "service = \"tcp/80 from 1000-2000\"",
      "from = [\"inside\", \"!site\"]",
      "service = \"ping\"\nin = \"private\"",
      "service = \"icmp\"\naction = \"drop\"",
      "service = [\"icmp/3\", \"protocol/47\"]\nfrom = \"odd\"",
      "service = \"udp/68 from 67\"\nin = [\"public\", \"tunnels\"]",
      "service = \"tcp/443\"\naction = \"drop\"\nearly = true\nfrom = \"odd\"",
      "service = \"tcp/443\"\nlimit = \"10/second\"",
      "service = \"tcp\"\naction = \"drop\"\nlimit = \"100/second\"",
      "action = \"drop\"\nfrom = \"2001:db8::3\"",
  });
  // All of it, or the first so many.
  const std::uint64_t taken = from_environment("ROLEWALL_DIFFERENTIAL_STOCK", kStock.size());
  const auto stock = std::span(kStock).first(std::min<std::size_t>(taken, kStock.size()));
  Tally tally;
  for (const std::string_view first : stock) {
    for (const std::string_view second : stock) {
      const SiteFiles files = site_with(
          "", fmt::format("\n[[inbound]]\nid = \"first\"\n{}\n", first),
          fmt::format("\n[[inbound]]\nid = \"second\"\n{}\n", second),
          "\n[[outbound]]\nid = \"out\"\nservice = [\"names\", \"tcp/443\"]\nto = \"!odd\"\n");
      const policy::MemorySite site = policy::make_site(files);
      REQUIRE_MESSAGE(!site.diagnostics.has_errors(), findings(site));
      compare(files, site, {}, "a pair from the stock", tally, packet_grid);
    }
  }
  MESSAGE(summary(tally));
  CHECK(tally.unanswered * 20 < tally.asked);
  for (const char* decider : {"(established)", "(spoofed)", "(default)", "edge.inbound.first",
                              "core.inbound.second", "shared.outbound.out"}) {
    CHECK_MESSAGE(tally.deciders.contains(decider), decider);
  }
}

TEST_CASE("sites at random") {
  const std::uint64_t sites = from_environment("ROLEWALL_DIFFERENTIAL_SITES", 200);
  const std::uint64_t first = from_environment("ROLEWALL_DIFFERENTIAL_SEED", 1);
  constexpr std::size_t kPackets = 400;  // for each host
  Tally tally;
  for (std::uint64_t seed = first; seed < first + sites; ++seed) {
    Random random(seed);
    const SiteFiles files = random_site(random);
    const policy::MemorySite site = policy::make_site(files);
    if (site.diagnostics.has_errors()) {
      REQUIRE_MESSAGE(only_void_rules(site.diagnostics), findings(site), format(files));
      continue;
    }
    const std::string repeat = fmt::format(
        "ROLEWALL_DIFFERENTIAL_SITES=1 ROLEWALL_DIFFERENTIAL_SEED={} repeats this", seed);
    const test::RunTime run_time = random_run_time(random);
    compare(files, site, run_time, repeat, tally, [&](const policy::Host& host) {
      std::vector<reference::Packet> packets;
      for (std::size_t i = 0; i < kPackets; ++i) packets.push_back(random_packet(random, host));
      return packets;
    });
  }
  MESSAGE(summary(tally));
  if (sites > 1) CHECK(tally.sites * 3 >= sites);
  constexpr std::uint64_t kMeetAll = 200;  // fewer may lack one or another
  if (sites >= kMeetAll) {
    for (const char* decider : {"(established)", "(loopback)", "(banned)", "(invalid)", "(spoofed)",
                                "(allowed)", "(default)"}) {
      CHECK_MESSAGE(tally.deciders.contains(decider), decider);
    }
    const auto deciders_of = [&](std::string_view direction) {
      return std::ranges::count_if(tally.deciders, [&](const std::string& decider) {
        return decider.find(direction) != std::string::npos;
      });
    };
    CHECK(deciders_of(".forward.") > 10);
    CHECK(deciders_of(".nat.") > 5);
    CHECK(tally.deciders.size() > 30);
    CHECK(tally.unanswered * 20 < tally.asked);
  }
}

}  // namespace
}  // namespace rolewall::differential

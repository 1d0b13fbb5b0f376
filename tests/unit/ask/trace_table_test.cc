// Which packets words have the kernel mark.
#include "ask/trace_table.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "policy/codes.h"
#include "print/print.h"
#include "ruleset/table_flags.h"
#include "site_text.h"

namespace rolewall::ask {
namespace {

struct Marks {
  policy::Policy policy = test::load_site(test::small_site());

  std::optional<ruleset::Table> table(const std::string& text, const char* host = "web-01") {
    Diagnostics diagnostics;
    const bool self = text.find("self") != std::string::npos;
    const auto words = test::words(policy, text, self);
    return trace_table(policy, test::host(policy, host), words, "t", {}, diagnostics);
  }
  // The marking rules of a chain, as nft has them.
  std::string rules(const std::string& text, std::string_view chain) {
    const auto made = table(text);
    if (!made) return "none";
    const auto* found = find_chain(*made, chain);
    if (found == nullptr) return "no chain";
    std::string all;
    for (const ruleset::Rule& rule : found->rules) all += print::rule_text(*made, rule) + "\n";
    return all;
  }
};

TEST_CASE_FIXTURE(Marks, "its owner alone may change it, and it does nothing but mark") {
  const auto made = table("https any > self");
  REQUIRE(made);
  CHECK(made->flags == ruleset::kTableOwner);
  CHECK(rules("https any > self", trace_chain::kMark).find("meta nftrace set 1") !=
        std::string::npos);
  CHECK(rules("https any > self", trace_chain::kMark).find("limit rate 200/second") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(Marks, "where they are marked follows from the ends") {
  CHECK(rules("https 192.0.2.7 > self", trace_chain::kSent) == "no chain");
  CHECK(rules("https 192.0.2.7 > self", trace_chain::kArriving).find("192.0.2.7") !=
        std::string::npos);
  CHECK(rules("https self > 192.0.2.7", trace_chain::kArriving) == "no chain");
  CHECK(rules("https self > 192.0.2.7", trace_chain::kSent).find("443") != std::string::npos);
  // What passes through.
  CHECK(rules("https 192.0.2.7 > 198.51.100.7", trace_chain::kArriving).find("198.51.100.7") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(Marks, "every word is a condition, in each family that it has") {
  const std::string rules4 =
      rules("tcp 192.0.2.7 > self:443 flags=syn ttl=9", trace_chain::kArriving);
  CHECK(std::ranges::count(rules4, '\n') == 1);
  const std::string both = rules("https any > self", trace_chain::kArriving);
  CHECK(both.find("ipv4") != std::string::npos);
  CHECK(rules("https any > self family=4", trace_chain::kArriving).find("ipv6") ==
        std::string::npos);
  CHECK(rules("icmp any > self", trace_chain::kArriving).find("ipv6") == std::string::npos);
}

TEST_CASE_FIXTURE(Marks, "what a packet does not show there is refused") {
  CHECK(rules("https any > self state=new", trace_chain::kArriving) == "none");
  CHECK(rules("https any > self at=self", trace_chain::kArriving) == "none");
}

}  // namespace
}  // namespace rolewall::ask

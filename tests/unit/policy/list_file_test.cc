#include "policy/list_file.h"
#include "net/known_addresses.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

namespace rolewall::policy {
TEST_CASE("addresses and prefixes, comments, blanks, duplicates and overlaps") {
  Diagnostics diagnostics;
  const net::AddressSet set = parse_list(
      "\xef\xbb\xbf# a list\n\n  203.0.113.66\t# rented\r\n203.0.113.128/25\n203.0.113.200\n"
      "2001:db8:bad::/48#x\n203.0.113.66\n0.0.0.0\n255.255.255.255",
      0, diagnostics);
  CHECK(diagnostics.all().empty());
  CHECK(set == net::known_addresses({"203.0.113.66", "203.0.113.128/25", "2001:db8:bad::/48",
                                     "0.0.0.0", "255.255.255.255"}));
}

TEST_CASE("only whole addresses are addresses") {
  for (const char* text :
       {"1.2.3",       "1.2.3.4.5",  "1.2.3.",      "01.2.3.4",    "1.2.3.256",  "1.2.3.4 5",
        "1..3.4",      "1.2.3.-4",   "1.2.3.0004",  "a",           "::g",        "1.2.3.4/",
        "/8",          "1.2.3.4/33", "1.2.3.4/032", "1.2.3.0/024", "1.2.3.0/2x", "1.2.3.1/24",
        "1.2.3.4/100", "1.2.3.0/-1", "1.2.3/24",    "1.2.3.128/0"}) {
    Diagnostics diagnostics;
    CHECK_MESSAGE(parse_list(text, 0, diagnostics).empty(), text);
    REQUIRE_MESSAGE(diagnostics.all().size() == 1, text);
    CHECK(diagnostics.all()[0].code == "bad-list-line");
  }
}

TEST_CASE("the shortest and the longest prefixes") {
  Diagnostics diagnostics;
  CHECK(parse_list("0.0.0.0/0\n", 0, diagnostics).ipv4.is_all());
  CHECK(parse_list("128.0.0.0/1\n1.2.3.4/32\n", 0, diagnostics) ==
        net::known_addresses({"128.0.0.0/1", "1.2.3.4/32"}));
  CHECK(diagnostics.all().empty());
}

TEST_CASE("a long list in any order, with overlaps, is what its lines say") {
  std::string text;
  std::vector<net::Prefix> prefixes;
  std::uint32_t value = 7;
  for (int i = 0; i < 20'000; ++i) {
    value = value * 1664525 + 1013904223;
    const unsigned length = i % 3 == 0 ? 20 + value % 13 : 32;
    const auto mask = static_cast<std::uint32_t>(~((std::uint64_t{1} << (32 - length)) - 1));
    prefixes.push_back({net::Ipv4{value & mask}, length});
    text += net::format(net::Address(net::Ipv4{value & mask}));
    text += "/" + std::to_string(length) + "\n";
  }
  Diagnostics diagnostics;
  CHECK(parse_list(text, 0, diagnostics) == net::AddressSet::from(prefixes));
  CHECK(diagnostics.all().empty());
}

TEST_CASE("a bad line is reported at its column, and of others where they are") {
  Diagnostics diagnostics;
  parse_list("x\n10.0.0.1\n   y\n", 7, diagnostics);
  REQUIRE(diagnostics.all().size() == 2);
  CHECK(diagnostics.all()[0].span == Span{7, 1, 1});
  CHECK(diagnostics.all()[1].span == Span{7, 0, 0});
  CHECK(diagnostics.all()[1].message == "no address or prefix stands on line 3 either");
}

TEST_CASE("of many bad lines ten more are told") {
  Diagnostics diagnostics;
  std::string text;
  for (int i = 0; i < 14; ++i) text += "x\n";
  parse_list(text, 7, diagnostics);
  REQUIRE(diagnostics.all().size() == 2);
  CHECK(diagnostics.all()[1].message ==
        "no address or prefix stands on lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 3 more either");
}

TEST_CASE("a million lines take a moment") {
  std::string text;
  std::uint32_t value = 1;
  for (int i = 0; i < 1'000'000; ++i) {
    value = value * 1664525 + 1013904223;
    text += net::format(net::Address(net::Ipv4{value})) + "\n";
  }
  Diagnostics diagnostics;
  const auto start = std::chrono::steady_clock::now();
  const net::AddressSet set = parse_list(text, 0, diagnostics);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  CHECK(!diagnostics.has_errors());
  CHECK(set.ipv4.intervals().size() > 900'000);
  CHECK(taken.count() < 10);  // a bound for sanitizers on a busy machine; 0.1 s otherwise
}

}  // namespace rolewall::policy

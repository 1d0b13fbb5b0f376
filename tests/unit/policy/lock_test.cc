#include "policy/lock.h"

#include <doctest/doctest.h>

#include "memory_site.h"

namespace rolewall::policy {

TEST_CASE("DNS names") {
  for (const char* name : {"a", "a.example", "_srv.a-b.example", "9.example", "A.Example"}) {
    CHECK_MESSAGE(is_dns_name(name), name);
  }
  for (const char* name : {"", ".", "a.", ".a", "a..b", "-a", "a-", "a b", "a\n", "192.0.2.1"}) {
    CHECK_MESSAGE(!is_dns_name(name), name);
  }
  CHECK(!is_dns_name(std::string(64, 'a')));
  CHECK(is_dns_name(std::string(63, 'a')));
}

TEST_CASE("what is resolved is written, and read back the same") {
  const Resolver resolver = [](const std::string& name) -> Result<std::vector<net::Address>> {
    if (name == "a.example") {
      return std::vector{*net::parse_address("2001:db8::1"), *net::parse_address("192.0.2.9"),
                         *net::parse_address("192.0.2.1"), *net::parse_address("192.0.2.9")};
    }
    return std::vector{*net::parse_address("192.0.2.2")};
  };
  const auto lock = resolve({"b.example", "a.example"}, resolver);
  REQUIRE(lock);
  const std::string text = format_lock(*lock);
  CHECK(
      text.ends_with("[names]\n\"a.example\" = [\"192.0.2.1\", \"192.0.2.9\", \"2001:db8::1\"]\n"
                     "\"b.example\" = [\"192.0.2.2\"]\n"));
  Diagnostics diagnostics;
  CHECK(parse_lock(text, 0, diagnostics) == *lock);
  CHECK(diagnostics.all().empty());
}

TEST_CASE("a lock is whole or there is none") {
  const Resolver fails = [](const std::string& name) -> Result<std::vector<net::Address>> {
    if (name == "gone.example") return fail(ErrorKind::System, "gone");
    return std::vector{*net::parse_address("192.0.2.2")};
  };
  CHECK(!resolve({"a.example", "gone.example"}, fails));
  const Resolver empty = [](const std::string&) { return std::vector<net::Address>(); };
  CHECK(!resolve({"a.example"}, empty));
}

TEST_CASE("the names to lock are those that networks use, once each") {
  const MemorySite site =
      make_site({{"site.toml",
                  "[networks]\na = { names = [\"y.example\", \"x.example\"] }\n"
                  "b = { names = \"x.example\" }\n[hosts.web-01]\nrole = \"web\"\n"
                  "addresses = \"10.0.0.1\"\n"}},
                {"", {}, false, true});
  CHECK(site.codes().empty());
  CHECK(dns_names(site.policy) == std::vector<std::string>{"x.example", "y.example"});
}

TEST_CASE("a network of names has the addresses that are locked") {
  const MemorySite site = make_site({{"site.toml",
                                      "[networks]\na = { names = [\"y.example\", \"x.example\"] }\n"
                                      "[hosts.web-01]\nrole = \"web\"\naddresses = \"10.0.0.1\"\n"},
                                     {"rolewall.lock",
                                      "[names]\n\"x.example\" = \"192.0.2.1\"\n"
                                      "\"y.example\" = [\"192.0.2.2\", \"2001:db8::2\"]\n"}});
  CHECK(site.codes().empty());
  const Network& network = site.policy.networks[0];
  REQUIRE(network.prefixes.size() == 3);
  CHECK(net::format(network.prefixes[0]) == "192.0.2.2");
  CHECK(network.addresses == net::AddressSet::from(network.prefixes));
  CHECK(!network.literal);
}

}  // namespace rolewall::policy

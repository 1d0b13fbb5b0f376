#include "net/address.h"

#include <doctest/doctest.h>

#include "net/mapped_address.h"

namespace rolewall::net {
namespace {

TEST_CASE("parse and format addresses") {
  for (const char* text : {"0.0.0.0", "192.0.2.7", "255.255.255.255", "::", "2001:db8::1",
                           "ff02::12", "::ffff:1.2.3.4"}) {
    const auto address = parse_address(text);
    REQUIRE(address);
    CHECK_EQ(format(*address), text);
  }
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "fe80::1%eth0",
                           "1::2::3", "12345::", "a.b.c.d", " 1.2.3.4"}) {
    CHECK_FALSE(parse_address(text));
  }
}

TEST_CASE("parse prefixes and say why not") {
  CHECK_EQ(format(*parse_prefix("10.0.0.0/16")), "10.0.0.0/16");
  CHECK_EQ(format(*parse_prefix("10.0.0.1/32")), "10.0.0.1");
  CHECK_EQ(format(*parse_prefix("::/0")), "::/0");
  CHECK_EQ(format(*parse_prefix("0.0.0.0/0")), "0.0.0.0/0");
  PrefixError error{};
  CHECK_FALSE(parse_prefix("10.0.0.1/16", &error));
  CHECK(error == PrefixError::HostBitsSet);
  for (const char* text :
       {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "::/129", "10.0.0.0/8/8"}) {
    CHECK_FALSE(parse_prefix(text, &error));
    CHECK(error == PrefixError::BadLength);
  }
  CHECK_FALSE(parse_prefix("office/8", &error));
  CHECK(error == PrefixError::NotAnAddress);
}

TEST_CASE("an IPv4 address in IPv6 form is the IPv4 address") {
  const auto text = [](const char* written) { return format(unmapped(*parse_prefix(written))); };
  CHECK(text("::ffff:192.0.2.7") == "192.0.2.7");
  CHECK(text("::ffff:c000:207") == "192.0.2.7");
  CHECK(text("::ffff:10.9.0.0/112") == "10.9.0.0/16");
  CHECK(text("::ffff:0:0/96") == "0.0.0.0/0");
  // More than these, or others: RFC 4291 2.5.5.1's, which are out of use, and a translator's.
  CHECK(text("::fffe:0:0/95") == "::fffe:0:0/95");
  CHECK(text("::192.0.2.7") == "::192.0.2.7");
  CHECK(text("64:ff9b::c000:207") == "64:ff9b::c000:207");
  CHECK(text("2001:db8::ffff:192.0.2.7") == "2001:db8::ffff:c000:207");
  CHECK(text("192.0.2.7") == "192.0.2.7");
}

TEST_CASE("first and last of a prefix") {
  const Prefix prefix = *parse_prefix("fd00:db8::/48");
  CHECK_EQ(format(first(prefix)), "fd00:db8::");
  CHECK_EQ(format(last(prefix)), "fd00:db8:0:ffff:ffff:ffff:ffff:ffff");
  CHECK_EQ(format(last(*parse_prefix("::/0"))), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

}  // namespace
}  // namespace rolewall::net

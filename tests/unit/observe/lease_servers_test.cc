// Who has lent an address, by the files that DHCP clients keep.
#include "observe/lease_servers.h"

#include <doctest/doctest.h>

namespace rolewall::observe {
namespace {

net::Address address(const char* text) {
  return *net::parse_address(text);
}

TEST_CASE("a file of networkd's names the server of an address that is ours") {
  const char* text =
      "# This is private data. Do not parse.\n"
      "ADDRESS=203.0.113.10\n"
      "ROUTER=203.0.113.1\n"
      "SERVER_ADDRESS=203.0.113.2\n"
      "NONSENSE\n";
  CHECK(servers_in_fields(text, {address("203.0.113.10")}) ==
        std::set<net::Address>{address("203.0.113.2")});
  CHECK(servers_in_fields(text, {address("203.0.113.11")}).empty());
  CHECK(servers_in_fields("SERVER_ADDRESS=203.0.113.2\n", {address("203.0.113.10")}).empty());
  CHECK(servers_in_fields("ADDRESS=\nSERVER_ADDRESS=x\n", {address("203.0.113.10")}).empty());
}

TEST_CASE("of dhclient's blocks those of our addresses count") {
  const char* text =
      "lease {\n"
      "  interface \"eth0\";\n"
      "  fixed-address 203.0.113.9;\n"
      "  option dhcp-server-identifier 203.0.113.3;\n"
      "}\n"
      "lease {\n"
      "  fixed-address 203.0.113.10;\n"
      "  option subnet-mask 255.255.255.0;\n"
      "  option dhcp-server-identifier 203.0.113.2;\n"
      "}\n";
  CHECK(servers_in_blocks(text, {address("203.0.113.10")}) ==
        std::set<net::Address>{address("203.0.113.2")});
  CHECK(servers_in_blocks("lease {\n  fixed-address 203.0.113.10;\n", {address("203.0.113.10")})
            .empty());
}

}  // namespace
}  // namespace rolewall::observe

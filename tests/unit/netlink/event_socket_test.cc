// What the kernel tells without being asked: nf_tables' own events, of tables that are made.
#include "netlink/event_socket.h"

#include <doctest/doctest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "support/netns.h"

namespace rolewall::netlink {
namespace {

using rolewall::test::fresh_network;
using rolewall::test::load_nft;

constexpr std::uint16_t kNewTable = nfnetlink_type(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWTABLE);

EventSocket listen(const EventSocket::Room& room) {
  auto socket = EventSocket::open(room);
  REQUIRE(socket);
  REQUIRE(socket->join(NFNLGRP_NFTABLES));
  return std::move(*socket);
}

TEST_CASE("events come in order, without being asked for") {
  fresh_network();
  EventSocket socket = listen({.datagram = 4096, .at_once = 2});
  std::vector<std::string> tables;
  const auto take = [&](const Answer& event) {
    if (event.type != kNewTable) return;
    CHECK_EQ(event.family, NFPROTO_IPV6);
    Attributes attributes(event.attributes);
    tables.push_back(attributes.text(NFTA_TABLE_NAME));
  };
  REQUIRE(socket.read(0, take));
  CHECK(tables.empty());
  for (const std::string name : {"a", "b", "c", "d", "e"}) {
    REQUIRE_EQ(load_nft("table ip6 " + name + " {\n}\n"), "");
  }
  REQUIRE(socket.read(1000, take));
  CHECK_EQ(tables, std::vector<std::string>{"a", "b", "c", "d", "e"});
}

TEST_CASE("an event that the buffer cannot hold is an error, not passed over") {
  fresh_network();
  EventSocket socket = listen({.datagram = 24});
  REQUIRE_EQ(load_nft("table ip6 a {\n}\n"), "");
  const auto read = socket.read(1000, [](const Answer&) {});
  REQUIRE_FALSE(read);
  CHECK_EQ(read.error().os_errno, EMSGSIZE);
}

TEST_CASE("events that are not read in time are lost, and the loss is said") {
  fresh_network();
  EventSocket socket = listen({.datagram = 4096, .at_once = 1, .waiting = 1});
  std::string tables;
  for (int i = 0; i < 100; ++i) tables += "table ip6 t" + std::to_string(i) + " {\n}\n";
  REQUIRE_EQ(load_nft(tables), "");
  REQUIRE_EQ(load_nft(tables + "delete table ip6 t0\n"), "");
  const auto read = socket.read(0, [](const Answer&) {});
  REQUIRE_FALSE(read);
  CHECK(read.error().kind == ErrorKind::Conflict);
}

}  // namespace
}  // namespace rolewall::netlink

// One transaction: guarded by the generation, all or nothing, large or small; and dumps that are
// of one moment.
#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "netlink/netlink.h"
#include "support/netns.h"
#include "unit/netlink/connect.h"
#include "unit/netlink/ruleset_builder.h"

namespace rolewall::netlink {
namespace {

using namespace test;
using rolewall::test::fresh_network;
using rolewall::test::load_nft;
using rolewall::test::output_of;

Table small(const std::string& comment) {
  return table_of({base_chain("input", Hook::Input, {rule(comment, {Counter{}})})});
}

TEST_CASE("a stale generation changes nothing") {
  fresh_network();
  Connection kernel = connect();
  REQUIRE(kernel.replace_table(small("old"), std::nullopt)->committed);
  const std::uint32_t seen = *kernel.generation();
  REQUIRE(load_nft("table ip other {\n chain c {\n }\n }\n") == "");
  CHECK(*kernel.generation() != seen);

  const auto clash = kernel.replace_table(small("new"), seen);
  REQUIRE(clash);
  CHECK_FALSE(clash->committed);
  CHECK(clash->generation_clash);
  CHECK(clash->refusals.empty());
  CHECK((*kernel.dump_table(kOwnFamily, kOwnTable))->chains[0].rules[0].comment == "old");

  const std::uint32_t now = *kernel.generation();
  const auto result = kernel.replace_table(small("new"), now);
  REQUIRE(result);
  CHECK(result->committed);
  CHECK(result->generation == *kernel.generation());
  CHECK((*kernel.dump_table(kOwnFamily, kOwnTable))->chains[0].rules[0].comment == "new");

  const auto deletion = kernel.delete_table(kOwnFamily, kOwnTable, now);
  REQUIRE(deletion);
  CHECK(deletion->generation_clash);
  CHECK((*kernel.dump_table(kOwnFamily, kOwnTable)).has_value());
}

TEST_CASE("other tables are left alone, and deleting what is not there succeeds") {
  fresh_network();
  REQUIRE(
      load_nft(
          "table inet other {\n chain c {\n type filter hook input priority 5\n counter\n }\n }\n"
          "table ip rolewall {\n chain c {\n }\n }\n") == "");
  const std::string before = output_of("nft list ruleset");
  Connection kernel = connect();
  CHECK(kernel.delete_table(kOwnFamily, kOwnTable, std::nullopt)->committed);
  CHECK(output_of("nft list ruleset") == before);
  REQUIRE(kernel.replace_table(small("a"), std::nullopt)->committed);
  CHECK(kernel.dump()->tables.size() == 3);
  CHECK(kernel.delete_table(kOwnFamily, kOwnTable, std::nullopt)->committed);
  CHECK(output_of("nft list ruleset") == before);
  CHECK_FALSE(kernel.dump_table(kOwnFamily, kOwnTable)->has_value());
}

TEST_CASE("an empty namespace") {
  fresh_network();
  CHECK(connect().dump()->tables.empty());
}

Set addresses(std::uint32_t count, bool intervals) {
  Set set = make_set("many", {kIpv4});
  set.interval = intervals;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t number = 0x0a000000 + 16 * i;
    const auto byte = [&](unsigned shift) { return static_cast<std::uint8_t>(number >> shift); };
    if (intervals) {
      add_interval(set, {byte(24), byte(16), byte(8), byte(0)},
                   {byte(24), byte(16), byte(8), static_cast<std::uint8_t>(byte(0) | 7)});
    } else {
      add_key(set, {byte(24), byte(16), byte(8), byte(0)});
    }
  }
  return set;
}

// What the socket takes where nothing can be forced, doubled by the kernel.
std::size_t send_buffer_limit() {
  const std::string text = output_of("cat /proc/sys/net/core/wmem_max");
  return 2 * static_cast<std::size_t>(std::strtoul(text.c_str(), nullptr, 10));
}

TEST_CASE("100,000 addresses, in many messages of one transaction") {
  for (const bool intervals : {false, true}) {
    CAPTURE(intervals);
    fresh_network();
    Connection kernel = connect();
    Table table = small("a");
    table.sets = {addresses(100'000, intervals)};
    const auto result = kernel.replace_table(table, std::nullopt);
    if (!result && result.error().os_errno == EMSGSIZE) {
      // A small net.core.wmem_max: refused with nothing changed.
      CHECK(send_buffer_limit() < 8'000'000);
      CHECK(kernel.dump()->tables.empty());
      continue;
    }
    REQUIRE(result);
    REQUIRE(result->committed);
    const auto live = kernel.dump_table(kOwnFamily, kOwnTable);
    REQUIRE(live);
    CHECK((*live)->sets[0].elements.count() == 100'000);
    CHECK(same_configuration({{**live}}, {{table}}));
    const auto bare = kernel.dump_table(kOwnFamily, kOwnTable, false);
    CHECK((*bare)->sets[0].elements.empty());
  }
}

TEST_CASE("a transaction larger than the socket takes is refused with its size") {
  fresh_network();
  if (send_buffer_limit() > 100'000'000) {
    MESSAGE("net.core.wmem_max is too large for this test");
    return;
  }
  Connection kernel = connect();
  Table table = small("a");
  constexpr std::size_t kBytesPerInterval = 36;
  table.sets = {
      addresses(static_cast<std::uint32_t>(send_buffer_limit() / kBytesPerInterval), true)};
  const auto result = kernel.replace_table(table, std::nullopt);
  REQUIRE_FALSE(result);
  CHECK(result.error().os_errno == EMSGSIZE);
  CHECK(result.error().message.find("wmem_max") != std::string::npos);
  CHECK(kernel.dump()->tables.empty());
  CHECK(kernel.replace_table(small("b"), std::nullopt)->committed);
}

TEST_CASE("a dump is of one moment while another program writes") {
  fresh_network();
  Connection kernel = connect();
  // Two sets that the writer always changes together.
  const auto both = [](std::uint32_t count) {
    Set a = addresses(count, false);
    Set b = a;
    b.name = "the same";
    return table_of({}, {a, b});
  };
  REQUIRE(kernel.replace_table(both(500), std::nullopt)->committed);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    Connection other = connect();
    for (std::uint32_t i = 0; !stop; ++i) {
      if (!other.replace_table(both(500 + i % 2), std::nullopt)->committed) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  int whole = 0;
  for (int i = 0; i < 25; ++i) {
    const auto live = kernel.dump_table(kOwnFamily, kOwnTable);
    if (!live) {
      INFO(live.error().message);
      CHECK(live.error().kind == ErrorKind::Conflict);
      continue;
    }
    REQUIRE(live->has_value());
    ++whole;
    CHECK((*live)->sets[0].elements == (*live)->sets[1].elements);
    CHECK((*live)->sets[0].elements.count() >= 500);
  }
  stop = true;
  writer.join();
  CHECK(whole > 0);
}

}  // namespace
}  // namespace rolewall::netlink

// One element read by its key is what a packet with that key would find: in each of the kernel's
// kinds of sets the same as in the whole set's listing.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "netlink/netlink.h"
#include "support/netns.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;
using rolewall::test::fresh_network;
using rolewall::test::load_nft;

constexpr const char* kSets = R"(
table inet t {
  counter hits { }
  chain web { }
  set exact { type ipv4_addr
    elements = { 10.0.0.1 comment "a", 10.0.0.3 comment "b", 10.0.0.7 comment "c" } }
  set sized { type ipv4_addr; size 100; elements = { 10.0.0.1, 10.0.0.3, 10.0.0.7 } }
  set ports { type inet_service; elements = { 22, 80, 443 } }
  set pairs { type ipv4_addr . inet_service; elements = { 10.0.0.1 . 22, 10.0.0.2 . 80 } }
  set timed { type ipv4_addr; flags timeout
    elements = { 10.0.0.1 timeout 1h, 10.0.0.2 timeout 10s } }
  set counted { type ipv4_addr; counter; elements = { 10.0.0.1, 10.0.0.4 } }
  set tree { type ipv4_addr; flags interval
    elements = { 0.0.0.0/30, 10.0.0.0/30, 10.0.0.4-10.0.0.5, 10.0.0.9, 10.0.0.12-10.0.0.14,
                 224.0.0.0/3 } }
  set tree_alone { type ipv4_addr; flags interval; elements = { 10.0.0.3 } }
  set tree_ports { type inet_service; flags interval; elements = { 20-22, 23, 1024-65535 } }
  set ranges { type ipv4_addr . inet_service; flags interval
    elements = { 10.0.0.0/30 . 20-30, 10.0.0.8 . 80, 10.0.0.0/29 . 1-10 } }
  map marks { type ipv4_addr : mark; elements = { 10.0.0.1 : 5, 10.0.0.2 : 6 } }
  map tree_marks { type ipv4_addr : mark; flags interval
    elements = { 10.0.0.0/30 : 5, 10.0.0.4/30 : 6, 10.0.0.9 : 7 } }
  map verdicts { type ipv4_addr : verdict; flags interval
    elements = { 10.0.0.0/31 : drop, 10.0.0.2 : jump web, 10.0.0.5-10.0.0.9 : accept, * : drop } }
  map range_verdicts { type ipv4_addr . inet_service : verdict; flags interval
    elements = { 10.0.0.0/30 . 20-30 : drop, 10.0.0.8 . 80 : accept } }
  map objects { type ipv4_addr : counter; elements = { 10.0.0.1 : "hits" } }
}
)";

bool within(const Set& set, std::size_t row, const Bytes& key) {
  std::size_t at = 0;
  for (const KeyField& field : set.key) {
    const auto compare = [&](std::span<const std::uint8_t> other) {
      return std::memcmp(key.data() + at, other.data() + at, field.size);
    };
    if (compare(set.elements.key(row)) < 0 || compare(set.elements.key_end(row)) > 0) return false;
    at += (field.size + 3) / 4 * 4;
  }
  return true;
}

// What a packet finds, as its own set of one element or none: the first that fits.
Elements found_in(const Set& whole, const Bytes& key) {
  Elements found;
  found.key_size = whole.elements.key_size;
  found.data_size = whole.elements.data_size;
  for (std::size_t row = 0; row < whole.elements.count(); ++row) {
    if (!within(whole, row, key)) continue;
    found.append(whole.elements, row);
    found.keys = key;
    if (!found.key_ends.empty()) found.key_ends = key;
    break;
  }
  found.expirations_ms.clear();  // which goes on
  return found;
}

// Keys about the edges of what the sets hold.
std::vector<Bytes> keys_for(const Set& set) {
  std::vector<Bytes> addresses;
  for (std::uint8_t last = 0; last < 18; ++last) addresses.push_back({10, 0, 0, last});
  for (const std::uint8_t first : Bytes{0, 9, 11, 223, 224, 255}) {
    addresses.push_back({first, 0, 0, first});
    addresses.push_back({first, 255, 255, 255});
  }
  std::vector<Bytes> ports;
  for (const int port :
       {0, 1, 10, 11, 19, 20, 21, 22, 23, 24, 30, 31, 80, 443, 1023, 1024, 65535}) {
    ports.push_back({static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)});
  }
  if (set.key.size() == 1) return set.key[0].size == 2 ? ports : addresses;
  std::vector<Bytes> pairs;
  for (const Bytes& address : addresses) {
    for (const Bytes& port : ports) {
      Bytes& pair = pairs.emplace_back(address);
      pair.insert(pair.end(), port.begin(), port.end());
      pair.resize(8);
    }
  }
  return pairs;
}

TEST_CASE("an element by its key is what a packet finds") {
  fresh_network();
  REQUIRE(load_nft(kSets) == "");
  auto kernel = Connection::open();
  REQUIRE(kernel);
  const auto read = kernel->dump_table(Family::Inet, "t");
  REQUIRE(read);
  REQUIRE(*read);
  const Table& table = **read;
  std::size_t hits = 0;
  std::size_t misses = 0;
  for (const Set& whole : table.sets) {
    CAPTURE(whole.name);
    for (const Bytes& key : keys_for(whole)) {
      Set part = whole;
      part.elements = {};
      part.elements.key_size = whole.elements.key_size;
      part.elements.data_size = whole.elements.data_size;
      REQUIRE(kernel->read_element(table, part, key));
      CHECK(part.unsupported == "");
      part.elements.expirations_ms.clear();
      CHECK(part.elements == found_in(whole, key));
      part.elements.empty() ? ++misses : ++hits;
    }
  }
  CHECK(hits > 100);
  CHECK(misses > 100);
}

TEST_CASE("a set that is too large is left unread, and the connection goes on") {
  fresh_network();
  std::string large;
  for (int i = 0; i < 3000; ++i) {
    large += (i == 0 ? "" : ",") + std::string("10.0.") + std::to_string(i / 250) + "." +
             std::to_string(i % 250) + (i % 2 == 0 ? " : drop" : " : accept");
  }
  REQUIRE(load_nft("table ip t {\n set small { type inet_service; elements = { 22, 23 } }\n"
                   " map large { type ipv4_addr : verdict; elements = { * : drop, " +
                   large + " } }\n}\n") == "");
  auto kernel = Connection::open();
  REQUIRE(kernel);
  for (int again = 0; again < 3; ++again) {
    auto read = kernel->dump_table_in_part(Family::Ip, "t", 1000);
    REQUIRE(read);
    REQUIRE(*read);
    TableInPart& part = **read;
    REQUIRE(part.unread.size() == 1);
    CHECK(part.unread[0].name == "large");
    const std::optional<std::uint32_t> count = part.unread[0].count;
    if (count) CHECK(*count == 3000);
    CHECK(find_set(part.table, "small")->elements.count() == 2);
    Set& set = *std::ranges::find(part.table.sets, "large", &Set::name);
    CHECK(set.elements.count() == 0);
    CHECK(set.elements.has_catch_all);
    CHECK(set.elements.catch_all_verdict.code == VerdictCode::Drop);
    REQUIRE(kernel->read_element(part.table, set, {10, 0, 11, 249}));
    REQUIRE(kernel->read_element(part.table, set, {10, 0, 11, 248}));
    REQUIRE(kernel->read_element(part.table, set, {10, 0, 12, 1}));
    REQUIRE(set.elements.count() == 2);
    CHECK(set.elements.verdicts[0].code == VerdictCode::Accept);
    CHECK(set.elements.verdicts[1].code == VerdictCode::Drop);
  }
  const auto whole = kernel->dump_table_in_part(Family::Ip, "t", 3000);
  REQUIRE(whole);
  REQUIRE(*whole);
  CHECK((*whole)->unread.empty());
  CHECK(find_set((*whole)->table, "large")->elements.count() == 3000);
}

}  // namespace
}  // namespace rolewall::netlink

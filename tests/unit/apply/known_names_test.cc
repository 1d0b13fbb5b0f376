// What is known of a DNS name, after each answer and after none, for as long as it is kept.
#include "apply/known_names.h"

#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "unit/apply/machine.h"

namespace rolewall::apply {
namespace {

using namespace test;
using std::chrono::hours;

std::vector<net::Address> addresses(const std::vector<std::string>& texts) {
  std::vector<net::Address> all;
  for (const std::string& text : texts) all.push_back(*net::parse_address(text));
  return all;
}

DnsAnswer given(const std::vector<std::string>& texts) {
  return {.kind = DnsAnswer::Kind::Addresses, .addresses = addresses(texts), .why = ""};
}
const DnsAnswer kNone{.kind = DnsAnswer::Kind::None, .addresses = {}, .why = "none"};
const DnsAnswer kSilence{.kind = DnsAnswer::Kind::Silence, .addresses = {}, .why = "silence"};

struct Asked {
  Machine machine;
  MemoryWorld world{machine.store};
  KnownName known;
  std::vector<net::Address> locked = addresses({"192.0.2.1", "2001:db8::1"});

  std::vector<net::Address> after(const DnsAnswer& ipv4, const DnsAnswer& ipv6) {
    take_answers(known, locked, hours(2), ipv4, ipv6, world);
    return known.addresses();
  }
  void pass(hours time) {
    machine.store.now_ms += static_cast<std::uint64_t>(std::chrono::milliseconds(time).count());
    world.wall += std::chrono::seconds(time).count();
  }
};

TEST_CASE("an answer takes the place of what was known") {
  Asked asked;
  CHECK(asked.after(given({"192.0.2.2"}), given({"2001:db8::2"})) ==
        addresses({"192.0.2.2", "2001:db8::2"}));
  CHECK_FALSE(asked.known.is_silent());
  CHECK(silence_in_words("a.example", asked.known, asked.world) == "");
}

TEST_CASE("it begins with the lock's addresses, and so it does where the lock is another") {
  Asked asked;
  CHECK(asked.after(kSilence, kSilence) == asked.locked);
  CHECK(asked.after(given({"192.0.2.2"}), kNone) == addresses({"192.0.2.2"}));
  asked.locked = addresses({"192.0.2.9"});
  CHECK(asked.after(kSilence, kSilence) == asked.locked);
}

TEST_CASE("an answer of one family is none of the other") {
  Asked asked;
  CHECK(asked.after(given({"192.0.2.2"}), kSilence) == addresses({"192.0.2.2", "2001:db8::1"}));
  CHECK(silence_in_words("a.example", asked.known, asked.world) ==
        "a.example: no IPv6 address from the DNS for 0s: the last ones are kept for 2h more");
  // That there is none is one.
  CHECK(asked.after(given({"192.0.2.2"}), kNone) == addresses({"192.0.2.2"}));
}

TEST_CASE("where no server answers, or none knows an address, the last ones are kept for a time") {
  for (const DnsAnswer& nothing : {kSilence, kNone}) {
    Asked asked;
    CHECK(asked.after(given({"192.0.2.2"}), kNone) == addresses({"192.0.2.2"}));
    asked.pass(hours(1));
    CHECK(asked.after(nothing, nothing) == addresses({"192.0.2.2"}));
    asked.pass(hours(1));
    CHECK(asked.after(nothing, nothing).empty());
    CHECK(silence_in_words("a.example", asked.known, asked.world) ==
          "a.example: no address from the DNS for 2h: it stands for none now");
    CHECK(asked.after(given({"192.0.2.3"}), kNone) == addresses({"192.0.2.3"}));
  }
}

TEST_CASE("nobody who sets the clock makes it longer or shorter within a boot") {
  Asked asked;
  std::ignore = asked.after(given({"192.0.2.2"}), kNone);
  asked.world.wall += 500'000'000;
  CHECK(asked.after(kSilence, kSilence) == addresses({"192.0.2.2"}));
  asked.world.wall -= 1'000'000'000;
  asked.pass(hours(3));
  CHECK(asked.after(kSilence, kSilence).empty());
}

TEST_CASE("over a boot the wall clock counts") {
  Asked asked;
  std::ignore = asked.after(given({"192.0.2.2"}), kNone);
  asked.world.reboot();
  CHECK(asked.after(kSilence, kSilence) == addresses({"192.0.2.2"}));
  asked.world.wall += std::chrono::seconds(hours(3)).count();
  asked.world.reboot();
  CHECK(asked.after(kSilence, kSilence).empty());
}

TEST_CASE("what was written is read again, and what is damaged is not believed") {
  Asked asked;
  std::ignore = asked.after(given({"192.0.2.2"}), kSilence);
  KnownNames known;
  known.names["a.example"] = asked.known;
  known.refreshed_at = "2026-12-24T08:30:00Z";
  known.refused = "ssh would be lost";
  known.refused_in_place_of = 3;
  const std::string directory = asked.machine.disk.state();
  std::filesystem::create_directories(directory);
  const auto none = read_known_names(directory);
  REQUIRE(none);
  CHECK(*none == KnownNames());
  std::ofstream(directory + "/names.json") << to_json(known);
  const auto read = read_known_names(directory);
  REQUIRE(read);
  CHECK(*read == known);
  std::ofstream(directory + "/names.json", std::ios::app) << "x";
  CHECK_FALSE(read_known_names(directory));
}

}  // namespace
}  // namespace rolewall::apply

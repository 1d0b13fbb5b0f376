// What the DNS has said of the names in the policies, on this server: `names.json` of the state
// directory, which `refresh` writes and whatever compiles on the server reads beside rolewall.lock.
//
// An answer counts until there is another one. Where no server answers, or none knows an address
// any more, the last addresses are kept for as long as the policy says (`keep`), and then the name
// stands for none. Each family is asked for itself: an answer of one is none of the other.
//
// How much time has passed is CLOCK_BOOTTIME's within a boot, which nobody can set, and the wall
// clock's over boots.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/world.h"
#include "base/error.h"
#include "net/address.h"

namespace rolewall::apply {

inline constexpr const char* kNamesFile = "names.json";

// When a server last said what is believed.
struct Moment {
  std::int64_t wall = 0;  // seconds since 1970, UTC
  std::string boot_id;
  std::uint64_t boot_ns = 0;
  bool operator==(const Moment&) const = default;
};
Moment now(const World& world);
std::chrono::seconds since(const Moment& moment, const World& world);

struct FamilyAddresses {
  std::vector<net::Address> addresses;
  Moment answered;
  bool is_silent = false;  // the last time that it was asked for
  bool operator==(const FamilyAddresses&) const = default;
};

struct KnownName {
  std::vector<net::Address> locked;  // what rolewall.lock said then, and this takes the place of
  FamilyAddresses ipv4;
  FamilyAddresses ipv6;
  std::chrono::seconds keep{0};
  bool operator==(const KnownName&) const = default;

  std::vector<net::Address> addresses() const;
  bool is_silent() const { return ipv4.is_silent || ipv6.is_silent; }
};

struct KnownNames {
  std::map<std::string, KnownName, std::less<>> names;
  std::string refreshed_at{};             // RFC 3339, UTC; "": never
  std::string refused{};                  // why what was found is not in force; ""
  std::uint32_t refused_in_place_of = 0;  // the generation that stayed in force then
  bool operator==(const KnownNames&) const = default;
};

// Nothing where there is no such file; an error where it is damaged or not to be trusted.
Result<KnownNames> read_known_names(const std::string& directory);
std::string to_json(const KnownNames& known);

// What asking for one family came to.
struct DnsAnswer {
  enum class Kind : std::uint8_t { Addresses, None, Silence };
  Kind kind = Kind::Silence;
  std::vector<net::Address> addresses{};  // of Addresses; sorted, each once
  std::string why{};                      // else, in words
};

// What is known once it was asked for; `locked` and `keep` are the policy's. A name that is new, or
// whose lock was written anew, begins with the lock's addresses.
void take_answers(KnownName& known, const std::vector<net::Address>& locked,
                  std::chrono::seconds keep, const DnsAnswer& ipv4, const DnsAnswer& ipv6,
                  const World& world);

// Of whom no server answers, for people: since when, and until when its addresses are kept or that
// they are gone; "" where all is well.
std::string silence_in_words(const std::string& name, const KnownName& known, const World& world);

}  // namespace rolewall::apply

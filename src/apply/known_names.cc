#include "apply/known_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "apply/seal.h"
#include "apply/state_files.h"
#include "base/calendar.h"
#include "base/time.h"

namespace rolewall::apply {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxNames = std::size_t{1} << 26;

std::vector<std::string> as_texts(const std::vector<net::Address>& addresses) {
  std::vector<std::string> texts;
  for (const net::Address& address : addresses) texts.push_back(net::format(address));
  return texts;
}

// Whether all of them are addresses.
bool take_addresses(const Json& json, std::vector<net::Address>& addresses) {
  for (const Json& entry : json) {
    const auto address = net::parse_address(entry.get<std::string>());
    if (!address) return false;
    addresses.push_back(*address);
  }
  return true;
}

Json family_json(const FamilyAddresses& family) {
  return {{"addresses", as_texts(family.addresses)},
          {"answered", family.answered.wall},
          {"boot_id", family.answered.boot_id},
          {"boot_ns", family.answered.boot_ns},
          {"silent", family.is_silent}};
}

bool take_family(const Json& json, FamilyAddresses& family) {
  json.at("answered").get_to(family.answered.wall);
  json.at("boot_id").get_to(family.answered.boot_id);
  json.at("boot_ns").get_to(family.answered.boot_ns);
  json.at("silent").get_to(family.is_silent);
  return take_addresses(json.at("addresses"), family.addresses);
}

bool take_names(const Json& json, KnownNames& known) {
  json.at("refreshed_at").get_to(known.refreshed_at);
  json.at("refused").get_to(known.refused);
  json.at("refused_in_place_of").get_to(known.refused_in_place_of);
  for (const auto& [name, entry] : json.at("names").items()) {
    KnownName& added = known.names[name];
    added.keep = std::chrono::seconds(entry.at("keep").get<std::int64_t>());
    if (!take_addresses(entry.at("locked"), added.locked) ||
        !take_family(entry.at("ipv4"), added.ipv4) || !take_family(entry.at("ipv6"), added.ipv6)) {
      return false;
    }
  }
  return true;
}

void begin_with(const std::vector<net::Address>& locked, const World& world, KnownName& known) {
  known = {.locked = locked, .ipv4 = {}, .ipv6 = {}};
  known.ipv4.answered = known.ipv6.answered = now(world);
  for (const net::Address& address : locked) {
    (net::is_ipv4(address) ? known.ipv4 : known.ipv6).addresses.push_back(address);
  }
}

void keep_for_a_while(FamilyAddresses& family, std::chrono::seconds keep, const World& world) {
  family.is_silent = true;
  if (since(family.answered, world) >= keep) family.addresses.clear();
}

}  // namespace

Moment now(const World& world) {
  return {world.wall_seconds(), world.boot_id(), world.boot_ns()};
}

std::chrono::seconds since(const Moment& moment, const World& world) {
  if (moment.boot_id == world.boot_id()) {
    const std::uint64_t passed = world.boot_ns() - std::min(world.boot_ns(), moment.boot_ns);
    return std::chrono::seconds(passed / kNsPerSecond);
  }
  return std::chrono::seconds(std::max<std::int64_t>(0, world.wall_seconds() - moment.wall));
}

std::vector<net::Address> KnownName::addresses() const {
  std::vector<net::Address> all = ipv4.addresses;
  all.insert(all.end(), ipv6.addresses.begin(), ipv6.addresses.end());
  return all;
}

Result<KnownNames> read_known_names(const std::string& directory) {
  const Result<std::string> text = read_state_file(directory, kNamesFile, kMaxNames);
  if (!text && text.error().os_errno == ENOENT) return KnownNames();
  if (!text) return std::unexpected(text.error());
  const auto json = unsealed(*text);
  KnownNames known;
  try {
    if (json && take_names(*json, known)) return known;
  } catch (const Json::exception&) {
  }
  return fail(ErrorKind::Io,
              fmt::format("{}/{}: is damaged: the names have the addresses of rolewall.lock until "
                          "the next `rolewall refresh`",
                          directory, kNamesFile));
}

std::string to_json(const KnownNames& known) {
  Json names = Json::object();
  for (const auto& [name, entry] : known.names) {
    names[name] = {{"locked", as_texts(entry.locked)},
                   {"keep", entry.keep.count()},
                   {"ipv4", family_json(entry.ipv4)},
                   {"ipv6", family_json(entry.ipv6)}};
  }
  return sealed_file({{"names", std::move(names)},
                      {"refreshed_at", known.refreshed_at},
                      {"refused", known.refused},
                      {"refused_in_place_of", known.refused_in_place_of}});
}

void take_answers(KnownName& known, const std::vector<net::Address>& locked,
                  std::chrono::seconds keep, const DnsAnswer& ipv4, const DnsAnswer& ipv6,
                  const World& world) {
  const bool is_new = known.ipv4.answered.boot_id.empty();
  if (is_new || known.locked != locked) begin_with(locked, world, known);
  known.keep = keep;
  // That it has no address at all is no answer to go by: whoever breaks or moves a server has said
  // that of every name.
  const bool is_answered =
      ipv4.kind == DnsAnswer::Kind::Addresses || ipv6.kind == DnsAnswer::Kind::Addresses;
  for (const auto& [family, answer] :
       {std::pair(&known.ipv4, &ipv4), std::pair(&known.ipv6, &ipv6)}) {
    if (!is_answered || answer->kind == DnsAnswer::Kind::Silence) {
      keep_for_a_while(*family, keep, world);
      continue;
    }
    *family = {.addresses = answer->addresses, .answered = now(world), .is_silent = false};
  }
}

std::string silence_in_words(const std::string& name, const KnownName& known, const World& world) {
  if (!known.is_silent()) return "";
  const bool whole = known.ipv4.is_silent && known.ipv6.is_silent;
  const FamilyAddresses& family = known.ipv4.is_silent ? known.ipv4 : known.ipv6;
  const auto passed = since(family.answered, world);
  const bool is_kept = passed < known.keep;
  const std::string what = whole ? "" : known.ipv4.is_silent ? " IPv4" : " IPv6";
  const std::string head =
      fmt::format("{}: no{} address from the DNS for {}", name, what, time_in_words(passed));
  if (!is_kept) return head + ": it stands for none now";
  return fmt::format("{}: the last ones are kept for {} more", head,
                     time_in_words(known.keep - passed));
}

}  // namespace rolewall::apply

#include "ruleset/own_table.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "net/protocol.h"
#include "ruleset/verify.h"

namespace rolewall::ruleset::own {
namespace {

constexpr std::string_view kBannedSets = "banned/";
constexpr std::string_view kAllowedSets = "allowed/";

char digit(bool ipv4) {
  return ipv4 ? '4' : '6';
}

}  // namespace

std::string expected_segment_sizes(std::string_view helper) {
  return fmt::format("{}/expected/{}", kSegmentSizes, helper);
}

std::string translated_chain(std::string_view dispatch) {
  return fmt::format("{}/translated", dispatch);
}

std::string excess_chain(std::string_view rule) {
  return fmt::format("{}/excess", rule);
}

std::string segment_size_chain(std::string_view rule) {
  return fmt::format("{}/mss", rule);
}

std::string helper(std::string_view name, std::uint8_t protocol) {
  return fmt::format("helper/{}/{}", name, net::protocol_name(protocol));
}

std::string rate_set(std::string_view rule, bool ipv4) {
  return fmt::format("{}/rate{}", rule, digit(ipv4));
}

std::string connections_set(std::string_view rule, bool ipv4) {
  return fmt::format("{}/connections{}", rule, digit(ipv4));
}

std::string log_set(std::string_view rule, bool ipv4) {
  return fmt::format("{}/log{}", rule, digit(ipv4));
}

std::string source_addresses(std::string_view rule) {
  return fmt::format("{}/from", rule);
}

std::string destination_addresses(std::string_view rule) {
  return fmt::format("{}/to", rule);
}

std::string named_addresses(std::string_view name) {
  return fmt::format("net/{}", name);
}

std::string addresses_behind(int number) {
  return fmt::format("behind/{}", number);
}

std::string log_set(bool ipv4) {
  return fmt::format("log/{}", digit(ipv4));
}

std::string family(std::string addresses, bool ipv4) {
  return std::move(addresses) + '/' + digit(ipv4);
}

std::string prefixes(std::string set) {
  return std::move(set) + "-prefixes";
}

std::string banned_set(bool ipv4) {
  return std::string(kBannedSets) + digit(ipv4);
}

std::string allowed_set(bool ipv4) {
  return std::string(kAllowedSets) + digit(ipv4);
}

bool holds_bans(std::string_view set) {
  return set.starts_with(kBannedSets);
}

bool holds_openings(std::string_view set) {
  return set.starts_with(kAllowedSets);
}

std::string log_prefix(std::string_view rule, std::string_view fate) {
  std::string prefix = fmt::format("{} {} {}: ", kOwnTable, rule, fate);
  CHECK(prefix.size() <= kMaxLogPrefixSize, "log prefix too long");
  return prefix;
}

}  // namespace rolewall::ruleset::own

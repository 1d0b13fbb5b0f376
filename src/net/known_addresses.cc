#include "net/known_addresses.h"

#include "base/check.h"

namespace rolewall::net {

AddressSet known_addresses(std::initializer_list<std::string_view> prefixes) {
  std::vector<Prefix> parsed;
  for (const std::string_view text : prefixes) {
    const auto prefix = parse_prefix(text);
    CHECK(prefix, "a known address is a prefix");
    parsed.push_back(*prefix);
  }
  return AddressSet::from(parsed);
}

AddressSet no_sources() {
  return known_addresses({"224.0.0.0/4", "255.255.255.255/32", "ff00::/8"});
}

}  // namespace rolewall::net

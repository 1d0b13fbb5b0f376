#include "net/address.h"
#include "base/visit.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace rolewall::net {
namespace {

template <class Ip>
typename Ip::Number host_mask(unsigned length) {
  using Number = typename Ip::Number;
  if (length == 0) return ~Number{0};
  if (length >= Ip::kBits) return 0;
  return static_cast<Number>((Number{1} << (Ip::kBits - length)) - 1);
}

template <class Ip>
Ip last_of(Ip address, unsigned length) {
  return Ip{static_cast<typename Ip::Number>(address.value | host_mask<Ip>(length))};
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  if (text.empty() || text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  char buffer[INET6_ADDRSTRLEN] = {};
  std::memcpy(buffer, text.data(), text.size());
  // An embedded NUL would end the C string early and hide what follows.
  if (std::strlen(buffer) != text.size()) return std::nullopt;
  std::uint8_t bytes[16];
  if (text.find(':') != std::string_view::npos) {
    if (::inet_pton(AF_INET6, buffer, bytes) != 1) return std::nullopt;
    return ipv6_from_bytes(bytes);
  }
  if (::inet_pton(AF_INET, buffer, bytes) != 1) return std::nullopt;
  return ipv4_from_bytes(bytes);
}

std::optional<Prefix> parse_prefix(std::string_view text, PrefixError* error) {
  const auto refuse = [&](PrefixError why) -> std::optional<Prefix> {
    if (error) *error = why;
    return std::nullopt;
  };
  const auto slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return refuse(PrefixError::NotAnAddress);
  if (slash == std::string_view::npos) return Prefix{*address, address_bits(*address)};
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  const bool canonical = digits.size() == 1 || (!digits.empty() && digits[0] != '0');
  if (code != std::errc() || end != digits.data() + digits.size() || !canonical ||
      length > address_bits(*address)) {
    return refuse(PrefixError::BadLength);
  }
  const Prefix prefix{*address, length};
  if (first(prefix) != *address) return refuse(PrefixError::HostBitsSet);
  return prefix;
}

std::string format(const Address& address) {
  char buffer[INET6_ADDRSTRLEN];
  const auto bytes = to_bytes(address);
  ::inet_ntop(is_ipv4(address) ? AF_INET : AF_INET6, bytes.data(), buffer, sizeof buffer);
  return buffer;
}

std::string format(const Prefix& prefix) {
  if (prefix.length == address_bits(prefix.address)) return format(prefix.address);
  return fmt::format("{}/{}", format(prefix.address), prefix.length);
}

std::array<std::uint8_t, 4> to_bytes(Ipv4 address) {
  std::array<std::uint8_t, 4> bytes;
  for (unsigned i = 0; i < 4; ++i) {
    bytes[i] = static_cast<std::uint8_t>(address.value >> (8 * (3 - i)));
  }
  return bytes;
}

std::array<std::uint8_t, 16> to_bytes(Ipv6 address) {
  std::array<std::uint8_t, 16> bytes;
  for (unsigned i = 0; i < 16; ++i) {
    bytes[i] = static_cast<std::uint8_t>(address.value >> (8 * (15 - i)));
  }
  return bytes;
}

std::vector<std::uint8_t> to_bytes(const Address& address) {
  return visit_closed(
      [](auto ip) {
        const auto bytes = to_bytes(ip);
        return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
      },
      address);
}

Ipv4 ipv4_from_bytes(const std::uint8_t* bytes) {
  Ipv4 address;
  for (unsigned i = 0; i < 4; ++i) address.value = address.value << 8 | bytes[i];
  return address;
}

Ipv6 ipv6_from_bytes(const std::uint8_t* bytes) {
  Ipv6 address;
  for (unsigned i = 0; i < 16; ++i) address.value = address.value << 8 | bytes[i];
  return address;
}

Address address_from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() == 4) return ipv4_from_bytes(bytes.data());
  return ipv6_from_bytes(bytes.data());
}

Address first(const Prefix& prefix) {
  return visit_closed(
      [&]<class Ip>(Ip ip) -> Address {
        return Ip{static_cast<typename Ip::Number>(ip.value & ~host_mask<Ip>(prefix.length))};
      },
      prefix.address);
}

Address last(const Prefix& prefix) {
  return visit_closed([&](auto ip) -> Address { return last_of(ip, prefix.length); },
                      prefix.address);
}

}  // namespace rolewall::net

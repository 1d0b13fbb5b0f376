#include "ruleset/xt_bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "net/address.h"

namespace rolewall::ruleset {

std::string xt_option(std::string_view option, bool inverted, std::string_view value) {
  return fmt::format(" {}--{}{}{}", inverted ? "! " : "", option, value.empty() ? "" : " ", value);
}

std::string xt_range(std::string_view option, std::uint64_t first, std::uint64_t last,
                     bool inverted, char between) {
  const std::string value =
      first == last ? fmt::format("{}", first) : fmt::format("{}{}{}", first, between, last);
  return xt_option(option, inverted, value);
}

std::string xt_masked(std::uint32_t value, std::uint32_t mask) {
  return mask == 0xffffffff ? fmt::format("{:#x}", value) : fmt::format("{:#x}/{:#x}", value, mask);
}

std::string xt_text(const XtAddress& address, XtFamily family) {
  return family == XtFamily::Ipv6 ? net::format(net::Address(net::ipv6_from_bytes(address.data())))
                                  : net::format(net::Address(net::ipv4_from_bytes(address.data())));
}

std::string xt_network(const XtAddress& address, const XtAddress& mask, XtFamily family) {
  const std::size_t size = family == XtFamily::Ipv6 ? 16 : 4;
  unsigned length = 0;
  bool ended = false;
  bool is_prefix = true;
  for (std::size_t i = 0; i < size; ++i) {
    const auto ones = static_cast<unsigned>(std::countl_one(mask[i]));
    is_prefix &= static_cast<std::uint8_t>(mask[i] << ones) == 0 && (!ended || mask[i] == 0);
    length += ones;
    ended |= ones != 8;
  }
  if (!is_prefix) return xt_text(address, family) + "/" + xt_text(mask, family);
  if (length == size * 8) return xt_text(address, family);
  return fmt::format("{}/{}", xt_text(address, family), length);
}

std::string xt_quoted(std::string_view text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
  });
  if (plain) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '\'') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace rolewall::ruleset

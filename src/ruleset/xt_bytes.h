// A payload of an xt match or target, by the offsets of its struct in include/uapi/linux/netfilter:
// numbers in the host's order (as most are), in the network's where the struct says __be. And what
// the words of all of them share.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace rolewall::ruleset {

using XtAddress = std::array<std::uint8_t, 16>;  // union nf_inet_addr: IPv4 in the first four

// Whose packets the rule sees: addresses and codes are written otherwise.
enum class XtFamily : std::uint8_t { Ipv4, Ipv6 };

// REQUIRES: what is asked for lies within; the table of payloads has compared the size.
class XtBytes {
 public:
  explicit XtBytes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  std::size_t size() const { return bytes_.size(); }
  std::uint8_t u8(std::size_t at) const { return number<std::uint8_t>(at); }
  std::uint16_t u16(std::size_t at) const { return number<std::uint16_t>(at); }
  std::uint32_t u32(std::size_t at) const { return number<std::uint32_t>(at); }
  std::uint64_t u64(std::size_t at) const { return number<std::uint64_t>(at); }
  std::uint16_t be16(std::size_t at) const {
    return static_cast<std::uint16_t>(u8(at) << 8 | u8(at + 1));
  }
  std::uint32_t be32(std::size_t at) const { return std::uint32_t{be16(at)} << 16 | be16(at + 2); }
  XtAddress address(std::size_t at) const { return number<XtAddress>(at); }
  // Up to its NUL.
  std::string text(std::size_t at, std::size_t size) const {
    std::string text;
    for (std::size_t i = 0; i < size && u8(at + i) != 0; ++i) text += static_cast<char>(u8(at + i));
    return text;
  }

 private:
  template <class Number>
  Number number(std::size_t at) const {
    Number number{};
    if (at + sizeof(Number) <= bytes_.size()) {
      std::memcpy(&number, bytes_.data() + at, sizeof(Number));
    }
    return number;
  }
  std::span<const std::uint8_t> bytes_;
};

// Numbers from `first` to `last`, or all others.
template <class Number>
struct XtRange {
  Number first = 0;
  Number last = 0;
  bool inverted = false;
  bool holds(Number number) const { return (number >= first && number <= last) != inverted; }
  bool operator==(const XtRange&) const = default;
};

// " ! --dport 22:80"; one number where both are the same.
std::string xt_option(std::string_view option, bool inverted, std::string_view value = "");
std::string xt_range(std::string_view option, std::uint64_t first, std::uint64_t last,
                     bool inverted, char between = ':');
// "/0xff" where a mask is not whole.
std::string xt_masked(std::uint32_t value, std::uint32_t mask);
std::string xt_text(const XtAddress& address, XtFamily family);
// "10.0.0.0/8"; a mask that is no prefix in full.
std::string xt_network(const XtAddress& address, const XtAddress& mask, XtFamily family);
// As iptables does (xtables_save_string()): quoted where it holds other than letters, digits, - and
// _.
std::string xt_quoted(std::string_view text);

}  // namespace rolewall::ruleset

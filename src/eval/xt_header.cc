#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cstring>
#include <ranges>
#include <span>

#include "eval/xt_matches.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;

// ipv4_get_dsfield(), ipv6_get_dsfield()
std::uint8_t dsfield(XtPacket& packet) {
  const std::uint8_t* header = packet.read(0, 2);
  if (!packet.ipv6()) return header[1];
  return static_cast<std::uint8_t>(be16(header) >> 4);
}

bool is_within(const r::XtIprange::Ends& ends, const std::uint8_t* address, std::size_t size) {
  const bool within = std::memcmp(address, ends.first.data(), size) >= 0 &&
                      std::memcmp(address, ends.last.data(), size) <= 0;
  return within != ends.inverted;
}

// Which bits of a word count for what the steps make of it, up to the next load.
std::uint32_t bits_that_count(std::span<const r::XtU32::Step> steps) {
  using Op = r::XtU32::Op;
  const auto shifted = [](std::uint32_t bits, std::uint32_t by, bool left) {
    if (by >= 32) return 0U;
    return left ? bits << by : bits >> by;
  };
  std::uint32_t bits = 0xffffffff;
  const auto load = std::ranges::find(steps, Op::At, &r::XtU32::Step::op);
  for (const r::XtU32::Step& step :
       std::ranges::subrange(steps.begin(), load) | std::views::reverse) {
    switch (step.op) {
      case Op::And:
        bits &= step.number;
        break;
      case Op::ShiftLeft:
        bits = shifted(bits, step.number, false);
        break;
      case Op::ShiftRight:
        bits = shifted(bits, step.number, true);
        break;
      case Op::At:
        break;
    }
  }
  return bits;
}

// The word there, as far as it counts: bytes that no bit of counts are not asked for.
std::optional<std::uint32_t> word_at(XtPacket& packet, std::size_t at, std::uint32_t bits) {
  if (bits == 0) return 0;
  const auto first = static_cast<std::size_t>(std::countl_zero(bits)) / 8;
  const auto last = 4 - static_cast<std::size_t>(std::countr_zero(bits)) / 8;
  const std::uint8_t* bytes = packet.read(at + first, last - first);
  if (bytes == nullptr) return std::nullopt;
  std::uint32_t word = 0;
  for (std::size_t i = first; i < last; ++i) {
    word |= static_cast<std::uint32_t>(bytes[i - first]) << (8 * (3 - i));
  }
  return word;
}

// u32_match_it(): absent where a byte that it asks for is not there.
std::optional<bool> u32_holds(const r::XtU32& match, XtPacket& packet) {
  using Op = r::XtU32::Op;
  const auto size = static_cast<std::uint32_t>(packet.size());
  for (const r::XtU32::Test& test : match.tests) {
    std::uint32_t at = 0;
    if (size < 4 || test.from > size - 4) return false;
    const std::span<const r::XtU32::Step> steps = test.steps;
    const auto first = word_at(packet, test.from, bits_that_count(steps));
    if (!first) return std::nullopt;
    std::uint32_t value = *first;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const r::XtU32::Step& step = steps[i];
      switch (step.op) {
        case Op::And:
          value &= step.number;
          break;
        case Op::ShiftLeft:
          value = step.number < 32 ? value << step.number : 0;
          break;
        case Op::ShiftRight:
          value = step.number < 32 ? value >> step.number : 0;
          break;
        case Op::At:
          if (at + value < at) return false;
          at += value;
          if (at + 4 < at || size < at + 4 || step.number > size - at - 4) return false;
          if (const auto word = word_at(packet, std::size_t{at} + step.number,
                                        bits_that_count(steps.subspan(i + 1)))) {
            value = *word;
          } else {
            return std::nullopt;
          }
          break;
      }
    }
    if (std::ranges::none_of(test.values, [&](const auto& range) { return range.holds(value); })) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool xt_holds(const r::XtIprange& match, XtPacket& packet) {
  const std::size_t size = packet.ipv6() ? 16 : 4;
  const std::size_t source = packet.ipv6() ? ipv6::kSource : ipv4::kSource;
  const std::size_t destination = packet.ipv6() ? ipv6::kDestination : ipv4::kDestination;
  if (match.source && !is_within(*match.source, packet.read(source, size), size)) return false;
  return !match.destination || is_within(*match.destination, packet.read(destination, size), size);
}

bool xt_holds(const r::XtTos& match, XtPacket& packet) {
  return ((dsfield(packet) & match.mask) == match.value) != match.inverted;
}

bool xt_holds(const r::XtTtl& match, XtPacket& packet) {
  const std::uint8_t hops = *packet.read(packet.ipv6() ? ipv6::kHopLimit : ipv4::kTtl, 1);
  switch (match.is) {
    case r::XtTtl::Is::Equal:
      return hops == match.value;
    case r::XtTtl::Is::NotEqual:
      return hops != match.value;
    case r::XtTtl::Is::Less:
      return hops < match.value;
    case r::XtTtl::Is::Greater:
      return hops > match.value;
  }
  return false;
}

bool xt_holds(const r::XtEcn& match, XtPacket& packet) {
  if (match.asks_ip && ((dsfield(packet) & 3) == match.ip) == match.ip_inverted) return false;
  if (!match.congestion_echo && !match.window_reduced) return true;
  const std::uint8_t* tcp = packet.read_transport(20);
  if (tcp == nullptr) return false;
  const bool echo = (tcp[13] & 0x40) != 0;
  const bool reduced = (tcp[13] & 0x80) != 0;
  return match.congestion_echo.value_or(echo) == echo &&
         match.window_reduced.value_or(reduced) == reduced;
}

bool xt_holds(const r::XtTcpmss& match, XtPacket& packet) {
  constexpr std::size_t kHeader = 20;
  constexpr std::uint8_t kOption = 2;
  constexpr std::size_t kSize = 4;
  const std::uint8_t* tcp = packet.read_transport(kHeader);
  if (tcp == nullptr) return packet.drop();
  const std::size_t header = (tcp[12] >> 4) * std::size_t{4};
  if (header < kHeader) return packet.drop();
  const std::size_t size = header - kHeader;
  if (size == 0) return match.size.inverted;
  const std::uint8_t* options = packet.read(packet.transport() + kHeader, size);
  if (options == nullptr) return packet.drop();
  for (std::size_t i = 0; i < size;) {
    if (options[i] == kOption && size - i >= kSize && options[i + 1] == kSize) {
      return match.size.holds(be16(options + i + 2));
    }
    if (options[i] < 2 || i == size - 1) {
      ++i;
    } else {
      i += options[i + 1] == 0 ? 1 : options[i + 1];
    }
  }
  return match.size.inverted;
}

bool xt_holds(const r::XtU32& match, XtPacket& packet) {
  const std::optional<bool> holds = u32_holds(match, packet);
  return holds ? *holds != match.inverted : packet.drop();
}

// skb_find_text(): whole within the packet, and begun no later than `to`; the packet begins with
// its network header.
bool xt_holds(const r::XtString& match, XtPacket& packet) {
  const auto same = [&](char a, char b) {
    if (!match.ignores_case) return a == b;
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  bool found = false;
  // Whole before `to`.
  const std::size_t end = std::min<std::size_t>(packet.size(), match.to);
  if (match.from < end) {
    const std::size_t size = end - match.from;
    const std::uint8_t* bytes = packet.read(match.from, size);
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    found = std::search(text.begin(), text.end(), match.pattern.begin(), match.pattern.end(),
                        same) != text.end();
  }
  return found != match.inverted;
}

}  // namespace rolewall::eval

// What the decoders of expressions share: registers, enumerators and flags out of attributes, each
// with its problem where the kernel says something that has no name here.
#pragma once

#include <fmt/format.h>

#include <optional>

#include "netlink/attributes.h"
#include "netlink/kernel_numbers.h"
#include "ruleset/expressions.h"

namespace rolewall::netlink {

inline ruleset::Register decode_register(Attributes& attributes, std::uint16_t type) {
  const std::uint32_t number = attributes.be32(type);
  const std::optional<ruleset::Register> index = register_of(number);
  if (!index) attributes.problem(fmt::format("register {} is unknown", number));
  return index.value_or(0);
}

inline std::optional<ruleset::Register> decode_optional_register(Attributes& attributes,
                                                                 std::uint16_t type) {
  if (!attributes.has(type)) return std::nullopt;
  return decode_register(attributes, type);
}

// Where our enumerators stand in the kernel's order, from `First` to `Last`.
template <class Enum, Enum Last, Enum First = Enum{}>
Enum decode_enum(Attributes& attributes, std::uint16_t type, std::uint32_t number) {
  if (static_cast<std::uint32_t>(First) <= number && number <= static_cast<std::uint32_t>(Last)) {
    return static_cast<Enum>(number);
  }
  attributes.problem(fmt::format("value {} of attribute {} is unknown", number, type));
  return First;
}

template <class Enum, Enum Last, Enum First = Enum{}>
Enum decode_enum(Attributes& attributes, std::uint16_t type) {
  return decode_enum<Enum, Last, First>(attributes, type, attributes.be32(type));
}

// All of `type`'s bits, of which only `known` may be set.
inline std::uint32_t decode_flags(Attributes& attributes, std::uint16_t type, std::uint32_t known) {
  const std::uint32_t flags = attributes.be32_or(type, 0);
  if ((flags & ~known) != 0) {
    attributes.problem(fmt::format("flags {:#x} are unknown", flags & ~known));
  }
  return flags & known;
}

// Of `type`'s bits only `flag` and `harmless` may be set.
inline bool decode_flag(Attributes& attributes, std::uint16_t type, std::uint32_t flag,
                        std::uint32_t harmless = 0) {
  return (decode_flags(attributes, type, flag | harmless) & flag) != 0;
}

}  // namespace rolewall::netlink

// What stands on the left of a comparison, and what registers hold while a rule is read back into
// nft's words: "ip saddr", "meta mark & 0xff", a value.
#pragma once

#include <optional>
#include <string>

#include "net/fields.h"
#include "print/nft_value.h"
#include "ruleset/ruleset.h"

namespace rolewall::print {

// What the rule has tested so far about the packet's headers. nft needs it to give a field a name,
// and makes the tests itself where it is not given them.
struct KnownHeaders {
  std::optional<int> version;            // 4 or 6
  std::optional<std::uint8_t> protocol;  // the transport's number
};

struct Operand {
  std::string text;
  ruleset::DataType type = ruleset::DataType::Invalid;
  Order order = Order::Network;
  std::uint32_t size = 0;

  std::optional<net::HeaderKind> header;  // of a field with a name
  std::optional<ruleset::MetaKey> meta;   // of a plain meta load
  std::uint32_t field_size = 0;           // of an address of which the first `size` bytes are here
  std::optional<net::HeaderKind> within;  // of bytes without a name: what they are a part of
  std::uint32_t first_byte = 0;           // there
  std::string raw;                        // the same load as bytes: "@nh,96,32"
  bool swapped = false;                   // from host to network order
  std::optional<ruleset::Value> mask;     // (field & mask) ^ xor_with
  ruleset::Value xor_with;
  std::optional<ruleset::Value> constant;  // no field at all
};

Operand payload_operand(const ruleset::Payload& load, const KnownHeaders& known,
                        ruleset::Family family);
std::expected<Operand, std::string> meta_operand(ruleset::MetaKey key);
std::expected<Operand, std::string> ct_operand(const ruleset::Ct& load, const KnownHeaders& known,
                                               ruleset::Family family);

// As a part of a key, or as the value of a `set` statement. `wanted`: the type that it must have.
Text operand_text(const Operand& operand, ruleset::DataType wanted);

// Comparisons; REQUIRES: the values are as long as the operand says, or shorter.
Text equals_text(const Operand& operand, bool negated, const ruleset::Value& value);
Text ordered_text(const Operand& operand, std::string_view op, const ruleset::Value& value);
Text in_range_text(const Operand& operand, bool negated, const ruleset::Value& first,
                   const ruleset::Value& last);

}  // namespace rolewall::print

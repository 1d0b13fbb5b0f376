// Values in nft's words: the bytes of a register or a set's key, read as nft's datatypes.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "print/nft_words.h"
#include "ruleset/ruleset.h"

namespace rolewall::print {

enum class Order : std::uint8_t { Host, Network };

// The order in which a register, or a set's key, holds values of a type.
Order order_of(ruleset::DataType type);

// Flags: nft reads several of them as a bit test.
bool is_flags(ruleset::DataType type);

using ByteSpan = std::span<const std::uint8_t>;

// The order matters for numbers alone.
Text value_text(ruleset::DataType type, Order order, ByteSpan bytes);
Text range_text(ruleset::DataType type, Order order, ByteSpan first, ByteSpan last);

// "established,related" or "fin | syn", by the separator; an error where a bit has no name.
Text flags_text(ruleset::DataType type, ByteSpan bytes, std::string_view separator);

// A number in hexadecimal digits, of any size: for masks.
std::string hex_number(Order order, ByteSpan bytes);

// The network's length, where `bytes` is a mask of leading ones alone; -1 where it is none.
int prefix_length(ByteSpan mask);

// An interface whose name begins so: "eth*".
Text name_prefix_text(ByteSpan bytes);

// The size that nft gives to a type that is declared by its name; 0 where it cannot be declared.
std::uint32_t declared_size(ruleset::DataType type);

}  // namespace rolewall::print

// What nft keeps beside a set so that `nft list` prints its keys: the datatypes' numbers, packed
// for a concatenation, their byte order, and comments. The kernel stores these unread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "netlink/attributes.h"
#include "ruleset/ruleset.h"

namespace rolewall::netlink {

// nft's TYPE_BITS and its mask.
inline constexpr unsigned kTypeBits = 6;
inline constexpr std::uint32_t kTypeMask = (1U << kTypeBits) - 1;

// NFTA_SET_KEY_TYPE of a key; std::nullopt where a field of a concatenation has a number that does
// not fit in six bits.
std::optional<std::uint32_t> key_type(const std::vector<ruleset::KeyField>& key);

// The fields of a key. `lengths` (NFTA_SET_DESC_CONCAT) is empty where the kernel does not say how
// the key is divided; then the datatypes' own sizes do. A key that cannot be divided is one field.
std::vector<ruleset::KeyField> key_fields(std::uint32_t type, std::uint32_t length,
                                          const std::vector<std::uint32_t>& lengths);

// nft's enum byteorder: 0 where it does not matter, 1 host, 2 network.
std::uint32_t byte_order(const std::vector<ruleset::KeyField>& key);

// User data: a list of (type, length, value), a byte each for the first two.
class UserData {
 public:
  void put(std::uint8_t type, View value);
  void put_u32(std::uint8_t type, std::uint32_t value);
  void put_comment(std::uint8_t type, const ruleset::Comment& comment);  // if there is one
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

// The comment that the entry `type` holds.
ruleset::Comment comment_in(View user_data, std::uint8_t type);

// Set::notes as nft 1.0.6 writes them for a set of these types, in its order.
ruleset::Bytes plain_notes(const ruleset::Set& set);
// Set::notes out of what the kernel keeps: all but the comment; empty where they are the plain
// ones.
ruleset::Bytes decode_notes(const ruleset::Set& set, View user_data);

// A comment's most bytes, without the NUL (NFTNL_UDATA_COMMENT_MAXLEN).
inline constexpr std::size_t kMaxComment = 127;

}  // namespace rolewall::netlink

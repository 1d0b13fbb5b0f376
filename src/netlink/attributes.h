// Netlink attributes, read and written by hand: every length is checked before it is believed, and
// what nobody asked for is noticed. (libnftnl's parsers skip attributes that they do not know, and
// with them conditions of a rule.)
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rolewall::netlink {

using View = std::span<const std::uint8_t>;

// The type of a message of nfnetlink, by its subsystem (NFNL_SUBSYS_*).
constexpr std::uint16_t nfnetlink_type(int subsystem, int message) {
  return static_cast<std::uint16_t>(subsystem << 8 | message);
}

// Calls `visit` with the type and payload of each attribute, in order. False where the bytes are
// not a whole number of attributes.
template <class Visit>
bool for_each_attribute(View bytes, Visit visit);

// The attributes of one message or nest. The first thing that is wrong is kept as the problem and
// every later read gives zero, so that a decoder reads all that it knows and asks once, at the end.
class Attributes {
 public:
  explicit Attributes(View bytes);

  bool has(std::uint16_t type) const;

  // What is absent or of another size is a problem.
  std::uint8_t u8(std::uint16_t type);
  std::uint16_t be16(std::uint16_t type);
  std::uint32_t be32(std::uint16_t type);
  std::uint64_t be64(std::uint16_t type);
  std::uint32_t host_u32(std::uint16_t type);
  std::string text(std::uint16_t type);  // ends at the first NUL
  View bytes(std::uint16_t type);        // a nest, or binary

  // Absent: `otherwise`.
  std::uint32_t be32_or(std::uint16_t type, std::uint32_t otherwise);
  std::uint64_t be64_or(std::uint16_t type, std::uint64_t otherwise);
  View bytes_or_empty(std::uint16_t type);

  // Known, and of no interest.
  void ignore(std::uint16_t type);

  void problem(std::string reason);
  // REQUIRES: everything known was read. The first problem, or the attribute that nobody read; ""
  // where all is well.
  std::string finish();

 private:
  static constexpr std::size_t kTypes = 32;
  bool take(std::uint16_t type, std::size_t size, View& payload);

  std::array<View, kTypes> payloads_;
  std::uint32_t present_ = 0;
  std::uint32_t read_ = 0;
  std::string problem_;
};

// Appends messages and attributes to a buffer. Attributes and nests are at most 64 KiB, which is
// the caller's to respect.
class Writer {
 public:
  explicit Writer(std::vector<std::uint8_t>& buffer) : buffer_(buffer) {}

  // nlmsghdr and nfgenmsg; returns where the message begins, for end_message().
  std::size_t begin_message(std::uint16_t type, std::uint16_t flags, std::uint8_t family,
                            std::uint16_t resource_id = 0);
  void end_message(std::size_t begin);

  void put(std::uint16_t type, View payload);
  void u8(std::uint16_t type, std::uint8_t value);
  void be16(std::uint16_t type, std::uint16_t value);
  void be32(std::uint16_t type, std::uint32_t value);
  void be64(std::uint16_t type, std::uint64_t value);
  void text(std::uint16_t type, std::string_view value);  // with the NUL that the kernel wants
  std::size_t begin_nest(std::uint16_t type);
  void end_nest(std::size_t begin);

  std::size_t size() const { return buffer_.size(); }

 private:
  void header(std::uint16_t type, std::size_t payload_size);
  std::vector<std::uint8_t>& buffer_;
};

// --- implementation ----------------------------------------------------------------------------

inline std::uint16_t native_u16(const std::uint8_t* at) {
  std::uint16_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}
inline std::uint32_t native_u32(const std::uint8_t* at) {
  std::uint32_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}
inline std::size_t aligned(std::size_t size) {
  return (size + 3) & ~std::size_t{3};
}

template <class Visit>
bool for_each_attribute(View bytes, Visit visit) {
  constexpr std::size_t kHeader = 4;
  constexpr std::uint16_t kTypeMask = 0x3fff;  // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
  while (!bytes.empty()) {
    if (bytes.size() < kHeader) return false;
    const std::size_t length = native_u16(bytes.data());
    if (length < kHeader || length > bytes.size()) return false;
    const auto type = static_cast<std::uint16_t>(native_u16(bytes.data() + 2) & kTypeMask);
    visit(type, bytes.subspan(kHeader, length - kHeader));
    bytes = bytes.subspan(std::min(aligned(length), bytes.size()));
  }
  return true;
}

// The payload of the last attribute of this type; empty where there is none.
inline View find_attribute(View attributes, std::uint16_t wanted) {
  View found;
  for_each_attribute(attributes, [&](std::uint16_t type, View payload) {
    if (type == wanted) found = payload;
  });
  return found;
}

}  // namespace rolewall::netlink

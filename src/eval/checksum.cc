#include "eval/checksum.h"

#include <array>

namespace rolewall::eval {
namespace {

std::uint64_t sum(ByteSpan data, std::uint64_t from = 0) {
  std::size_t i = 0;
  for (; i + 1 < data.size(); i += 2) from += be16(data.data() + i);
  if (i < data.size()) from += static_cast<std::uint64_t>(data[i]) << 8;
  return from;
}

std::uint16_t fold(std::uint64_t total) {
  while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
  return static_cast<std::uint16_t>(~total);
}

// CRC32c (Castagnoli), reflected.
constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

constexpr std::size_t kSctpChecksum = 8;

}  // namespace

std::uint16_t internet_checksum(ByteSpan data) {
  return fold(sum(data));
}

std::uint16_t transport_checksum(ByteSpan source, ByteSpan destination, std::uint8_t protocol,
                                 std::uint32_t length, ByteSpan data) {
  std::uint64_t total = sum(destination, sum(source)) + protocol;
  total += (length >> 16) + (length & 0xffff);
  return fold(sum(data, total));
}

std::uint16_t transport_checksum(ByteSpan source, ByteSpan destination, std::uint8_t protocol,
                                 ByteSpan data) {
  return transport_checksum(source, destination, protocol, static_cast<std::uint32_t>(data.size()),
                            data);
}

std::uint16_t mended_checksum(std::uint16_t old, ByteSpan from, ByteSpan to) {
  // 0xffff is a zero that keeps the sum from being the other one, as the kernel's upper half does.
  const std::uint16_t taken = fold(sum(from));
  return fold(sum(to, std::uint64_t{0xffff} + static_cast<std::uint16_t>(~old) + taken));
}

std::uint32_t sctp_checksum(ByteSpan packet) {
  std::uint32_t crc = 0xffffffff;
  for (std::size_t i = 0; i < packet.size(); ++i) {
    const bool in_field = i >= kSctpChecksum && i < kSctpChecksum + 4;
    const std::uint8_t byte = in_field ? std::uint8_t{0} : packet[i];
    crc = kCrcTable[(crc ^ byte) & 0xff] ^ crc >> 8;
  }
  crc = ~crc;
  return __builtin_bswap32(crc);
}

}  // namespace rolewall::eval

#include "analyze/header_bits.h"

#include <array>
#include <span>

namespace rolewall::analyze {
namespace {

struct HeaderRow {
  std::uint32_t first = 0;  // bit
  std::uint32_t count = 0;
  HeaderBit::Kind kind = HeaderBit::Kind::Derived;
  Part part = Part::Family;
  std::uint32_t value = 0;  // Known
};

constexpr auto kOfPart = HeaderBit::Kind::OfPart;
constexpr auto kKnown = HeaderBit::Kind::Known;
constexpr auto kDerived = HeaderBit::Kind::Derived;

// Version and header length; no fragment; the checksum follows from the rest.
constexpr std::array<HeaderRow, 12> kIpv4Rows{{{0, 8, kKnown, Part::Family, 0x45},
                                               {8, 8, kOfPart, Part::TrafficClass},
                                               {16, 16, kOfPart, Part::Length},
                                               {32, 16, kOfPart, Part::Identification},
                                               {48, 1, kKnown, Part::Family, 0},
                                               {49, 1, kOfPart, Part::DontFragment},
                                               {50, 14, kKnown, Part::Family, 0},
                                               {64, 8, kOfPart, Part::TimeToLive},
                                               {72, 8, kOfPart, Part::Protocol},
                                               {80, 16, kDerived},
                                               {96, 32, kOfPart, Part::Source4},
                                               {128, 32, kOfPart, Part::Destination4}}};
constexpr std::array<HeaderRow, 8> kIpv6Rows{{{0, 4, kKnown, Part::Family, 6},
                                              {4, 8, kOfPart, Part::TrafficClass},
                                              {12, 20, kOfPart, Part::FlowLabel},
                                              {32, 16, kDerived},
                                              {48, 8, kOfPart, Part::Protocol},
                                              {56, 8, kOfPart, Part::TimeToLive},
                                              {64, 128, kOfPart, Part::Source6},
                                              {192, 128, kOfPart, Part::Destination6}}};
constexpr std::array<HeaderRow, 9> kTransportRows{{{0, 16, kOfPart, Part::Transport0},
                                                   {16, 16, kOfPart, Part::Transport2},
                                                   {32, 32, kOfPart, Part::Transport4},
                                                   {64, 32, kOfPart, Part::Transport8},
                                                   {96, 8, kOfPart, Part::Transport12},
                                                   {104, 8, kOfPart, Part::Flags},
                                                   {112, 16, kOfPart, Part::Transport14},
                                                   {128, 16, kOfPart, Part::Transport16},
                                                   {144, 16, kOfPart, Part::Transport18}}};

HeaderBit find_bit(std::span<const HeaderRow> rows, std::uint32_t bit) {
  for (const HeaderRow& row : rows) {
    if (bit < row.first || bit >= row.first + row.count) continue;
    const std::uint32_t index = bit - row.first;
    const bool is_set = row.kind == kKnown && (row.value >> (row.count - 1 - index) & 1) != 0;
    return {row.kind, row.part, index, is_set};
  }
  return {};
}

}  // namespace

HeaderBit header_bit(bool ipv6, std::uint32_t bit) {
  const std::uint32_t transport = ip_header_size(ipv6) * 8;
  if (bit >= transport) return find_bit(kTransportRows, bit - transport);
  return ipv6 ? find_bit(kIpv6Rows, bit) : find_bit(kIpv4Rows, bit);
}

}  // namespace rolewall::analyze

#include "eval/jhash.h"

#include <bit>

namespace rolewall::eval {
namespace {

struct Lanes {
  std::uint32_t a, b, c;

  void mix() {
    a -= c, a ^= std::rotl(c, 4), c += b;
    b -= a, b ^= std::rotl(a, 6), a += c;
    c -= b, c ^= std::rotl(b, 8), b += a;
    a -= c, a ^= std::rotl(c, 16), c += b;
    b -= a, b ^= std::rotl(a, 19), a += c;
    c -= b, c ^= std::rotl(b, 4), b += a;
  }
  void finish() {
    c ^= b, c -= std::rotl(b, 14);
    a ^= c, a -= std::rotl(c, 11);
    b ^= a, b -= std::rotl(a, 25);
    c ^= b, c -= std::rotl(b, 16);
    a ^= c, a -= std::rotl(c, 4);
    b ^= a, b -= std::rotl(a, 14);
    c ^= b, c -= std::rotl(b, 24);
  }
};

// Up to four bytes, little-endian, what is missing zero.
std::uint32_t word_at(ByteSpan key, std::size_t at) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 4 && at + i < key.size(); ++i) {
    word |= std::uint32_t{key[at + i]} << (8 * i);
  }
  return word;
}

}  // namespace

std::uint32_t jhash(ByteSpan key, std::uint32_t seed) {
  constexpr std::uint32_t kInitial = 0xdeadbeef;
  constexpr std::size_t kBlock = 12;
  const std::uint32_t start = kInitial + static_cast<std::uint32_t>(key.size()) + seed;
  Lanes lanes{start, start, start};
  const auto add = [&lanes](ByteSpan block) {
    lanes.a += word_at(block, 0);
    lanes.b += word_at(block, 4);
    lanes.c += word_at(block, 8);
  };
  for (; key.size() > kBlock; key = key.subspan(kBlock)) {
    add(key.first(kBlock));
    lanes.mix();
  }
  if (key.empty()) return lanes.c;
  add(key);
  lanes.finish();
  return lanes.c;
}

std::uint32_t reciprocal_scale(std::uint32_t number, std::uint32_t end) {
  return static_cast<std::uint32_t>(std::uint64_t{number} * end >> 32);
}

}  // namespace rolewall::eval

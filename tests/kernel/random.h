// Numbers that depend on a seed alone: the same on every machine and library.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace rolewall::kernel_judge {

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::uint8_t byte() { return static_cast<std::uint8_t>(next()); }
  std::uint16_t word() { return static_cast<std::uint16_t>(next()); }
  // REQUIRES: limit is not 0.
  std::uint32_t below(std::uint64_t limit) { return static_cast<std::uint32_t>(next() % limit); }
  bool percent(unsigned chance) { return below(100) < chance; }

  template <class T>
  const T& of(const std::vector<T>& values) {
    return values[below(values.size())];
  }
  template <class T>
  T of(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }
  // The index that `weights` chose.
  unsigned weighted(std::initializer_list<unsigned> weights) {
    unsigned sum = 0;
    for (const unsigned weight : weights) sum += weight;
    std::uint32_t at = below(sum);
    unsigned index = 0;
    for (const unsigned weight : weights) {
      if (at < weight) return index;
      at -= weight;
      ++index;
    }
    return 0;
  }

 private:
  std::uint64_t state_;
};

// A rule's verdict in nft's words. `weights`: of accept, drop, continue, return, and of what `jump`
// says, which is asked for that alone.
template <class Jump>
std::string random_verdict(Random& random, std::initializer_list<unsigned> weights, Jump jump) {
  switch (random.weighted(weights)) {
    case 0:
      return "accept";
    case 1:
      return "drop";
    case 2:
      return "continue";
    case 3:
      return "return";
    default:
      return jump();
  }
}

}  // namespace rolewall::kernel_judge

// Which ports of a translation were found taken: a search among 65,000 of them, each asked of the
// table of flows, would cost more with every flow. A port that stands here was taken when it was
// asked for, and no flow that could have taken it has been removed since; one that does not is to
// be asked for. A flow whose time is over is removed within a second of the clock
// (Flows::collect()), and counts as there until then.
#pragma once

#include <cstdint>
#include <vector>

namespace rolewall::eval {

class TakenPorts {
 public:
  bool has(std::uint32_t port) const { return (words_[port / kBits] >> port % kBits & 1) != 0; }
  void add(std::uint32_t port);
  void remove(std::uint32_t port);
  bool empty() const { return count_ == 0; }
  // The first that is not here, from `from` on; `end` where all are. REQUIRES: end <= 65536.
  std::uint32_t first_other(std::uint32_t from, std::uint32_t end) const;

 private:
  static constexpr std::uint32_t kBits = 64;
  std::vector<std::uint64_t> words_ = std::vector<std::uint64_t>(65536 / kBits);
  std::uint32_t count_ = 0;
};

}  // namespace rolewall::eval

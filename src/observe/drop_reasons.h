// Why the kernel has dropped packets, in its own words (NETFILTER_DROP, IP_RPFILTER, NO_SOCKET):
// the trace point skb:kfree_skb, read through perf_event_open(2), which leaves nothing behind. It
// tells of all packets of the machine, in every network namespace, and not which packet it was:
// only when, and of which protocol of the link.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace rolewall::observe {

// Where in a record what stands, and what the numbers mean: from the trace point's `format` file.
struct DropFormat {
  std::uint64_t id = 0;
  std::size_t protocol_at = 0;  // two bytes
  std::size_t reason_at = 0;    // four
  std::map<std::uint32_t, std::string> names;
};
// Absent where it lacks a reason, as before kernel 5.17.
std::optional<DropFormat> parse_drop_format(std::string_view text);

struct DropReason {
  std::uint64_t monotonic_ns = 0;
  std::uint16_t ether_type = 0;
  std::string name;
};

class DropReasons {
 public:
  // An error says why they cannot be had: no tracefs is mounted, or it may not be read.
  static Result<DropReasons> open();
  ~DropReasons();
  DropReasons(DropReasons&& other) noexcept;
  DropReasons(const DropReasons&) = delete;
  DropReasons& operator=(const DropReasons&) = delete;
  DropReasons& operator=(DropReasons&&) = delete;

  // Those that have come since. Does not wait.
  std::vector<DropReason> read();

 private:
  struct Ring {
    int descriptor = -1;
    void* memory = nullptr;
  };
  explicit DropReasons(DropFormat format) : format_(std::move(format)) {}
  void read(const Ring& ring, std::vector<DropReason>& into) const;

  DropFormat format_;
  std::vector<Ring> rings_;  // of each processor
};

}  // namespace rolewall::observe

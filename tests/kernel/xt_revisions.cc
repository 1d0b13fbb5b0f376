// Structs by the kernel's include/uapi/linux/netfilter. A step leads from one revision to the one
// before it; where that has no room for what is asked, there is none.
#include "xt_revisions.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "ruleset/expr.h"
#include "xt_older_forms.h"

namespace rolewall::kernel_judge {
namespace {

using ruleset::Bytes;
using Lowered = std::optional<Bytes>;

template <class Number>
Number read_at(const Bytes& info, std::size_t at) {
  Number number{};
  std::memcpy(&number, info.data() + at, sizeof number);
  return number;
}

// Padded to 8 bytes (XT_ALIGN).
Bytes resized(Bytes info, std::size_t size) {
  info.resize((size + 7) / 8 * 8);
  std::fill(info.begin() + static_cast<std::ptrdiff_t>(size), info.end(), 0);
  return info;
}
void copy_to(Bytes& to, std::size_t at, const Bytes& from, std::size_t begin, std::size_t size) {
  std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(begin), size,
              to.begin() + static_cast<std::ptrdiff_t>(at));
}

Lowered same(const Bytes& info) {
  return info;
}

// --- conntrack: ranges of ports become one in the network's order; states in one byte ---

Lowered conntrack_2(const Bytes& info) {
  constexpr std::uint16_t kPorts = 0xf00;
  Bytes lower = resized(info, 156);
  std::fill(lower.begin() + 154, lower.end(), 0);
  if ((read_at<std::uint16_t>(info, 146) & kPorts) == 0) return lower;
  for (std::size_t port = 0; port < 4; ++port) {
    const auto first = read_at<std::uint16_t>(info, 138 + 2 * port);
    if (first != read_at<std::uint16_t>(info, 154 + 2 * port)) return std::nullopt;
    std::swap(lower[138 + 2 * port], lower[139 + 2 * port]);
  }
  return lower;
}
Lowered conntrack_1(const Bytes& info) {
  if (info[151] != 0 || info[153] != 0) return std::nullopt;
  Bytes lower = resized(info, 152);
  lower[151] = info[152];
  return lower;
}

// --- set: what is asked of counters; then how sides are named ---

Lowered set_3(const Bytes& info) {
  Bytes lower(48);
  copy_to(lower, 0, info, 0, 4);
  for (const std::size_t at : {8U, 24U}) {
    copy_to(lower, at, info, at + 8, 1);
    copy_to(lower, at + 8, info, at, 8);
  }
  copy_to(lower, 40, info, 40, 4);
  return lower;
}
Lowered set_2(const Bytes& info) {
  constexpr std::uint32_t kReturnsNomatch = 128;
  const auto flags = read_at<std::uint32_t>(info, 40);
  if (info[8] != 0 || info[24] != 0 || (flags & ~kReturnsNomatch) != 0) return std::nullopt;
  Bytes lower(8);
  copy_to(lower, 0, info, 0, 4);
  if (flags != 0) lower[3] |= 0x80;
  return lower;
}
// struct xt_set_info as struct xt_set_info_v0
void set_sides_0(Bytes& to, std::size_t at, const Bytes& info, std::size_t from) {
  copy_to(to, at, info, from, 2);
  for (unsigned i = 1; i <= info[from + 2]; ++i) {
    to[at + 4 * i] = (info[from + 3] >> i & 1) != 0 ? 1 : 2;
  }
  if ((info[from + 3] & 1) != 0) to[at + 4] |= 4;
}
Lowered set_0(const Bytes& info) {
  if ((info[3] & 0x80) != 0 || info[2] > 5) return std::nullopt;
  Bytes lower(32);
  set_sides_0(lower, 0, info, 0);
  return lower;
}

Lowered socket_2(const Bytes& info) {
  if ((info[0] & 4) != 0) return std::nullopt;
  return info;
}
Lowered socket_1(const Bytes& info) {
  if ((info[0] & 2) != 0) return std::nullopt;
  return info;
}
Lowered socket_0(const Bytes& info) {
  if (info[0] != 0) return std::nullopt;
  return Bytes();
}

Lowered recent_0(const Bytes& info) {
  if (std::any_of(info.begin() + 212, info.begin() + 228, [](auto byte) { return byte != 0xff; })) {
    return std::nullopt;
  }
  return resized(info, 212);
}

// --- hashlimit: a time between, then short names and coarser numbers ---

Lowered hashlimit_2(const Bytes& info) {
  constexpr std::uint32_t kRate = 64;
  if ((read_at<std::uint32_t>(info, 272) & kRate) != 0) return std::nullopt;
  Bytes lower = resized(info, 304);
  std::fill(lower.begin() + 292, lower.end(), 0);
  copy_to(lower, 292, info, 296, 2);
  return lower;
}
Lowered hashlimit_1(const Bytes& info) {
  constexpr std::uint32_t kBytes = 32;
  constexpr std::uint64_t kCoarser = 100;
  const auto average = read_at<std::uint64_t>(info, 256);
  const auto burst = read_at<std::uint64_t>(info, 264);
  const bool by_bytes = (read_at<std::uint32_t>(info, 272) & kBytes) != 0;
  if (info[15] != 0 || by_bytes || average % kCoarser != 0 ||
      average / kCoarser * burst > 0x7fffffff) {
    return std::nullopt;
  }
  Bytes lower(56);
  copy_to(lower, 0, info, 0, 16);
  copy_to(lower, 16, info, 272, 4);
  const std::array<std::uint32_t, 2> numbers{static_cast<std::uint32_t>(average / kCoarser),
                                             static_cast<std::uint32_t>(burst)};
  std::memcpy(lower.data() + 20, numbers.data(), sizeof numbers);
  copy_to(lower, 28, info, 276, 16);
  copy_to(lower, 44, info, 292, 2);
  return lower;
}

// --- cgroup: a path in a room of its own; then the class alone ---

Lowered cgroup_1(const Bytes& info) {
  constexpr std::size_t kPath = 4096;
  Bytes lower = resized(Bytes(info.begin(), info.begin() + 4), 4112);
  if (info[0] != 0) {
    copy_to(lower, 4, info, 4, 512);
  } else {
    copy_to(lower, 4 + kPath, info, 4, 4);
  }
  return lower;
}
Lowered cgroup_0(const Bytes& info) {
  if (info[0] != 0) return std::nullopt;
  Bytes lower(8);
  copy_to(lower, 0, info, 4100, 4);
  lower[4] = info[3];
  return lower;
}

Lowered addrtype_0(const Bytes& info) {
  const auto flags = read_at<std::uint32_t>(info, 4);
  if ((flags & ~3U) != 0) return std::nullopt;
  Bytes lower(16);
  copy_to(lower, 0, info, 0, 4);
  lower[4] = flags & 1;
  lower[8] = flags >> 1 & 1;
  return lower;
}

// --- targets ---

Lowered connmark_1(const Bytes& info) {
  if (info[13] != 0) return std::nullopt;
  Bytes lower = info;
  lower[12] = info[14];
  lower[13] = lower[14] = lower[15] = 0;
  return lower;
}
Lowered ct_0(const Bytes& info) {
  if (info[28] != 0) return std::nullopt;
  Bytes lower = resized(info, 40);
  std::fill(lower.begin() + 28, lower.end(), 0);
  return lower;
}
Lowered ct_1(const Bytes& info) {
  // Zones by mark or direction, and the other name, came with the second.
  if ((info[0] & ~1) != 0) return std::nullopt;
  return info;
}
Lowered queue_2(const Bytes& info) {
  if ((info[4] & ~1) != 0) return std::nullopt;
  return info;
}
Lowered queue_1(const Bytes& info) {
  if (info[4] != 0) return std::nullopt;
  return resized(info, 4);
}
Lowered queue_0(const Bytes& info) {
  if (read_at<std::uint16_t>(info, 2) > 1) return std::nullopt;
  return resized(info, 2);
}
// struct nf_nat_range2, nf_nat_range, nf_nat_ipv4_multi_range_compat
Lowered nat_1(const Bytes& info) {
  constexpr std::uint32_t kFromBase = 32;
  if ((read_at<std::uint32_t>(info, 0) & kFromBase) != 0) return std::nullopt;
  return resized(info, 40);
}
Lowered nat_0(const Bytes& info) {
  Bytes lower(24);
  lower[0] = 1;
  copy_to(lower, 4, info, 0, 4);
  copy_to(lower, 8, info, 4, 4);
  copy_to(lower, 12, info, 20, 4);
  copy_to(lower, 16, info, 36, 4);
  return lower;
}
Lowered set_target_2(const Bytes& info) {
  if (read_at<std::uint16_t>(info, 8) != 0xffff) return std::nullopt;
  Bytes lower(16);
  copy_to(lower, 0, info, 0, 8);
  copy_to(lower, 8, info, 12, 8);
  return lower;
}
Lowered set_target_1(const Bytes& info) {
  if (read_at<std::uint32_t>(info, 8) != 0 || read_at<std::uint32_t>(info, 12) != 0xffffffff) {
    return std::nullopt;
  }
  return resized(info, 8);
}
Lowered set_target_0(const Bytes& info) {
  if (info[2] > 5 || info[6] > 5) return std::nullopt;
  Bytes lower(64);
  set_sides_0(lower, 0, info, 0);
  set_sides_0(lower, 32, info, 4);
  return lower;
}
Lowered idletimer_0(const Bytes& info) {
  if (info[32] != 0 || info[33] != 0) return std::nullopt;
  return resized(info, 40);
}
Lowered tproxy_0(const Bytes& info) {
  Bytes lower(16);
  copy_to(lower, 0, info, 0, 12);
  copy_to(lower, 12, info, 24, 2);
  return lower;
}

struct StepDown {
  std::string_view name;
  std::uint32_t from;
  std::uint32_t to;
  bool ipv4_alone;
  Lowered (*lower)(const Bytes&);
};
constexpr std::array kMatchSteps{
    StepDown{"addrtype", 1, 0, true, addrtype_0},
    StepDown{"cgroup", 2, 1, false, cgroup_1},
    StepDown{"cgroup", 1, 0, false, cgroup_0},
    StepDown{"conntrack", 3, 2, false, conntrack_2},
    StepDown{"conntrack", 2, 1, false, conntrack_1},
    StepDown{"hashlimit", 3, 2, false, hashlimit_2},
    StepDown{"hashlimit", 2, 1, false, hashlimit_1},
    StepDown{"recent", 1, 0, false, recent_0},
    StepDown{"set", 4, 3, false, set_3},
    StepDown{"set", 3, 2, false, set_2},
    StepDown{"set", 2, 1, false, same},
    StepDown{"set", 1, 0, true, set_0},
    StepDown{"socket", 3, 2, false, socket_2},
    StepDown{"socket", 2, 1, false, socket_1},
    StepDown{"socket", 1, 0, true, socket_0},
};
constexpr std::array kTargetSteps{
    StepDown{"CONNMARK", 2, 1, false, connmark_1},
    StepDown{"CT", 2, 1, false, ct_1},
    StepDown{"CT", 1, 0, false, ct_0},
    StepDown{"DNAT", 2, 1, false, nat_1},
    StepDown{"DNAT", 1, 0, true, nat_0},
    StepDown{"IDLETIMER", 1, 0, false, idletimer_0},
    StepDown{"NFQUEUE", 3, 2, false, queue_2},
    StepDown{"NFQUEUE", 2, 1, false, queue_1},
    StepDown{"NFQUEUE", 1, 0, false, queue_0},
    StepDown{"SET", 3, 2, false, set_target_2},
    StepDown{"SET", 2, 1, false, set_target_1},
    StepDown{"SET", 1, 0, true, set_target_0},
    StepDown{"SNAT", 2, 1, false, nat_1},
    StepDown{"SNAT", 1, 0, true, nat_0},
    StepDown{"TPROXY", 1, 0, true, tproxy_0},
};

template <class Xt>
void lower_one(Xt& xt, std::span<const StepDown> steps, bool ipv4, Random& random) {
  for (const StepDown& step : steps) {
    if (step.name != xt.name || step.from != xt.revision || (step.ipv4_alone && !ipv4)) continue;
    constexpr unsigned kGoesOn = 70;
    if (!random.percent(kGoesOn)) return;
    const Lowered lower = step.lower(xt.info);
    if (!lower) return;
    xt.revision = step.to;
    xt.info = *lower;
  }
}

}  // namespace

void lower_revisions(ruleset::Ruleset& ruleset, Random& random) {
  for (ruleset::Table& table : ruleset.tables) {
    const bool ipv4 = table.family == ruleset::Family::Ip;
    for (ruleset::Chain& chain : table.chains) {
      for (ruleset::Rule& rule : chain.rules) {
        if (random.percent(50)) use_matches(rule, random);
        for (ruleset::Expr& expr : rule.exprs) {
          if (auto* match = std::get_if<ruleset::XtMatch>(&expr)) {
            lower_one(*match, kMatchSteps, ipv4, random);
          } else if (auto* target = std::get_if<ruleset::XtTarget>(&expr)) {
            lower_one(*target, kTargetSteps, ipv4, random);
          }
        }
      }
    }
  }
}

}  // namespace rolewall::kernel_judge

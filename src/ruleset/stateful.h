// Expressions that remember: their state belongs to the run or to the kernel; what is here is how
// they begin.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ruleset/value.h"

namespace rolewall::ruleset {

struct Counter {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  bool operator==(const Counter&) const = default;
};

enum class LimitUnit : std::uint8_t { Packets, Bytes };

// A token bucket (net/netfilter/nft_limit.c): breaks where there is no token left; `over` inverts.
struct Limit {
  LimitUnit unit = LimitUnit::Packets;
  std::uint64_t rate = 0;         // units per `per_seconds`
  std::uint64_t per_seconds = 1;  // 1, 60, 3600, 86400, 604800
  std::uint32_t burst = 0;
  bool over = false;
  bool operator==(const Limit&) const = default;
};

// Breaks while the connections counted are more than `count` (no more than it, if `over`).
struct Connlimit {
  std::uint32_t count = 0;
  bool over = false;
  bool operator==(const Connlimit&) const = default;
};

struct Quota {
  std::uint64_t bytes = 0;
  std::uint64_t consumed = 0;
  bool over = false;
  bool operator==(const Quota&) const = default;
};

struct Last {
  std::uint64_t ms_ago = 0;
  bool set = false;
  bool operator==(const Last&) const = default;
};

// What a set's element can hold and run on each hit.
using StatefulExpr = std::variant<Counter, Limit, Connlimit, Quota, Last>;

enum class DynsetOp : std::uint8_t { Add, Update, Delete };

// Adds the key in `key` to a set from the packet path and runs the element's expressions. Breaks
// where the set is full or an element's expression breaks (net/netfilter/nft_dynset.c).
struct Dynset {
  DynsetOp op = DynsetOp::Add;
  std::string set;
  Register key = 0;
  std::optional<Register> data;
  std::uint64_t timeout_ms = 0;  // 0: the set's own
  bool inverted = false;
  std::vector<StatefulExpr> exprs;
  bool operator==(const Dynset&) const = default;
};

}  // namespace rolewall::ruleset

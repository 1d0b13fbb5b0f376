#include "compile/per_source.h"

#include <algorithm>
#include <array>
#include <utility>

#include "ruleset/expr.h"

namespace rolewall::compile {
namespace {

using namespace ruleset;

constexpr std::uint64_t kMinimumMemoryMs = 10'000;

void mask_to_64(match::Exprs& exprs) {
  std::array<std::uint8_t, 16> mask{};
  std::fill_n(mask.begin(), 8, std::uint8_t{0xff});
  exprs.push_back(BitwiseMask{0, 0, 16, Value(mask), Value(std::array<std::uint8_t, 16>{})});
}

void add_set(TableBuilder& table, const std::string& name, bool v4, std::uint64_t timeout_ms) {
  if (table.has_set(name)) return;
  Set set = make_set(name, {v4 ? kIpv4Key : kIpv6Key});
  set.dynamic = true;
  set.size = kMaxSources;
  set.has_timeout = timeout_ms > 0;
  set.timeout_ms = timeout_ms;
  table.add_set(std::move(set));
}

}  // namespace

std::uint64_t memory_ms(const policy::Rate& rate) {
  const std::uint64_t refill_ms = rate.burst * rate.per_seconds * 1000 / rate.count + 1000;
  return std::max(kMinimumMemoryMs, refill_ms / 1000 * 1000 + 1000);
}

void per_source(TableBuilder& table, match::Exprs& exprs, match::IpVersion version,
                const std::string& set, DynsetOp op, const StatefulExpr& state,
                std::uint64_t timeout_ms) {
  const bool v4 = version == match::IpVersion::V4;
  match::nfproto(exprs, version);
  match::load_address(exprs, match::Side::Source, version);
  if (!v4) mask_to_64(exprs);
  Dynset dynset;
  dynset.op = op;
  dynset.set = set;
  dynset.exprs = {state};
  exprs.push_back(std::move(dynset));
  add_set(table, set, v4, timeout_ms);
}

}  // namespace rolewall::compile

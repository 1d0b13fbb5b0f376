// The reader of captures on any file, and the evaluator on what it finds there: no crash, and every
// packet is as long as it says.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "eval/capture.h"
#include "eval/eval.h"
#include "ruleset/expr.h"

namespace {

using namespace rolewall;  // NOLINT(google-build-using-namespace)

// Reads the state of every packet, so that connections are followed.
ruleset::Ruleset tracking_ruleset() {
  ruleset::Rule rule;
  rule.exprs = {ruleset::Ct{ruleset::CtKey::State, std::nullopt, 0},
                ruleset::Cmp{ruleset::CmpOp::Eq, 0, ruleset::Value::host_u32(2)},
                ruleset::ImmediateVerdict{{ruleset::VerdictCode::Accept, {}, 0}}};
  ruleset::Chain chain;
  chain.name = "in";
  chain.base = ruleset::BaseChain{
      ruleset::ChainType::Filter, ruleset::Hook::Input, 0, ruleset::VerdictCode::Accept, {}};
  chain.rules = {rule};
  ruleset::Table table;
  table.family = ruleset::Family::Inet;
  table.name = "fuzz";
  table.chains = {chain};
  return {{table}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ruleset::Ruleset ruleset = tracking_ruleset();
  static const ruleset::Host host;
  if (size == 0) return 0;
  std::FILE* file = ::fmemopen(const_cast<std::uint8_t*>(data), size, "rb");
  if (file == nullptr) return 0;
  auto capture = eval::Capture::open(file);
  if (!capture) return 0;
  eval::Evaluator evaluator(ruleset, host);
  eval::CapturedPacket captured;
  while (true) {
    const auto more = capture->next(captured);
    if (!more || !*more) return 0;
    if (captured.packet.missing > captured.packet.bytes.size()) std::abort();
    if (!captured.other.empty()) continue;
    captured.packet.in_device = "eth0";
    (void)evaluator.arrive(captured.packet, {.keep_state = true, .now_ns = captured.time_ns});
  }
}

// Captures from elsewhere, each as one conversation through a small ruleset: none may crash the
// reader or the evaluator, and nearly all must be read to their end. Skipped where the folder is
// absent.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "eval/capture.h"
#include "eval/eval.h"
#include "ruleset/expr.h"

namespace {

using namespace rolewall;  // NOLINT(google-build-using-namespace)

constexpr int kSkipped = 77;
constexpr std::size_t kMostRefused = 1;  // per cent: what libpcap itself cannot read

ruleset::Chain chain(ruleset::ChainType type, ruleset::Hook hook, std::int32_t priority,
                     std::vector<ruleset::Expr> exprs) {
  ruleset::Rule rule;
  rule.exprs = std::move(exprs);
  ruleset::Chain chain;
  chain.name = "c" + std::to_string(priority);
  chain.base = ruleset::BaseChain{type, hook, priority, ruleset::VerdictCode::Accept, {}};
  chain.rules = {std::move(rule)};
  return chain;
}

// Reads states and ports, and translates sources.
ruleset::Ruleset small_ruleset() {
  using namespace ruleset;
  Table table;
  table.family = Family::Inet;
  table.name = "captures";
  table.chains = {
      chain(ChainType::Filter, Hook::Prerouting, 0,
            {Ct{CtKey::State, std::nullopt, 0},
             Cmp{CmpOp::Eq, 0, Value::host_u32(ct_state::kInvalid)},
             Payload{PayloadBase::Transport, 2, 2, 0}, Cmp{CmpOp::Neq, 0, Value::be16(443)},
             ImmediateVerdict{{VerdictCode::Drop, {}, 0}}}),
      chain(ChainType::Nat, Hook::Postrouting, 100, {Masquerade{}})};
  return {{std::move(table)}};
}

struct Counts {
  std::size_t files = 0;
  std::size_t refused = 0;
  std::uint64_t packets = 0;
  std::uint64_t undecided = 0;
};

void read(const std::string& path, const ruleset::Ruleset& ruleset, const ruleset::Host& host,
          Counts& counts) {
  ++counts.files;
  const auto refuse = [&](const Error& error) {
    ++counts.refused;
    fmt::print("{}: {}\n", path, error.message);
  };
  auto capture = eval::Capture::open(path);
  if (!capture) return refuse(capture.error());
  eval::Evaluator evaluator(ruleset, host);
  eval::CapturedPacket captured;
  while (true) {
    const auto more = capture->next(captured);
    if (!more) return refuse(more.error());
    if (!*more) return;
    if (!captured.other.empty()) continue;
    captured.packet.in_device = "eth0";
    const auto journey = evaluator.arrive(
        captured.packet, {.steps = false, .keep_state = true, .now_ns = captured.time_ns});
    ++counts.packets;
    if (journey.fate() == eval::Fate::Undecided) ++counts.undecided;
  }
}

}  // namespace

int main(int count, char** words) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(count > 1 ? words[1] : ".") / "pcap";
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    fmt::print("skipped: no folder {}\n", folder.string());
    return kSkipped;
  }
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool is_capture = name.find("cap") != std::string::npos;
    if (entry.is_regular_file() && is_capture) files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  const ruleset::Ruleset ruleset = small_ruleset();
  ruleset::Host host;
  host.forwards_ipv4 = true;
  host.addresses = {*net::parse_prefix("192.0.2.1")};
  host.routes = {{{.to = *net::parse_prefix("0.0.0.0/0"), .device = "eth1", .gateway = {}}}};
  Counts counts;
  for (const std::string& file : files) read(file, ruleset, host, counts);
  fmt::print("{} captures, {} of them not to their end, {} packets, {} undecided\n", counts.files,
             counts.refused, counts.packets, counts.undecided);
  return counts.refused * 100 <= counts.files * kMostRefused ? 0 : 1;
}

// Our own table among other programs', and which chains do to a packet what other chains see.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "eval/program.h"

namespace rolewall::eval {

// What of a packet's connection the rules of a table ask for.
enum class TrackingRead : std::uint8_t { Nothing, State, Everything };

class OtherTables {
 public:
  // Holds a reference: it must outlive this.
  explicit OtherTables(const Program& program);

  bool is_ours(std::uint32_t table) const { return ours_[table]; }

  // Whether the chain, or one that it leads to, may do more than give a verdict: translate a
  // packet, leave it untracked, mark it, send it elsewhere (ruleset::is_seen_elsewhere()).
  bool interferes(std::uint32_t table, std::uint32_t chain);

  TrackingRead reads_of_tracking(std::uint32_t table);

  // The tables with a base chain that does.
  std::vector<std::uint32_t> interfering();

 private:
  const Program& program_;
  std::vector<bool> ours_;
  std::vector<std::vector<std::optional<bool>>> interferes_;  // each looked at when first asked
  std::vector<std::optional<TrackingRead>> reads_;            // likewise
};

}  // namespace rolewall::eval

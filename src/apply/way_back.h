// Where it goes back to from here: one answer for `status`, which names the command, for `apply`,
// for `rollback` itself, and for what nobody confirmed in time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apply/events.h"
#include "apply/pending.h"

namespace rolewall::apply {

struct WayBack {
  bool is_there = false;
  std::optional<std::uint32_t> to{};  // absent: no table
  // Why a rollback has to be told the number, of this one or of one that somebody chooses: what it
  // would go to otherwise is damaged, or cannot be known. "": `rolewall rollback` alone goes there.
  std::string why_named{};

  // "rollback", "rollback --to 3". REQUIRES: is_there.
  std::string command() const;
};

// `current`: what is in force. `pending`: what of it waits; then what was confirmed last, which may
// be damaged, comes before all else.
WayBack way_back(const std::string& directory, std::optional<std::uint32_t> current,
                 const std::optional<Pending>& pending);
// The same where the history was read already.
WayBack way_back(const std::string& directory, std::optional<std::uint32_t> current,
                 const std::optional<Pending>& pending, const Result<Events>& events);

// What of the history is lost, where generations are kept that its events say nothing of, or cannot
// be read: in one sentence, or "".
std::string history_problem(const std::string& directory, const Result<Events>& events);

}  // namespace rolewall::apply

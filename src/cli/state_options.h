// Where a verb that touches the server keeps what it applied.
#pragma once

#include <string>
#include <string_view>

#include "apply/apply.h"
#include "cli/program.h"
#include "cli/render.h"

namespace rolewall::cli {

// What audit mode means, for whoever must know it first.
inline constexpr std::string_view kAudits =
    "the defaults deny nothing: what they would deny is logged and passes";

inline void add_state_option(Verb& verb, std::string& directory) {
  verb.add_option("--state-dir", directory, "where the record of what was applied is kept")
      .type_name("DIR")
      .show_default();
}

inline void add_read_all_option(Verb& verb, bool& read_all) {
  verb.add_flag(
      "--read-all", read_all,
      "read all elements from the kernel, even of large sets, instead of trusting the record");
}
inline apply::Reading reading(bool read_all) {
  return read_all ? apply::Reading::Everything : apply::Reading::WhatMayDiffer;
}

// How each verb begins that changes something: what was not confirmed in time and is in force
// still, since the process that should have rolled it back is dead, is rolled back now, and that is
// said.
inline void carry_out_overdue(const std::string& state_directory) {
  const auto done = apply::rollback_expired(state_directory);
  if (done && *done) render_notes({apply::in_words(**done)});
}

}  // namespace rolewall::cli

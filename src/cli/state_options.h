// Where a verb that touches the server keeps what it applied.
#pragma once

#include <string>

#include "apply/apply.h"
#include "cli/program.h"

namespace rolewall::cli {

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

}  // namespace rolewall::cli

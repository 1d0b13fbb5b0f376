// Where a verb that touches the server keeps what it applied.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "apply/apply.h"

namespace rolewall::cli {

inline void add_state_option(CLI::App& verb, std::string& directory) {
  verb.add_option("--state-dir", directory, "what was applied is kept there")
      ->type_name("DIR")
      ->capture_default_str();
}

}  // namespace rolewall::cli

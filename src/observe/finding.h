// What `status` noticed beside drift. It changes no exit status: the ruleset is what was applied.
#pragma once

#include <cstdint>
#include <string>

namespace rolewall::observe {

// Warning: something passes, or is lost, otherwise than the policy says. Note: worth knowing.
enum class Weight : std::uint8_t { Note, Warning };

struct Finding {
  Weight weight = Weight::Note;
  std::string code;  // stable: "published-port"
  std::string what;
  std::string hint;  // what to do, or what follows; "" where nothing does
  bool operator==(const Finding&) const = default;
};

}  // namespace rolewall::observe

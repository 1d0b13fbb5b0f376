// Whether the evaluator and the kernel say the same of a packet: hook by hook the fate, the rule
// that decided, and every rule that ran to its end on the way.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "eval/eval.h"
#include "ruleset/ruleset.h"
#include "sandbox/observation.h"

namespace rolewall::kernel_judge {

// Reads both answers in the terms of the compiled ruleset. Holds a reference: it must outlive this.
class Comparison {
 public:
  // `live` is what the kernel made of `compiled`: an error where its chains or rules are not the
  // same.
  static Result<Comparison> of(const ruleset::Ruleset& compiled, const ruleset::Ruleset& live);

  // "" where they agree, else what differs first.
  std::string difference(const eval::Journey& journey, const sandbox::Observation& seen) const;

  // Every hook with its path, a line each.
  std::string describe(const eval::Journey& journey) const;
  std::string describe(const sandbox::Observation& seen) const;

  // How many of the rules have run to their end in what was seen so far, and which have not.
  void remember(const sandbox::Observation& seen);
  std::size_t rules_run() const { return run_.size(); }
  std::size_t rules() const;
  std::vector<std::string> rules_not_run() const;

 private:
  explicit Comparison(const ruleset::Ruleset& compiled) : compiled_(&compiled) {}

  struct Place {
    std::uint32_t table = 0;
    std::uint32_t chain = 0;
    std::uint32_t rule = 0;
    auto operator<=>(const Place&) const = default;
  };
  Place place(const sandbox::Step& step) const;
  bool is_dropped_by_match(const eval::HookResult& ours,
                           const sandbox::HookObservation& theirs) const;
  std::string path_difference(const eval::HookResult& ours, const sandbox::HookObservation& theirs,
                              std::string_view hook) const;
  bool is_order_open(ruleset::Hook hook) const;
  std::string name(const Place& place) const;

  const ruleset::Ruleset* compiled_;
  std::vector<std::uint32_t> tables_;               // from the live ruleset's index
  std::vector<std::vector<std::uint32_t>> chains_;  // likewise, by live table
  std::set<Place> run_;
};

}  // namespace rolewall::kernel_judge

// One ruleset on trial: loaded into the kernel, from nft's text or by our own netlink, read back
// from there, and asked about packets on both sides.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "compare.h"
#include "eval/eval.h"
#include "generator.h"
#include "iptables_text.h"
#include "random.h"
#include "ruleset_text.h"
#include "sandbox/judge.h"

namespace rolewall::kernel_judge {

struct Answers {
  eval::Journey journey;
  sandbox::Observation seen;
  std::string difference;  // "" where they agree
  // The kernel's way is none of those that the evaluator lists, which are not all: not compared.
  bool unlisted = false;
};

// An answer that says it is not certain for what came before (eval's doubts.h): it is not compared.
constexpr std::string_view kEarlierPacket = "an earlier packet, of which not all is known";
bool is_in_doubt(const eval::Journey& journey);

class Trial {
 public:
  // REQUIRES: called inside sandbox::run(), after set_up_host(host); one trial at a time. An error
  // of kind Usage where nft or the kernel refuses the text.
  // With Memory::Kept packets are one conversation, until forget().
  using Memory = sandbox::Judge::Memory;
  static Result<std::unique_ptr<Trial>> open(const RulesetText& text, const ruleset::Host& host,
                                             Memory memory = Memory::None);
  // The same of rules that iptables-restore loads.
  static Result<std::unique_ptr<Trial>> open(const IptablesText& text, const ruleset::Host& host,
                                             Memory memory = Memory::None);
  // The same of a ruleset that netlink writes.
  static Result<std::unique_ptr<Trial>> open(const ruleset::Ruleset& ruleset,
                                             const ruleset::Host& host,
                                             Memory memory = Memory::None);
  // Takes its tables away again.
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  Result<Answers> ask(const Question& question);
  Result<void> forget();
  // As the kernel holds it, with elements.
  const ruleset::Ruleset& ruleset() const { return ruleset_; }
  const Comparison& comparison() const { return *comparison_; }

 private:
  Trial() = default;
  static Result<std::unique_ptr<Trial>> open(const sandbox::Judge::Load& load,
                                             const ruleset::Host& host, Memory memory);
  std::string difference(const Question& question, const Answers& answers) const;
  void try_other_ways(const Question& question, eval::Outcomes outcomes, Answers& answers) const;
  std::uint64_t pace();

  Memory memory_ = Memory::None;
  bool ages_ = false;  // elements of its sets end
  Random pauses_{1};
  bool timed_ = false;  // it depends on how much time passes
  bool changes_ipsets_ = false;
  bool paced_ = false;  // what the ruleset remembers depends on the kernel's ticks
  std::chrono::steady_clock::time_point began_;
  ruleset::Ruleset ruleset_;
  ruleset::Host host_;  // with the lists that the rules have made
  std::unique_ptr<eval::Evaluator> evaluator_;
  std::unique_ptr<sandbox::Judge> judge_;
  std::unique_ptr<Comparison> comparison_;
};

// The same ruleset without the rules that the disagreement about `question` does not need.
RulesetText minimise(RulesetText text, const ruleset::Host& host, const Question& question);
IptablesText minimise(IptablesText text, const ruleset::Host& host, const Question& question);
ruleset::Ruleset minimise(ruleset::Ruleset ruleset, const ruleset::Host& host,
                          const Question& question);

}  // namespace rolewall::kernel_judge

// A packet in words, put to the hosts of a site or to one ruleset: what the words stand for, and
// what the answers come to.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ask/sample.h"
#include "ask/site.h"
#include "base/diagnostic.h"
#include "cli/json.h"
#include "cli/terminal.h"
#include "policy/policy.h"

namespace rolewall::cli {

// Whom questions are put to.
struct Subject {
  policy::Policy policy;
  bool has_policies = false;  // else a ruleset alone, whose host is the policy's only one
  policy::Date date;
  ask::Asking asking;
  // Without policies: how to ask with them, behind "or".
  std::string_view with_policies = "ask the policies, without --live and --ruleset";
};

// The words, as a test has them: each end may list several.
std::optional<policy::PacketWords> words_of(const std::string& text, const Subject& subject,
                                            Span place, Diagnostics& diagnostics);

// The packets that the words stand for, of which there is at least one unless something was
// reported. `place`: of their first character.
std::vector<ask::Sample> understand(const std::string& words, const Subject& subject, Span place,
                                    Diagnostics& diagnostics);

// "rolewall: MESSAGE [CODE]", the words, and a mark below the one that is meant. `from`: where the
// words are, "questions.txt:7", and at which column they begin there; "": on the command line.
void show_words(const Terminal& terminal, const std::string& words, const Diagnostics& diagnostics,
                const std::string& from = "");

// What all its packets come to.
struct Verdicts {
  std::map<ask::Verdict, std::size_t> counts;
  std::size_t asked = 0;
  std::size_t of = 0;  // that the words stand for
  bool agree() const { return counts.size() <= 1; }
};

// "accept 3, drop 1", in the order of the verdicts.
std::string in_words(const Verdicts& verdicts);
Json to_json(const Verdicts& verdicts);

// Expectations: a verdict, or "deny", which several are.
inline constexpr std::string_view kDeny = "deny";
std::vector<std::string> expectations();
bool is_as_expected(std::string_view expected, ask::Verdict verdict);

}  // namespace rolewall::cli

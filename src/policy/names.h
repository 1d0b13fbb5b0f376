// Names: what they may look like, and what they mean. Hosts, roles, tags and networks share one
// namespace; services and interfaces have their own.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::policy {

inline constexpr std::size_t kLongestId = 48;
inline constexpr std::size_t kLongestName = 253;  // a host may be called by its DNS name

// [a-z0-9] { [a-z0-9.-] }, and nothing that reads as an address.
bool is_name(std::string_view text);
// [a-z] { [a-z0-9-] }, at most kLongestId.
bool is_id(std::string_view text);
std::optional<TermKind> builtin(std::string_view text);
// "a host", "the network": what a kind of name is called in messages.
std::string_view kind_word(TermKind kind);

// Report a text that is none, at `span`. `what` is "host", "rule id" and the like.
bool check_name(std::string_view text, std::string_view what, Span span, Diagnostics& diagnostics);
bool check_id(std::string_view text, std::string_view what, Span span, Diagnostics& diagnostics);

// How names were used. Where all uses of a name that several things bear say the kind, nothing is
// ambiguous.
struct NameUses {
  struct Use {
    bool bare = false;
    bool qualified = false;
  };
  std::map<std::string, Use, std::less<>> of_clashing;
  // Parameters that shipped blocks lack, by block: each is said once.
  std::set<std::pair<FileId, std::string>> missing;
  std::set<std::pair<TermKind, Index>> named;  // by whatever was read
};

// Reports a built-in's name.
void declare(Policy& policy, std::string_view name, Named named, Diagnostics& diagnostics);

// Reports names that several things bear, at each of them, unless every use says which.
void check_clashes(const Policy& policy, const NameUses& uses, Diagnostics& diagnostics);

// Whether one more "did you mean" among `count` names is worth its price: a file of thousands of
// errors among thousands of names must not take minutes.
bool can_afford_hint(const Diagnostics& diagnostics, std::size_t count);

// Names of a kind, or of all kinds and built-ins, for "did you mean"; none where that is too dear.
std::vector<std::string> candidates(const Policy& policy, std::optional<TermKind> kind,
                                    const Diagnostics& diagnostics);

}  // namespace rolewall::policy

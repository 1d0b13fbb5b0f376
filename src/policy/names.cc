#include "policy/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "net/address.h"
#include "policy/codes.h"

namespace rolewall::policy {
namespace {

constexpr std::array<std::pair<std::string_view, TermKind>, 6> kBuiltins = {
    {{"any", TermKind::Any},
     {"internet", TermKind::Internet},
     {"site", TermKind::Site},
     {"self", TermKind::Self},
     {"management", TermKind::Management},
     {"link-local", TermKind::LinkLocal}}};

bool is_lower(char c) {
  return 'a' <= c && c <= 'z';
}
bool is_digit(char c) {
  return '0' <= c && c <= '9';
}

// "10.1" and "80" are addresses to many programs, "10.0.0.1" to all, and "10.0.0.1-10.0.0.9" is
// somebody's range.
bool reads_as_address(std::string_view text) {
  const bool range = text.find('.') != std::string_view::npos;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_digit(c) || c == '.' || (range && c == '-'); });
}

std::string_view article(std::string_view noun) {
  return std::string_view("aeiou").find(noun.front()) == std::string_view::npos ? "a" : "an";
}

}  // namespace

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kLongestName) return false;
  if (!is_lower(text[0]) && !is_digit(text[0])) return false;
  return !reads_as_address(text) && std::all_of(text.begin(), text.end(), [](char c) {
    return is_lower(c) || is_digit(c) || c == '.' || c == '-';
  });
}

bool is_id(std::string_view text) {
  if (text.empty() || text.size() > kLongestId || !is_lower(text[0])) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_lower(c) || is_digit(c) || c == '-'; });
}

std::optional<TermKind> builtin(std::string_view text) {
  for (const auto& [name, kind] : kBuiltins) {
    if (name == text) return kind;
  }
  return std::nullopt;
}

std::string_view kind_word(TermKind kind) {
  switch (kind) {
    case TermKind::Host:
      return "host";
    case TermKind::Role:
      return "role";
    case TermKind::Tag:
      return "tag";
    case TermKind::Network:
      return "net";
    case TermKind::Any:
    case TermKind::Internet:
    case TermKind::Site:
    case TermKind::Self:
    case TermKind::Management:
    case TermKind::LinkLocal:
    case TermKind::Prefix:
      break;
  }
  return "built-in";
}

bool check_name(std::string_view text, std::string_view what, Span span, Diagnostics& diagnostics) {
  if (is_name(text)) return true;
  const bool address = !text.empty() && (reads_as_address(text) || net::parse_address(text));
  report(diagnostics, Code::BadName, span,
         fmt::format("{} cannot be the name of {} {}", quote(text), article(what), what),
         address ? "a name must not look like an address"
                 : "names consist of a-z, 0-9, `.` and `-` and begin with a letter or digit");
  return false;
}

bool check_id(std::string_view text, std::string_view what, Span span, Diagnostics& diagnostics) {
  if (is_id(text)) return true;
  report(diagnostics, Code::BadName, span,
         fmt::format("{} cannot be the name of a {}", quote(text), what),
         text.size() > kLongestId
             ? fmt::format("at most {} characters", kLongestId)
             : std::string("it consists of a-z, 0-9 and `-` and begins with a letter"));
  return false;
}

void declare(Policy& policy, std::string_view name, Named named, Diagnostics& diagnostics) {
  if (builtin(name)) {
    report(diagnostics, Code::ReservedName, named.span,
           fmt::format("{} is a built-in selector and cannot name a {}", quote(name),
                       kind_word(named.kind) == "net" ? "network" : kind_word(named.kind)));
    return;
  }
  policy.names.emplace(name, named);
}

void check_clashes(const Policy& policy, const NameUses& uses, Diagnostics& diagnostics) {
  for (auto it = policy.names.begin(); it != policy.names.end();) {
    const auto end = policy.names.upper_bound(it->first);
    const auto use = uses.of_clashing.find(it->first);
    const bool is_used = use != uses.of_clashing.end();
    const bool settled = is_used && use->second.qualified && !use->second.bare;
    if (std::distance(it, end) > 1 && !settled) {
      for (auto each = it; each != end; ++each) {
        Diagnostic& diagnostic =
            report(diagnostics, Code::AmbiguousName, each->second.span,
                   fmt::format("{} names more than one thing", quote(it->first)),
                   is_used ? fmt::format("rename one; or write `{}:{}` wherever this one is meant, "
                                         "and the same of the others: then both may stay",
                                         kind_word(each->second.kind), it->first)
                           : std::string("rename one: a rule that names it could mean either"));
        for (auto other = it; other != end; ++other) {
          if (other == each) continue;
          diagnostic.notes.push_back(
              {other->second.span,
               fmt::format("`{}:{}` is here", kind_word(other->second.kind), it->first)});
        }
      }
    }
    it = end;
  }
}

bool can_afford_hint(const Diagnostics& diagnostics, std::size_t count) {
  constexpr std::size_t kMostComparisons = 200'000;  // over all hints so far, about 0.2 s
  return diagnostics.error_count() * count < kMostComparisons;
}

std::vector<std::string> candidates(const Policy& policy, std::optional<TermKind> kind,
                                    const Diagnostics& diagnostics) {
  std::vector<std::string> names;
  if (!can_afford_hint(diagnostics, policy.names.size())) return names;
  if (!kind) {
    for (const auto& entry : kBuiltins) names.emplace_back(entry.first);
  }
  for (const auto& [name, named] : policy.names) {
    if (!kind || named.kind == *kind) names.push_back(name);
  }
  return names;
}

}  // namespace rolewall::policy

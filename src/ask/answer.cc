#include "ask/answer.h"

#include <algorithm>
#include <array>

namespace rolewall::ask {
namespace {

struct Row {
  Verdict verdict;
  std::string_view name;
  std::string_view meaning;
};

constexpr std::array kRows = {
    Row{Verdict::Accept, "accept", "delivered, sent or passed on"},
    Row{Verdict::Drop, "drop", "discarded, and the sender is told nothing"},
    Row{Verdict::Reject, "reject", "discarded, and the sender is told"},
    Row{Verdict::Stack, "stack",
        "the kernel's IP stack discards it, or a rule takes it out of the stack (synproxy, fwd)"},
    Row{Verdict::Held, "held", "a fragment that the kernel keeps until its datagram is complete"},
    Row{Verdict::Conditional, "conditional", "depends on what the question leaves open"},
    Row{Verdict::Undecided, "undecided", "meets something that rolewall does not model"},
};

const Row& row_of(Verdict verdict) {
  return *std::ranges::find(kRows, verdict, &Row::verdict);
}

}  // namespace

std::vector<Verdict> verdicts() {
  std::vector<Verdict> all;
  for (const Row& row : kRows) all.push_back(row.verdict);
  return all;
}

std::string_view name_of(Verdict verdict) {
  return row_of(verdict).name;
}

std::string_view meaning(Verdict verdict) {
  return row_of(verdict).meaning;
}

std::optional<Verdict> verdict_from(std::string_view name) {
  const auto* row = std::ranges::find(kRows, name, &Row::name);
  if (row == kRows.end()) return std::nullopt;
  return row->verdict;
}

bool is_denied(Verdict verdict) {
  switch (verdict) {
    case Verdict::Drop:
    case Verdict::Reject:
    case Verdict::Stack:
    case Verdict::Held:
      return true;
    case Verdict::Accept:
    case Verdict::Conditional:
    case Verdict::Undecided:
      return false;
  }
  return false;
}

}  // namespace rolewall::ask

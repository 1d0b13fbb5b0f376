#include "analyze/endings.h"

#include <span>

#include "ruleset/loads.h"

namespace rolewall::analyze {
namespace {

// Of an accepted packet: what a reader can tell it from another by.
constexpr std::array kShownParts{
    Part::Destination4, Part::Destination6,   Part::Source4,     Part::Source6,
    Part::Transport2,   Part::Transport0,     Part::Flags,       Part::Transport4,
    Part::Transport8,   Part::Transport12,    Part::Transport14, Part::Transport16,
    Part::Transport18,  Part::TrafficClass,   Part::FlowLabel,   Part::DontFragment,
    Part::TimeToLive,   Part::Identification, Part::Mark,        Part::Priority,
};

// The packets of which two words are the same.
Diagram same_bits(Diagrams& diagrams, const Bits& a, const Bits& b) {
  Comparison compare(diagrams);
  const auto is_set = [&](Bit bit) {
    // One bit is compared as the highest of a byte.
    Bits byte(8);
    byte.front() = bit;
    return compare.equal(byte, std::array<std::uint8_t, 1>{0x80});
  };
  Diagram alike = kEverything;
  for (std::size_t i = 0; i < a.size() && alike != kNothing; ++i) {
    if (a[i] == b[i]) continue;
    if (a[i].is_known() && b[i].is_known()) return kNothing;
    const Bit field = a[i].is_known() ? b[i] : a[i];
    const Bit other = a[i].is_known() ? a[i] : b[i];
    const auto set = is_set(field);
    const auto wanted = is_set(other);
    if (!set || (!other.is_known() && !wanted)) return kNothing;
    const Diagram same = other.is_known() ? (other.value() ? *set : diagrams.complement(*set))
                                          : diagrams.complement(diagrams.differ(*set, *wanted));
    alike = diagrams.both(alike, same);
  }
  return alike;
}

// The packets that both write to, and in the same way all the same: what one writes stands there.
Diagram written_alike(Diagrams& diagrams, const Ending& a, const Ending& b) {
  if (a.headers != b.headers) return kNothing;
  Diagram alike = kEverything;
  for (std::size_t part = 0; part < a.parts.size() && alike != kNothing; ++part) {
    alike = diagrams.both(alike, same_bits(diagrams, *a.parts[part], *b.parts[part]));
  }
  return alike;
}

struct KeptOtherwise {
  Diagram tracked = kNothing;
  Diagram marks = kNothing;
  Diagram labels = kNothing;
};

KeptOtherwise kept_otherwise(Diagrams& d, const PacketSpace& space, const Ending::Kept& a,
                             const Ending::Kept& b) {
  namespace ct_state = ruleset::ct_state;
  const auto is = [&](std::uint64_t state) { return d.where(space.state(), state, state); };
  const Diagram of_known = d.either(is(ct_state::kEstablished), is(ct_state::kRelated));
  const auto otherwise = [&](const Bits* of_a, const Bits* of_b, Diagram packets) {
    if (of_a == nullptr || of_b == nullptr) return kNothing;
    return d.minus(packets, same_bits(d, *of_a, *of_b));
  };
  KeptOtherwise all;
  // What the kernel itself does not track stays so.
  if (a.is_untracked != b.is_untracked || a.zone != b.zone) {
    all.tracked = d.complement(is(ct_state::kUntracked));
  }
  all.marks = d.either(otherwise(a.first_mark, b.first_mark, is(ct_state::kNew)),
                       otherwise(a.known_mark, b.known_mark, of_known));
  all.labels = d.either(otherwise(a.first_labels, b.first_labels, is(ct_state::kNew)),
                        otherwise(a.known_labels, b.known_labels, of_known));
  return all;
}

}  // namespace

Diagram Endings::terminal_of(const Machine& machine, const Outcome& outcome) {
  const Environment& environment = machine.environments()[outcome.environment];
  // Nobody can tell what a rule drops from what the IP stack discards.
  const bool discarded = outcome.fate == Fate::Stack && !environment.taken;
  Ending ending;
  ending.fate = discarded ? Fate::Drop : outcome.fate;
  ending.logged = environment.logged;
  ending.left = environment.left;
  std::vector<std::uint32_t> key{static_cast<std::uint32_t>(ending.fate), ending.logged,
                                 ending.left};
  const auto add = [&](Part part) {
    const Bits* bits = &environment.part(part);
    for (const Bit bit : *bits) key.push_back(bit.code());
    return bits;
  };
  if (ending.fate == Fate::Accept || ending.fate == Fate::Reject) {
    ending.headers = environment.headers;
  }
  key.push_back(ending.headers);
  ending.kept.known_mark = add(Part::KnownMark);
  ending.kept.known_labels = add(Part::KnownLabels);
  if (ending.fate == Fate::Accept) {
    ending.kept.is_untracked = environment.tracked == Tracked::Never;
    ending.kept.zone = environment.zone;
    key.insert(key.end(), {ending.kept.is_untracked ? 1U : 0U, ending.kept.zone});
    ending.kept.first_mark = add(Part::CtMark);
    ending.kept.first_labels = add(Part::CtLabels);
    for (const Part part : kShownParts) ending.parts.push_back(add(part));
  }
  const auto [at, is_new] =
      numbers_.emplace(std::move(key), static_cast<std::uint32_t>(all_.size()));
  if (is_new) all_.push_back(std::move(ending));
  return terminal(kFirst + at->second);
}

EndingsDiffer differ(Diagrams& d, const PacketSpace& space, const Ending& a, const Ending& b,
                     Diagram packets, const KeptAsked& asked) {
  EndingsDiffer how;
  Diagram left = packets;
  if (a.fate == Fate::Accept) {
    left = d.both(packets, written_alike(d, a, b));
    how.rewritten = d.minus(packets, left);
  } else if (a.headers != b.headers) {
    how.answered = packets;
    return how;
  }
  if (a.logged != b.logged) {
    how.logged = left;
    return how;
  }
  if (a.left != b.left) {
    how.remembered = left;
    return how;
  }
  const KeptOtherwise kept = kept_otherwise(d, space, a.kept, b.kept);
  const auto note = [&](Diagram otherwise, bool is_asked, const char* what) {
    otherwise = d.both(left, otherwise);
    if (otherwise == kNothing) return;
    if (is_asked) {
      how.remembered = d.either(how.remembered, otherwise);
    } else {
      how.not_asked.emplace(what);
    }
  };
  note(kept.tracked, asked.connections, "whether connections are tracked, and in which zone");
  note(kept.marks, asked.marks, "the mark of connections");
  note(kept.labels, asked.labels, "the labels of connections");
  return how;
}

}  // namespace rolewall::analyze

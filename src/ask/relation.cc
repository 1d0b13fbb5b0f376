#include "ask/relation.h"

#include <fmt/format.h>

namespace rolewall::ask {
namespace {

using analyze::Analysis;
using analyze::Diagram;
using analyze::kNothing;
using analyze::Part;
using Outcome = Proof::Outcome;

class Relating {
 public:
  Relating(const policy::Policy& policy, Site& site, Prover& prover, const Statement& first,
           const Statement& second)
      : site_(site), prover_(prover), first_(first), second_(second) {
    const AskedWords a = asked_words(policy, *first.words, first.asking);
    const AskedWords b = asked_words(policy, *second.words, second.asking);
    any_source_ = are_apart(a.from, b.from);
    any_destination_ = are_apart(a.to, b.to);
    from_ = {a.from, b.from};
    to_ = {a.to, b.to};
  }

  RelationProof implies(bool turned) {
    const Statement& here = turned ? second_ : first_;
    const Statement& there = turned ? first_ : second_;
    const auto most = prover_.accepted(here, analyze::Taken::May);
    if (!most) return not_proven(most.error().why);
    const auto least = prover_.accepted(there, analyze::Taken::Must);
    if (!least) return not_proven(least.error().why);
    const auto found = Analysis::within_budget<std::optional<Sample>>([&] {
      analyze::Diagrams& d = prover_.travelling().diagrams();
      const Diagram beyond = d.minus(compared(*most), compared(*least));
      return sample_of(here, d.both(*most, beyond));
    });
    if (!found) return not_proven(found.error().why);
    if (!*found) return {.outcome = Outcome::Holds, .as_long_as = prover_.relied_on()};
    RelationProof proof{.outcome = Outcome::Broken, .of_second = turned};
    proof.answer = site_.ask(**found);
    if (proof.answer->verdict != Verdict::Accept) return doubtful(*proof.answer);
    proof.other = asked_there(there, **found, turned ? 0 : 1);
    if (proof.other && proof.other->verdict == Verdict::Accept) proof.other.reset();
    return proof;
  }

  RelationProof disjoint() {
    const auto a = prover_.accepted(first_, analyze::Taken::May);
    if (!a) return not_proven(a.error().why);
    const auto b = prover_.accepted(second_, analyze::Taken::May);
    if (!b) return not_proven(b.error().why);
    const auto found = Analysis::within_budget<std::optional<Sample>>([&] {
      analyze::Diagrams& d = prover_.travelling().diagrams();
      return sample_of(first_, d.both(*a, d.both(compared(*a), compared(*b))));
    });
    if (!found) return not_proven(found.error().why);
    if (!*found) return {.outcome = Outcome::Holds};
    RelationProof proof{.outcome = Outcome::Broken};
    proof.answer = site_.ask(**found);
    proof.other = asked_there(second_, **found, 1);
    if (proof.answer->verdict != Verdict::Accept) return doubtful(*proof.answer);
    if (proof.other && proof.other->verdict != Verdict::Accept) return doubtful(*proof.other);
    return proof;
  }

 private:
  // Hosts may share an address.
  static bool are_apart(const net::AddressSet& a, const net::AddressSet& b) {
    return !(a - b).empty() && !(b - a).empty();
  }
  static RelationProof not_proven(std::string why) {
    return {.outcome = Outcome::NotProven, .why = std::move(why)};
  }
  static RelationProof doubtful(const Answer& answer) {
    return not_proven(fmt::format(
        "`{}` may be accepted: something decides that is not modelled, or is translated",
        answer.packet));
  }

  // But for what the two name apart.
  Diagram compared(Diagram set) {
    analyze::PacketSpace& space = prover_.travelling().space();
    const auto is_of = [&](analyze::FieldId field, Part ipv4, Part ipv6) {
      return field == space.field(ipv4) ||
             (field >= space.field(ipv6) &&
              field < space.field(ipv6) + 128 / analyze::kAddressField);
    };
    if (!any_source_ && !any_destination_) return set;
    return prover_.travelling().diagrams().quantify(set, [&](analyze::FieldId field) {
      const bool out = (any_source_ && is_of(field, Part::Source4, Part::Source6)) ||
                       (any_destination_ && is_of(field, Part::Destination4, Part::Destination6));
      return out ? analyze::Quantifier::Any : analyze::Quantifier::Keep;
    });
  }

  std::optional<Sample> sample_of(const Statement& statement, Diagram set) {
    return set == kNothing ? std::nullopt : prover_.sample_of(statement, set);
  }

  std::optional<Answer> asked_there(const Statement& there, const Sample& like, std::size_t side) {
    const bool is_source = any_source_ || from_[side].contains(like.fields.source);
    const bool is_destination = any_destination_ || to_[side].contains(like.fields.destination);
    if (!is_source || !is_destination) return std::nullopt;
    const Sample sample = prover_.sample_like(there, like);
    if (!sample.sender && !sample.through && !sample.receiver) return std::nullopt;
    return site_.ask(sample);
  }

  Site& site_;
  Prover& prover_;
  const Statement& first_;
  const Statement& second_;
  bool any_source_ = false;
  bool any_destination_ = false;
  std::array<net::AddressSet, 2> from_;
  std::array<net::AddressSet, 2> to_;
};

}  // namespace

RelationProof relate(const policy::Policy& policy, Site& site, Prover& prover, Relation relation,
                     const Statement& first, const Statement& second) {
  Relating relating(policy, site, prover, first, second);
  switch (relation) {
    case Relation::Implies:
      return relating.implies(false);
    case Relation::Equivalent: {
      RelationProof proof = relating.implies(false);
      return proof.outcome == Outcome::Holds ? relating.implies(true) : proof;
    }
    case Relation::Disjoint:
      return relating.disjoint();
  }
  return {};
}

}  // namespace rolewall::ask

// What a ruleset remembers of packets and asks about other packets: sets that rules fill, named
// limits and their like, lists of iptables. Where two rulesets are compared, what is free by such a
// thing is one value on both sides. That is right where both begin with the same, and where each
// packet leaves the same behind. The first is looked into here; the second is part of a packet's
// fate (Environment::left), where several expressions use the thing.
//
// How far a limit is spent, what a counter counts and when an element ends are no part of it: what
// one expression alone uses is taken as it begins, on both sides.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "analyze/ruleset_facts.h"
#include "ruleset/host.h"
#include "ruleset/object.h"
#include "ruleset/ruleset.h"

namespace rolewall::analyze {

// What one expression leaves behind.
struct Left {
  std::string where;       // "set s", "recent ssh"; as remembered_by() has it
  bool is_header = false;  // in the packet itself, where the space holds nothing of it
  std::string how{};       // in words; here and below what there is
  ruleset::Dynset dynset{};
  ruleset::ObjectBody object{};
  std::vector<std::uint32_t> bits{};  // that are written, by their codes
  bool operator==(const Left&) const = default;
};

// What packets leave behind, one thing after the other, by number; 0: nothing.
class Lefts {
 public:
  std::uint32_t longer(std::uint32_t before, const Left& left);
  bool has(std::uint32_t number, const std::string& where) const;

 private:
  std::vector<Left> all_;
  std::map<std::pair<std::uint32_t, std::size_t>, std::uint32_t> numbers_;
  std::vector<std::pair<std::uint32_t, std::size_t>> rows_{{0, 0}};  // by number: before it, and it
};

// The things that an expression uses and that others may use, too.
std::vector<std::string> remembered_by(const ruleset::Expr& expr);

class Remembered {
 public:
  struct Side {
    const ruleset::Ruleset& ruleset;
    const ruleset::Host& host;
    const RulesetFacts& facts;
  };
  Remembered(const Side& before, const Side& after);

  // Whether several expressions use it, on one side at least.
  bool is_shared(const ruleset::Table& table, const std::string& what) const;
  // What is free by one value on both sides though it is not the same there, in words: nothing is
  // proven by it.
  const std::vector<std::string>& unlike() const { return unlike_; }

 private:
  using Name = std::tuple<ruleset::Family, std::string, std::string>;
  using Uses = std::map<Name, std::size_t>;
  static Name name_of(const ruleset::Table& table, const std::string& what);
  static Uses uses_of(const Side& side);

  Uses uses_;  // the most of both sides
  std::vector<std::string> unlike_;
};

// For one more element at least.
bool has_room(const ruleset::Set& set);

// Whether as much is left of each quota: of rulesets that are configured alike.
bool have_same_quotas(const ruleset::Ruleset& a, const ruleset::Ruleset& b);

}  // namespace rolewall::analyze

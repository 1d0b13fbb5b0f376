// What two states of a site, or two rulesets, do differently: the packets whose fate is another, in
// as few classes as the edit has, each with one natural example and who decides about it.
//
// A class is what one rule of the edit decides, of one kind and one way over one host; classes of
// several hosts that read alike are one. Every example is put to the evaluator, by both rulesets,
// before it is shown: where that does not see the difference, and nothing is free there, it is a
// mistake of ours (`mistakes`), and no answer. Where all lists are empty the answer is a
// proof: no packet's fate differs.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/difference.h"
#include "ask/answer.h"
#include "ask/diff_words.h"
#include "ruleset/snapshot.h"

namespace rolewall::ask {

using DiffKind = analyze::DifferenceKind;
std::vector<DiffKind> diff_kinds();
std::string_view name_of(DiffKind kind);  // "newly-accepted"
std::string_view meaning(DiffKind kind);

// What one side does with an example.
struct ToldFate {
  Verdict verdict = Verdict::Accept;
  std::optional<DecidedBy> decided_by;
  std::string reason;               // of a Stack
  std::string translated;           // "to 10.0.2.10:443"
  std::vector<std::string> logged;  // the lines' prefixes, and rules that copy it
  // The rules by which it leaves something in what others are asked about: a set, a limit, its
  // connection.
  std::vector<std::string> left{};
  bool operator==(const ToldFate&) const = default;
};

struct DiffExample {
  std::string packet;  // in words that `rolewall eval` takes
  std::string bytes;   // where those words are another packet: it in hexadecimal
  ToldFate before;
  ToldFate after;
};

struct DiffClass {
  DiffKind kind = DiffKind::NewlyAccepted;
  PacketWay way = PacketWay::Arrives;
  std::string service;
  std::string from;
  std::string to;
  std::string options;
  bool whole = true;                 // else the words are an outline: some of these packets
  std::vector<std::string> depends;  // what it hangs on: "limit"; empty: it is so for certain
  std::vector<std::string> hosts;
  DiffExample example;
  // Whether the example shows it: else both sides do there as they do without what it depends on.
  bool shown = true;
};

enum class DiffWord : std::uint8_t {
  Equivalent,
  MorePermissive,
  LessPermissive,
  Incomparable,
  Otherwise,  // as permissive, but denied, rewritten or logged in another way
};
std::string_view name_of(DiffWord word);

struct Diff {
  std::vector<DiffClass> classes;  // by kind
  std::vector<std::string> new_hosts;
  std::vector<std::string> gone_hosts;
  std::size_t same = 0;                 // hosts whose rulesets are equal
  std::size_t compared = 0;             // hosts whose are not
  std::vector<std::string> not_proven;  // "web-01: 20000000 edges": the budget ended
  std::vector<std::string> mistakes;
  // What differs and is not compared: "web-01: chain i of table netdev t is another".
  std::vector<std::string> not_compared{};
  // What the rulesets do not tell and is taken for the same on both sides: "web-01: the order of
  // chain inet a x and chain inet b y, both at priority 0".
  std::vector<std::string> assumed{};
  // What differs and is no part of a packet's fate: "web-01: the mark of connections", for which no
  // rule asks.
  std::vector<std::string> not_asked{};

  bool is_proof() const { return not_proven.empty() && mistakes.empty() && not_compared.empty(); }
  std::size_t count(DiffKind kind) const;
  // Of those that their example shows.
  std::size_t shown(DiffKind kind) const;
};
DiffWord word_of(const Diff& diff);

class Differ {
 public:
  // The names are of the side that comes after.
  explicit Differ(const policy::Policy& policy, analyze::Budget budget = {})
      : names_(policy), budget_(budget) {}

  // What differs on one host.
  struct OfHost {
    bool same = false;
    std::vector<DiffClass> classes;
    std::vector<std::string> not_proven;  // why
    std::vector<std::string> mistakes;
    std::vector<std::string> not_compared{};
    std::vector<std::string> assumed{};
    std::vector<std::string> not_asked{};
  };
  // Adds it.
  OfHost compare(const ruleset::Snapshot& before, const ruleset::Snapshot& after);
  // The same of another host that is alike on both sides, where it is so by its own name.
  void repeat(const OfHost& found, const std::string& host);
  void add_new(const std::string& host) { diff_.new_hosts.push_back(host); }
  void add_gone(const std::string& host) { diff_.gone_hosts.push_back(host); }

  Diff take();

 private:
  void add(const OfHost& found, const std::string& host);
  void add(DiffClass one);

  PolicyNames names_;
  analyze::Budget budget_;
  Diff diff_;
};

}  // namespace rolewall::ask

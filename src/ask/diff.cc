#include "ask/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "ask/packet_parts.h"
#include "ask/site.h"
#include "ask/translations.h"
#include "eval/eval.h"
#include "print/print.h"
#include "ruleset/expr.h"
#include "ruleset/expr_name.h"
#include "ruleset/xt_target.h"

namespace rolewall::ask {
namespace {

using analyze::Diagram;
using analyze::DifferencePart;
using analyze::Direction;

struct KindRow {
  DiffKind kind;
  std::string_view name;
  std::string_view meaning;
};
constexpr std::array kKinds{
    KindRow{DiffKind::NewlyAccepted, "newly-accepted", "denied before, accepted now"},
    KindRow{DiffKind::NewlyDenied, "newly-denied", "accepted before, denied now"},
    KindRow{DiffKind::DeniedOtherwise, "denied-otherwise", "denied before and now, in another way"},
    KindRow{DiffKind::Rewritten, "rewritten",
            "accepted before and now, with other addresses, headers or marks"},
    KindRow{DiffKind::Logged, "logged-otherwise",
            "accepted or denied as before, with other lines in the log, or other copies of it"},
    KindRow{
        DiffKind::Remembered, "remembered-otherwise",
        "accepted or denied as before, but what is kept of it (in a set, a limit, its connection), "
        "which rules ask for, is another"},
    KindRow{DiffKind::Drawn, "limited-otherwise",
            "accepted more or less often: a limit, a set or a random number decides"},
};

const KindRow& row_of(DiffKind kind) {
  return *std::ranges::find(kKinds, kind, &KindRow::kind);
}

}  // namespace

std::vector<DiffKind> diff_kinds() {
  std::vector<DiffKind> all;
  for (const KindRow& row : kKinds) all.push_back(row.kind);
  return all;
}
std::string_view name_of(DiffKind kind) {
  return row_of(kind).name;
}
std::string_view meaning(DiffKind kind) {
  return row_of(kind).meaning;
}

std::string_view name_of(DiffWord word) {
  switch (word) {
    case DiffWord::Equivalent:
      return "equivalent";
    case DiffWord::MorePermissive:
      return "more permissive";
    case DiffWord::LessPermissive:
      return "less permissive";
    case DiffWord::Incomparable:
      return "incomparable";
    case DiffWord::Otherwise:
      return "as permissive, otherwise";
  }
  return "";
}

std::size_t Diff::count(DiffKind kind) const {
  return static_cast<std::size_t>(std::ranges::count(classes, kind, &DiffClass::kind));
}

std::size_t Diff::shown(DiffKind kind) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      classes, [&](const DiffClass& one) { return one.kind == kind && one.shown; }));
}

DiffWord word_of(const Diff& diff) {
  const bool more = diff.count(DiffKind::NewlyAccepted) != 0;
  const bool less = diff.count(DiffKind::NewlyDenied) != 0;
  if ((more && less) || diff.count(DiffKind::Drawn) != 0) return DiffWord::Incomparable;
  if (more) return DiffWord::MorePermissive;
  if (less) return DiffWord::LessPermissive;
  if (!diff.classes.empty()) return DiffWord::Otherwise;
  // What a host that one side alone has lets in is compared with nothing.
  const bool same_hosts = diff.new_hosts.empty() && diff.gone_hosts.empty();
  return same_hosts ? DiffWord::Equivalent : DiffWord::Incomparable;
}

namespace {

// --- the evaluator's word ----------------------------------------------------------------------

// One side, to be asked about examples.
class AskedSide {
 public:
  explicit AskedSide(const ruleset::Snapshot& snapshot)
      : snapshot_(snapshot), evaluator_(snapshot.ruleset, snapshot.host) {}

  struct Word {
    ToldFate fate;
    eval::Packet after;
    std::string answer;    // of a rule that rejects: what the sender is told
    bool is_open = false;  // something is free, or not modelled
  };
  Word ask(const eval::Packet& packet, Direction direction) {
    eval::Options options;
    options.others = eval::Others::Asked;
    options.follows_back = false;  // nor does analyze::Difference
    const eval::Journey journey = direction == Direction::Arrive
                                      ? evaluator_.arrive(packet, options)
                                      : evaluator_.send(packet, options);
    Word word;
    word.after = journey.after;
    word.fate.verdict = verdict_of(journey.fate());
    word.is_open = !journey.conditions.empty() || !journey.knows_after ||
                   journey.fate() == eval::Fate::Undecided;
    const eval::HookResult* hook = deciding_hook(journey);
    if (hook != nullptr) {
      word.fate.reason = hook->reason;
      if (hook->decided) word.fate.decided_by = decider(hook->decision);
      if (hook->decided) word.answer = answer_by(hook->decision);
      word.fate.translated = translations_of(packet, journey.after).at(hook->hook);
    }
    for (const eval::HookResult& result : journey.hooks) {
      for (const eval::Step& step : result.steps) {
        note_logs(step, word.fate.logged);
        note_left(step, word.fate.left);
      }
    }
    return word;
  }

 private:
  DecidedBy decider(const eval::Decision& decision) const {
    DecidedBy by = decided_by(snapshot_.ruleset, snapshot_.sources, decision);
    if (by.rule.empty() && !by.chain_policy) {
      const ruleset::Table& table = snapshot_.ruleset.tables[decision.table];
      by.text = print::rule_text(table, table.chains[decision.chain].rules[decision.rule],
                                 snapshot_.host.ipset_numbers);
    }
    return by;
  }

  void note_logs(const eval::Step& step, std::vector<std::string>& logged) const {
    const ruleset::Rule& rule =
        snapshot_.ruleset.tables[step.table].chains[step.chain].rules[step.rule];
    std::size_t ran = step.matched ? rule.exprs.size() : step.broke_at;
    for (const ruleset::Expr& expr : rule.exprs) {
      if (ran-- == 0) break;
      if (const auto* log = std::get_if<ruleset::Log>(&expr)) logged.push_back(log->prefix);
      if (std::holds_alternative<ruleset::Dup>(expr) || tells(expr)) {
        logged.push_back(print::rule_text(snapshot_.ruleset.tables[step.table], rule,
                                          snapshot_.host.ipset_numbers));
      }
    }
  }

  std::string answer_by(const eval::Decision& decision) const {
    if (decision.rule == eval::Decision::kPolicy) return "";
    const ruleset::Table& table = snapshot_.ruleset.tables[decision.table];
    for (const ruleset::Expr& expr : table.chains[decision.chain].rules[decision.rule].exprs) {
      if (const auto* reject = std::get_if<ruleset::Reject>(&expr)) {
        return fmt::format("{}/{}", static_cast<int>(reject->type), reject->code);
      }
      const auto* target = std::get_if<ruleset::XtTarget>(&expr);
      if (target != nullptr) return ruleset::in_words(*target, ruleset::XtFamily::Ipv4);
    }
    return "";
  }

  // As iptables logs and copies.
  static bool tells(const ruleset::Expr& expr) {
    const auto* target = std::get_if<ruleset::XtTarget>(&expr);
    const auto meaning =
        target == nullptr ? std::nullopt : std::optional(ruleset::meaning_of(*target));
    return meaning && *meaning &&
           (std::holds_alternative<ruleset::XtNotes>(**meaning) ||
            std::holds_alternative<ruleset::XtTee>(**meaning));
  }

  void note_left(const eval::Step& step, std::vector<std::string>& left) const {
    const ruleset::Table& table = snapshot_.ruleset.tables[step.table];
    const ruleset::Rule& rule = table.chains[step.chain].rules[step.rule];
    // What breaks has counted.
    const std::size_t ran = step.matched ? rule.exprs.size() : step.broke_at + 1;
    const auto writes = [](const ruleset::Expr& expr) {
      const bool only_asks = ruleset::expr_name(expr) == "lookup";
      return analyze::writes_kept(expr) || (!only_asks && !analyze::remembered_by(expr).empty());
    };
    const auto end =
        rule.exprs.begin() + static_cast<std::ptrdiff_t>(std::min(ran, rule.exprs.size()));
    if (std::none_of(rule.exprs.begin(), end, writes)) return;
    left.push_back(print::rule_text(table, rule, snapshot_.host.ipset_numbers));
  }

  const ruleset::Snapshot& snapshot_;
  eval::Evaluator evaluator_;
};

bool is_seen(DiffKind kind, const AskedSide::Word& before, const AskedSide::Word& after) {
  const bool was = before.fate.verdict == Verdict::Accept;
  const bool is = after.fate.verdict == Verdict::Accept;
  switch (kind) {
    case DiffKind::NewlyAccepted:
      return !was && is;
    case DiffKind::NewlyDenied:
      return was && !is;
    case DiffKind::DeniedOtherwise:
      return !was && !is &&  // dropped is discarded
             (before.fate.verdict != after.fate.verdict || before.answer != after.answer);
    case DiffKind::Rewritten:
      return was && is &&
             (before.after.bytes != after.after.bytes || before.after.mark != after.after.mark ||
              before.after.priority != after.after.priority);
    case DiffKind::Logged:
      return was == is && before.fate.logged != after.fate.logged;
    case DiffKind::Remembered:
      return was == is && before.fate.left != after.fate.left;
    case DiffKind::Drawn:
      return false;
  }
  return false;
}

// By its settings, or because its policy says what passes.
bool passes_on(const ruleset::Snapshot& snapshot) {
  if (snapshot.host.forwards_ipv4 || snapshot.host.forwards_ipv6) return true;
  return std::ranges::any_of(snapshot.sources, [](const auto& source) {
    return source.first.find(".forward.") != std::string::npos ||
           source.first.find(".nat.") != std::string::npos;
  });
}

// What the machine or the way of a packet may do to it and does not do here.
bool is_usual(const std::string& choice) {
  return choice.ends_with(": 0") && choice.find(" (") == std::string::npos;
}

// "the limit of web.inbound.status".
std::string in_plain_words(const std::string& choice) {
  std::string what = choice.substr(0, choice.find(" ("));
  // Which value it takes is nobody's words.
  if (const std::size_t value = what.rfind(": "); value != std::string::npos) what.resize(value);
  what = what.substr(0, what.find(", expression "));
  constexpr std::string_view kElement = "an element of ";
  const std::size_t rate = what.rfind('/');  // what the set counts
  if (what.starts_with(kElement) && rate != std::string::npos) {
    return fmt::format("the limit of {}", what.substr(kElement.size(), rate - kElement.size()));
  }
  return what;
}

// --- one host ----------------------------------------------------------------------------------

class HostDiffer {
 public:
  HostDiffer(const PolicyNames& names, const ruleset::Snapshot& before,
             const ruleset::Snapshot& after, analyze::Budget budget)
      : before_(before),
        after_(after),
        difference_({before.ruleset, before.host}, {after.ruleset, after.host}, budget),
        teller_(names, after.host, difference_),
        host_(after.host),
        passes_on_(passes_on(before) || passes_on(after)) {}

  std::vector<DiffClass> classes(std::vector<std::string>& mistakes) {
    std::vector<DiffClass> all;
    for (const Direction direction : {Direction::Arrive, Direction::Send}) {
      const auto parts = difference_.parts(direction);
      if (!parts) throw analyze::BudgetEnded{parts.error().why};
      for (const DifferencePart& part : *parts) {
        for (const Diagram set : groups(direction, part)) {
          for (const auto& [way, packets] : ways(direction, set)) {
            if (auto one = class_of(direction, way, part, packets, mistakes)) {
              all.push_back(std::move(*one));
            }
          }
        }
      }
    }
    return all;
  }
  const std::vector<std::string>& not_compared() const { return difference_.unlike(); }
  std::vector<std::string> assumed() const {
    return {difference_.assumed().begin(), difference_.assumed().end()};
  }
  std::vector<std::string> not_asked() const {
    return {difference_.not_asked().begin(), difference_.not_asked().end()};
  }
  // What differs by the analyser, and nothing shows it.
  const std::vector<std::string>& unconfirmed() const { return unconfirmed_; }

 private:
  analyze::Diagrams& d() { return difference_.diagrams(); }
  analyze::PacketSpace& space() { return difference_.space(); }

  // By the fewest rules that decide on one of both sides, those of the edit first.
  std::vector<Diagram> groups(Direction direction, const DifferencePart& part) {
    constexpr std::size_t kMost = 500;
    const Diagram packets = part.packets;
    auto pairs = difference_.decided(direction, packets);
    if (!pairs || pairs->size() > kMost) return {packets};
    const auto is_edited = [&](const analyze::DecidedPair& pair) {
      return difference_.places().is_edited(pair.before) ||
             difference_.places().is_edited(pair.after);
    };
    // What a rule of the edit leaves on the packet's way, whoever decides about it in the end.
    const bool is_left = part.kind == DiffKind::Logged || part.kind == DiffKind::Remembered ||
                         part.kind == DiffKind::Rewritten;
    if (is_left && std::ranges::none_of(*pairs, is_edited)) return {packets};
    std::vector<Diagram> groups;
    while (!pairs->empty()) {
      struct Line {
        bool edited = false;
        std::size_t pairs = 0;
      };
      std::map<std::uint32_t, Line> lines;
      for (const analyze::DecidedPair& pair : *pairs) {
        for (const std::uint32_t place : {pair.before, pair.after}) {
          Line& line = lines[place];
          line.edited = difference_.places().is_edited(place);
          ++line.pairs;
          if (pair.before == pair.after) break;
        }
      }
      const auto best = std::ranges::max_element(lines, {}, [](const auto& line) {
        return std::pair(line.second.edited, line.second.pairs);
      });
      const std::uint32_t place = best->first;
      std::vector<Diagram> sets;
      std::erase_if(*pairs, [&](const analyze::DecidedPair& pair) {
        if (pair.before != place && pair.after != place) return false;
        sets.push_back(pair.packets);
        return true;
      });
      const Diagram group = d().both(d().union_of(std::move(sets)), packets);
      Diagram before = analyze::kNothing;
      for (const Diagram other : groups) before = d().either(before, other);
      if (const Diagram left = d().minus(group, before); left != analyze::kNothing) {
        groups.push_back(left);
      }
    }
    return groups;
  }

  // What is delivered here, and what goes on. A packet that is to be delivered has no device that
  // it leaves by; where one is told all the same, it is the same packet.
  std::vector<std::pair<PacketWay, Diagram>> ways(Direction direction, Diagram set) {
    if (direction == Direction::Send) return {{PacketWay::Sent, set}};
    const analyze::FieldId first = space().field(analyze::Part::OutDevice);
    const Diagram not_told = d().both(d().where(first, 0, 0), d().where(first + 1, 0, 0));
    const Diagram here = d().both(set, not_told);
    const Diagram anywhere = d().quantify(here, [&](analyze::FieldId field) {
      const bool leaves = field == first || field == first + 1;
      return leaves ? analyze::Quantifier::Any : analyze::Quantifier::Keep;
    });
    // A device's name begins with a character.
    const Diagram told = d().both(set, d().where(first, std::uint64_t{1} << 56, ~std::uint64_t{0}));
    const Diagram passes = passes_on_ ? d().minus(told, anywhere) : analyze::kNothing;
    std::vector<std::pair<PacketWay, Diagram>> all;
    if (here != analyze::kNothing) all.emplace_back(PacketWay::Arrives, here);
    if (passes != analyze::kNothing) all.emplace_back(PacketWay::Passes, passes);
    return all;
  }

  std::optional<DiffClass> class_of(Direction direction, PacketWay way, const DifferencePart& part,
                                    Diagram packets, std::vector<std::string>& mistakes) {
    DiffClass one;
    one.kind = part.kind;
    one.way = way;
    one.hosts = {host_.name};
    const SetWords words = teller_.tell(way, packets);
    one.service = words.service;
    one.from = words.from;
    one.to = words.to;
    one.options = words.options;
    one.whole = words.whole;
    const Diagram certain = d().both(packets, part.certain);
    const Diagram natural = d().both(words.natural, certain);
    const Diagram best = natural != analyze::kNothing   ? natural
                         : certain != analyze::kNothing ? certain
                                                        : d().both(packets, part.by_choice);
    const auto witness = difference_.witness(direction, teller_.likely(words, best));
    if (!witness) {
      // Such as none but with a checksum that is also a port: nothing can confirm it.
      unconfirmed_.push_back(fmt::format("{} {} > {} may be {}, and no packet of it can be made",
                                         one.service, one.from, one.to, name_of(part.kind)));
      return std::nullopt;
    }
    const bool seen = show(direction, way, part.kind, witness->packet, one.example);
    if (seen) return one;
    one.shown = false;
    // What comes out as it usually does is not worth a word, unless there is nothing else.
    for (const bool usual : {false, true}) {
      for (const std::string& choice : witness->choices) {
        if (is_usual(choice) != usual) continue;
        std::string what = in_plain_words(choice);
        if (std::ranges::find(one.depends, what) == one.depends.end()) {
          one.depends.push_back(std::move(what));
        }
      }
      if (!one.depends.empty()) return one;
    }
    // What a packet cannot choose (a checksum) makes it another than was asked for.
    if (!difference_.unlike().empty()) {
      one.depends.emplace_back("what is not compared");
      return one;
    }
    if (part.kind == DiffKind::Remembered) {
      one.depends.emplace_back("what it writes, and in which order");
      return one;
    }
    if (open_ || !difference_.contains(direction, certain, witness->packet)) {
      one.depends.emplace_back("what is not modelled");
      return one;
    }
    mistakes.push_back(fmt::format(
        "the analyser says that `{}` is {}, the evaluator does not: please report this mistake of "
        "ours",
        one.example.packet, name_of(part.kind)));
    return std::nullopt;
  }

  // Asks both sides. Whether the evaluator sees what the analyser says.
  bool show(Direction direction, PacketWay way, DiffKind kind, const eval::Packet& packet,
            DiffExample& example) {
    const auto ask = [&](const eval::Packet& asked) {
      const AskedSide::Word before = before_.ask(asked, direction);
      const AskedSide::Word after = after_.ask(asked, direction);
      example.before = before.fate;
      example.after = after.fate;
      open_ = before.is_open || after.is_open;
      return is_seen(kind, before, after);
    };
    auto sample = sample_of(packet);
    eval::Packet in_words;
    bool says_it = false;
    if (sample) {
      const auto name = [&](const std::string& device) {
        const auto at = std::ranges::find(host_.interfaces, device, &ruleset::Interface::device);
        return at == host_.interfaces.end() || at->name.empty() ? device : at->name;
      };
      if (direction == Direction::Arrive) sample->in = name(packet.in_device);
      if (!packet.out_device.empty()) sample->out = name(packet.out_device);
      if (way == PacketWay::Passes) sample->at = host_.name;
      sample->ct_state = packet.ct_state;
      sample->user = packet.user;
      example.packet = to_words(*sample);
      in_words = eval::build(sample->fields);
      in_words.in_device = packet.in_device;
      in_words.out_device = packet.out_device;
      in_words.type = packet.type;
      in_words.ct_state = packet.ct_state;
      in_words.user = packet.user;
      in_words.group = packet.group;
      says_it = ask(in_words);
    }
    if (says_it) return true;
    const bool seen = ask(packet);
    if (!seen) return false;
    for (const std::uint8_t byte : packet.bytes) example.bytes += fmt::format("{:02x}", byte);
    return true;
  }

  AskedSide before_;
  AskedSide after_;
  analyze::Difference difference_;
  SetTeller teller_;
  const ruleset::Host& host_;
  bool passes_on_;
  bool open_ = false;
  std::vector<std::string> unconfirmed_;
};

}  // namespace

Differ::OfHost Differ::compare(const ruleset::Snapshot& before, const ruleset::Snapshot& after) {
  OfHost found;
  found.same = before.host == after.host &&
               analyze::have_same_quotas(before.ruleset, after.ruleset) &&
               (before.ruleset == after.ruleset ||
                ruleset::same_configuration(before.ruleset, after.ruleset));
  if (!found.same) {
    const auto done = analyze::Analysis::within_budget<bool>([&] {
      HostDiffer differ(names_, before, after, budget_);
      found.classes = differ.classes(found.mistakes);
      found.not_proven = differ.unconfirmed();
      found.not_compared = differ.not_compared();
      found.assumed = differ.assumed();
      found.not_asked = differ.not_asked();
      return true;
    });
    if (!done) {
      found.classes.clear();
      found.mistakes.clear();
      found.not_proven = {fmt::format("{}: the budget has ended", done.error().why)};
    }
  }
  add(found, after.host.name);
  return found;
}

void Differ::add(const OfHost& found, const std::string& host) {
  ++(found.same ? diff_.same : diff_.compared);
  const auto of_host = [&](const std::string& what) { return fmt::format("{}: {}", host, what); };
  std::ranges::transform(found.not_proven, std::back_inserter(diff_.not_proven), of_host);
  std::ranges::transform(found.mistakes, std::back_inserter(diff_.mistakes), of_host);
  std::ranges::transform(found.not_compared, std::back_inserter(diff_.not_compared), of_host);
  std::ranges::transform(found.assumed, std::back_inserter(diff_.assumed), of_host);
  std::ranges::transform(found.not_asked, std::back_inserter(diff_.not_asked), of_host);
  for (const DiffClass& one : found.classes) add(one);
}

void Differ::repeat(const OfHost& found, const std::string& host) {
  OfHost renamed = found;
  for (DiffClass& one : renamed.classes) {
    for (std::string* end : {&one.from, &one.to}) {
      if (*end == one.hosts.front()) *end = host;
    }
    one.hosts = {host};
  }
  add(renamed, host);
}

// Classes of several hosts that read alike are one: each host by its own name is `self` there.
void Differ::add(DiffClass one) {
  const auto alike = [&](const DiffClass& other) {
    const std::string& host = one.hosts.front();
    const std::string& other_host = other.hosts.front();
    const auto same_end = [&](const std::string& a, const std::string& b) {
      return a == b || (a == host && b == other_host);
    };
    const auto same_line = [](const ToldFate& a, const ToldFate& b) {
      if (a.verdict != b.verdict || a.decided_by.has_value() != b.decided_by.has_value()) {
        return false;
      }
      return !a.decided_by || (a.decided_by->rule == b.decided_by->rule &&
                               a.decided_by->chain == b.decided_by->chain &&
                               a.decided_by->file == b.decided_by->file);
    };
    return one.kind == other.kind && one.way == other.way && one.service == other.service &&
           same_end(one.from, other.from) && same_end(one.to, other.to) &&
           one.options == other.options && one.whole == other.whole && one.shown == other.shown &&
           one.depends == other.depends && same_line(one.example.before, other.example.before) &&
           same_line(one.example.after, other.example.after);
  };
  const auto at = std::ranges::find_if(diff_.classes, alike);
  if (at == diff_.classes.end()) {
    diff_.classes.push_back(std::move(one));
  } else if (std::ranges::find(at->hosts, one.hosts.front()) == at->hosts.end()) {
    at->hosts.push_back(one.hosts.front());
  }
}

Diff Differ::take() {
  std::ranges::stable_sort(diff_.classes, {}, [](const DiffClass& one) {
    return std::pair(!one.shown && one.kind != DiffKind::Drawn, one.kind);
  });
  // Of several hosts the end that is each of them is what they have in common.
  for (DiffClass& one : diff_.classes) {
    if (one.hosts.size() < 2) continue;
    const std::string first = one.hosts.front();
    const std::string together = names_.of_hosts(one.hosts);
    if (one.from == first) one.from = together;
    if (one.to == first) one.to = together;
  }
  return std::move(diff_);
}

}  // namespace rolewall::ask

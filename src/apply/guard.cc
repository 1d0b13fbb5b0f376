#include "apply/guard.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "apply/lifelines.h"
#include "apply/turns.h"
#include "apply/words.h"
#include "eval/eval.h"
#include "net/protocol.h"
#include "observe/other_chains.h"
#include "ruleset/names.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {
namespace {

using eval::Course;
using eval::Courses;
using eval::Others;

constexpr std::uint32_t kOurs = 0;
// Of lifelines of one kind that fail alike.
constexpr std::size_t kMostAlike = 2;
// How many courses are compared with today: of one lifeline, where many were before, and of all.
constexpr std::size_t kCoursesEach = 256;
constexpr std::size_t kLeastCourses = 4;
constexpr std::size_t kMostCourses = 4096;

class Guard {
 public:
  Guard(const AskedRuleset& before, const AskedRuleset& after, const GuardFacts& facts)
      : before_(before.ruleset),
        after_(after.ruleset),
        facts_(facts),
        before_evaluator_(before.ruleset, facts.machine, &before.partial),
        evaluator_(after.ruleset, facts.machine, &after.partial) {
    for (const std::uint32_t table : evaluator_.interfering_tables()) {
      (table == kOurs ? ours_interferes_ : others_interfere_) = true;
      if (table != kOurs) interfering_.push_back(table_name(after_.tables[table]));
    }
    for (const std::uint32_t table : before_evaluator_.interfering_tables()) {
      ours_interferes_ = ours_interferes_ || table == kOurs;
    }
    own_tables_ = {&before.ruleset.tables[kOurs], &after.ruleset.tables[kOurs]};
  }

  GuardAnswer take() {
    const Lifelines asked = lifelines(facts_, own_tables_);
    for (const Lifeline& line : asked.all) ask(line);
    look_at_groups();
    for (const Unasked& line : asked.unasked) {
      const bool is_note = facts_.may_be_undone || line.may_be_risked;
      (is_note ? answer_.notes : answer_.losses).push_back({line.what, line.how, ""});
    }
    forwarding();
    tell_of_the_rest();
    return std::move(answer_);
  }

 private:
  static eval::Options how(Others others) {
    return {.steps = false, .others = others, .unmodelled = eval::Unmodelled::Chosen};
  }

  void ask(const Lifeline& line) {
    const std::vector<eval::Turn> turns = turns_of(line, true);
    if (const auto lost = denied_by_us(line, turns)) {
      if (is_needed(line)) {
        lose(line, *lost);
        if (!line.one_of.empty()) groups_[line.one_of].passes = true;  // all is said
      } else if (!line.one_of.empty() && line.need != Need::Unlikely &&
                 !groups_[line.one_of].lost) {
        groups_[line.one_of].lost.emplace(line, *lost);
      }
      return;
    }
    if (!line.one_of.empty()) groups_[line.one_of].passes = true;
    if (line.need == Need::OneOfMany) return;
    if (others_interfere_ || ours_interferes_) compare(line, turns);
    if (line.stands_for_all && after_.tables.size() > 1) note(line, turns);
  }

  // (1)
  std::optional<Course> denied_by_us(const Lifeline& line, std::span<const eval::Turn> turns) {
    const Courses alone = evaluator_.converse(turns_of(line, false), how(Others::Absent));
    const Course* lost = failing(alone, line, false);
    if (lost == nullptr) return std::nullopt;
    // It may come to us translated, by rules that certainly do so: ours, or others'.
    const bool translated =
        (others_interfere_ || line.delivered_to) &&
        passes(evaluator_.converse(turns, how(Others::LetPass)).ways.front(), line, after_, true);
    return translated ? std::nullopt : std::optional(*lost);
  }

  // What nothing shows to be used is needed as far as it passes today.
  bool is_needed(const Lifeline& line) {
    if (line.need == Need::Certain) return true;
    if (line.need == Need::OneOfMany) return false;
    if (before_.tables[kOurs].chains.empty()) return line.need == Need::Possible;
    const auto passes_today = [&](bool as_delivered, Others others) {
      const Courses today = before_evaluator_.converse(turns_of(line, as_delivered), how(others));
      return passes(today.ways.front(), line, before_, as_delivered);
    };
    return passes_today(false, Others::Absent) ||
           ((others_interfere_ || line.delivered_to) && passes_today(true, Others::LetPass));
  }

  void look_at_groups() {
    for (const auto& [name, group] : groups_) {
      if (!group.passes && group.lost) lose(group.lost->first, group.lost->second);
    }
  }

  // (2): what passes today, answer for answer. Ours may change what theirs see, and then they are
  // asked, too.
  void compare(const Lifeline& line, std::span<const eval::Turn> turns) {
    eval::Options options = how(ours_interferes_ ? Others::Asked : Others::LetPass);
    options.most_courses = std::clamp(kMostCourses - compared_, kLeastCourses, kCoursesEach);
    const Courses courses = evaluator_.converse(turns, options);
    compared_ = std::min(compared_ + courses.ways.size(), kMostCourses);
    if (!courses.complete) not_all_compared(line);
    for (const Course& course : courses.ways) {
      if (passes(course, line, after_, true)) continue;
      eval::Assignment theirs = course.taken;
      std::erase_if(theirs, [](const auto& each) { return each.first.table == kOurs; });
      const Courses today = before_evaluator_.converse(turns, options, &theirs);
      const bool passed = std::ranges::any_of(
          today.ways, [&](const Course& each) { return passes(each, line, before_, true); });
      if (passed) {
        lose(line, course);
        return;
      }
      if (!others_interfere_ || changed_noted_) continue;
      changed_noted_ = true;
      answer_.notes.push_back(
          {line.what,
           fmt::format(
               "{}, after {} has changed the packet or its tracking; this is so today as well",
               reason_of(course.turns.back()), fmt::join(interfering_, ", ")),
           ""});
    }
  }

  void not_all_compared(const Lifeline& line) {
    if (incomplete_noted_) return;
    incomplete_noted_ = true;
    answer_.notes.push_back({line.what,
                             fmt::format("{} has so many rules that rolewall cannot evaluate that "
                                         "not every combination of their "
                                         "outcomes was compared with today",
                                         fmt::join(interfering_, ", ")),
                             ""});
  }

  // What other programs' rules make of it: ours admits it.
  void note(const Lifeline& line, std::span<const eval::Turn> turns) {
    constexpr std::size_t kEnough = 16;  // to name a table; nothing hangs on a further one
    eval::Options options = how(Others::Asked);
    options.most_courses = kEnough;
    const Courses courses = evaluator_.converse(turns, options);
    for (const Course& course : courses.ways) {
      const eval::Journey& last = course.turns.back();
      const bool denied = last.fate() != eval::Fate::Accept && !last.hooks.empty() &&
                          last.hooks.back().decided && last.hooks.back().decision.table != kOurs;
      if (denied) {
        note_once(line, last.hooks.back().decision.table, "denies",
                  reason_of(last) + ", today as well");
      }
    }
    for (const Course& course : courses.ways) {
      for (const auto& [question, answer] : course.taken) {
        if (question.table == kOurs || question.table >= after_.tables.size()) continue;
        const ruleset::Table& table = after_.tables[question.table];
        note_once(
            line, question.table, "is not known",
            fmt::format(
                "it reaches rule {} of chain {}, {}, and rolewall cannot tell whether that rule "
                "matches; it is so today as well",
                question.rule + 1, table.chains[question.chain].name, table_name(table)));
      }
    }
  }

  void note_once(const Lifeline& line, std::uint32_t table, const char* kind, std::string text) {
    if (noted_.emplace(table, kind).second) {
      answer_.notes.push_back({line.what, std::move(text), ""});
    }
  }

  // What was routed so far would be dropped by a policy that never speaks of it. Where that is so
  // today, nothing is taken away: forwarding was switched on since.
  void forwarding() {
    if (!facts_.machine.forwards_ipv4 && !facts_.machine.forwards_ipv6) return;
    const auto drops_all = [](const ruleset::Table& own) {
      return !own.chains.empty() &&
             ruleset::find_chain(own, ruleset::own::kForwardDispatch) == nullptr &&
             !observe::accepts_by_default(own, ruleset::own::kForward);
    };
    if (!drops_all(after_.tables[kOurs])) return;
    constexpr const char* kWhat = "packets that this host forwards between networks";
    if (drops_all(before_.tables[kOurs])) {
      answer_.notes.push_back({kWhat,
                               "forwarding is on in the kernel, and the policy has no [[forward]] "
                               "rule: all of them are dropped, today as well",
                               ""});
      return;
    }
    answer_.losses.push_back({.what = kWhat,
                              .how = "forwarding is on in the kernel, and the policy has no "
                                     "[[forward]] rule, so that all of them would be dropped: add "
                                     "one, or turn forwarding off with sysctl",
                              .rule = ""});
  }

  const Course* failing(const Courses& courses, const Lifeline& line, bool as_delivered) const {
    const auto at = std::ranges::find_if(courses.ways, [&](const Course& course) {
      return !passes(course, line, after_, as_delivered);
    });
    return at == courses.ways.end() ? nullptr : &*at;
  }

  // Every packet is accepted, and what arrives is delivered here, unchanged or, `as_delivered`,
  // where ssh has answered so far.
  bool passes(const Course& course, const Lifeline& line, const ruleset::Ruleset& asked,
              bool as_delivered) const {
    if (denied_by_behind(course.turns.back(), line, asked)) return true;
    if (course.turns.size() != turns_in(line, as_delivered)) return false;
    for (std::size_t i = 0; i < course.turns.size(); ++i) {
      const eval::Journey& journey = course.turns[i];
      if (journey.fate() != eval::Fate::Accept) return false;
      const Leg& leg = line.legs[i];
      if (!leg.arrives) continue;
      if (leg.forwarded != is_forwarded(journey)) return false;
      if (!leg.forwarded &&
          (journey.hooks.empty() || journey.hooks.back().hook != ruleset::Hook::Input))
        return false;
      // Of a flow that is given the evaluator does not know how it is translated.
      if (i == 0 && !leg.state && !comes_to(line, leg, journey, as_delivered)) return false;
    }
    return true;
  }

  bool comes_to(const Lifeline& line, const Leg& leg, const eval::Journey& journey,
                bool as_delivered) const {
    const Endpoint to = destination_of(journey.after, leg.fields.protocol);
    const Endpoint sent{leg.fields.destination, net::has_ports(leg.fields.protocol)
                                                    ? leg.fields.destination_port
                                                    : std::uint16_t{0}};
    if (leg.forwarded && line.delivered_to) return to == *line.delivered_to;
    // A redirection is to the address of the device that it arrives by.
    const bool is_ours = std::ranges::any_of(facts_.machine.addresses, [&](const net::Prefix& own) {
      return own.address == to.address;
    });
    if (line.delivered_to && is_ours && to.port == line.delivered_to->port) return true;
    return to == sent && (!as_delivered || !line.delivered_to);
  }

  // An address that is behind one device is not to come in by another: the policy says so.
  static bool denied_by_behind(const eval::Journey& journey, const Lifeline& line,
                               const ruleset::Ruleset& asked) {
    if (!line.off_route || journey.hooks.empty()) return false;
    const eval::HookResult& last = journey.hooks.back();
    if (!last.decided || last.fate == eval::Fate::Accept || last.decision.table != kOurs ||
        last.decision.rule == eval::Decision::kPolicy) {
      return false;
    }
    const ruleset::Chain& chain = asked.tables[kOurs].chains[last.decision.chain];
    return chain.rules[last.decision.rule].comment == ruleset::own::step::kSpoofed;
  }

  // The rule at which a journey ended; "" for a chain's policy.
  const ruleset::Rule* rule_of(const eval::Journey& journey) const {
    const eval::HookResult& last = journey.hooks.back();
    if (!last.decided || last.decision.rule == eval::Decision::kPolicy) return nullptr;
    return &after_.tables[last.decision.table]
                .chains[last.decision.chain]
                .rules[last.decision.rule];
  }

  std::string reason_of(const eval::Journey& way) const {
    const eval::HookResult& last = way.hooks.back();
    const std::string hook(name_of(last.hook));
    std::string reason = fmt::format("{} in {}", eval::name_of(last.fate), hook);
    if (last.decided) {
      const ruleset::Table& table = after_.tables[last.decision.table];
      const ruleset::Chain& chain = table.chains[last.decision.chain];
      std::string by = fmt::format("the policy of chain {}", chain.name);
      if (const ruleset::Rule* rule = rule_of(way)) {
        by = rule->comment.empty()
                 ? fmt::format("rule {} of chain {}", last.decision.rule + 1, chain.name)
                 : fmt::format("rule {} in chain {}", rule->comment, chain.name);
      }
      reason += fmt::format(" by {}, {}", by, table_name(table));
    }
    if (!last.reason.empty()) reason += ": " + last.reason;
    for (const eval::Condition& condition : way.conditions) {
      reason += fmt::format(", if {}: {}", condition.about, condition.is);
    }
    return reason;
  }

  void lose(const Lifeline& line, const Course& course) {
    const eval::Journey& way = course.turns.back();
    if (way.hooks.empty()) return;
    Loss loss{.what = line.what, .how = reason_of(way), .rule = ""};
    if (way.fate() == eval::Fate::Accept) {
      const Endpoint to = destination_of(way.after, line.legs.front().fields.protocol);
      loss.how =
          fmt::format("address translation would send it to {} port {}, where it does not go today",
                      net::format(to.address), to.port);
    } else if (const ruleset::Rule* rule = rule_of(way)) {
      loss.rule = rule->comment;
      const bool by_default =
          loss.rule == ruleset::own::step::kDefault && way.hooks.back().decision.table == kOurs;
      if (by_default && course.turns.size() == 1 && !line.advice.empty()) {
        loss.how += "; no rule admits it: " + line.advice;
      }
    }
    const bool known =
        std::ranges::any_of(answer_.losses, [&](const Loss& l) { return l.what == loss.what; });
    if (known) return;
    if (!line.kind.empty()) {
      Alike& alike = alike_[{line.kind, loss.how}];
      if (++alike.count > kMostAlike) return;
      alike.last = answer_.losses.size();
    }
    answer_.losses.push_back(std::move(loss));
  }

  void tell_of_the_rest() {
    for (const auto& [kind, alike] : alike_) {
      if (alike.count <= kMostAlike) continue;
      answer_.losses[alike.last].how +=
          fmt::format("; the same happens to {} more like it", alike.count - kMostAlike);
    }
  }

  // Of which one must pass: whether one does, and the first that does not.
  struct Group {
    bool passes = false;
    std::optional<std::pair<Lifeline, Course>> lost;
  };
  struct Alike {
    std::size_t count = 0;
    std::size_t last = 0;  // of the losses
  };

  const ruleset::Ruleset& before_;
  const ruleset::Ruleset& after_;
  const GuardFacts& facts_;
  eval::Evaluator before_evaluator_;
  eval::Evaluator evaluator_;
  bool others_interfere_ = false;
  bool ours_interferes_ = false;
  std::vector<std::string> interfering_;  // others' tables, by name
  std::vector<const ruleset::Table*> own_tables_;
  std::map<std::pair<std::string, std::string>, Alike> alike_;
  std::map<std::string, Group> groups_;
  std::set<std::pair<std::uint32_t, std::string>> noted_;  // of which table what was said
  bool changed_noted_ = false;
  bool incomplete_noted_ = false;
  std::size_t compared_ = 0;  // courses
  GuardAnswer answer_;
};

}  // namespace

GuardAnswer ask_about(const AskedRuleset& before, const AskedRuleset& after,
                      const GuardFacts& facts) {
  return Guard(before, after, facts).take();
}

}  // namespace rolewall::apply

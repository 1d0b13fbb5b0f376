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
// How many courses of one lifeline are compared with today; the least, once that many choices were
// made on all courses so far. A choice costs half a microsecond, and as much again today.
constexpr std::size_t kCoursesEach = 256;
constexpr std::size_t kLeastCourses = 2;
constexpr std::size_t kMostChoices = 40'000;

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
    for (const ruleset::Set& set : after.ruleset.tables[kOurs].sets) {
      ours_is_whole_ = ours_is_whole_ && !after.partial.contains(&set);
    }
    own_tables_ = {&before.ruleset.tables[kOurs], &after.ruleset.tables[kOurs]};
  }

  GuardAnswer take() {
    const bool ours_decides = !ours_interferes_ && !others_interfere_ && ours_is_whole_;
    const Lifelines asked = lifelines(facts_, own_tables_, ours_decides);
    for (const Lifeline& line : asked.all) ask(line);
    for (const auto& [line, course] : shut_) {
      if (lets_in_at_.contains(door_of(line)) && !line.off_route) deny(line, course);
    }
    look_at_groups();
    for (const Unasked& line : asked.unasked) {
      const bool is_note = facts_.may_be_undone || line.may_be_risked;
      (is_note ? answer_.notes : answer_.losses).push_back({line.what, line.how, ""});
    }
    for (const auto& [what, how] : strangers_) {
      (facts_.may_be_undone ? answer_.notes : answer_.losses).push_back({what, how, ""});
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
      if (line.is_shut && !passes_today(line)) {
        shut_.emplace_back(line, *lost);
      } else {
        deny(line, *lost);
      }
      return;
    }
    if (line.is_shut) lets_in_at_.insert(door_of(line));
    if (!line.one_of.empty()) groups_[line.one_of].passes = true;
    if (line.need == Need::OneOfMany) return;
    if (others_interfere_ || ours_interferes_) compare(line, turns);
    if (line.stands_for_all && after_.tables.size() > 1) note(line, turns);
  }

  static net::Address door_of(const Lifeline& line) { return line.legs.front().fields.destination; }

  void deny(const Lifeline& line, const Course& course) {
    if (is_needed(line)) {
      lose(line, reason_to_lose(line, course));
      if (!line.one_of.empty()) groups_[line.one_of].passes = true;  // all is said
    } else if (!line.one_of.empty() && line.need != Need::Unlikely && !line.of_anybody &&
               !groups_[line.one_of].lost) {
      groups_[line.one_of].lost.emplace(line, course);
    }
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
    return passes_today(line);
  }

  // By a table of ours.
  bool passes_today(const Lifeline& line) {
    if (before_.tables[kOurs].chains.empty()) return false;
    const auto passes_so = [&](bool as_delivered, Others others) {
      const Courses today = before_evaluator_.converse(turns_of(line, as_delivered), how(others));
      return passes(today.ways.front(), line, before_, as_delivered);
    };
    return passes_so(false, Others::Absent) ||
           ((others_interfere_ || line.delivered_to) && passes_so(true, Others::LetPass));
  }

  void look_at_groups() {
    for (const auto& [name, group] : groups_) {
      if (!group.passes && group.lost)
        lose(group.lost->first, reason_to_lose(group.lost->first, group.lost->second));
    }
  }

  // Of many courses that may be gone, few are told of.
  static eval::Options without_words(Others others) {
    eval::Options options = how(others);
    options.word_tests = false;
    return options;
  }
  Course in_words(const Course& course, std::span<const eval::Turn> turns, eval::Options options) {
    options.word_tests = true;
    options.most_courses = 1;
    return evaluator_.converse(turns, options, &course.taken).ways.front();
  }

  // (2): what passes today, answer for answer. Ours may change what theirs see, and then they are
  // asked, too.
  void compare(const Lifeline& line, std::span<const eval::Turn> turns) {
    eval::Options options = without_words(
        ours_interferes_ && !is_shown_the_same(turns) ? Others::Asked : Others::LetPass);
    const Courses courses = follow(turns, options);
    if (!courses.complete) not_all_compared(line);
    for (const Course& course : courses.ways) {
      const bool goes = passes(course, line, after_, true);
      const std::optional<net::Address> source = source_beyond(course, line);
      if (goes && !source) continue;
      const eval::Assignment theirs = theirs_of(course);
      const Courses today = before_evaluator_.converse(turns, options, &theirs);
      const auto passed = std::ranges::find_if(
          today.ways, [&](const Course& each) { return passes(each, line, before_, true); });
      if (passed != today.ways.end() && !goes) {
        lose(line, reason_to_lose(line, in_words(course, turns, options)));
        return;
      }
      if (passed != today.ways.end() && source_of(passed->turns.front().after) != *source) {
        lose(line, other_source(line, *source, source_of(passed->turns.front().after)));
        return;
      }
      if (goes || !others_interfere_ || changed_noted_) continue;
      changed_noted_ = true;
      answer_.notes.push_back(
          {line.what,
           fmt::format(
               "{}, after {} has changed the packet or its tracking; this is so today as well",
               reason_of(in_words(course, turns, options).turns.back()),
               fmt::join(interfering_, ", ")),
           ""});
    }
  }

  // Whether each chain of others that does nothing but let pass or deny sees afterwards what it
  // sees today, whatever the rest of them do: then it does the same, and has not to be asked, rule
  // by rule, however many of its rules are not known to match.
  bool is_shown_the_same(std::span<const eval::Turn> turns) {
    eval::Options options = without_words(Others::LetPass);
    options.note_shown = true;
    const auto is_shown = [](const Course& one, const Course& other) {
      return std::ranges::equal(one.turns, other.turns, {}, &eval::Journey::shown,
                                &eval::Journey::shown);
    };
    const Courses courses = follow(turns, options);
    return courses.complete && std::ranges::all_of(courses.ways, [&](const Course& course) {
             const eval::Assignment theirs = theirs_of(course);
             const Courses today = before_evaluator_.converse(turns, options, &theirs);
             return today.complete && std::ranges::all_of(today.ways, [&](const Course& each) {
                      return is_shown(course, each);
                    });
           });
  }

  // The first of its courses, and as many more as there are choices left for. `options` say then
  // how many.
  Courses follow(std::span<const eval::Turn> turns, eval::Options& options) {
    options.most_courses = kLeastCourses;
    Courses courses = evaluator_.converse(turns, options);
    const std::size_t each = courses.ways.front().taken.size() + 1;
    const std::size_t most =
        std::clamp((kMostChoices - chosen_) / each, kLeastCourses, kCoursesEach);
    if (!courses.complete && most > kLeastCourses) {
      options.most_courses = most;
      courses = evaluator_.converse(turns, options);
    }
    chosen_ = std::min(chosen_ + courses.ways.size() * each, kMostChoices);
    return courses;
  }

  static eval::Assignment theirs_of(const Course& course) {
    eval::Assignment theirs = course.taken;
    std::erase_if(theirs, [](const auto& each) { return each.first.table == kOurs; });
    return theirs;
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
    // To name a table; nothing hangs on a further one.
    constexpr std::size_t kEnough = 16;
    constexpr std::size_t kOnceNamed = 4;
    if (is_all_noted()) return;
    eval::Options options = without_words(Others::Asked);
    options.most_courses = noted_.empty() ? kEnough : kOnceNamed;
    const Courses courses = evaluator_.converse(turns, options);
    for (const Course& course : courses.ways) {
      const eval::Journey& last = course.turns.back();
      const bool denied = last.fate() != eval::Fate::Accept && !last.hooks.empty() &&
                          last.hooks.back().decided && last.hooks.back().decision.table != kOurs;
      if (denied && is_first_note(last.hooks.back().decision.table, "denies")) {
        const Course told = in_words(course, turns, options);
        answer_.notes.push_back(
            {line.what, reason_of(told.turns.back()) + "; it is so today as well", ""});
      }
    }
    for (const Course& course : courses.ways) {
      for (const auto& [question, answer] : course.taken) {
        if (question.table == kOurs || question.table >= after_.tables.size()) continue;
        if (noted_.contains({question.table, "denies"})) continue;
        if (!is_first_note(question.table, "is not known")) continue;
        answer_.notes.push_back(
            {line.what,
             unknown_in(after_.tables[question.table], question) + "; it is so today as well", ""});
      }
    }
  }

  // Of a bridge's chains, and those of a device below, the whole is not known.
  static std::string unknown_in(const ruleset::Table& table, const eval::Question& question) {
    const std::string& chain = table.chains[question.chain].name;
    if (question.rule == eval::Question::kNoRule) {
      return fmt::format("it may pass chain {}, {}, and rolewall cannot tell what that does to it",
                         chain, table_name(table));
    }
    return fmt::format(
        "it reaches rule {} of chain {}, {}, and rolewall cannot tell whether that rule matches",
        question.rule + 1, chain, table_name(table));
  }

  // What a table denies, and if what, says all.
  bool is_all_noted() const {
    for (std::uint32_t table = kOurs + 1; table < after_.tables.size(); ++table) {
      if (!noted_.contains({table, "denies"})) return false;
    }
    return true;
  }

  bool is_first_note(std::uint32_t table, std::string_view kind) {
    return noted_.emplace(table, kind).second;
  }

  // What was routed, or passed on between a bridge's ports, so far would be dropped by a policy
  // that never speaks of it. Where that is so today, nothing is taken away: it was switched on
  // since.
  void forwarding() {
    const auto drops_all = [](const ruleset::Table& own) {
      return !own.chains.empty() &&
             ruleset::find_chain(own, ruleset::own::kForwardDispatch) == nullptr &&
             !observe::accepts_by_default(own, ruleset::own::kForward);
    };
    if (!drops_all(after_.tables[kOurs])) return;
    const bool today_too = drops_all(before_.tables[kOurs]);
    const auto tell = [&](std::string what, std::string_view why, std::string_view instead) {
      if (today_too) {
        answer_.notes.push_back(
            {std::move(what),
             fmt::format("{}, and the policy has no [[forward]] rule: all of them are dropped, "
                         "today as well",
                         why),
             ""});
        return;
      }
      answer_.losses.push_back(
          {.what = std::move(what),
           .how =
               fmt::format("{}, and the policy has no [[forward]] rule, so that all of them would "
                           "be dropped: add one, or {}",
                           why, instead),
           .rule = ""});
    };
    if (facts_.machine.forwards_ipv4 || facts_.machine.forwards_ipv6) {
      tell("packets that this host forwards between networks", "forwarding is on in the kernel",
           "turn forwarding off with sysctl");
    }
    if (!facts_.bridges.empty()) {
      tell(fmt::format("packets between the ports of {}", fmt::join(facts_.bridges, ", ")),
           "net.bridge.bridge-nf-call-iptables or -ip6tables is 1, so that they pass the forward "
           "chain",
           "set both to 0");
    }
  }

  const Course* failing(const Courses& courses, const Lifeline& line, bool as_delivered) const {
    const auto at = std::ranges::find_if(courses.ways, [&](const Course& course) {
      return !passes(course, line, after_, as_delivered);
    });
    return at == courses.ways.end() ? nullptr : &*at;
  }

  // With which address the first packet goes out, where that is none of this host's.
  std::optional<net::Address> source_beyond(const Course& course, const Lifeline& line) const {
    const Leg& first = line.legs.front();
    if ((first.arrives && !first.forwarded) || first.state) return std::nullopt;
    const net::Address source = source_of(course.turns.front().after);
    return is_own(facts_.machine, source) ? std::nullopt : std::optional(source);
  }

  static Loss other_source(const Lifeline& line, const net::Address& source,
                           const net::Address& today) {
    return {.what = line.what,
            .how = fmt::format("it would leave with the source address {}, which is none of this "
                               "host's, and leaves with {} today: answers would not come back",
                               net::format(source), net::format(today)),
            .rule = ""};
  }

  // Every packet is accepted, and what arrives is delivered here, unchanged or, `as_delivered`,
  // where ssh has answered so far.
  bool passes(const Course& course, const Lifeline& line, const ruleset::Ruleset& asked,
              bool as_delivered) const {
    if (denied_by_behind(course.turns.back(), line, asked.tables[kOurs], kOurs)) return true;
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
      if (i == 0 && !leg.state && !comes_to(line, leg, journey, as_delivered, facts_.machine))
        return false;
    }
    return true;
  }

  // The rule at which a journey ended; "" for a chain's policy.
  const ruleset::Rule* rule_of(const eval::Journey& journey) const {
    const eval::HookResult& last = journey.hooks.back();
    if (!last.decided || last.decision.rule == eval::Decision::kPolicy) return nullptr;
    return &after_.tables[last.decision.table]
                .chains[last.decision.chain]
                .rules[last.decision.rule];
  }

  static std::string clause_of(const eval::Condition& condition) {
    if (condition.is == "yes") return fmt::format(", if {}", condition.about);
    if (condition.is == "no") return fmt::format(", unless {}", condition.about);
    return fmt::format(", if {}: {}", condition.about, condition.is);
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
                 : fmt::format("rule {} in chain {}", rule->comment.text(), chain.name);
      }
      reason += fmt::format(" by {}, {}", by, table_name(table));
    }
    if (!last.reason.empty()) reason += ": " + last.reason;
    // Of a thousand draws the first tell enough.
    constexpr std::size_t kMostClauses = 5;
    const std::size_t told = std::min(way.conditions.size(), kMostClauses);
    for (std::size_t i = 0; i < told; ++i) reason += clause_of(way.conditions[i]);
    if (const std::size_t more = way.conditions.size() - told; more != 0) {
      reason += fmt::format(", and {} more such condition{}", more, more == 1 ? "" : "s");
    }
    return reason;
  }

  // Nothing where no chain has seen it.
  std::optional<Loss> reason_to_lose(const Lifeline& line, const Course& course) const {
    const eval::Journey& way = course.turns.back();
    if (way.hooks.empty()) return std::nullopt;
    Loss loss{.what = line.what, .how = reason_of(way), .rule = ""};
    if (way.fate() == eval::Fate::Accept) {
      const Endpoint to = destination_of(way.after, line.legs.front().fields.protocol);
      loss.how =
          fmt::format("address translation would send it to {} port {}, where it does not go today",
                      net::format(to.address), to.port);
    } else if (const ruleset::Rule* rule = rule_of(way)) {
      loss.rule = rule->comment.text();
      const bool by_default =
          loss.rule == ruleset::own::step::kDefault && way.hooks.back().decision.table == kOurs;
      if (by_default && course.turns.size() == 1 && !line.advice.empty() && !line.of_anybody) {
        loss.how += "; no rule admits it: " + line.advice;
      }
    }
    if (line.is_shut) {
      loss.how +=
          "; no ssh server listens now, but of management somebody gets in there, today or "
          "afterwards";
    }
    return loss;
  }

  void lose(const Lifeline& line, std::optional<Loss> loss) {
    if (!loss) return;
    if (line.of_anybody) {
      constexpr const char* kHow =
          "its other end cannot be found, and of some who may be there: {}{}";
      strangers_.try_emplace(line.kind, fmt::format(kHow, loss->how, kUseTimer));
      return;
    }
    const bool known =
        std::ranges::any_of(answer_.losses, [&](const Loss& l) { return l.what == loss->what; });
    if (known) return;
    if (!line.kind.empty()) {
      Alike& alike = alike_[{line.kind, loss->how}];
      if (++alike.count > kMostAlike) return;
      alike.last = answer_.losses.size();
    }
    answer_.losses.push_back(std::move(*loss));
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
  bool ours_is_whole_ = true;             // each of its sets was read whole
  std::vector<std::string> interfering_;  // others' tables, by name
  std::vector<const ruleset::Table*> own_tables_;
  std::map<std::pair<std::string, std::string>, Alike> alike_;
  std::map<std::string, Group> groups_;
  std::vector<std::pair<Lifeline, Course>> shut_;  // denied, where nobody listens
  std::set<net::Address> lets_in_at_;              // of these doors somebody
  std::map<std::string, std::string> strangers_;   // of ends that are not known, what may be lost
  std::set<std::pair<std::uint32_t, std::string>> noted_;  // of which table what was said
  bool changed_noted_ = false;
  bool incomplete_noted_ = false;
  std::size_t chosen_ = 0;  // on all courses, at most kMostChoices
  GuardAnswer answer_;
};

}  // namespace

GuardAnswer ask_about(const AskedRuleset& before, const AskedRuleset& after,
                      const GuardFacts& facts) {
  return Guard(before, after, facts).take();
}

}  // namespace rolewall::apply

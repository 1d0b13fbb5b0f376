#include "trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "eval/stack.h"
#include "eval/tracker.h"
#include "eval/wire.h"
#include "iptables_loader.h"
#include "netlink/netlink.h"
#include "nft_loader.h"
#include "observe/this_host.h"
#include "reduce.h"
#include "ruleset/expr.h"
#include "ruleset/xt_match.h"
#include "sandbox/watch.h"
#include "xt_revisions.h"

namespace rolewall::kernel_judge {
namespace {

// A refusal is of kind Usage, and says what the kernel said.
Result<void> load_with_netlink(const ruleset::Ruleset& ruleset) {
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  for (const ruleset::Table& table : ruleset.tables) {
    const auto result = kernel->replace_table(table, std::nullopt);
    if (result && result->committed) continue;
    for (const ruleset::Table& loaded : ruleset.tables) {
      static_cast<void>(kernel->delete_table(loaded.family, loaded.name, std::nullopt));
    }
    if (!result) return fail(ErrorKind::Usage, result.error().message);
    if (result->refusals.empty()) return fail(ErrorKind::System, table.name + ": not committed");
    const netlink::Refusal& refusal = result->refusals.front();
    return fail(ErrorKind::Usage, fmt::format("{}: {}", refusal.what, refusal.explanation));
  }
  return {};
}

Result<ruleset::Ruleset> dump(netlink::Connection& kernel) {
  auto live = kernel.dump();
  if (!live) return live;
  std::erase_if(live->tables,
                [](const auto& table) { return table.name == sandbox::watch::kTable; });
  return live;
}

// The host writes its address and the time into options that ask for them; the evaluator does not.
bool same_bytes(std::span<const std::uint8_t> seen, const eval::Packet& after) {
  const std::span<const std::uint8_t> ours(after.bytes);
  const bool ipv4 = after.ether_type == eval::kEtherTypeIpv4;
  const std::size_t header = ipv4 && !ours.empty() ? eval::ipv4::header_size(ours) : 0;
  if (header == 0 || header > ours.size() || !eval::rewrites_options(ours)) {
    return std::ranges::equal(seen, ours);
  }
  return seen.size() == ours.size() &&
         std::ranges::equal(seen.subspan(header), ours.subspan(header));
}

// The rules of a text, in order, as one list.
template <class Text>
auto rules_of(Text& text) {
  using Chain = std::remove_reference_t<decltype(text.tables[0].chains[0])>;
  std::vector<std::pair<Chain*, std::size_t>> rules;
  for (auto& table : text.tables) {
    for (auto& chain : table.chains) {
      for (std::size_t i = 0; i < chain.rules.size(); ++i) rules.emplace_back(&chain, i);
    }
  }
  return rules;
}

constexpr std::uint64_t kUntilTheKernelLooksNs = 40'000'000;

bool is_expiration(const ruleset::Expr& expr) {
  const auto* load = std::get_if<ruleset::Ct>(&expr);
  return load != nullptr && load->key == ruleset::CtKey::Expiration;
}

bool counts_in_elements(const ruleset::Expr& expr) {
  const auto* dynset = std::get_if<ruleset::Dynset>(&expr);
  return dynset != nullptr && std::ranges::any_of(dynset->exprs, [](const auto& each) {
           return std::holds_alternative<ruleset::Connlimit>(each);
         });
}

bool lets_elements_end(const ruleset::Ruleset& ruleset) {
  return std::ranges::any_of(ruleset.tables, [](const auto& table) {
    return std::ranges::any_of(table.sets, [](const auto& set) { return set.has_timeout; });
  });
}

template <class Predicate>
bool has_expr(const ruleset::Ruleset& ruleset, Predicate wanted) {
  for (const auto& table : ruleset.tables) {
    for (const auto& chain : table.chains) {
      for (const auto& rule : chain.rules) {
        for (const auto& expr : rule.exprs) {
          if (wanted(expr)) return true;
        }
      }
    }
  }
  return false;
}

// What is loaded again, in earlier revisions of its matches and targets.
Result<void> load_lowered(std::uint64_t seed) {
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  auto live = dump(*kernel);
  if (!live) return std::unexpected(live.error());
  Random random(seed);
  lower_revisions(*live, random);
  for (const auto& table : live->tables) {
    TRY(kernel->delete_table(table.family, table.name, std::nullopt));
  }
  return load_with_netlink(*live);
}

// iptables-restore replaces a table in one go: lists that rules name would be taken over, with all
// that they hold.
Result<void> take_away(const IptablesText& text) {
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  for (const IptablesText::Table& table : text.tables) {
    const auto family = table.ipv6 ? ruleset::Family::Ip6 : ruleset::Family::Ip;
    static_cast<void>(kernel->delete_table(family, table.name, std::nullopt));
  }
  return {};
}

constexpr const char* kRecentLists = "/proc/net/xt_recent";

// What recent's lists hold before the first packet, some of it twice. Where a list cannot be
// written to, it is empty: it is read as it is.
void fill_recent_lists() {
  std::error_code none;
  for (const auto& list : std::filesystem::directory_iterator(kRecentLists, none)) {
    for (const char* address :
         {"198.51.100.7", "10.9.0.1", "10.9.1.5", "192.0.2.9", "2001:db8:9::1", "2001:db8:9:1::5",
          "10.9.1.5", "2001:db8:9:1::5"}) {
      std::ofstream(list.path()) << '+' << address << std::flush;
    }
  }
}

// Those that the kernel shows are as it shows them.
Result<void> read_recent_lists(ruleset::Host& host) {
  const bool asked = std::ranges::any_of(host.xt_tables, [](const ruleset::XtTable& table) {
    return table.name.starts_with("xt_recent/");
  });
  if (!asked) return {};
  const auto live = observe::this_host();
  if (!live) return std::unexpected(live.error());
  host.ticks = live->ticks;
  for (ruleset::XtTable& table : host.xt_tables) {
    const auto shown = std::ranges::find(live->xt_tables, table.name, &ruleset::XtTable::name);
    if (shown != live->xt_tables.end()) table.lines = shown->lines;
  }
  return {};
}

// As /proc/net shows them where no packet has come yet: what was not read is conditional.
std::vector<ruleset::XtTable> lists_of(const ruleset::Ruleset& ruleset) {
  std::vector<ruleset::XtTable> lists;
  for (const auto& table : ruleset.tables) {
    const bool ipv6 = table.family == ruleset::Family::Ip6;
    for (const auto& chain : table.chains) {
      for (const auto& rule : chain.rules) {
        for (const auto& expr : rule.exprs) {
          const auto* match = std::get_if<ruleset::XtMatch>(&expr);
          const auto meaning = match == nullptr ? std::nullopt : std::optional(meaning_of(*match));
          if (!meaning || !*meaning) continue;
          if (const auto* limit = std::get_if<ruleset::XtHashlimit>(&**meaning)) {
            lists.push_back({(ipv6 ? "ip6t_hashlimit/" : "ipt_hashlimit/") + limit->name, {}});
          } else if (const auto* recent = std::get_if<ruleset::XtRecent>(&**meaning)) {
            lists.push_back({"xt_recent/" + recent->name, {}});
          }
        }
      }
    }
  }
  return lists;
}

template <class Source>
bool disagrees(const Source& text, const ruleset::Host& host, const Question& question) {
  const auto trial = Trial::open(text, host);
  if (!trial) return false;
  const auto answers = (*trial)->ask(question);
  return answers && !answers->difference.empty() &&
         answers->journey.fate() != eval::Fate::Undecided;
}

template <class Text>
Text minimise_text(Text text, const ruleset::Host& host, const Question& question) {
  for (std::size_t at = rules_of(text).size(); at-- > 0;) {
    Text without = text;
    const auto [chain, rule] = rules_of(without)[at];
    chain->rules.erase(chain->rules.begin() + static_cast<std::ptrdiff_t>(rule));
    if (disagrees(without, host, question)) text = std::move(without);
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<Trial>> Trial::open(const RulesetText& text, const ruleset::Host& host,
                                           Memory memory) {
  const auto nft = std::make_shared<NftLoader>(render(text));
  return open([nft] { return nft->load(); }, host, memory);
}

Result<std::unique_ptr<Trial>> Trial::open(const IptablesText& text, const ruleset::Host& host,
                                           Memory memory) {
  const auto load = [text]() -> Result<void> {
    TRY(take_away(text));
    auto loaded = load_iptables(text);
    if (loaded && text.lowered_by) loaded = load_lowered(*text.lowered_by);
    if (loaded) fill_recent_lists();
    // What of the other family was taken before does not stay.
    if (!loaded && loaded.error().kind == ErrorKind::Usage) {
      auto kernel = netlink::Connection::open();
      if (!kernel) return std::unexpected(kernel.error());
      const auto live = dump(*kernel);
      if (!live) return std::unexpected(live.error());
      for (const auto& table : live->tables) {
        static_cast<void>(kernel->delete_table(table.family, table.name, std::nullopt));
      }
    }
    return loaded;
  };
  return open(load, host, memory);
}

Result<std::unique_ptr<Trial>> Trial::open(const ruleset::Ruleset& ruleset,
                                           const ruleset::Host& host, Memory memory) {
  return open([ruleset] { return load_with_netlink(ruleset); }, host, memory);
}

Result<std::unique_ptr<Trial>> Trial::open(const sandbox::Judge::Load& load,
                                           const ruleset::Host& host, Memory memory) {
  std::unique_ptr<Trial> trial(new Trial);
  trial->memory_ = memory;
  TRY(load());
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  auto live = dump(*kernel);
  if (!live) return std::unexpected(live.error());
  trial->ruleset_ = std::move(*live);
  // The watch is to be first: the judge loads the ruleset again behind it.
  for (const auto& table : trial->ruleset_.tables) {
    if (auto gone = kernel->delete_table(table.family, table.name, std::nullopt); !gone) {
      return std::unexpected(gone.error());
    }
  }
  auto judge = sandbox::Judge::open(host, load, memory, sandbox::Judge::After::Told);
  if (!judge) return std::unexpected(judge.error());
  trial->judge_ = std::make_unique<sandbox::Judge>(std::move(*judge));
  auto comparison = Comparison::of(trial->ruleset_, trial->judge_->ruleset());
  if (!comparison) return std::unexpected(comparison.error());
  trial->comparison_ = std::make_unique<Comparison>(std::move(*comparison));
  trial->paced_ = memory == Memory::Kept && has_expr(trial->ruleset_, [](const auto& expr) {
                    const auto* match = std::get_if<ruleset::XtMatch>(&expr);
                    return std::holds_alternative<ruleset::Connlimit>(expr) ||
                           counts_in_elements(expr) ||
                           (match != nullptr && match->name == "connlimit");
                  });
  // Sets that count do so whatever the match asks.
  trial->changes_ipsets_ =
      memory == Memory::Kept && has_expr(trial->ruleset_, [](const auto& expr) {
        const auto* match = std::get_if<ruleset::XtMatch>(&expr);
        const auto* target = std::get_if<ruleset::XtTarget>(&expr);
        return (target != nullptr && target->name == "SET") ||
               (match != nullptr && match->name == "set");
      });
  trial->ages_ = memory == Memory::Kept && lets_elements_end(trial->ruleset_);
  trial->timed_ = trial->paced_ || trial->ages_ ||
                  (memory == Memory::Kept && has_expr(trial->ruleset_, is_expiration));
  trial->host_ = host;
  trial->host_.xt_tables = lists_of(trial->ruleset_);
  TRY(read_recent_lists(trial->host_));
  trial->evaluator_ = std::make_unique<eval::Evaluator>(trial->ruleset_, trial->host_);
  return trial;
}

Trial::~Trial() {
  auto kernel = netlink::Connection::open();
  if (!kernel) return;
  for (const auto& table : ruleset_.tables) {
    static_cast<void>(kernel->delete_table(table.family, table.name, std::nullopt));
  }
}

namespace {

// The watch has seen it come to the last hook's end, behind which connection tracking drops it
// (cli/nat_full.sh sees that it is not on the wire).
void believe_not_confirmed(Answers& answers) {
  const auto& hooks = answers.journey.hooks;
  if (hooks.empty() || hooks.back().reason != eval::kNotConfirmed) return;
  answers.seen.hooks.back().fate = sandbox::Fate::Stack;
  answers.seen.after.reset();
}

}  // namespace

Result<Answers> Trial::ask(const Question& question) {
  const eval::Packet& packet = question.packet;
  const bool kept = memory_ == Memory::Kept;
  eval::Packet asked = packet;
  const std::uint64_t now_ns = pace();
  // A conversation's packets leave as the routes say, before and after any translation.
  if (question.outbound && (kept || !question.bound)) asked.out_device.clear();
  auto seen = question.outbound ? judge_->send(asked) : judge_->arrive(asked);
  if (!seen) return std::unexpected(seen.error());
  Answers answers;
  answers.seen = std::move(*seen);
  comparison_->remember(answers.seen);
  const eval::Options options{.keep_state = kept,
                              .now_ns = kept && timed_ ? now_ns : 0,
                              .clock_error_ns = ages_ ? kUntilTheKernelLooksNs : 0,
                              .follows_back = false};
  const auto direction = question.outbound ? eval::Direction::Send : eval::Direction::Arrive;
  eval::Outcomes outcomes;
  if (kept) {
    outcomes = evaluator_->next(packet, direction, options);
    answers.journey = outcomes.ways.front();
  } else {
    answers.journey =
        question.outbound ? evaluator_->send(packet, options) : evaluator_->arrive(packet, options);
  }
  answers.difference = difference(question, answers);
  if (!answers.difference.empty() && !answers.journey.conditions.empty()) {
    if (!kept) outcomes = evaluator_->outcomes(packet, direction, options);
    try_other_ways(question, std::move(outcomes), answers);
  }
  if (answers.difference.empty()) believe_not_confirmed(answers);
  return answers;
}

bool is_in_doubt(const eval::Journey& journey) {
  return std::ranges::any_of(journey.conditions, [](const eval::Condition& condition) {
    return condition.about == kEarlierPacket;
  });
}

// Where the answer hangs on what was not said, one of the ways must be the kernel's. If none is,
// but one of them is undecided, that one may be; if not all are listed, one of the rest.
void Trial::try_other_ways(const Question& question, eval::Outcomes outcomes,
                           Answers& answers) const {
  for (eval::Journey& way : outcomes.ways) {
    Answers other{std::move(way), answers.seen, ""};
    other.difference = difference(question, other);
    if (other.difference.empty()) {
      answers = std::move(other);
      return;
    }
    if (other.journey.fate() == eval::Fate::Undecided || is_in_doubt(other.journey)) {
      answers.journey = std::move(other.journey);
    }
  }
  if (outcomes.complete) return;
  answers.unlisted = true;
  answers.difference.clear();
}

namespace {

// The watch stands between the hooks of the devices: what ends at the first does not come to it.
eval::Journey as_watched(eval::Journey journey) {
  if (!journey.hooks.empty() && journey.hooks.front().hook == ruleset::Hook::Ingress &&
      journey.hooks.front().fate == eval::Fate::Drop) {
    eval::HookResult& next = journey.hooks.emplace_back();
    next.hook = ruleset::Hook::Prerouting;
    next.fate = eval::Fate::Stack;
  }
  std::erase_if(journey.hooks, [](const eval::HookResult& hook) {
    return hook.hook == ruleset::Hook::Ingress || hook.hook == ruleset::Hook::Egress;
  });
  return journey;
}

}  // namespace

std::string Trial::difference(const Question& question, const Answers& answers) const {
  const sandbox::Observation& seen = answers.seen;
  std::string found = comparison_->difference(as_watched(answers.journey), seen);
  const eval::Packet& packet = question.packet;
  const std::string& device = question.outbound ? packet.out_device : packet.in_device;
  if (found.empty() && !seen.device.empty() && seen.device != device) {
    found = "the kernel takes it by " + seen.device;
  }
  if (!found.empty() || !seen.traced) return found;
  const eval::Packet& after = answers.journey.after;
  if (!seen.leaves_by.empty() && seen.leaves_by != after.out_device) {
    return fmt::format("it leaves by {} in the evaluator and by {} in the kernel", after.out_device,
                       seen.leaves_by);
  }
  // A port that NAT has drawn may be any.
  if (std::ranges::any_of(answers.journey.conditions, [](const eval::Condition& condition) {
        return condition.about.find("NAT draws") != std::string::npos;
      })) {
    return "";
  }
  if (!answers.journey.knows_after) return "";
  const bool told = seen.fate() == sandbox::Fate::Accept && seen.after;
  if (told && !same_bytes(*seen.after, after)) return "its bytes after are others";
  return "";
}

Result<void> Trial::forget() {
  evaluator_->reset();
  began_ = std::chrono::steady_clock::now();
  pauses_ = Random(1);
  if (changes_ipsets_) TRY(restore_ipsets());
  return judge_->forget();
}

// A `ct count` looks once a tick which connections have ended: its packets come further apart. The
// clock begins a second ahead, since a packet at 0 is one of which no time is known. Where elements
// end, some do between two packets.
std::uint64_t Trial::pace() {
  constexpr std::chrono::milliseconds kMoreThanTwoTicks{30};
  if (paced_) std::this_thread::sleep_for(kMoreThanTwoTicks);
  if (ages_) std::this_thread::sleep_for(std::chrono::milliseconds(pauses_.below(160)));
  const auto passed = std::chrono::steady_clock::now() - began_ + std::chrono::seconds(1);
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count());
}

RulesetText minimise(RulesetText text, const ruleset::Host& host, const Question& question) {
  return minimise_text(std::move(text), host, question);
}

IptablesText minimise(IptablesText text, const ruleset::Host& host, const Question& question) {
  return minimise_text(std::move(text), host, question);
}

// In ever smaller pieces, from the end: a large ruleset takes few attempts.
ruleset::Ruleset minimise(ruleset::Ruleset ruleset, const ruleset::Host& host,
                          const Question& question) {
  for (std::size_t piece = (count_rules(ruleset) + 1) / 2; piece > 0; piece /= 2) {
    for (std::size_t end = count_rules(ruleset); end > 0; end -= std::min(end, piece)) {
      auto without = without_rules(ruleset, end - std::min(end, piece), end);
      if (disagrees(without, host, question)) ruleset = std::move(without);
    }
  }
  return ruleset;
}

}  // namespace rolewall::kernel_judge

// Conversations on the live kernel: packets in both directions through one host that forwards,
// translates and remembers, one after the other, in the kernel and in the evaluator. They must
// agree on each packet's fate, deciding rule and path, on the device that it leaves by and on its
// bytes in the end. Some come in fragments, which are packets each. What disagrees is cut down to
// the rules and packets that matter, and printed with the command that repeats it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capture_view.h"
#include "conversation_text.h"
#include "in_sandbox.h"
#include "iptables_loader.h"
#include "iptables_text.h"
#include "machine_on_trial.h"
#include "options.h"
#include "pieces.h"
#include "sandbox/connections.h"
#include "sandbox/sandbox.h"
#include "shapes_text.h"
#include "stack_on_trial.h"
#include "talk.h"
#include "trial.h"
#include "words.h"

namespace rolewall::kernel_judge {
namespace {

constexpr std::uint64_t kMostShown = 5;  // disagreements in full
constexpr std::uint64_t kTalkSeeds = 1'000'000;

struct Arguments {
  std::uint64_t rulesets = 100;
  std::uint64_t conversations = 20;  // through each
  std::uint64_t packets = 16;        // of each
  std::uint64_t seed = 1;
  std::uint64_t seconds = 0;          // a budget; 0: none
  std::optional<std::uint64_t> only;  // the conversation's number: of the ruleset `seed` alone
  std::uint64_t devices = 2;          // 1: all around the host is reached by eth0
  bool iptables = false;              // rules of iptables instead of nft's text
  bool shapes = false;                // shapes_text.h's instead of conversation_text.h's

  bool one_device() const { return devices == 1; }
};

std::optional<Arguments> parse(int count, char** words) {
  Arguments arguments;
  if (count > 2 && std::string_view(words[1]) == "--from") {  // first, if at all
    arguments.iptables = std::string_view(words[2]) == "iptables";
    arguments.shapes = std::string_view(words[2]) == "shapes";
    if (!arguments.iptables && !arguments.shapes) return std::nullopt;
    count -= 2;
    words += 2;
  }
  const bool read = read_numbers(count, words,
                                 {{"--rulesets", &arguments.rulesets},
                                  {"--conversations", &arguments.conversations},
                                  {"--packets", &arguments.packets},
                                  {"--seed", &arguments.seed},
                                  {"--seconds", &arguments.seconds},
                                  {"--devices", &arguments.devices},
                                  {"--only", nullptr, &arguments.only}});
  if (!read) return std::nullopt;
  return arguments;
}

ruleset::Host host_on_trial(bool one_device) {
  ruleset::Host host;
  host.name = "trial";
  for (const bool ipv6 : {false, true}) {
    const Neighbourhood around = neighbourhood(ipv6);
    for (const auto* own : {&around.outer, &around.inner}) {
      for (const net::Address& address : *own) {
        host.addresses.push_back({address, net::address_bits(address)});
      }
    }
  }
  for (const char* device : {"eth0", "eth1"}) {
    if (one_device && !host.interfaces.empty()) break;
    ruleset::Interface& interface = host.interfaces.emplace_back();
    interface.name = device;
    interface.device = device;
  }
  if (!one_device) {
    host.interfaces[1].behind = net::AddressSet::from(
        {*net::parse_prefix("10.9.1.0/24"), *net::parse_prefix("2001:db8:9:1::/64")});
  }
  host.forwards_ipv4 = true;
  host.forwards_ipv6 = true;
  host.has_transparent_sockets = false;
  return sandbox::realise(host);
}

// The same, with fragments that the kernel does not take for what an earlier trial has left there.
std::vector<Question> said_again(std::vector<Question> said) {
  std::map<std::uint32_t, std::uint32_t> numbers;
  for (Question& question : said) {
    Bytes& bytes = question.packet.bytes;
    if (!is_fragment(bytes)) continue;
    const auto [number, is_new] = numbers.try_emplace(number_of(bytes));
    if (is_new) number->second = fresh_number();
    renumber(bytes, number->second);
  }
  return said;
}

// The first packet of a conversation that the two sides judge differently; none: they agree, or
// the ruleset is refused.
template <class Text>
std::optional<std::size_t> first_difference(const Text& text, const ruleset::Host& host,
                                            const std::vector<Question>& before) {
  const std::vector<Question> said = said_again(before);
  const auto trial = Trial::open(text, host, Trial::Memory::Kept);
  if (!trial || !(*trial)->forget()) return std::nullopt;
  for (std::size_t i = 0; i < said.size(); ++i) {
    const auto answers = (*trial)->ask(said[i]);
    if (!answers) return std::nullopt;
    if (!answers->difference.empty() && !is_in_doubt(answers->journey)) return i;
  }
  return std::nullopt;
}

// Without the rules, and then without the packets, that the disagreement does not need.
template <class Text>
void minimise(Text& text, std::vector<Question>& said, const ruleset::Host& host) {
  for (std::size_t t = text.tables.size(); t-- > 0;) {
    for (std::size_t c = text.tables[t].chains.size(); c-- > 0;) {
      for (std::size_t r = text.tables[t].chains[c].rules.size(); r-- > 0;) {
        Text without = text;
        auto& rules = without.tables[t].chains[c].rules;
        rules.erase(rules.begin() + static_cast<std::ptrdiff_t>(r));
        if (first_difference(without, host, said)) text = std::move(without);
      }
      Text without = text;
      auto& chains = without.tables[t].chains;
      chains.erase(chains.begin() + static_cast<std::ptrdiff_t>(c));
      if (first_difference(without, host, said)) text = std::move(without);
    }
  }
  for (std::size_t i = said.size(); i-- > 0;) {
    std::vector<Question> without = said;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    if (const auto at = first_difference(text, host, without)) {
      without.resize(*at + 1);
      said = std::move(without);
      i = std::min(i, said.size());
    }
  }
}

class Runner {
 public:
  Runner(const Arguments& arguments, const char* program)
      : arguments_(arguments), program_(program), host_(host_on_trial(arguments.one_device())) {}

  int run() {
    if (auto made = sandbox::set_up_host(host_); !made) return broken(made.error(), "set up");
    if (auto added = add_networks(host_); !added) return broken(added.error(), "set up");
    if (auto learnt = learn_machine(host_); !learnt) return broken(learnt.error(), "set up");
    if (arguments_.iptables) {
      if (auto made = make_ipsets(host_); !made) return broken(made.error(), "set up");
    }
    const auto start = std::chrono::steady_clock::now();
    const auto taken = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    const std::uint64_t count = arguments_.only ? 1 : arguments_.rulesets;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!judge(arguments_.seed + i)) return 1;
      if (arguments_.seconds != 0 && taken() > static_cast<double>(arguments_.seconds)) break;
    }
    report(taken());
    return disagreements_ + wrong_captures_ == 0 ? 0 : 1;
  }

 private:
  static std::uint64_t wall_ns() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  }

  static int broken(const Error& error, std::string_view where) {
    fmt::print("{}: {}\n", where, error.message);
    return 1;
  }

  bool judge(std::uint64_t seed) {
    if (arguments_.iptables) return judge(generate_iptables(seed, true), seed);
    return judge(arguments_.shapes ? generate_shapes(seed) : generate_conversation_ruleset(seed),
                 seed);
  }

  // How to repeat it.
  std::string command(std::uint64_t seed) const {
    return fmt::format("{}{}{} --seed {} --only ", program_,
                       arguments_.iptables ? " --from iptables"
                       : arguments_.shapes ? " --from shapes"
                                           : "",
                       arguments_.one_device() ? " --devices 1" : "", seed);
  }

  template <class Text>
  bool judge(const Text& text, std::uint64_t seed) {
    const std::string again = command(seed);
    shown_ = render(text);
    host_.conntrack = generate_conntrack_settings(seed);
    if (auto set = sandbox::set_conntrack(host_.conntrack); !set) {
      broken(set.error(), again + "0");
      return false;
    }
    if (auto chosen = choose_stack(host_, seed); !chosen) {
      broken(chosen.error(), again + "0");
      return false;
    }
    auto trial = Trial::open(text, host_, Trial::Memory::Kept);
    if (!trial && trial.error().kind == ErrorKind::Usage) {
      ++refused_;
      if (std::getenv("SHOW_REFUSALS") != nullptr) {
        fmt::print("{}0\n{}\n{}", again, trial.error().message, shown_);
      }
      return true;
    }
    if (!trial) {
      fmt::print("{}", shown_);
      broken(trial.error(), again + "0");
      return false;
    }
    ++rulesets_;
    const std::uint64_t first = arguments_.only.value_or(0);
    const std::uint64_t end = arguments_.only ? first + 1 : arguments_.conversations;
    for (std::uint64_t number = first; number < end; ++number) {
      const auto said = converse(**trial, seed * kTalkSeeds + number);
      if (!said) {
        broken(said.error(), again + std::to_string(number));
        return false;
      }
      if (said->empty()) continue;
      fmt::print("  again: {}{}\n", again, number);
      if (++disagreements_ > kMostShown) return true;
      trial->reset();
      show_least(text, *said);
      return true;  // the ruleset's other conversations would say the same
    }
    return true;
  }

  // The same conversation as captures of it show it.
  Result<std::vector<Question>> converse(Trial& trial, std::uint64_t seed) {
    std::vector<CaptureView> views;
    Random links(Random(seed + 5).next());
    for (const ruleset::Interface& interface : host_.interfaces) {
      using Link = CaptureView::Link;
      views.emplace_back(interface.device,
                         links.of({Link::KnownMac, Link::UnknownMac, Link::Raw, Link::Cooked}));
    }
    auto said = converse(trial, seed, views);
    if (!said || !said->empty()) return said;
    for (const CaptureView& view : views) {
      if (view.misses_what_is_counted(trial.ruleset())) continue;
      const std::string wrong = view.first_wrong({host_, trial.ruleset(), {}}, captured_);
      if (wrong.empty()) continue;
      ++wrong_captures_;
      if (wrong_captures_ > kMostShown) continue;
      fmt::print("DISAGREEMENT: a capture: {}\n  again: {}{}\n{}\n", wrong,
                 command(seed / kTalkSeeds), seed % kTalkSeeds, shown_);
    }
    return said;
  }

  // What was said up to the packet that they disagree about; empty where they agree.
  Result<std::vector<Question>> converse(Trial& trial, std::uint64_t seed,
                                         std::vector<CaptureView>& views) {
    TRY(trial.forget());
    ++conversations_;
    Talk talk(seed, host_, arguments_.one_device(), arguments_.shapes);
    Random cuts(Random(seed + 3).next());
    std::vector<Question> said;
    bool shows_all = true;
    for (std::uint64_t i = 0; i < arguments_.packets; ++i) {
      const Question question = talk.next();
      sandbox::Observation seen;
      for (const Question& part : parts_of(question, cuts)) {
        said.push_back(part);
        auto answers = trial.ask(part);
        if (!answers) return std::unexpected(answers.error());
        // On the wire a datagram that was put together is in fragments again.
        shows_all = shows_all && !is_fragment(part.packet.bytes) && !talk.strayed();
        for (CaptureView& view : views) {
          if (shows_all) view.note(part, answers->seen, wall_ns());
        }
        if (answers->unlisted) ++unlisted_;
        if (is_open(answers->journey)) return std::vector<Question>{};
        const auto& after = answers->seen.after;
        if (after && *after != part.packet.bytes) ++changed_;
        ++fates_[answers->seen.fate()];
        if (answers->unlisted) {
          // What comes back to a translation that is not known cannot be told.
          if (after && *after != part.packet.bytes) return std::vector<Question>{};
        } else if (is_in_doubt(answers->journey)) {
          ++in_doubt_;
          // By a port that only the kernel knows, perhaps: what comes back to it cannot be told.
          if (after && *after != part.packet.bytes) return std::vector<Question>{};
        } else {
          ++packets_;
          if (!answers->difference.empty()) {
            show(trial, part, *answers);
            return said;
          }
        }
        if (is_fragment(part.packet.bytes)) ++fragments_;
        if (after && is_fragment(*after)) continue;
        if (after && is_fragment(part.packet.bytes)) ++gathered_;
        if (after || !seen.after) seen = std::move(answers->seen);
      }
      talk.learn(seen);
    }
    return std::vector<Question>{};
  }

  // A packet of a conversation, or its fragments.
  static std::vector<Question> parts_of(const Question& question, Random& random) {
    std::vector<Question> parts;
    if (random.percent(15) && !has_options(question.packet.bytes)) {
      for (Bytes& bytes : cut_up(question.packet.bytes, fresh_number(), random)) {
        parts.push_back(question);
        parts.back().packet.bytes = std::move(bytes);
      }
    }
    if (parts.empty()) parts.push_back(question);
    return parts;
  }

  // Whether an answer leaves something open, at which the conversation ends.
  bool is_open(const eval::Journey& journey) {
    if (journey.fate() == eval::Fate::Undecided) {
      const std::string& reason = journey.hooks.back().reason;
      const std::size_t colon = reason.rfind(": ");
      ++undecided_[colon == std::string::npos ? reason : reason.substr(colon + 2)];
      return true;
    }
    if (journey.conditions.empty()) return false;
    ++conditional_[journey.conditions.front().about];
    // What was taken for given has other ways that are not listed. The rest goes on: what later
    // packets are told for certain must hold whichever way this one went.
    return std::ranges::any_of(journey.conditions, [](const eval::Condition& condition) {
      return condition.assumed && condition.about != kEarlierPacket;
    });
  }

  void show(const Trial& trial, const Question& question, const Answers& answers) const {
    if (disagreements_ >= kMostShown) return;
    fmt::print("DISAGREEMENT: {}\n  {}\n  bytes: {}\n  evaluator:\n{}  kernel:\n{}",
               answers.difference, in_words(question), in_hex(question.packet),
               trial.comparison().describe(answers.journey),
               trial.comparison().describe(answers.seen));
    eval::Packet after;
    after.bytes = answers.journey.after.bytes;
    fmt::print("  after, evaluator: {} {}\n", answers.journey.after.out_device, in_hex(after));
    if (answers.seen.after) {
      after.bytes = *answers.seen.after;
      fmt::print("  after, kernel:    {} {}\n", answers.seen.leaves_by, in_hex(after));
    }
  }

  template <class Text>
  void show_least(Text text, std::vector<Question> said) const {
    minimise(text, said, host_);
    const auto& settings = host_.conntrack;
    fmt::print("loose {} liberal {} ignore_invalid_rst {} checksum {}\n{}\n", settings.tcp_loose,
               settings.tcp_be_liberal, settings.tcp_ignore_invalid_rst, settings.checksum,
               render(text));
    for (const Question& question : said) {
      fmt::print("  {}\n    {}\n", in_words(question), in_hex(question.packet));
    }
  }

  void report(double seconds) const {
    for (const auto& [reason, count] : undecided_) {
      fmt::print("undecided, ends {} conversations: {}\n", count, reason);
    }
    for (const auto& [about, count] : conditional_) {
      fmt::print("conditional, {} packets: {}\n", count, about);
    }
    const auto fate = [&](sandbox::Fate which) {
      const auto found = fates_.find(which);
      return found == fates_.end() ? 0 : found->second;
    };
    using sandbox::Fate;
    fmt::print("{} accepted ({} of them changed), {} dropped, {} rejected, {} by the stack\n",
               fate(Fate::Accept), changed_, fate(Fate::Drop), fate(Fate::Reject),
               fate(Fate::Stack));
    fmt::print(
        "in captures of the devices: {} packets for certain, {} conditional, {} passed over, {} "
        "captures wrong\n",
        captured_.certain, captured_.conditional, captured_.passed_over, wrong_captures_);
    fmt::print("{} packets in doubt for what came before, not compared\n", in_doubt_);
    fmt::print("{} packets that go a way beyond the {} that are listed, not compared\n", unlisted_,
               eval::Outcomes::kMost);
    fmt::print("{} fragments, {} datagrams put together of them\n", fragments_, gathered_);
    fmt::print(
        "{} rulesets ({} more refused by nft or the kernel), {} conversations, {} packets "
        "compared, {} disagreements, {:.1f} s, seeds from {}\n",
        rulesets_, refused_, conversations_, packets_, disagreements_, seconds, arguments_.seed);
  }

  Arguments arguments_;
  std::string program_;
  std::string shown_;  // the ruleset that is tried
  ruleset::Host host_;
  std::uint64_t rulesets_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t conversations_ = 0;
  std::uint64_t packets_ = 0;
  std::uint64_t changed_ = 0;
  std::uint64_t in_doubt_ = 0;
  std::uint64_t unlisted_ = 0;
  std::uint64_t fragments_ = 0;
  std::uint64_t gathered_ = 0;
  std::uint64_t disagreements_ = 0;
  CaptureView::Tally captured_;
  std::uint64_t wrong_captures_ = 0;
  std::map<sandbox::Fate, std::uint64_t> fates_;
  std::map<std::string, std::uint64_t> undecided_;
  std::map<std::string, std::uint64_t> conditional_;
};

}  // namespace
}  // namespace rolewall::kernel_judge

int main(int count, char** words) {
  using namespace rolewall;
  const auto arguments = kernel_judge::parse(count, words);
  if (!arguments) {
    fmt::print(
        stderr,
        "usage: conversation_judge [--from iptables|shapes] [--rulesets N] [--conversations N] "
        "[--packets N] "
        "[--seed S] [--seconds BUDGET] [--only CONVERSATION] [--devices 1|2]\n");
    return 2;
  }
  if (arguments->iptables && !kernel_judge::has_iptables()) {
    fmt::print("skipped: iptables-nft-restore is not installed\n");
    return kernel_judge::kSkipped;
  }
  return kernel_judge::in_sandbox([&] { return kernel_judge::Runner(*arguments, words[0]).run(); });
}

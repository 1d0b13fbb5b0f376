// rolewall eval: what happens to a packet, and which line decides. Of the site, of one host of it,
// of a ruleset in a file, or of the live one.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "apply/apply.h"
#include "ask/site.h"
#include "cli/eval_capture.h"
#include "cli/eval_questions.h"
#include "cli/exit_status.h"
#include "cli/live.h"
#include "cli/program.h"
#include "cli/question.h"
#include "cli/render.h"
#include "cli/render_answer.h"
#include "cli/render_json.h"
#include "cli/ruleset_file.h"
#include "cli/site_options.h"
#include "eval/route.h"
#include "net/built_in_steps.h"
#include "policy/effective.h"

namespace rolewall::cli {
namespace {

struct EvalOptions {
  SiteOptions site;
  std::vector<std::string> packet;  // in one argument; more where the quotes were forgotten
  std::string host;
  std::string ruleset;
  bool live = false;
  std::string state_directory{apply::kDefaultStateDirectory};
  bool explain = false;
  bool all = false;
  std::string expect;
  std::string questions;  // a file of them
  std::string format = "text";
  CaptureOptions capture;
};

bool decides_at(const ask::Hop& hop, std::string_view step) {
  const auto is_it = [&](const ask::DecidedBy& by) { return by.rule == step; };
  return (hop.decided_by && is_it(*hop.decided_by)) ||
         std::ranges::any_of(hop.alternatives, [&](const ask::Alternative& each) {
           return each.verdict != ask::Verdict::Accept && each.decided_by &&
                  is_it(*each.decided_by);
         });
}

// What the kernel of hosts in audit mode does otherwise than the answer says. Rules that deny, bans
// and the rest deny in audit mode, too.
struct Auditing {
  std::vector<std::string> accept;  // what the defaults deny
  std::vector<std::string> go_on;   // to the rules, with what a step before them denies
};
Auditing auditing(const Subject& subject, const ask::Answer& answer) {
  Auditing hosts;
  if (!subject.has_policies || !ask::audits(subject.policy)) return hosts;
  for (const ask::Hop& hop : answer.hops) {
    const auto host = policy::find_host(subject.policy, hop.host);
    if (hop.verdict == ask::Verdict::Accept || !host) continue;
    const auto effective = policy::effective_policy(subject.policy, *host, subject.date);
    if (effective.defaults.mode != policy::Mode::Audit) continue;
    if (decides_at(hop, net::step::kDefault)) hosts.accept.push_back(hop.host);
    if (decides_at(hop, net::step::kInvalid) || decides_at(hop, net::step::kSpoofed)) {
      hosts.go_on.push_back(hop.host);
    }
  }
  return hosts;
}

std::uint64_t wall_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

class Questions {
 public:
  Questions(const EvalOptions& options, const Subject& subject, ask::Site& site)
      : options_(options), subject_(subject), site_(site) {}

  // Asks, prints, and compares with what was expected.
  void ask(const ask::Sample& sample) {
    const ask::Answer answer = site_.ask(sample, options_.explain);
    const bool expected = is_as_expected(options_.expect, answer.verdict);
    expected_ &= expected;
    if (options_.format == "json") {
      print(json_of(answer));
    } else {
      print_text(answer);
      if (!expected) complain(answer.verdict);
    }
  }

  // Prints the first of them whole, and what becomes of all.
  void ask_first_of(const std::vector<ask::Sample>& samples) {
    const ask::Answer answer = site_.ask(samples.front(), options_.explain);
    const Others others = ask_others(samples, answer.verdict);
    const bool expected = is_as_expected(options_.expect, answer.verdict);
    expected_ &= expected && !others.unexpected;
    if (options_.format == "json") {
      Json json = json_of(answer);
      if (others.family) json["other_family"] = to_json(*others.family);
      json["verdicts"] = to_json(others.verdicts);
      print(json);
      return;
    }
    print_text(answer);
    if (others.family) {
      out().line(fmt::format("the other address family differs: {}: {}", others.family->packet,
                             painted(out(), others.family->verdict)));
    }
    if (!others.verdicts.agree() && others.verdicts.of > 2) {
      out().line(fmt::format(
          "of the {} packets that these words stand for: {}; --all shows each",
          others.verdicts.of == others.verdicts.asked
              ? std::to_string(others.verdicts.of)
              : fmt::format("first {} of {}", others.verdicts.asked, others.verdicts.of),
          in_words(others.verdicts)));
    }
    if (!expected) {
      complain(answer.verdict);
    } else if (others.unexpected) {
      err().line(fmt::format("rolewall: expected {}, got {} for {}", options_.expect,
                             ask::name_of(others.unexpected->verdict), others.unexpected->packet));
    }
  }
  bool all_as_expected() const { return expected_; }

 private:
  struct Others {
    Verdicts verdicts;                  // of all, the first among them
    std::optional<ask::Answer> family;  // the first of the other family, if it differs
    std::optional<ask::Answer> unexpected;
  };

  // Where nothing is expected, so many say enough: each host that is asked must be compiled.
  static constexpr std::size_t kMostCounted = 256;

  Others ask_others(const std::vector<ask::Sample>& samples, ask::Verdict first) {
    Others others;
    others.verdicts.of = samples.size();
    others.verdicts.asked =
        options_.expect.empty() ? std::min(samples.size(), kMostCounted) : samples.size();
    others.verdicts.counts[first] = 1;
    bool met_family = false;
    for (std::size_t i = 1; i < samples.size(); ++i) {
      const bool is_other = ask::is_ipv4(samples[i]) != ask::is_ipv4(samples.front());
      const bool first_of_family = is_other && !met_family;
      met_family |= is_other;
      if (i >= others.verdicts.asked && !first_of_family) continue;
      ask::Answer answer = site_.ask(samples[i], false);
      if (i < others.verdicts.asked) ++others.verdicts.counts[answer.verdict];
      if (!others.unexpected && !is_as_expected(options_.expect, answer.verdict)) {
        others.unexpected = answer;
      }
      if (first_of_family && answer.verdict != first) others.family = std::move(answer);
    }
    return others;
  }

  Json json_of(const ask::Answer& answer) const {
    Json json = to_json(answer);
    for (const std::string& host : auditing(subject_, answer).accept) json["audit"].push_back(host);
    if (!options_.expect.empty()) json["expected"] = options_.expect;
    return json;
  }

  void print_text(const ask::Answer& answer) const {
    render(out(), answer);
    for (const ask::Hop& hop : answer.hops) {
      if (hop.verdict != ask::Verdict::Conditional) continue;
      std::string words;
      for (const ask::Alternative& alternative : hop.alternatives) {
        if (alternative.add.empty()) continue;
        words += (words.empty() ? "" : " or ") + alternative.add;
      }
      if (!words.empty()) out().line(fmt::format("to settle this, add {}", words));
    }
    const Auditing hosts = auditing(subject_, answer);
    for (const std::string& host : hosts.accept) {
      out().line(fmt::format("{} is in audit mode: it logs this packet and accepts it", host));
    }
    for (const std::string& host : hosts.go_on) {
      out().line(fmt::format(
          "{} is in audit mode: it logs this packet, and its rules decide (`eval --live` there)",
          host));
    }
  }

  void complain(ask::Verdict verdict) const {
    err().line(
        fmt::format("rolewall: expected {}, got {}", options_.expect, ask::name_of(verdict)));
  }

  const EvalOptions& options_;
  const Subject& subject_;
  ask::Site& site_;
  bool expected_ = true;
};

int put(const EvalOptions& options, const Subject& subject, ask::Site& site) {
  if (!options.questions.empty()) {
    return eval_questions(options.questions, options.format == "json", subject, site);
  }
  const std::string& words = options.packet.front();
  Diagnostics diagnostics;
  const auto samples = understand(words, subject, {kNoFile, 1, 1}, diagnostics);
  if (diagnostics.has_errors()) {
    show_words(err(), words, diagnostics);
    return kUsage;
  }
  Questions questions(options, subject, site);
  if (options.all) {
    for (const ask::Sample& sample : samples) questions.ask(sample);
  } else {
    questions.ask_first_of(samples);
  }
  return questions.all_as_expected() ? kDone : kNo;
}

int put_capture(const EvalOptions& options, const ruleset::Snapshot& snapshot) {
  CaptureOptions capture = options.capture;
  capture.each = options.all || options.explain;
  capture.explain = options.explain;
  capture.json = options.format == "json";
  return eval_capture(capture, snapshot);
}

int run(const EvalOptions& options) {
  if (options.packet.size() > 1) {
    return report_usage(
        "the packet must be one argument: quote it, or the shell takes `>` as a redirection");
  }
  if (options.ruleset == "-" && options.questions == "-") {
    return report_usage("--ruleset - and --file -: standard input can be one of them alone");
  }
  if (!options.questions.empty() && (options.explain || options.all)) {
    return report_usage(fmt::format(
        "--file prints a line for each question: give it without {0}, and the one question that "
        "you want explained as PACKET with {0}",
        options.explain ? "--explain" : "--all"));
  }
  const bool without_policies = options.live || !options.ruleset.empty();
  const bool of_capture = !options.capture.file.empty();
  const bool of_questions = !options.questions.empty();
  if (int{of_capture} + int{of_questions} + int{!options.packet.empty()} != 1) {
    return report_usage("give a packet, --file QUESTIONS or --pcap FILE");
  }
  if (without_policies && (!options.site.directory.empty() || !options.host.empty())) {
    return report_usage("--ruleset and --live ask one host's ruleset: they exclude -p and --host");
  }
  if (without_policies) {
    auto snapshot =
        options.live ? live_snapshot(options.state_directory) : read_ruleset(options.ruleset);
    if (!snapshot) return report(snapshot.error());
    if (of_capture || (of_questions && options.format != "json")) say_beside(snapshot->beside);
    if (of_capture) return put_capture(options, *snapshot);
    const ruleset::Host machine = snapshot->host;
    const eval::Routes routes(machine);
    const bool translates = ask::has_destination_nat(snapshot->ruleset);
    const Subject subject{
        policy_without_site(machine), false, {}, {policy::Index{0}, true, translates, &routes}};
    ask::Site site(subject.policy, std::move(*snapshot));
    if (options.live) site.set_clock(wall_ns());
    return put(options, subject, site);
  }
  auto site = load_valid_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  Subject subject{std::move(site->policy), true, site->date, {}};
  // `self` is this host, where one is meant; only --host asks it alone.
  const auto host = choose_host(subject.policy, options.host);
  if (!host && !options.host.empty()) return report(host.error());
  if (host) subject.asking = {*host, !options.host.empty()};
  ask::Site asked(subject.policy, subject.date);
  if (of_capture) {
    return host ? put_capture(options, asked.snapshot(*host)) : report(host.error());
  }
  return put(options, subject, asked);
}

void add_capture_options(Verb& verb, CaptureOptions& capture, const Option& pcap) {
  verb.add_option("--in", capture.device,
                  "--pcap: the interface it was taken on, or `any`: each packet says its own")
      .type_name("INTERFACE")
      .needs(pcap);
  verb.add_option("--hook", capture.hook,
                  "--pcap: all packets arrive (prerouting), or the host sends them all (output); "
                  "default: as frames and addresses tell")
      .one_of({"prerouting", "output"})
      .needs(pcap);
  verb.add_option("--checksums", capture.checksums,
                  "--pcap: `trust` takes all as right, for captures taken before a network card "
                  "filled them in")
      .one_of({"trust", "verify"})
      .show_default()
      .needs(pcap);
  verb.add_option("--write-dropped", capture.write_dropped,
                  "--pcap: write the denied packets to this capture")
      .type_name("FILE")
      .needs(pcap);
}

}  // namespace

void add_eval(Program& program) {
  Verb verb = program.add_verb(
      kAskVerbs, "eval", "tell what happens to a packet, and which policy line decides",
      "  rolewall eval 'https internet > lb-01'\n"
      "  rolewall eval -p policies 'mysql web-01 > db-01'      asks both hosts\n"
      "  rolewall eval 'tcp 192.0.2.7:40000 > lb-01:443 flags=syn in=public' --explain\n"
      "  rolewall eval 'ssh management > self' --host db-01 --expect accept\n"
      "  rolewall eval --ruleset web-01.json 'tcp 10.0.1.10 > 10.0.2.10:443'\n"
      "  rolewall eval --file questions.txt                    'https internet > lb-01 => accept'\n"
      "  sudo rolewall eval --live 'tcp 198.51.100.7 > 10.0.2.10:22 in=eth0'\n"
      "  sudo rolewall eval --live --pcap eth0.pcap --in eth0 --write-dropped denied.pcap");
  auto options = std::make_shared<EvalOptions>();
  const Option packet =
      verb.add_option("PACKET", options->packet,
                      "SERVICE FROM > TO, all in quotes, with options behind: in= out= at= "
                      "state= flags= family= user= length= ttl= dscp= df= frag= time=")
          .type_name("TEXT");
  add_site_options(verb, options->site, Looks::Around, false);
  verb.add_option("--host", options->host, "ask only this host").type_name("HOST");
  const Option ruleset =
      verb.add_option(
              "--ruleset", options->ruleset,
              "ask a ruleset that `dump` or `compile --format json` wrote (-: standard input), "
              "without policies")
          .type_name("FILE");
  verb.add_flag("--live", options->live,
                "ask the kernel's ruleset, with the tables of all programs")
      .excludes(ruleset);
  verb.add_option("--state-dir", options->state_directory,
                  "--live: where the policy lines of the rules are recorded")
      .type_name("DIR")
      .show_default();
  verb.add_flag(
      "--explain", options->explain,
      "show every rule tried, and why it did not match (--pcap: of the hook that decides, "
      "for each packet)");
  verb.add_flag(
      "--all", options->all,
      "show every packet that the words stand for, or every one of the capture (default: one "
      "packet; of a capture, the numbers)");
  const Option questions =
      verb.add_option("--file", options->questions,
                      "ask the questions of a file (-: standard input), one a line: PACKET, or "
                      "PACKET => VERDICT; # begins a comment")
          .type_name("FILE")
          .excludes(packet);
  const Option expect =
      verb.add_option(
              "--expect", options->expect,
              "exit with 1 if the verdict differs for any packet that the words stand for (`deny`: "
              "drop, reject, stack or held)")
          .one_of(expectations())
          .type_name("VERDICT")
          .excludes(questions);
  CaptureOptions& capture = options->capture;
  const Option pcap =
      verb.add_option("--pcap", capture.file,
                      "ask about the packets of a capture (pcap, pcapng), with connection tracking")
          .type_name("FILE")
          .excludes(packet)
          .excludes(questions)
          .excludes(expect);
  add_capture_options(verb, capture, pcap);
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli

// rolewall eval: what happens to a packet, and which line decides. Of the site, of one host of it,
// of a ruleset in a file, or of the live one.

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "apply/apply.h"
#include "ask/site.h"
#include "base/file.h"
#include "cli/eval_capture.h"
#include "cli/exit_status.h"
#include "cli/live.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_answer.h"
#include "cli/render_json.h"
#include "cli/site_options.h"
#include "policy/codes.h"
#include "policy/effective.h"
#include "policy/load.h"
#include "print/print.h"

namespace rolewall::cli {
namespace {

constexpr std::size_t kLargestRuleset = std::size_t{1} << 30;

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
  std::string format = "text";
  CaptureOptions capture;
};

// Whom the question is put to.
struct Subject {
  policy::Policy policy;
  bool has_policies = false;  // else a ruleset alone, whose host is the policy's only one
  policy::Date date;
  ask::Asking asking;
};

Result<ruleset::Snapshot> of_file(const std::string& path) {
  const auto text = read_file(path, kLargestRuleset);
  if (!text) return std::unexpected(text.error());
  auto snapshot = print::from_json(*text);
  if (!snapshot) {
    Error error = snapshot.error();
    error.message = fmt::format("{}: {}", path, error.message);
    return std::unexpected(error);
  }
  return snapshot;
}

void show_words(const Terminal& terminal, const std::string& words,
                const Diagnostics& diagnostics) {
  for (const Diagnostic& finding : diagnostics.all()) {
    terminal.line(fmt::format("rolewall: {} [{}]", printable(finding.message), finding.code));
    terminal.line(fmt::format("      | {}", printable(words)));
    if (finding.span.column > 0) {
      terminal.line(fmt::format("      | {}{}", std::string(finding.span.column - 1, ' '),
                                terminal.paint(Tone::Strong, "^")));
    }
    if (!finding.hint.empty()) terminal.line(fmt::format("      = {}", printable(finding.hint)));
  }
}

bool as_expected(const std::string& expect, ask::Verdict verdict) {
  if (expect.empty() || expect == ask::name_of(verdict)) return true;
  return expect == "deny" && ask::is_denied(verdict);
}

// Hosts whose kernel, being in audit mode, accepts what the answer denies.
std::vector<std::string> auditing(const Subject& subject, const ask::Answer& answer) {
  std::vector<std::string> hosts;
  if (!subject.has_policies || !ask::audits(subject.policy)) return hosts;
  for (const ask::Hop& hop : answer.hops) {
    const auto host = policy::find_host(subject.policy, hop.host);
    if (hop.verdict == ask::Verdict::Accept || !host) continue;
    const auto effective = policy::effective_policy(subject.policy, *host, subject.date);
    if (effective.defaults.mode == policy::Mode::Audit) hosts.push_back(hop.host);
  }
  return hosts;
}

class Questions {
 public:
  Questions(const EvalOptions& options, const Subject& subject, ask::Site& site)
      : options_(options), subject_(subject), site_(site) {}

  // Asks, prints, and compares with what was expected.
  void ask(const ask::Sample& sample, const ask::Sample* other_family) {
    const ask::Answer answer = site_.ask(sample, options_.explain);
    std::optional<ask::Answer> other;
    if (other_family != nullptr) {
      other = site_.ask(*other_family, false);
      if (other->verdict == answer.verdict) other.reset();
    }
    const bool expected = as_expected(options_.expect, answer.verdict);
    expected_ &= expected;
    if (options_.format == "json") {
      print_json(answer, other);
    } else {
      print_text(answer, other, expected);
    }
  }
  bool all_as_expected() const { return expected_; }

 private:
  void print_json(const ask::Answer& answer, const std::optional<ask::Answer>& other) const {
    Json json = to_json(answer);
    if (other) json["other_family"] = to_json(*other);
    for (const std::string& host : auditing(subject_, answer)) json["audit"].push_back(host);
    if (!options_.expect.empty()) json["expected"] = options_.expect;
    print(json);
  }

  void print_text(const ask::Answer& answer, const std::optional<ask::Answer>& other,
                  bool expected) const {
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
    for (const std::string& host : auditing(subject_, answer)) {
      out().line(fmt::format("{} is in audit mode: it logs this packet and accepts it", host));
    }
    if (other) {
      out().line(fmt::format("the other address family differs: {}: {}", other->packet,
                             painted(out(), other->verdict)));
    }
    if (!expected) {
      err().line(fmt::format("rolewall: expected {}, got {}", options_.expect,
                             ask::name_of(answer.verdict)));
    }
  }

  const EvalOptions& options_;
  const Subject& subject_;
  ask::Site& site_;
  bool expected_ = true;
};

// `self` is understood where there is a host that it can be.
std::optional<policy::PacketWords> parse(const std::string& text, const Subject& subject,
                                         Diagnostics& diagnostics) {
  const Span place{kNoFile, 1, 1};
  auto words = policy::parse_packet(subject.policy, text, place, false, diagnostics);
  const bool has_self = std::ranges::any_of(diagnostics.all(), [](const Diagnostic& finding) {
    return is(finding, policy::Code::SelfNotHere);
  });
  if (!has_self || !subject.asking.self) return words;
  diagnostics = {};
  return policy::parse_packet(subject.policy, text, place, true, diagnostics);
}

int put(const EvalOptions& options, const Subject& subject, ask::Site& site) {
  Diagnostics diagnostics;
  const auto words = parse(options.packet.front(), subject, diagnostics);
  std::vector<ask::Sample> samples;
  if (words && !diagnostics.has_errors()) {
    samples = ask::Sampler(subject.policy).take(*words, subject.asking, diagnostics);
  }
  if (diagnostics.has_errors()) {
    show_words(err(), options.packet.front(), diagnostics);
    return kUsage;
  }
  if (samples.empty()) {
    return report_usage(
        fmt::format("\"{}\" describes no packet: both ends need an address of the same family, "
                    "and must not be the same host",
                    options.packet.front()));
  }
  const auto other = std::find_if(samples.begin(), samples.end(), [&](const ask::Sample& sample) {
    return ask::is_ipv4(sample) != ask::is_ipv4(samples.front());
  });
  std::vector<ask::Sample> asked = samples;
  if (!options.all) {
    asked.resize(1);
    if (other != samples.end()) asked.push_back(*other);
  }
  Questions questions(options, subject, site);
  if (options.all) {
    for (const ask::Sample& sample : asked) questions.ask(sample, nullptr);
  } else {
    questions.ask(asked.front(), asked.size() > 1 ? &asked[1] : nullptr);
  }
  return questions.all_as_expected() ? kDone : kNo;
}

int put_capture(const EvalOptions& options, const ruleset::Snapshot& snapshot) {
  CaptureOptions capture = options.capture;
  capture.each = options.all;
  capture.json = options.format == "json";
  return eval_capture(capture, snapshot);
}

int run(const EvalOptions& options) {
  if (options.packet.size() > 1) {
    return report_usage(
        "the packet must be one argument: quote it, or the shell takes `>` as a redirection");
  }
  const bool without_policies = options.live || !options.ruleset.empty();
  const bool of_capture = !options.capture.file.empty();
  if (of_capture == !options.packet.empty()) {
    return report_usage("give either a packet or --pcap FILE");
  }
  if (without_policies && (!options.site.directory.empty() || !options.host.empty())) {
    return report_usage("--ruleset and --live ask one host's ruleset: they exclude -p and --host");
  }
  if (without_policies) {
    auto snapshot =
        options.live ? live_snapshot(options.state_directory) : of_file(options.ruleset);
    if (!snapshot) return report(snapshot.error());
    if (of_capture) return put_capture(options, *snapshot);
    const Subject subject{ask::policy_of(snapshot->host), false, {}, {policy::Index{0}, true}};
    ask::Site site(subject.policy, std::move(*snapshot));
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

}  // namespace

void add_eval(Program& program) {
  Verb verb = program.add_verb(
      kAskVerbs, "eval", "tell what happens to a packet, and which policy line decides",
      "  rolewall eval 'https internet > lb-01'\n"
      "  rolewall eval -p policies 'mysql web-01 > db-01'      asks both hosts\n"
      "  rolewall eval 'tcp 192.0.2.7:40000 > lb-01:443 flags=syn in=public' --explain\n"
      "  rolewall eval 'ssh management > self' --host db-01 --expect accept\n"
      "  rolewall eval --ruleset web-01.json 'tcp 10.0.1.10 > 10.0.2.10:443'\n"
      "  sudo rolewall eval --live 'tcp 198.51.100.7 > 10.0.2.10:22 in=eth0'\n"
      "  sudo rolewall eval --live --pcap eth0.pcap --in eth0 --write-dropped denied.pcap");
  auto options = std::make_shared<EvalOptions>();
  const Option packet =
      verb.add_option("PACKET", options->packet,
                      "SERVICE FROM > TO, all in quotes, with options behind: in= out= at= "
                      "state= flags= family= user= length= ttl=")
          .type_name("TEXT");
  add_site_options(verb, options->site, Looks::Around, false);
  verb.add_option("--host", options->host, "ask only this host").type_name("HOST");
  const Option ruleset =
      verb.add_option(
              "--ruleset", options->ruleset,
              "ask a ruleset that `dump` or `compile --format json` wrote, without policies")
          .type_name("FILE");
  verb.add_flag("--live", options->live,
                "ask the kernel's ruleset, with the tables of all programs")
      .excludes(ruleset);
  verb.add_option("--state-dir", options->state_directory,
                  "--live: where the policy lines of the rules are recorded")
      .type_name("DIR")
      .show_default();
  verb.add_flag("--explain", options->explain, "show every rule tried, and why it did not match");
  verb.add_flag(
      "--all", options->all,
      "show every packet that the words stand for, or every one of the capture (default: one "
      "packet; of a capture, the numbers)");
  const Option expect =
      verb.add_option("--expect", options->expect,
                      "exit with 1 if the verdict differs (`deny`: drop, reject, stack or held)")
          .one_of({"accept", "deny", "drop", "reject", "stack", "held", "conditional", "undecided"})
          .type_name("VERDICT");
  CaptureOptions& capture = options->capture;
  const Option pcap =
      verb.add_option("--pcap", capture.file,
                      "ask about the packets of a capture (pcap, pcapng), with connection tracking")
          .type_name("FILE")
          .excludes(packet)
          .excludes(expect);
  verb.add_option("--in", capture.device, "--pcap: the interface it was taken on")
      .type_name("INTERFACE")
      .needs(pcap);
  verb.add_option("--hook", capture.hook,
                  "--pcap: all packets arrive (prerouting), or the host sends them all (output); "
                  "default: by their source")
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
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli

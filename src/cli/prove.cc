// rolewall prove: one statement about all packets of some words, proven or refuted by a packet.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>

#include "apply/apply.h"
#include "ask/beside.h"
#include "ask/relation.h"
#include "cli/exit_status.h"
#include "cli/live.h"
#include "cli/program.h"
#include "cli/question.h"
#include "cli/render.h"
#include "cli/render_answer.h"
#include "cli/render_checked.h"
#include "cli/render_json.h"
#include "cli/ruleset_file.h"
#include "cli/site_options.h"
#include "policy/codes.h"

namespace rolewall::cli {
namespace {

struct ProveOptions {
  SiteOptions site;
  std::vector<std::string> statement;  // in one argument; more where the quotes were forgotten
  std::string host;
  std::string ruleset;
  bool live = false;
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string format = "text";
};

// "never WORDS", or "WORDS implies WORDS".
struct StatementText {
  std::string_view kind;
  std::optional<ask::Claim> claim;
  std::optional<ask::Relation> relation;
  std::string first;
  std::string second;
};

constexpr std::array<std::pair<std::string_view, ask::Claim>, 5> kClaims = {
    {{"never", ask::Claim::Never},
     {"always", ask::Claim::Always},
     {"deny", ask::Claim::Never},
     {"drop", ask::Claim::Drop},
     {"reject", ask::Claim::Reject}}};
constexpr std::array<std::pair<std::string_view, ask::Relation>, 3> kRelations = {
    {{"implies", ask::Relation::Implies},
     {"equivalent", ask::Relation::Equivalent},
     {"disjoint", ask::Relation::Disjoint}}};

std::optional<StatementText> read_statement(std::string_view text) {
  for (const auto& [word, claim] : kClaims) {
    if (text.starts_with(word) && text.substr(word.size()).starts_with(" ")) {
      return StatementText{word, claim, {}, std::string(text.substr(word.size() + 1)), ""};
    }
  }
  for (const auto& [word, relation] : kRelations) {
    const std::string between = fmt::format(" {} ", word);
    const auto at = text.find(between);
    if (at == std::string_view::npos) continue;
    return StatementText{word,
                         {},
                         relation,
                         std::string(text.substr(0, at)),
                         std::string(text.substr(at + between.size()))};
  }
  return std::nullopt;
}

// What the counterexample shows.
std::string shown(const StatementText& text, const ask::RelationProof& proof) {
  if (text.claim == ask::Claim::Never) return "this packet is accepted";
  if (text.claim == ask::Claim::Always) return "this packet is denied";
  if (text.claim == ask::Claim::Drop) return "this packet is not dropped";
  if (text.claim == ask::Claim::Reject) return "this packet is not rejected";
  const std::string& there = proof.of_second ? text.first : text.second;
  if (text.relation == ask::Relation::Disjoint) return "these packets are accepted";
  return proof.other ? "the first packet is accepted, the second is not"
                     : fmt::format("this packet is accepted, and is none of `{}`", there);
}

// `remarks`: what decides beside the rules, and is no part of the proof.
int print_proof(const ProveOptions& options, const StatementText& text,
                const ask::RelationProof& proof, std::vector<std::string> remarks) {
  const bool holds = proof.outcome == ask::Proof::Outcome::Holds;
  if (holds && text.claim == ask::Claim::Always) remarks.emplace_back(ask::kByRulesAlone);
  const std::string& statement = options.statement.front();
  if (options.format == "json") {
    Json json{{"version", kJsonVersion},
              {"verb", "prove"},
              {"statement", statement},
              {"kind", text.kind},
              {"outcome", proof_word(proof.outcome)}};
    if (proof.answer) json["counterexample"] = to_json(*proof.answer);
    if (proof.other) json["other"] = to_json(*proof.other);
    if (!proof.why.empty()) json["why"] = proof.why;
    if (!proof.as_long_as.empty()) json["as_long_as"] = proof.as_long_as;
    if (!remarks.empty()) json["remarks"] = remarks;
    print(json);
    return holds ? kDone : kNo;
  }
  const std::string word(proof_word(proof.outcome));
  if (proof.outcome == ask::Proof::Outcome::Broken) {
    out().line(fmt::format("{}: {}: {}", out().paint(Tone::Bad, word), printable(statement),
                           printable(shown(text, proof))));
    render(out(), *proof.answer);
    if (proof.other) render(out(), *proof.other);
  } else {
    out().line(fmt::format("{}: {}{}", out().paint(holds ? Tone::Good : Tone::Bad, word),
                           printable(statement),
                           proof.why.empty() ? "" : ": " + printable(proof.why)));
    if (!proof.as_long_as.empty()) {
      out().line(
          printable(fmt::format("  as long as these last: {}", fmt::join(proof.as_long_as, "; "))));
    }
  }
  for (const std::string& remark : remarks) out().line("  note: " + printable(remark));
  return holds ? kDone : kNo;
}

// Nothing where they were found wrong, and shown.
std::optional<policy::PacketWords> words_or_complaint(const std::string& text,
                                                      const Subject& subject) {
  Diagnostics diagnostics;
  auto words = words_of(text, subject, {kNoFile, 1, 1}, diagnostics);
  if (!diagnostics.has_errors()) return words;
  show_words(err(), text, diagnostics);
  return std::nullopt;
}

int put(const ProveOptions& options, const Subject& subject, ask::Site& site,
        const std::vector<std::string>& remarks) {
  const auto text = read_statement(options.statement.front());
  if (!text) {
    return report_usage(
        "a statement is `never PACKETS`, `always PACKETS`, `deny PACKETS`, `drop PACKETS`, `reject "
        "PACKETS`, `PACKETS implies PACKETS`, `PACKETS equivalent PACKETS` or `PACKETS disjoint "
        "PACKETS`");
  }
  const bool exactly = text->claim == ask::Claim::Drop || text->claim == ask::Claim::Reject;
  if (exactly && !subject.asking.alone) {
    return report_usage(fmt::format(
        "`{}` asks how one host denies: name it with --host (`deny` asks both ends)", text->kind));
  }
  const auto first = words_or_complaint(text->first, subject);
  if (!first) return kUsage;
  ask::Asking asking = subject.asking;
  asking.translates = false;
  const ask::Statement here{text->claim.value_or(ask::Claim::Never), &*first, asking};
  ask::Prover prover(subject.policy, site);
  ask::RelationProof proof;
  if (text->relation) {
    const auto second = words_or_complaint(text->second, subject);
    if (!second) return kUsage;
    const ask::Statement there{ask::Claim::Never, &*second, asking};
    proof = ask::relate(subject.policy, site, prover, *text->relation, here, there);
  } else {
    ask::Proof one = std::move(prover.prove(std::array{here}).front());
    proof = {one.outcome,
             false,
             std::move(one.counterexample),
             std::nullopt,
             std::move(one.why),
             std::move(one.as_long_as)};
  }
  if (proof.outcome == ask::Proof::Outcome::NotAsked) {
    if (!proof.why.empty()) return report_usage(proof.why);
    return report_usage(
        fmt::format("`{}` describes no packet: neither end is {}, or both have no addresses of the "
                    "same family",
                    printable(text->first),
                    asking.alone ? subject.policy.hosts[*asking.self].name : "a host of the site"));
  }
  return print_proof(options, *text, proof, remarks);
}

int run(const ProveOptions& options) {
  if (options.statement.size() > 1) {
    return report_usage(
        "the statement must be one argument: quote it, or the shell takes `>` as a redirection");
  }
  const bool without_policies = options.live || !options.ruleset.empty();
  if (without_policies && (!options.site.directory.empty() || !options.host.empty())) {
    return report_usage("--ruleset and --live ask one host's ruleset: they exclude -p and --host");
  }
  if (without_policies) {
    auto snapshot =
        options.live ? live_snapshot(options.state_directory) : read_ruleset(options.ruleset);
    if (!snapshot) return report(snapshot.error());
    std::vector<std::string> remarks = ask::remarks_on(snapshot->beside);
    const std::string tunnels = ask::remark_on_tunnels(snapshot->host);
    if (!tunnels.empty()) remarks.push_back(tunnels);
    const Subject subject{policy_without_site(snapshot->host), false, {}, {policy::Index{0}, true}};
    ask::Site site(subject.policy, std::move(*snapshot));
    return put(options, subject, site, remarks);
  }
  auto site = load_valid_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  Subject subject{std::move(site->policy), true, site->date, {}};
  const auto host = choose_host(subject.policy, options.host);
  if (!host && !options.host.empty()) return report(host.error());
  if (host) subject.asking = {*host, !options.host.empty()};
  ask::Site asked(subject.policy, subject.date);
  return put(options, subject, asked, {});
}

}  // namespace

void add_prove(Program& program) {
  Verb verb = program.add_verb(
      kAskVerbs, "prove", "prove a statement about all packets, or show one that breaks it",
      "  rolewall prove 'never mysql internet > db'           no packet gets out of one and into "
      "the "
      "other\n"
      "  rolewall prove 'always https lb > web'               none is denied by an end\n"
      "  rolewall prove 'deny udp any > self' --host db-01    that host alone\n"
      "  rolewall prove 'drop tcp internet > self' --host db-01\n"
      "  rolewall prove 'ssh any > db implies ssh management > db'\n"
      "  rolewall prove 'https any > lb-01 equivalent https any > lb-02'\n"
      "  rolewall prove 'mysql any > lb disjoint mysql any > db'\n"
      "  rolewall prove 'never tcp any > self:23' --ruleset web-01.json");
  auto options = std::make_shared<ProveOptions>();
  verb.add_option(
          "STATEMENT", options->statement,
          "in quotes: never, always, deny, drop or reject and PACKETS, or PACKETS implies, "
          "equivalent or disjoint PACKETS; PACKETS is SERVICE FROM > TO with options behind, "
          "as for `eval`")
      .required()
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
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli

// rolewall reach: who reaches whom on what, by the policies of both ends.

#include "ask/reach.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cli/exit_status.h"
#include "cli/printed_commands.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_json.h"
#include "cli/site_options.h"

namespace rolewall::cli {
namespace {

struct ReachOptions {
  SiteOptions site;
  std::string a;
  std::string b;
  std::string from;
  std::string to;
  std::string through;
  std::string format = "text";
};

std::string and_more(std::size_t like) {
  return like == 0 ? "" : fmt::format(" (and {} like it)", like);
}

// The hosts of one side, where not all of them are meant: "web-01, web-02".
std::string which_hosts(const ask::Reach& reach) {
  if (reach.for_all()) return "";
  std::vector<std::string> pairs;
  for (const ask::Passage& passage : reach.open) {
    pairs.push_back(fmt::format("{}{} > {}{}", passage.from, and_more(passage.like_from),
                                passage.to, and_more(passage.like_to)));
  }
  return fmt::format("{}", fmt::join(pairs, ", "));
}

// Whether something that was not said decides.
bool hangs_on_more(const ask::Reach& reach) {
  return std::ranges::any_of(reach.open, [](const ask::Passage& passage) {
    return passage.verdict != ask::Verdict::Accept;
  });
}

// The lines that let it pass, each once.
std::vector<std::string> lines_that_pass(const ask::Reach& reach) {
  std::vector<std::string> lines;
  for (const ask::Passage& passage : reach.open) {
    for (const ask::Hop& hop : passage.hops) {
      if (!hop.decided_by || hop.decided_by->rule.empty())
        continue;  // a chain's policy has no line
      const ask::DecidedBy& by = *hop.decided_by;
      const std::string line =
          by.file.empty() ? by.rule : fmt::format("{}  {}:{}", by.rule, by.file, by.line);
      if (std::ranges::find(lines, line) == lines.end()) lines.push_back(line);
    }
  }
  return lines;
}

using ReachCells = std::map<std::pair<std::string, std::string>, std::vector<const ask::Reach*>>;

// In the order in which the pairs come.
std::vector<std::pair<std::string, std::string>> reach_order(const std::vector<ask::Reach>& all,
                                                             ReachCells& cells) {
  std::vector<std::pair<std::string, std::string>> order;
  for (const ask::Reach& each : all) {
    auto& cell = cells[{each.from, each.to}];
    if (cell.empty()) order.emplace_back(each.from, each.to);
    cell.push_back(&each);
  }
  return order;
}

// The matrix: who sends, and for each service who receives.
void print_matrix(const std::vector<ask::Reach>& all) {
  std::vector<std::string> senders;
  std::map<std::string, std::map<std::string, std::string>> receivers;  // by sender and service
  for (const ask::Reach& each : all) {
    if (!receivers.contains(each.from)) senders.push_back(each.from);
    std::string& to = receivers[each.from][each.service];
    to += fmt::format("{}{}{}{}", to.empty() ? "" : ", ", each.to, hangs_on_more(each) ? "?" : "",
                      each.for_all() ? "" : "*");
  }
  constexpr std::size_t kNarrowest = 8;
  std::size_t width = kNarrowest;
  for (const ask::Reach& each : all) width = std::max(width, each.service.size());
  // Ends with the same flows stand together, as `management` and the network that it is.
  std::vector<bool> is_told(senders.size());
  for (std::size_t i = 0; i < senders.size(); ++i) {
    if (is_told[i]) continue;
    const auto& flows = receivers[senders[i]];
    std::string names = senders[i];
    for (std::size_t other = i + 1; other < senders.size(); ++other) {
      if (is_told[other] || receivers[senders[other]] != flows) continue;
      names += ", " + senders[other];
      is_told[other] = true;
    }
    out().line(out().paint(Tone::Strong, names));
    for (const auto& [service, to] : flows) {
      out().line(fmt::format("  {:{}}  {}", service, width, to));
    }
  }
  if (std::ranges::any_of(all, [](const auto& each) { return !each.for_all(); })) {
    out().line("* from some of the hosts, or to some: `rolewall reach A B` tells which");
  }
  if (std::ranges::any_of(all, hangs_on_more)) {
    out().line("? depends on something that was not said: `rolewall eval` tells on what");
  }
}

void print_pairs(const std::vector<ask::Reach>& all) {
  ReachCells cells;
  for (const auto& pair : reach_order(all, cells)) {
    out().line(out().paint(Tone::Strong, fmt::format("{} > {}", pair.first, pair.second)));
    for (const ask::Reach* each : cells[pair]) {
      const std::string hosts = which_hosts(*each);
      out().line(fmt::format("  {}{}{}", each->service,
                             hangs_on_more(*each) ? " (depends on what was not said)" : "",
                             hosts.empty() ? "" : "  " + hosts));
      for (const std::string& line : lines_that_pass(*each)) out().line("    " + line);
    }
  }
}

Json reach_json(const ask::Reach& reach) {
  Json json{{"from", reach.from},     {"to", reach.to},       {"service", reach.service},
            {"all", reach.for_all()}, {"pairs", reach.pairs}, {"open", Json::array()}};
  for (const ask::Passage& passage : reach.open) {
    Json each{{"from", passage.from},
              {"to", passage.to},
              {"like_from", passage.like_from},
              {"like_to", passage.like_to},
              {"verdict", ask::name_of(passage.verdict)},
              {"hops", Json::array()}};
    for (const ask::Hop& hop : passage.hops) each["hops"].push_back(to_json(hop));
    json["open"].push_back(std::move(each));
  }
  return json;
}

// A name in Graphviz' quotes: policies' names have none of its marks, literals neither.
std::string dot_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

void print_dot(const std::vector<ask::Reach>& all) {
  ReachCells cells;
  out().line("digraph reach {");
  out().line("  rankdir = LR;");
  for (const auto& pair : reach_order(all, cells)) {
    std::vector<std::string> services;
    for (const ask::Reach* each : cells[pair]) services.push_back(each->service);
    out().line(fmt::format("  {} -> {} [label = {}];", dot_quoted(pair.first),
                           dot_quoted(pair.second),
                           dot_quoted(fmt::format("{}", fmt::join(services, ", ")))));
  }
  out().line("}");
}

int run(const ReachOptions& options) {
  const auto site = load_valid_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  const ask::ReachQuestion question{options.a.empty() ? options.from : options.a,
                                    options.b.empty() ? options.to : options.b, options.through};
  ask::Site asked(site->policy, site->date);
  const auto found = ask::reach(site->policy, site->date, asked, question);
  if (!found) return report(found.error());
  if (options.format == "json") {
    Json all = Json::array();
    for (const ask::Reach& each : found->cells) all.push_back(reach_json(each));
    Json json{{"version", kJsonVersion},
              {"verb", "reach"},
              {"directory", site->policy.directory},
              {"reach", std::move(all)}};
    if (!found->left_out.empty()) json["left_out"] = found->left_out;
    if (!found->translated.empty()) json["translated"] = found->translated;
    print(json);
  } else if (options.format == "dot") {
    print_dot(found->cells);
  } else {
    const bool named = !question.from.empty() || !question.to.empty();
    if (found->cells.empty()) out().line("nothing");
    named ? print_pairs(found->cells) : print_matrix(found->cells);
  }
  if (options.format != "json" && (question.from.empty() || question.to.empty()) &&
      question.through.empty()) {
    render_notes(
        {"not asked: what gateways pass on between two networks (`--through` asks one of them), "
         "and what Docker or another program publishes"});
  }
  if (found->cells.empty() && options.format == "text") {
    render_notes(
        {"asked were samples: the services that rules name, the ends of networks, and "
         "within them the addresses that rules name; `rolewall prove` asks all packets"});
  }
  if (!found->translated.empty()) {
    render_notes({fmt::format(
        "{} translates to {} what is sent to its own address ({}): `rolewall reach {} {}`",
        question.through, question.to, fmt::join(found->translated, ", "), quoted(question.from),
        quoted(question.through))});
  }
  if (!found->left_out.empty()) {
    render_notes({fmt::format(
        "too much to ask of each network: {} no ends of their own here; "
        "`rolewall reach {}` tells of one",
        found->left_out.size() == 1 ? "1 is"
                                    : fmt::format("{} are", grouped(found->left_out.size())),
        found->left_out.front())});
  }
  return found->cells.empty() ? kNo : kDone;
}

}  // namespace

void add_reach(Program& program) {
  Verb verb = program.add_verb(kAskVerbs, "reach", "who reaches whom on what",
                               "  rolewall reach -p policies\n"
                               "  rolewall reach web-01 db-01 -p policies\n"
                               "  rolewall reach internet -p policies\n"
                               "  rolewall reach --to db -p policies --format json\n"
                               "  rolewall reach -p policies --format dot");
  auto options = std::make_shared<ReachOptions>();
  Option a = verb.add_option("A", options->a, "who sends: a host, role, tag, network or built-in")
                 .type_name("A");
  Option b = verb.add_option("B", options->b, "who receives").type_name("B");
  verb.add_option("--from", options->from, "the same as A").type_name("A").excludes(a);
  verb.add_option("--to", options->to, "the same as B, where A is left out")
      .type_name("B")
      .excludes(b);
  verb.add_option("--through", options->through, "the host that passes the packets on is asked")
      .type_name("HOST");
  add_site_options(verb, options->site, Looks::Around, /*positional=*/false);
  add_format_option(verb, options->format, {"text", "json", "dot"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli

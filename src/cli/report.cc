// rolewall report: a site's policy as one HTML page.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>

#include "apply/apply.h"
#include "base/file.h"
#include "cli/diff_sides.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/site_options.h"
#include "report/model.h"
#include "report/page.h"

namespace rolewall::cli {
namespace {

struct ReportOptions {
  SiteOptions site;
  std::string base;
  std::string stats;
  std::string output;
};

constexpr std::size_t kLongestStats = 64U << 20U;

// So that a page can be built again: https://reproducible-builds.org/specs/source-date-epoch/
Result<void> take_source_date(SiteOptions& options) {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  if (!options.date.empty() || epoch == nullptr || *epoch == '\0') return {};
  const std::string_view text = epoch;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  constexpr std::int64_t kYear9999 = 253'370'764'800;
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0 ||
      seconds > kYear9999) {
    return fail(ErrorKind::Usage,
                "SOURCE_DATE_EPOCH is not a number of seconds since 1970: set it "
                "to one, or unset it");
  }
  const std::chrono::sys_seconds at{std::chrono::seconds(seconds)};
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(at)};
  options.date = fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()),
                             static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()));
  return {};
}

// A built-in step is counted in each of our base chains: which rules of a policy stand beside it.
std::string direction_of_chain(const std::string& chain) {
  if (chain == "input") return "inbound";
  if (chain == "output") return "outbound";
  return chain == "forward" ? chain : "";
}

Result<report::Counters> read_counters(const std::string& path) {
  const auto text = read_file(path, kLongestStats);
  if (!text) return std::unexpected(text.error());
  const auto json = parse_json(*text);
  if (!json || json->find("rules") == nullptr || json->find("services") == nullptr) {
    return fail(ErrorKind::Usage,
                fmt::format("{}: not what `rolewall stats --format json` writes", path));
  }
  report::Counters counters;
  counters.host = json->text("host");
  for (const Json& each : json->find("services")->elements()) {
    if (each.text("service").empty()) continue;  // connections that no rule fits
    report::Counters::Service service{each.text("direction"),
                                      each.text("service"),
                                      {},
                                      each.number("new").value_or(0),
                                      each.number("per_1000_seconds")};
    for (const Json& rule : json->find("rules")->elements()) {
      const bool counts = rule.text("service") == service.service && !rule.is_true("excess") &&
                          rule.text("direction") == service.direction;
      if (counts) service.rules.push_back(rule.text("name"));
    }
    counters.services.push_back(std::move(service));
  }
  for (const Json& each : json->find("rules")->elements()) {
    const std::string fate = each.text("fate");
    if (fate != "drop" && fate != "reject" && fate != "audit") continue;
    const std::string direction = each.text("direction");
    counters.denials.push_back(
        {each.text("name"), each.is_true("excess"),
         direction.empty() ? direction_of_chain(each.text("chain")) : direction, fate,
         each.number("packets").value_or(0), each.number("per_1000_seconds")});
  }
  return counters;
}

// On a terminal: a large site takes its time.
void show_step(std::string_view step) {
  if (err().interactive()) err().line(fmt::format("{} ...", step));
}

int run(const ReportOptions& given) {
  SiteOptions options = given.site;
  if (const auto taken = take_source_date(options); !taken) return report(taken.error());
  DiffSide here;
  auto site = load_valid_site(options, Looks::Around);
  if (!site) return report(site.error());
  here.site = std::move(*site);
  here.name = here.site->policy.directory;
  std::optional<report::Counters> counters;
  if (!given.stats.empty()) {
    auto read = read_counters(given.stats);
    if (!read) return report(read.error());
    const auto is_it = [&](const policy::Host& host) { return host.name == read->host; };
    if (!read->host.empty() && std::ranges::none_of(here.site->policy.hosts, is_it)) {
      return report_usage(fmt::format(
          "{}: these are the counters of {}, and the site in {} has no host of that name",
          given.stats, printable(read->host), here.name));
    }
    counters = std::move(*read);
  }
  auto model =
      report::gather(here.site->policy, here.site->date, here.site->diagnostics, show_step);
  if (!model) return report(model.error());
  model->counters = std::move(counters);
  if (!given.base.empty()) {
    show_step("what differs from the base");
    DiffQuestion question;
    question.site = options;
    question.site.directory = here.site->policy.directory;
    question.state_directory = apply::kDefaultStateDirectory;
    const auto base = read_side(given.base, question);
    if (!base) return report(base.error());
    auto diff = compare(*base, here, question);
    if (!diff) return report(diff.error());
    model->base = report::Base{base->name, std::move(*diff)};
  }
  return write_output(given.output, report::page(*model));
}

}  // namespace

void add_report(Program& program) {
  Verb verb = program.add_verb(kToolVerbs, "report", "write the site's policy as one HTML page",
                               "  rolewall report policies -o report.html\n"
                               "  rolewall report policies --base origin/main -o report.html\n"
                               "  rolewall stats --format json >web-01.json\n"
                               "  rolewall report policies --stats web-01.json -o report.html");
  auto options = std::make_shared<ReportOptions>();
  add_site_options(verb, options->site, Looks::Around);
  verb.add_option("--base", options->base,
                  "show what differs from this: a directory, a git revision, or what `diff` takes")
      .type_name("A");
  verb.add_option("--stats", options->stats, "show the counters that `stats --format json` wrote")
      .type_name("FILE");
  verb.add_option("-o,--output", options->output, "write to this file, all or nothing")
      .type_name("FILE");
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli

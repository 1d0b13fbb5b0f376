#include "report/page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "report/sections.h"

namespace rolewall::report {
namespace {

constexpr std::size_t kMostNames = 12;
// Of each kind of hosts: some thousand lines, which nobody reads in a page.
constexpr std::size_t kMostOfRuleset = 100'000;

// Each id of a page once: a rule that several kinds of hosts have is found at the first.
class Ids {
 public:
  explicit Ids(const Anchors& anchors) : anchors_(anchors) {}
  std::string take(const Span& span) {
    std::string id = anchors_.of(span);
    return written_.insert(id).second ? id : "";
  }

 private:
  const Anchors& anchors_;
  std::set<std::string> written_;
};

void write_rule(Html& html, const policy::Policy& policy, const policy::EffectiveRule& effective,
                Ids& ids) {
  const policy::Rule& rule = *effective.rule;
  const auto item = html.in("li", {{"id", ids.take(rule.span)}});
  html.leaf("strong", rule.full_name);
  std::string words(rule.translation ? "translate" : policy::name_of(rule.action));
  for (const WrittenKey& key : rule.written) {
    if (key.key == "action") continue;
    words += fmt::format(" {} = {};", key.key, fmt::join(key.values, ", "));
  }
  html.text(" ");
  html.leaf("code", words);
  if (!rule.comment.empty()) html.leaf("div", rule.comment);
  if (rule.span.known()) {
    html.leaf("div", fmt::format("{}:{}", policy.sources.path(rule.span.file), rule.span.line),
              {{"class", "quiet"}});
  }
}

void write_rules(Html& html, const policy::Policy& policy, std::string_view title,
                 const std::vector<policy::EffectiveRule>& rules, std::string_view by_default,
                 Ids& ids) {
  if (rules.empty() && by_default.empty()) return;
  html.leaf("h4", title);
  if (!rules.empty()) {
    const auto list = html.in("ul", {{"class", "rules"}});
    for (const policy::EffectiveRule& each : rules) write_rule(html, policy, each, ids);
  }
  if (!by_default.empty()) {
    html.leaf("p", fmt::format("Everything else: {}.", by_default), {{"class", "quiet"}});
  }
}

std::string names_of(const std::vector<std::string>& names) {
  if (names.size() <= kMostNames) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more like them",
                     fmt::join(names.begin(), names.begin() + kMostNames, ", "),
                     names.size() - kMostNames);
}

void write_figure(Html& html, std::string_view number, std::string_view what) {
  const auto item = html.in("li");
  html.leaf("strong", number);
  html.text(what);
}

void write_head(Html& html, const Model& model) {
  const auto head = html.in("head");
  html.lone("meta", {{"charset", "utf-8"}});
  html.lone("meta",
            {{"http-equiv", "Content-Security-Policy"},
             {"content", fmt::format("default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; "
                                     "form-action 'none'",
                                     kSheet.hash)}});
  html.lone("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  html.lone("meta", {{"name", "referrer"}, {"content", "no-referrer"}});
  html.leaf("title",
            fmt::format("Firewall policy of {}",
                        model.policy.site_name.empty() ? "the site" : model.policy.site_name));
  html.style(kSheet);
}

void write_summary(Html& html, const Model& model) {
  const auto section = html.in("section", {{"aria-labelledby", "summary"}});
  html.leaf("h2", "At a glance", {{"id", "summary"}});
  const Diagnostics& findings = model.checked.findings;
  const ask::TestReport& tests = model.checked.tests;
  std::size_t roles = 0;
  for (const policy::RuleFile& file : model.policy.files) {
    roles += file.is_role && !file.hosts.empty() ? 1 : 0;
  }
  const std::size_t proven = static_cast<std::size_t>(std::ranges::count_if(
      tests.laws, [](const auto& law) { return law.proof.outcome == ask::Proof::Outcome::Holds; }));
  {
    const auto list = html.in("ul", {{"class", "figures"}});
    write_figure(html, fmt::format("{}", model.policy.hosts.size()),
                 fmt::format("{} in {}", model.policy.hosts.size() == 1 ? "host" : "hosts",
                             counted(roles, "role")));
    write_figure(html, fmt::format("{} / {}", findings.error_count(), findings.warning_count()),
                 "errors / warnings");
    write_figure(html, fmt::format("{} of {}", proven, tests.laws.size()),
                 "statements of laws proven");
    write_figure(html, fmt::format("{} of {}", tests.tests - tests.failed_tests, tests.tests),
                 "tests as expected");
  }
  if (!model.auditing.empty()) {
    const auto warning = html.in("p");
    html.leaf("strong", "Audit mode: ", {{"class", "warn"}});
    html.text(
        fmt::format("{}: {}. They log what the policy denies by default and let it pass; this "
                    "page says what they do when they enforce.",
                    counted(model.auditing.size(), "host"), names_of(model.auditing)));
  }
}

void write_nav(Html& html, const Model& model) {
  const auto nav = html.in("nav", {{"aria-label", "Sections"}});
  const auto list = html.in("ul");
  const auto entry = [&](std::string_view anchor, std::string_view words) {
    const auto item = html.in("li");
    html.leaf("a", words, {{"href", fmt::format("#{}", anchor)}});
  };
  entry("summary", "At a glance");
  if (model.base) entry("base", "Difference");
  entry("findings", "Findings");
  entry("flows", "Flows");
  entry("reach", "Reach");
  entry("laws", "Laws and tests");
  if (model.counters) entry("counters", "Counters");
  entry("hosts", "Hosts");
}

void write_rate(Html& html, const std::optional<std::uint64_t>& per_1000_seconds) {
  const std::string words =
      per_1000_seconds ? fmt::format("{}.{:03}", *per_1000_seconds / 1000, *per_1000_seconds % 1000)
                       : "not measured";
  html.leaf("td", words, {{"class", "number"}});
}

std::string_view fate_of_counted(std::string_view fate) {
  if (fate == "drop") return "dropped";
  return fate == "reject" ? "rejected" : "passed, since it is in audit mode";
}

// The policy's lines, each leading to its rule below.
void write_places(Html& html, const Model& model, const Anchors& anchors,
                  const std::vector<std::string>& rules) {
  const auto cell = html.in("td");
  bool is_first = true;
  for (const policy::RuleFile& file : model.policy.files) {
    for (const policy::Rule& rule : file.rules) {
      if (!rule.span.known() || std::ranges::find(rules, rule.full_name) == rules.end()) continue;
      if (!is_first) html.text(", ");
      is_first = false;
      const std::string place =
          fmt::format("{}:{}", model.policy.sources.path(rule.span.file), rule.span.line);
      const std::string anchor = anchors.of(rule.span);
      if (anchor.empty()) {
        html.text(place);
      } else {
        html.leaf("a", place, {{"href", "#" + anchor}});
      }
    }
  }
}

// The hosts' names are where a finding about one of them leads to.
void write_names(Html& html, const HostKind& kind, Ids& ids) {
  const auto line = html.in("p");
  html.text(kind.names.size() == 1 ? "Host: " : "Hosts: ");
  for (std::size_t i = 0; i < kind.names.size(); ++i) {
    if (i > 0) html.text(", ");
    html.leaf("span", kind.names[i], {{"id", ids.take(kind.hosts[i]->span)}});
  }
}

// What is the same on several kinds of hosts stands at the first of them.
class FirstOf {
 public:
  // Null: there is none before this one.
  const HostKind* rules(const HostKind& kind) {
    std::vector<const policy::Rule*> all;
    const policy::HostPolicy& rules = kind.policy;
    for (const auto* list : {&rules.inbound, &rules.outbound, &rules.forward, &rules.nat}) {
      for (const policy::EffectiveRule& each : *list) all.push_back(each.rule);
      all.push_back(nullptr);
    }
    const policy::Defaults& by_default = rules.defaults;
    const auto [at, is_new] = rules_.try_emplace(
        {by_default.inbound, by_default.outbound, by_default.forward, std::move(all)}, &kind);
    return is_new ? nullptr : at->second;
  }
  const HostKind* ruleset(const HostKind& kind) {
    const auto [at, is_new] = rulesets_.try_emplace(kind.ruleset, &kind);
    return is_new ? nullptr : at->second;
  }

 private:
  using Rules =
      std::tuple<policy::Action, policy::Action, policy::Action, std::vector<const policy::Rule*>>;
  std::map<Rules, const HostKind*> rules_;
  std::map<std::string_view, const HostKind*> rulesets_;
};

// Whole lines.
std::string_view beginning_of(std::string_view ruleset) {
  if (ruleset.size() <= kMostOfRuleset) return ruleset;
  return ruleset.substr(0, ruleset.rfind('\n', kMostOfRuleset) + 1);
}

void write_same(Html& html, const Anchors& anchors, std::string_view what, const HostKind& first) {
  const auto line = html.in("p");
  html.text(fmt::format("{} as ", what));
  const std::string anchor = anchors.of(first.hosts.front()->span);
  if (anchor.empty()) {
    html.text(first.names.front());
  } else {
    html.leaf("a", first.names.front(), {{"href", "#" + anchor}});
  }
  html.text(".");
}

void write_kind(Html& html, const Model& model, const HostKind& kind, const Anchors& anchors,
                Ids& ids, FirstOf& first) {
  const auto details = html.in("details");
  html.leaf("summary",
            fmt::format("{} ({})", names_of(kind.names), counted(kind.names.size(), "host")));
  const policy::HostPolicy& rules = kind.policy;
  write_names(html, kind, ids);
  if (const HostKind* same = first.rules(kind)) {
    write_same(html, anchors, "The same rules", *same);
  } else {
    const policy::Defaults& by_default = rules.defaults;
    write_rules(html, model.policy, "Inbound", rules.inbound, policy::name_of(by_default.inbound),
                ids);
    write_rules(html, model.policy, "Outbound", rules.outbound,
                policy::name_of(by_default.outbound), ids);
    write_rules(html, model.policy, "Forwarded", rules.forward,
                rules.forward.empty() ? "" : policy::name_of(by_default.forward), ids);
    write_rules(html, model.policy, "Translated", rules.nat, "", ids);
  }
  if (const HostKind* same = first.ruleset(kind)) {
    write_same(html, anchors, "The same ruleset", *same);
    return;
  }
  const auto inner = html.in("details");
  html.leaf("summary", fmt::format("The ruleset of {}, as nft reads it", kind.names.front()));
  html.leaf("pre", beginning_of(kind.ruleset),
            {{"tabindex", "0"},
             {"aria-label", fmt::format("ruleset of {}", kind.names.front())},
             {"role", "region"}});
  if (kind.ruleset.size() > kMostOfRuleset) {
    html.leaf("p", fmt::format("This is its beginning; `rolewall compile --host {}` prints all {} "
                               "lines.",
                               kind.names.front(), std::ranges::count(kind.ruleset, '\n')));
  }
}

}  // namespace

void write_hosts(Html& html, const Model& model, const Anchors& anchors) {
  const auto section = html.in("section", {{"aria-labelledby", "hosts"}});
  html.leaf("h2", "Hosts", {{"id", "hosts"}});
  html.leaf("p",
            "By their roles. Hosts that are alike are shown once; the ruleset is the first one's.");
  std::map<std::string, std::vector<const HostKind*>> by_roles;
  std::vector<std::string> order;
  for (const HostKind& kind : model.hosts) {
    std::vector<const HostKind*>& kinds = by_roles[roles_of(model, kind)];
    if (kinds.empty()) order.push_back(roles_of(model, kind));
    kinds.push_back(&kind);
  }
  Ids ids(anchors);
  FirstOf first;
  for (const std::string& roles : order) {
    std::size_t hosts = 0;
    for (const HostKind* kind : by_roles[roles]) hosts += kind->names.size();
    html.leaf(
        "h3",
        fmt::format("{}: {}", roles.empty() ? "without a role" : roles, counted(hosts, "host")),
        {{"id", anchors.of_roles().at(roles)}});
    for (const HostKind* kind : by_roles[roles])
      write_kind(html, model, *kind, anchors, ids, first);
  }
}

void write_counters(Html& html, const Model& model, const Anchors& anchors) {
  if (!model.counters) return;
  const Counters& counters = *model.counters;
  const auto section = html.in("section", {{"aria-labelledby", "counters"}});
  html.leaf("h2", fmt::format("Counters{}{}", counters.host.empty() ? "" : " of ", counters.host),
            {{"id", "counters"}});
  html.leaf(
      "p",
      "As the host's kernel had counted them. What stands in brackets is built in: every host "
      "has it beside its rules.");
  {
    const WideTable table(html, "Let in and out, by service",
                          {"service", "direction", "new connections", "a second", "by"});
    const auto body = html.in("tbody");
    for (const Counters::Service& each : counters.services) {
      const auto row = html.in("tr");
      html.leaf("th", each.service, {{"scope", "row"}});
      html.leaf("td", each.direction);
      html.leaf("td", fmt::format("{}", each.opened), {{"class", "number"}});
      write_rate(html, each.per_1000_seconds);
      write_places(html, model, anchors, each.rules);
    }
  }
  const WideTable table(
      html, "Denied",
      {"rule or built-in step", "direction", "what became of them", "packets", "a second", "by"});
  const auto body = html.in("tbody");
  for (const Counters::Denial& each : counters.denials) {
    const auto row = html.in("tr");
    html.leaf("th", each.rule + (each.is_excess ? ", over its limit" : ""), {{"scope", "row"}});
    html.leaf("td", each.direction);
    html.leaf("td", fate_of_counted(each.fate));
    html.leaf("td", fmt::format("{}", each.packets), {{"class", "number"}});
    write_rate(html, each.per_1000_seconds);
    write_places(html, model, anchors, {each.rule});
  }
}

std::string page(const Model& model) {
  Html html;
  {
    const auto root = html.in("html", {{"lang", "en"}});
    write_head(html, model);
    const auto body = html.in("body");
    html.leaf("a", "Skip to the content", {{"class", "skip"}, {"href", "#content"}});
    {
      const auto header = html.in("header");
      html.leaf("h1",
                fmt::format("Firewall policy of {}",
                            model.policy.site_name.empty() ? "the site" : model.policy.site_name));
      html.leaf("p",
                fmt::format("{}, as of {:04}-{:02}-{:02}", model.policy.directory,
                            static_cast<int>(model.date.year()),
                            static_cast<unsigned>(model.date.month()),
                            static_cast<unsigned>(model.date.day())),
                {{"class", "quiet"}});
    }
    write_nav(html, model);
    {
      const auto main = html.in("main", {{"id", "content"}, {"tabindex", "-1"}});
      PolicyLines lines;
      const Anchors anchors(model);
      write_summary(html, model);
      write_base(html, model);
      write_findings(html, model, anchors, lines);
      write_flows(html, model, anchors);
      write_reach(html, model, lines);
      write_laws(html, model);
      write_counters(html, model, anchors);
      write_hosts(html, model, anchors);
    }
    html.leaf("footer",
              "Made by `rolewall report` from the policies alone; nothing on this page is loaded "
              "from elsewhere.");
  }
  return html.take();
}

}  // namespace rolewall::report

#include "policy/handling.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/suggest.h"
#include "policy/codes.h"
#include "policy/loader.h"

namespace rolewall::policy {
namespace {

// --- reading -----------------------------------------------------------------------------------

// A finding's code as a key; whatever may not be silenced is reported.
bool check_code(const Member& member, Diagnostics& diagnostics) {
  const CodeRow* row = find_code(member.key);
  if (row != nullptr && may_be_silenced(*row)) return true;
  std::vector<std::string> known;
  for (const CodeRow& each : code_table()) {
    if (may_be_silenced(each)) known.emplace_back(each.word);
  }
  report(diagnostics, Code::UnknownFinding, member.span,
         row == nullptr ? fmt::format("there is no finding {}", quote(member.key))
                        : fmt::format("{} is an error, and stays one", quote(member.key)),
         row == nullptr ? did_you_mean(member.key, known) : "mend what it says");
  return false;
}

// --- what findings are about ---------------------------------------------------------------------

class Subjects {
 public:
  explicit Subjects(const Policy& policy) : policy_(policy) {
    for (const RuleFile& file : policy.files) {
      add(file.span, file.name);
      for (const Rule& rule : file.rules) add(rule.span, rule.full_name);
    }
    for (const Host& host : policy.hosts) add(host.span, host.name);
    for (const Network& network : policy.networks) add(network.span, network.name);
    for (const Service& service : policy.services) add(service.span, service.name);
    for (const Interface& interface : policy.interfaces) add(interface.span, interface.name);
    for (const Tag& tag : policy.tags) add(tag.span, tag.name);
  }

  std::string of(const Diagnostic& finding) const {
    // What is opened belongs to it: another kind of service in the same rule is another finding.
    if (is(finding, Code::OpenToInternet)) return finding.message;
    for (const Span& span : {finding.subject, finding.span}) {
      const auto found = names_.find(key(span));
      if (span.known() && found != names_.end()) return std::string(found->second);
    }
    return finding.message;
  }

 private:
  using Key = std::tuple<FileId, std::uint32_t, std::uint32_t>;
  static Key key(const Span& span) { return {span.file, span.line, span.column}; }
  void add(const Span& span, std::string_view name) {
    if (span.known()) names_.emplace(key(span), name);
  }

  const Policy& policy_;
  std::map<Key, std::string_view> names_;
};

std::string path_in_site(const Policy& policy, const Span& span) {
  if (!span.known()) return "";
  const std::string& path = policy.sources.path(span.file);
  const std::string prefix = policy.directory + "/";
  return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}

// --- handling ------------------------------------------------------------------------------------

bool silences(const AllowedFinding& entry, const Diagnostic& finding) {
  if (entry.code != finding.code) return false;
  switch (entry.where) {
    case AllowedFinding::Where::Table:
      return finding.span == entry.subject || finding.subject == entry.subject;
    case AllowedFinding::Where::File:
      return finding.span.file == entry.subject.file || finding.subject.file == entry.subject.file;
    case AllowedFinding::Where::Site:
      break;
  }
  return true;
}

std::size_t drop_allowed(const Policy& policy, const Handling& handling, Diagnostics& findings) {
  std::vector<bool> used(policy.allowed.size());
  std::size_t dropped = 0;
  findings.retain([&](Diagnostic& finding) {
    bool keep = true;
    for (std::size_t i = 0; i < used.size(); ++i) {
      if (!silences(policy.allowed[i], finding)) continue;
      used[i] = true;
      keep = false;
    }
    if (!keep) ++dropped;
    return keep;
  });
  // What was suppressed may be what an entry is there for.
  if (!handling.complete || findings.suppressed() > 0) return dropped;
  for (std::size_t i = 0; i < used.size(); ++i) {
    const AllowedFinding& entry = policy.allowed[i];
    const CodeRow& row = *find_code(entry.code);
    if (used[i] || needs_ruleset(row.code)) continue;
    if (needs_packets(row.code) && !handling.packets_asked) continue;
    report(findings, Code::AllowsNothing, entry.span,
           fmt::format("there is no finding {} here", quote(entry.code)), "take the entry out")
        .subject = entry.subject;
  }
  return dropped;
}

bool names(const std::vector<std::string>& codes, const std::string& code) {
  return std::ranges::find(codes, code) != codes.end();
}

bool is_silenceable(const Diagnostic& finding) {
  const CodeRow* row = find_code(finding.code);
  return row != nullptr && may_be_silenced(*row);
}

}  // namespace

bool check_reason(const Value& value, std::string_view key, Diagnostics& diagnostics) {
  if (value.text.find_first_not_of(" \t\r\n") != std::string::npos) return true;
  report(diagnostics, Code::BadValue, value.span(), fmt::format("{} needs a reason", quote(key)),
         "say in a few words why it is right as it is");
  return false;
}

void read_allowed(Loader& loader, const Section& section, AllowedFinding::Where where,
                  Span subject) {
  const Value* table = section.find("allow-finding");
  if (table == nullptr) return;
  for (const Member& member : table->members) {
    if (!check_code(member, loader.diagnostics)) continue;
    if (!check_type(member.value, KeyType::String, member.key, loader.diagnostics)) continue;
    if (!check_reason(member.value, member.key, loader.diagnostics)) continue;
    loader.policy.allowed.push_back({where, member.key, member.value.text, member.span, subject});
  }
}

void read_levels(Loader& loader, const Value& table, Keys top) {
  const Section section(table, keys::kLint, "[lint]", top, loader.diagnostics);
  const Value* levels = section.find("level");
  if (levels == nullptr) return;
  constexpr std::array<std::pair<std::string_view, std::optional<Severity>>, 4> kWords = {
      {{"error", Severity::Error},
       {"warning", Severity::Warning},
       {"note", Severity::Note},
       {"off", std::nullopt}}};
  for (const Member& member : levels->members) {
    if (!check_code(member, loader.diagnostics)) continue;
    if (!check_type(member.value, KeyType::String, member.key, loader.diagnostics)) continue;
    const auto* word =
        std::ranges::find(kWords, member.value.text, [](const auto& each) { return each.first; });
    if (word != kWords.end()) {
      loader.policy.levels.push_back({member.key, word->second});
      continue;
    }
    const std::vector<std::string> words = {"error", "warning", "note", "off"};
    report(loader.diagnostics, Code::BadValue, member.value.span(),
           fmt::format("{} is not a level: error, warning, note or off", quote(member.value.text)),
           did_you_mean(member.value.text, words));
  }
}

std::string fingerprint_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return fmt::format("{:016x}", hash);
}

std::vector<Fingerprint> fingerprints_of(const Policy& policy, const Diagnostics& findings) {
  const Subjects subjects(policy);
  std::map<std::string, std::size_t> seen;
  std::vector<Fingerprint> all;
  for (const Diagnostic& finding : findings.all()) {
    Fingerprint& print = all.emplace_back();
    print.code = finding.code;
    print.file = path_in_site(policy, finding.span);
    print.about = subjects.of(finding);
    const std::string words = print.code + "\n" + print.file + "\n" + print.about;
    print.count = ++seen[words];
    print.hash =
        fingerprint_hash(print.count == 1 ? words : fmt::format("{}\n{}", words, print.count));
  }
  return all;
}

Silenced handle(const Policy& policy, const Handling& handling, Diagnostics& findings) {
  Silenced silenced;
  silenced.allowed = drop_allowed(policy, handling, findings);
  findings.sort();
  std::map<std::string, std::optional<Severity>> levels;
  for (const FindingLevel& level : policy.levels) levels[level.code] = level.severity;
  findings.retain([&](Diagnostic& finding) {
    if (!is_silenceable(finding)) return true;
    const auto level = levels.find(finding.code);
    const bool off = level != levels.end() && !level->second;
    if (level != levels.end() && level->second) finding.severity = *level->second;
    const bool chosen = handling.select.empty() || names(handling.select, finding.code);
    const bool keep = !off && chosen && !names(handling.ignore, finding.code);
    if (!keep) ++silenced.left_out;
    return keep;
  });
  if (handling.baseline != nullptr) drop_known(policy, *handling.baseline, findings, silenced);
  return silenced;
}

void drop_known(const Policy& policy, std::map<std::string, std::size_t> known,
                Diagnostics& findings, Silenced& silenced) {
  const std::vector<Fingerprint> prints = fingerprints_of(policy, findings);
  std::size_t at = 0;
  findings.retain([&](Diagnostic& finding) {
    const auto found = known.find(prints[at++].hash);
    if (!is_silenceable(finding) || found == known.end() || found->second == 0) return true;
    --found->second;
    ++silenced.in_baseline;
    return false;
  });
  for (const auto& [hash, count] : known) silenced.gone += count;
}

}  // namespace rolewall::policy

#include "cli/render_diff.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/render_answer.h"
#include "cli/render_json.h"

namespace rolewall::cli {
namespace {

using ask::DiffClass;
using ask::DiffKind;
using ask::PacketWay;
using ask::ToldFate;

std::string_view name_of(PacketWay way) {
  switch (way) {
    case PacketWay::Arrives:
      return "arrives";
    case PacketWay::Passes:
      return "passes";
    case PacketWay::Sent:
      return "sent";
  }
  return "";
}

std::string spaced(DiffKind kind) {
  std::string words(ask::name_of(kind));
  std::ranges::replace(words, '-', ' ');
  return words;
}

// "tcp/8080 internet > web-01".
std::string packets_of(const DiffClass& one) {
  std::string words = fmt::format("{} {} > {}", one.service, one.from, one.to);
  if (one.way == PacketWay::Passes) words += fmt::format(" at={}", one.hosts.front());
  if (!one.options.empty()) words += " " + one.options;
  if (!one.whole) words = "some of " + words;
  return words;
}

// Who does it, where the words alone do not say.
std::string whose(const DiffClass& one) {
  constexpr std::size_t kMost = 3;
  if (one.hosts.size() < 2) return "";
  if (one.hosts.size() <= kMost) return fmt::format("{}", fmt::join(one.hosts, ", "));
  return fmt::format("{} and {} more",
                     fmt::join(one.hosts.begin(), one.hosts.begin() + kMost, ", "),
                     one.hosts.size() - kMost);
}

std::string told_by(const ToldFate& fate) {
  std::string words = fate.decided_by ? in_words(*fate.decided_by) : printable(fate.reason);
  if (!fate.translated.empty()) words += ": " + fate.translated;
  return words.empty() ? std::string(kNoChain) : words;
}

std::string logs(const ToldFate& fate) {
  std::string words = "logs";
  if (fate.logged.empty()) return words + " nothing";
  for (const std::string& prefix : fate.logged) words += fmt::format(" \"{}\"", printable(prefix));
  return words;
}

std::string counts(const ToldFate& fate) {
  if (fate.left.empty()) return "is kept nowhere";
  std::string words = "is kept by";
  for (const std::string& rule : fate.left) words += fmt::format(" `{}`", printable(rule));
  return words;
}

Tone tone_of(DiffKind kind) {
  switch (kind) {
    case DiffKind::NewlyAccepted:
      return Tone::Good;
    case DiffKind::NewlyDenied:
      return Tone::Bad;
    case DiffKind::DeniedOtherwise:
    case DiffKind::Rewritten:
    case DiffKind::Logged:
    case DiffKind::Remembered:
    case DiffKind::Drawn:
      return Tone::Warning;
  }
  return Tone::Warning;
}

// What nothing shows, though something may come that does.
bool is_perhaps(const DiffClass& one) {
  return !one.shown && one.kind != DiffKind::Drawn;
}

// "newly accepted: denied before, accepted now".
std::string heading(const Terminal& to, const DiffClass& one) {
  const std::string kind = to.paint(tone_of(one.kind), spaced(one.kind));
  if (!is_perhaps(one)) return fmt::format("{}: {}", kind, ask::meaning(one.kind));
  return fmt::format("perhaps {}: {}, where what it depends on comes about", kind,
                     ask::meaning(one.kind));
}

std::size_t perhaps(const ask::Diff& diff) {
  return static_cast<std::size_t>(std::ranges::count_if(diff.classes, is_perhaps));
}

std::size_t others(const ask::Diff& diff) {
  return diff.classes.size() - diff.shown(DiffKind::NewlyAccepted) -
         diff.shown(DiffKind::NewlyDenied) - perhaps(diff);
}

// The result in words for people; json.md has the names.
std::string_view in_words(ask::DiffWord word) {
  return word == ask::DiffWord::Otherwise ? "neither more nor less permissive" : ask::name_of(word);
}

Json json_of(const ToldFate& fate) {
  Json json{{"verdict", ask::name_of(fate.verdict)}};
  if (fate.decided_by) json["decided_by"] = to_json(*fate.decided_by);
  if (!fate.reason.empty()) json["reason"] = fate.reason;
  if (!fate.translated.empty()) json["translated"] = fate.translated;
  if (!fate.logged.empty()) json["logged"] = fate.logged;
  if (!fate.left.empty()) json["counted_by"] = fate.left;
  return json;
}

Json json_of(const DiffClass& one) {
  Json json{{"change", ask::name_of(one.kind)},
            {"way", name_of(one.way)},
            {"packets", packets_of(one)},
            {"service", one.service},
            {"from", one.from},
            {"to", one.to},
            {"whole", one.whole},
            {"hosts", one.hosts}};
  if (!one.options.empty()) json["options"] = one.options;
  if (!one.depends.empty()) json["depends"] = one.depends;
  if (!one.shown) json["shown"] = false;
  Json example{{"packet", one.example.packet},
               {"before", json_of(one.example.before)},
               {"after", json_of(one.example.after)}};
  if (!one.example.bytes.empty()) example["bytes"] = one.example.bytes;
  json["example"] = std::move(example);
  return json;
}

// Before what it is that no ruleset tells.
constexpr std::string_view kTakenForSame =
    "taken for the same before and after, which no ruleset tells";

constexpr std::string_view kNotAsked =
    "differs, and is no packet's fate, since no rule asks for it";

// What a proof is about.
constexpr std::string_view kCompared =
    "compared: what becomes of each packet; its headers and mark; log lines and copies; and what "
    "sets, limits and connections keep of it, where a rule of either side asks for that";

bool is_equivalent(const ask::Diff& diff) {
  return diff.classes.empty() && diff.is_proof() && diff.compared != 0;
}

// What Markdown would take for its own.
std::string in_code(std::string_view text) {
  std::string code;
  for (const char c : printable(text)) code += c == '`' ? '\'' : c == '|' ? '/' : c;
  return "`" + code + "`";
}

}  // namespace

std::vector<std::string> lines_of(const Terminal& to, const ask::Diff& diff, std::size_t most) {
  std::vector<std::string> lines;
  std::optional<std::pair<bool, DiffKind>> kind;
  std::size_t shown = 0;
  for (const DiffClass& one : diff.classes) {
    if (shown == most) break;
    ++shown;
    if (kind != std::pair(is_perhaps(one), one.kind)) {
      kind = std::pair(is_perhaps(one), one.kind);
      lines.push_back(heading(to, one));
    }
    const std::string hosts = whose(one);
    lines.push_back(fmt::format("  {}{}", printable(packets_of(one)),
                                hosts.empty() ? "" : "   (" + printable(hosts) + ")"));
    if (!one.depends.empty()) {
      lines.push_back(fmt::format("    depends on  {}",
                                  printable(fmt::format("{}", fmt::join(one.depends, ", ")))));
    }
    lines.push_back(fmt::format("    example     {}", printable(one.example.packet)));
    if (!one.example.bytes.empty()) {
      lines.push_back(fmt::format("    its bytes   {}", one.example.bytes));
    }
    for (const auto& [name, fate] :
         {std::pair("before", &one.example.before), std::pair("after ", &one.example.after)}) {
      // Twice the same tells nothing.
      if (!one.shown && one.example.before == one.example.after) {
        lines.push_back(
            fmt::format("    without it  {}  {}", in_column(to, fate->verdict), told_by(*fate)));
        break;
      }
      lines.push_back(
          fmt::format("    {}      {}  {}", name, in_column(to, fate->verdict), told_by(*fate)));
      if (one.kind == DiffKind::Logged) lines.push_back("                " + logs(*fate));
      if (one.kind == DiffKind::Remembered) lines.push_back("                " + counts(*fate));
    }
  }
  if (shown < diff.classes.size()) {
    lines.push_back(fmt::format("  and {} more of them", diff.classes.size() - shown));
  }
  for (const std::string& host : diff.new_hosts) {
    lines.push_back(fmt::format("  {} is new", printable(host)));
  }
  for (const std::string& host : diff.gone_hosts) {
    lines.push_back(fmt::format("  {} is gone", printable(host)));
  }
  for (const std::string& why : diff.not_proven) {
    lines.push_back(fmt::format("  {} {}", to.paint(Tone::Bad, "not proven"), printable(why)));
  }
  for (const std::string& what : diff.not_compared) {
    lines.push_back(fmt::format("  {} {}", to.paint(Tone::Bad, "differs, and is not compared:"),
                                printable(what)));
  }
  for (const std::string& mistake : diff.mistakes) {
    lines.push_back("  " + printable(mistake));
  }
  for (const std::string& what : diff.assumed) {
    lines.push_back(fmt::format("  {}: {}", kTakenForSame, printable(what)));
  }
  for (const std::string& what : diff.not_asked) {
    lines.push_back(fmt::format("  {}: {}", kNotAsked, printable(what)));
  }
  if (is_equivalent(diff)) lines.push_back(fmt::format("  {}", kCompared));
  return lines;
}

std::string line_of(const Terminal& to, const DiffClass& one) {
  std::string text =
      fmt::format("{}{}: {}", is_perhaps(one) ? "perhaps " : "",
                  to.paint(tone_of(one.kind), spaced(one.kind)), printable(packets_of(one)));
  if (!one.depends.empty()) {
    text += printable(fmt::format(", depending on {}", fmt::join(one.depends, ", ")));
  }
  return text;
}

std::string summary(const ask::Diff& diff) {
  std::string hosts = diff.compared + diff.same == 1
                          ? ""
                          : fmt::format("; {} compared, {} with the same ruleset",
                                        counted(diff.compared, "host"), diff.same);
  if (!diff.new_hosts.empty()) hosts += fmt::format(", {} new", diff.new_hosts.size());
  if (!diff.gone_hosts.empty()) hosts += fmt::format(", {} gone", diff.gone_hosts.size());
  if (!diff.is_proof()) {
    hosts += fmt::format("; not proven: {}",
                         diff.not_proven.size() + diff.mistakes.size() + diff.not_compared.size());
  }
  if (diff.classes.empty() && diff.is_proof()) {
    const ask::DiffWord alike = ask::word_of(diff);
    return fmt::format("{}: {}{}{}", ask::name_of(alike), kNoDifference,
                       alike == ask::DiffWord::Equivalent ? "" : " on hosts that both sides have",
                       hosts);
  }
  const std::string_view word = diff.is_proof() ? in_words(ask::word_of(diff)) : "not proven";
  const std::size_t unsure = perhaps(diff);
  return fmt::format("{}: {} newly accepted, {} newly denied, {} otherwise{}{}", word,
                     diff.shown(DiffKind::NewlyAccepted), diff.shown(DiffKind::NewlyDenied),
                     others(diff), unsure == 0 ? "" : fmt::format(", {} perhaps", unsure), hosts);
}

void add_members(Json& json, const ask::Diff& diff) {
  json["result"] = diff.is_proof() ? ask::name_of(ask::word_of(diff)) : "not proven";
  json["proven"] = diff.is_proof();
  Json classes = Json::array();
  for (const DiffClass& one : diff.classes) classes.push_back(json_of(one));
  json["classes"] = std::move(classes);
  Json counts;
  for (const DiffKind kind : ask::diff_kinds()) counts[ask::name_of(kind)] = diff.count(kind);
  json["counts"] = std::move(counts);
  json["hosts"] = {{"compared", diff.compared}, {"same", diff.same}};
  if (!diff.new_hosts.empty()) json["hosts"]["new"] = diff.new_hosts;
  if (!diff.gone_hosts.empty()) json["hosts"]["gone"] = diff.gone_hosts;
  if (!diff.not_proven.empty()) json["not_proven"] = diff.not_proven;
  if (!diff.mistakes.empty()) json["mistakes"] = diff.mistakes;
  if (!diff.not_compared.empty()) json["not_compared"] = diff.not_compared;
  if (!diff.assumed.empty()) json["assumed"] = diff.assumed;
  if (!diff.not_asked.empty()) json["not_asked"] = diff.not_asked;
}

std::string markdown(const ask::Diff& diff, std::string_view before, std::string_view after,
                     const std::vector<std::string>& remarks) {
  const std::string head = fmt::format("### Packets: {} → {}\n\n**{}**\n", in_code(before),
                                       in_code(after), printable(summary(diff)));
  std::string tail;
  for (const std::string& host : diff.new_hosts)
    tail += fmt::format("* {} is new\n", in_code(host));
  for (const std::string& host : diff.gone_hosts) {
    tail += fmt::format("* {} is gone\n", in_code(host));
  }
  for (const std::string& remark : remarks) tail += fmt::format("* {}\n", printable(remark));
  for (const std::string& why : diff.not_proven) {
    tail += fmt::format("* not proven: {}\n", in_code(why));
  }
  for (const std::string& what : diff.not_compared) {
    tail += fmt::format("* differs, and is not compared: {}\n", in_code(what));
  }
  for (const std::string& mistake : diff.mistakes) tail += fmt::format("* {}\n", in_code(mistake));
  for (const std::string& what : diff.assumed) {
    tail += fmt::format("* {}: {}\n", kTakenForSame, in_code(what));
  }
  for (const std::string& what : diff.not_asked) {
    tail += fmt::format("* {}: {}\n", kNotAsked, in_code(what));
  }
  if (is_equivalent(diff)) tail += fmt::format("* {}\n", kCompared);
  constexpr std::size_t kRoom = 200;  // for how many are left out
  if (tail.size() > kLongestComment / 4) tail.resize(kLongestComment / 4);
  std::string body;
  std::optional<std::pair<bool, DiffKind>> kind;
  std::size_t shown = 0;
  for (const DiffClass& one : diff.classes) {
    std::string entry;
    if (kind != std::pair(is_perhaps(one), one.kind)) {
      entry +=
          fmt::format("\n#### {}\n\n| packets | example | before | after |\n|---|---|---|---|\n",
                      (is_perhaps(one) ? "perhaps " : "") + spaced(one.kind));
    }
    const auto side = [&](const ToldFate& fate) {
      std::string words = fmt::format("{} {}", ask::name_of(fate.verdict), in_code(told_by(fate)));
      if (one.kind == DiffKind::Logged) words += " " + in_code(logs(fate));
      if (one.kind == DiffKind::Remembered) words += " " + in_code(counts(fate));
      return words;
    };
    const std::string hosts = whose(one);
    entry += fmt::format(
        "| {}{}{} | {} | {} | {} |\n", in_code(packets_of(one)),
        hosts.empty() ? "" : " (" + in_code(hosts) + ")",
        one.depends.empty()
            ? ""
            : " depending on " + in_code(fmt::format("{}", fmt::join(one.depends, ", "))),
        in_code(one.example.packet), side(one.example.before), side(one.example.after));
    if (head.size() + body.size() + entry.size() + tail.size() + kRoom > kLongestComment) break;
    kind = std::pair(is_perhaps(one), one.kind);
    body += entry;
    ++shown;
  }
  if (shown < diff.classes.size()) {
    body += fmt::format("\nand {} more of them\n", diff.classes.size() - shown);
  }
  return head + body + (tail.empty() ? "" : "\n" + tail);
}

}  // namespace rolewall::cli

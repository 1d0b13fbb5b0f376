#include "case_file.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <string_view>

#include "base/file.h"
#include "policy/keys.h"
#include "policy/toml_file.h"

namespace rolewall::cases {
namespace {

using policy::Key;
using policy::KeyType;
using policy::Section;
using policy::Value;

constexpr std::array kCaseKeys = {Key{"about", KeyType::String, true},
                                  Key{"why", KeyType::String, true},
                                  Key{"date", KeyType::LocalDate}, Key{"files", KeyType::Table},
                                  Key{"packet", KeyType::Tables, true}};
constexpr std::array kPacketKeys = {
    Key{"ask", KeyType::String, true},
    Key{"host", KeyType::String},
    Key{"connections", KeyType::Integer},
    Key{"packets", KeyType::StringsOrNone},
    Key{"as", KeyType::String},
    Key{"verdict", KeyType::String},
    Key{"by", KeyType::String},
    Key{"at", KeyType::String},
    Key{"in-force", KeyType::String},
    Key{"way", KeyType::StringsOrNone},
    Key{"beyond", KeyType::StringsOrNone},
    Key{"choices", KeyType::StringsOrNone},
};

// A case's day where it names none: before every date that a case's rules expire on.
constexpr policy::Date kDate{std::chrono::year{2026}, std::chrono::month{11}, std::chrono::day{21}};

std::optional<std::string> text(const Section& section, std::string_view key) {
  const Value* value = section.find(key);
  return value == nullptr ? std::nullopt : std::optional(value->text);
}

std::optional<std::vector<std::string>> texts(const Section& section, std::string_view key) {
  if (section.find(key) == nullptr) return std::nullopt;
  std::vector<std::string> found;
  for (const Value& item : section.items(key)) found.push_back(item.text);
  return found;
}

Question read_question(const Value& table, Diagnostics& diagnostics) {
  const Section section(table, kPacketKeys, "[[packet]]", kCaseKeys, diagnostics);
  Question question;
  question.line = table.span().line;
  question.ask = section.text("ask");
  question.host = section.text("host");
  if (const Value* count = section.find("connections")) question.connections = count->integer;
  question.packets = texts(section, "packets");
  question.expected = {text(section, "as"),      text(section, "verdict"),  text(section, "by"),
                       text(section, "at"),      text(section, "in-force"), texts(section, "way"),
                       texts(section, "beyond"), texts(section, "choices")};
  if (!question.packets && !question.expected.verdict) {
    diagnostics.error("no-verdict", table.span(), "a packet says its `verdict`, or its `packets`");
  }
  return question;
}

}  // namespace

std::optional<Case> read_case(const std::string& path, std::vector<std::string>& problems) {
  const auto content = read_file(path, policy::kLargestPolicyFile);
  if (!content) {
    problems.push_back(content.error().message);
    return std::nullopt;
  }
  Diagnostics diagnostics;
  SourceFiles sources;
  const auto tree = policy::parse_toml(*content, sources.add(path), diagnostics);
  Case read;
  if (tree) {
    const Section section(*tree, kCaseKeys, "a case", kCaseKeys, diagnostics);
    const Value* date = section.find("date");
    read.date = date == nullptr ? kDate : date->date;
    if (const Value* files = section.find("files")) {
      for (const policy::Member& file : files->members) {
        policy::check_type(file.value, KeyType::String, file.key, diagnostics);
        read.files[file.key] = file.value.text;
      }
    }
    for (const Value& table : section.items("packet")) {
      read.questions.push_back(read_question(table, diagnostics));
    }
  }
  for (const Diagnostic& problem : diagnostics.all()) {
    problems.push_back(fmt::format("{}: {}", sources.format(problem.span), problem.message));
  }
  return diagnostics.has_errors() ? std::nullopt : std::optional(std::move(read));
}

}  // namespace rolewall::cases

#include "case_file.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
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
    Key{"banned", KeyType::StringsOrNone},
    Key{"allowed", KeyType::StringsOrNone},
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

std::optional<net::Prefix> prefix_of(std::string_view text) {
  if (const auto address = net::parse_address(text)) {
    return net::Prefix{*address, net::address_bits(*address)};
  }
  return net::parse_prefix(text);
}

// "tcp/22 from 192.0.2.7".
std::optional<test::Opening> opening_of(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::size_t from = text.find(" from ");
  if (slash == std::string_view::npos || from == std::string_view::npos) return std::nullopt;
  const auto address = net::parse_address(text.substr(from + std::string_view(" from ").size()));
  if (!address) return std::nullopt;
  test::Opening opening;
  opening.from = *address;
  const std::string_view protocol = text.substr(0, slash);
  if (protocol != "tcp" && protocol != "udp") return std::nullopt;
  opening.protocol = protocol == "tcp" ? net::protocol::kTcp : net::protocol::kUdp;
  const auto [end, error] =
      std::from_chars(text.data() + slash + 1, text.data() + from, opening.port);
  if (error != std::errc{} || end != text.data() + from) return std::nullopt;
  return opening;
}

test::RunTime read_run_time(const Section& section, Diagnostics& diagnostics) {
  test::RunTime run_time;
  const auto wrong = [&](const Value& value) {
    diagnostics.error("run-time", value.span(), "not an address, or not `tcp/22 from 192.0.2.7`");
  };
  if (section.find("banned") != nullptr) {
    for (const Value& item : section.items("banned")) {
      const auto prefix = prefix_of(item.text);
      prefix ? run_time.banned.push_back(*prefix) : wrong(item);
    }
  }
  if (section.find("allowed") != nullptr) {
    for (const Value& item : section.items("allowed")) {
      const auto opening = opening_of(item.text);
      opening ? run_time.allowed.push_back(*opening) : wrong(item);
    }
  }
  return run_time;
}

Question read_question(const Value& table, Diagnostics& diagnostics) {
  const Section section(table, kPacketKeys, "[[packet]]", kCaseKeys, diagnostics);
  Question question;
  question.line = table.span().line;
  question.ask = section.text("ask");
  question.host = section.text("host");
  if (const Value* count = section.find("connections")) question.connections = count->integer;
  question.run_time = read_run_time(section, diagnostics);
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

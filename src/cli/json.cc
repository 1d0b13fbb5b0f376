#include "cli/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "cli/terminal.h"

namespace rolewall::cli {
namespace {

using Library = nlohmann::ordered_json;

std::string in_quotes(const std::string& text) {
  // Mostly there is nothing to escape.
  const bool is_plain = std::ranges::all_of(
      text, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (is_plain) return '"' + text + '"';
  return Library(text).dump(-1, ' ', false, Library::error_handler_t::replace);
}

// What we write ourselves has no fractions.
Json from_library(const Library& read) {
  if (read.is_object()) {
    Json json;
    for (const auto& [name, value] : read.items()) json[name] = from_library(value);
    return json;
  }
  if (read.is_array()) {
    Json json = Json::array();
    for (const Library& element : read) json.push_back(from_library(element));
    return json;
  }
  if (read.is_string()) return read.get<std::string>();
  if (read.is_boolean()) return read.get<bool>();
  if (read.is_number_unsigned()) return read.get<std::uint64_t>();
  if (read.is_number_integer()) return read.get<std::int64_t>();
  return {};
}

}  // namespace

Json::Json(std::initializer_list<Member> members) : value_(Object(members)) {}

Json::Json(const std::vector<std::string>& texts) : value_(Array(texts.begin(), texts.end())) {}

Json::Json() = default;
Json::Json(std::string text) : value_(std::move(text)) {}
Json::Json(std::string_view text) : value_(std::string(text)) {}
Json::Json(const char* text) : value_(std::string(text)) {}
Json::Json(Truth truth) : value_(truth.value) {}
Json::Json(Signed number) : value_(number.number) {}
Json::Json(Unsigned number) : value_(number.number) {}
Json::Json(const Json&) = default;
Json::Json(Json&&) noexcept = default;
Json& Json::operator=(const Json&) = default;
Json& Json::operator=(Json&&) noexcept = default;
Json::~Json() = default;

Json Json::array() {
  Json json;
  json.value_ = Array();
  return json;
}

Json& Json::operator[](std::string_view name) {
  if (std::holds_alternative<std::monostate>(value_)) value_ = Object();
  auto* members = std::get_if<Object>(&value_);
  CHECK(members != nullptr, "a member of what is no object");
  const auto at = std::ranges::find(*members, name, &Member::name);
  if (at != members->end()) return at->value;
  return members->emplace_back(Member{std::string(name), {}}).value;
}

void Json::push_back(Json element) {
  if (std::holds_alternative<std::monostate>(value_)) value_ = Array();
  auto* elements = std::get_if<Array>(&value_);
  CHECK(elements != nullptr, "an element of what is no array");
  elements->push_back(std::move(element));
}

const Json* Json::find(std::string_view name) const {
  const auto* members = std::get_if<Object>(&value_);
  if (members == nullptr) return nullptr;
  const auto at = std::ranges::find(*members, name, &Member::name);
  return at == members->end() ? nullptr : &at->value;
}

std::string Json::text(std::string_view name) const {
  const Json* member = find(name);
  const auto* text = member == nullptr ? nullptr : std::get_if<std::string>(&member->value_);
  return text == nullptr ? "" : *text;
}

std::optional<std::uint64_t> Json::number(std::string_view name) const {
  const Json* member = find(name);
  const auto* number = member == nullptr ? nullptr : std::get_if<std::uint64_t>(&member->value_);
  return number == nullptr ? std::nullopt : std::optional(*number);
}

bool Json::is_true(std::string_view name) const {
  const Json* member = find(name);
  const auto* value = member == nullptr ? nullptr : std::get_if<bool>(&member->value_);
  return value != nullptr && *value;
}

const Json::Array& Json::elements() const {
  static const Array kNone;
  const auto* elements = std::get_if<Array>(&value_);
  return elements == nullptr ? kNone : *elements;
}

std::string Json::dump() const {
  std::string line;
  dump_to(line);
  return line;
}

void Json::dump_to(std::string& line) const {
  visit_closed(Overloaded{
                   [&](std::monostate) { line += "null"; },
                   [&](bool value) { line += value ? "true" : "false"; },
                   [&](std::int64_t number) { line += fmt::to_string(number); },
                   [&](std::uint64_t number) { line += fmt::to_string(number); },
                   [&](const std::string& text) { line += in_quotes(text); },
                   [&](const Array& elements) {
                     line += '[';
                     for (const Json& element : elements) {
                       if (&element != &elements.front()) line += ',';
                       element.dump_to(line);
                     }
                     line += ']';
                   },
                   [&](const Object& members) {
                     line += '{';
                     for (const Member& member : members) {
                       if (&member != &members.front()) line += ',';
                       line += in_quotes(member.name) + ':';
                       member.value.dump_to(line);
                     }
                     line += '}';
                   },
               },
               value_);
}

std::optional<Json> parse_json(std::string_view text) {
  const Library read = Library::parse(text, nullptr, false);
  if (read.is_discarded()) return std::nullopt;
  return from_library(read);
}

void print(const Json& json) {
  out().write(json.dump() + "\n");
}

}  // namespace rolewall::cli

#include "policy/toml_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "policy/codes.h"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 32
// The parser asserts what a file can break (`[,` as a table's name), then reports it as an error.
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>

namespace rolewall::policy {
namespace {

// toml++ bounds the nesting of values, but makes one table a dot and destroys them recursively.
constexpr int kMostDots = 16;

// Bytes of the UTF-8 sequence at the front of `text`, or 0 where there is none (RFC 3629: no
// overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return continues(1) ? 2 : 0;
  if (lead < 0xf0) {
    const bool overlong = lead == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = lead == 0xed && byte(1) > 0x9f;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead > 0xf4) return 0;
  const bool overlong = lead == 0xf0 && byte(1) < 0x90;
  const bool beyond = lead == 0xf4 && byte(1) > 0x8f;
  return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
}

// Line starts, and whether columns count bytes on a line: toml++ counts code points.
struct Lines {
  std::vector<std::size_t> starts = {0};
  std::vector<bool> ascii = {true};
};

// Checks the encoding on the way.
std::optional<Lines> find_lines(std::string_view text, FileId file, Diagnostics& diagnostics) {
  Lines lines;
  std::uint32_t column = 1;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_sequence(text.substr(i));
    if (length == 0) {
      const auto line = static_cast<std::uint32_t>(lines.starts.size());
      report(diagnostics, Code::InvalidUtf8, {file, line, column},
             fmt::format("byte 0x{:02x} is not UTF-8", static_cast<unsigned char>(text[i])),
             "save the file as UTF-8");
      return std::nullopt;
    }
    if (length > 1) lines.ascii.back() = false;
    ++column;
    i += length;
    if (text[i - 1] == '\n') {
      lines.starts.push_back(i);
      lines.ascii.push_back(true);
      column = 1;
    }
  }
  return lines;
}

// What toml++ is not to be given, and where.
struct Refused {
  std::size_t at = 0;
  bool too_deep = false;  // or else a character that may stand in strings and comments alone
};

// Outside of strings and comments: the dots since the last separator, which are the depth of a
// dotted key, and characters beyond ASCII, for which toml++ 3.3 runs into what its authors took to
// be unreachable (is_non_ascii_horizontal_whitespace()).
std::optional<Refused> find_refused(std::string_view text) {
  int dots = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '"' || c == '\'') {
      const bool multi_line = text.substr(i, 3) == std::string(3, c);
      i += multi_line ? 3 : 1;
      while (i < text.size()) {
        if (c == '"' && text[i] == '\\') {
          i += 2;
        } else if (multi_line ? text.substr(i, 3) == std::string_view(c == '"' ? R"(""")" : "'''")
                              : text[i] == c || text[i] == '\n') {
          break;
        } else {
          ++i;
        }
      }
      if (multi_line) {
        i += 2;
        // Two more may stand at the string's end as part of it.
        for (int more = 0; more < 2 && text.substr(std::min(i + 1, text.size())).starts_with(c);
             ++more) {
          ++i;
        }
      }
    } else if (c == '.') {
      if (++dots > kMostDots) return Refused{i, true};
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      return Refused{i, false};
    } else if (std::string_view("\n=,[]{}").find(c) != std::string_view::npos) {
      dots = 0;
    }
  }
  return std::nullopt;
}

class Converter {
 public:
  Converter(std::string_view text, const Lines& lines, FileId file)
      : text_(text), lines_(lines), file_(file) {}

  Value value(const toml::node& node) const {
    Value out;
    out.place.span = span_of(node.source().begin);
    switch (node.type()) {
      case toml::node_type::string:
        out.kind = ValueKind::String;
        out.text = node.as_string()->get();
        locate(out);
        break;
      case toml::node_type::integer:
        out.kind = ValueKind::Integer;
        out.integer = node.as_integer()->get();
        break;
      case toml::node_type::floating_point:
        out.kind = ValueKind::Float;
        break;
      case toml::node_type::boolean:
        out.kind = ValueKind::Boolean;
        out.boolean = node.as_boolean()->get();
        break;
      case toml::node_type::date: {
        const toml::date date = node.as_date()->get();
        out.kind = ValueKind::Date;
        out.date = Date{std::chrono::year(date.year), std::chrono::month(date.month),
                        std::chrono::day(date.day)};
        break;
      }
      case toml::node_type::time:
      case toml::node_type::date_time:
      case toml::node_type::none:
        out.kind = ValueKind::Time;
        break;
      case toml::node_type::array:
        out.kind = ValueKind::Array;
        for (const toml::node& item : *node.as_array()) out.items.push_back(value(item));
        break;
      case toml::node_type::table:
        out.kind = ValueKind::Table;
        out.members = members(*node.as_table());
        break;
    }
    return out;
  }

 private:
  // toml++ sorts keys by name; the order in which they were written is the order of messages.
  std::vector<Member> members(const toml::table& table) const {
    std::vector<Member> out;
    out.reserve(table.size());
    for (const auto& [key, node] : table) {
      out.push_back({std::string(key.str()), span_of(key.source().begin), value(node)});
    }
    std::sort(out.begin(), out.end(), [](const Member& a, const Member& b) {
      return std::tie(a.span.line, a.span.column) < std::tie(b.span.line, b.span.column);
    });
    return out;
  }

  Span span_of(const toml::source_position& position) const {
    return {file_, position.line, position.column};
  }

  void locate(Value& value) const {
    const Span& span = value.place.span;
    if (span.line == 0 || span.line > lines_.starts.size()) return;
    const std::optional<std::size_t> quote = offset_of(span);
    if (!quote || *quote >= text_.size()) return;
    if (text_.substr(*quote, 3) == R"(""")" || text_.substr(*quote, 3) == "'''") return;
    value.place.shift = 1;
    value.place.verbatim = text_.substr(*quote + 1, value.text.size()) == value.text;
  }

  std::optional<std::size_t> offset_of(const Span& span) const {
    constexpr std::uint32_t kFarthest = 4096;  // so that one huge line stays linear
    const std::size_t start = lines_.starts[span.line - 1];
    if (lines_.ascii[span.line - 1]) return start + span.column - 1;
    if (span.column > kFarthest) return std::nullopt;
    std::size_t offset = start;
    for (std::uint32_t column = 1; column < span.column && offset < text_.size(); ++column) {
      offset += utf8_sequence(text_.substr(offset));
    }
    return offset;
  }

  std::string_view text_;
  const Lines& lines_;
  FileId file_;
};

// Columns count characters: bytes that begin one.
Span position_of(std::string_view text, std::size_t offset, const Lines& lines, FileId file) {
  const auto after = std::upper_bound(lines.starts.begin(), lines.starts.end(), offset);
  const auto line = static_cast<std::size_t>(after - lines.starts.begin());
  const std::size_t start = lines.starts[line - 1];
  const auto before = std::ranges::count_if(text.substr(start, offset - start),
                                            [](char c) { return (c & 0xc0) != 0x80; });
  return {file, static_cast<std::uint32_t>(line), static_cast<std::uint32_t>(before + 1)};
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The library's message, or ours for the slips that most people make, and what to write.
struct SyntaxError {
  std::string message;
  std::string hint;
};

// Of "= 10.8.0.0/24  # the tunnel": the value, if it is one word; else "".
std::string_view plain_word(std::string_view value) {
  constexpr std::size_t kLongestShown = 60;
  if (value.starts_with('=')) value = trimmed(value.substr(1));
  value = trimmed(value.substr(0, value.find('#')));
  const bool is_plain =
      value.size() <= kLongestShown && value.find_first_of("[]{}\"'#,=`") == std::string_view::npos;
  return is_plain ? value : std::string_view();
}

// `rest`: the text from the beginning of the line on; `column`: where on it.
SyntaxError in_our_words(const std::string& message, std::string_view rest, std::uint32_t column) {
  const auto says = [&](std::string_view part) { return message.find(part) != std::string::npos; };
  const std::string_view line = rest.substr(0, rest.find('\n'));
  const bool at_end = column > line.size();
  const std::string_view value = trimmed(line.substr(std::min(line.find('='), line.size())));
  if (says("while parsing string") && at_end &&
      (says("control characters") || says("end-of-file"))) {
    return {"the string is not closed on its line", "put a quote at its end"};
  }
  if (says("could not determine value type")) {
    const std::string_view word = plain_word(value);
    return {"a text has no quotes around it",
            word.empty() ? std::string("put it in quotes") : fmt::format("write \"{}\"", word)};
  }
  if (says("cannot redefine existing")) {
    const auto open = message.find('\'');
    const auto close = message.rfind('\'');
    const std::string name = open < close ? message.substr(open + 1, close - open - 1) : "";
    if (says("while parsing table header")) {
      return {fmt::format("the table [{}] stands twice", name),
              "put all its keys into the first; rules, of which there are many, are in double "
              "brackets: [[inbound]]"};
    }
    return {fmt::format("the key `{}` stands twice in its table", name),
            "leave one; several values are a list in brackets: [\"a\", \"b\"]"};
  }
  const bool number = says("while parsing floating-point") || says("while parsing integer") ||
                      says("while parsing date") || says("while parsing local");
  if (const std::string_view word = plain_word(value); number && !word.empty()) {
    return {fmt::format("`{}` is neither a number nor a date", word),
            fmt::format("an address or another text is in quotes: \"{}\"; a date is written "
                        "2027-03-01",
                        word)};
  }
  if (says("expected a comment or whitespace, saw ','")) {
    return {"a second value stands behind the first", "a list is in brackets: [\"a\", \"b\"]"};
  }
  if (says("while parsing table header") && at_end) {
    return {"the table's name is not closed on its line",
            line.starts_with("[[") ? "it ends in `]]`" : "it ends in `]`"};
  }
  return {message, ""};
}

}  // namespace

const Member* Value::find(std::string_view key) const {
  const auto found =
      std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.key == key; });
  return found == members.end() ? nullptr : &*found;
}

std::string_view kind_name(ValueKind kind) {
  switch (kind) {
    case ValueKind::String:
      return "a string";
    case ValueKind::Integer:
      return "an integer";
    case ValueKind::Float:
      return "a float";
    case ValueKind::Boolean:
      return "a boolean";
    case ValueKind::Date:
      return "a date";
    case ValueKind::Time:
      return "a time";
    case ValueKind::Array:
      return "a list";
    case ValueKind::Table:
      break;
  }
  return "a table";
}

std::optional<Value> parse_toml(std::string_view text, FileId file, Diagnostics& diagnostics) {
  // A byte order mark is no character of the text.
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const std::optional<Lines> lines = find_lines(text, file, diagnostics);
  if (!lines) return std::nullopt;
  if (const auto refused = find_refused(text)) {
    const Span span = position_of(text, refused->at, *lines, file);
    if (refused->too_deep) {
      report(diagnostics, Code::TooDeep, span,
             fmt::format("a key of more than {} dots", kMostDots));
    } else {
      const std::string_view character =
          text.substr(refused->at, utf8_sequence(text.substr(refused->at)));
      report(diagnostics, Code::Syntax, span,
             fmt::format("{} is outside strings and comments", escape(character, 16)),
             "put it in quotes");
    }
    return std::nullopt;
  }
  const toml::parse_result result = toml::parse(text);
  if (!result) {
    const toml::parse_error& error = result.error();
    const Span span{file, error.source().begin.line, error.source().begin.column};
    constexpr std::size_t kLongestMessage = 300;
    const std::string message = escape(error.description(), kLongestMessage);
    if (message.find("maximum nested value depth") != std::string::npos) {
      report(diagnostics, Code::TooDeep, span,
             fmt::format("values nested more than {} deep", TOML_MAX_NESTED_VALUES));
    } else {
      const std::size_t start = span.line == 0 || span.line > lines->starts.size()
                                    ? text.size()
                                    : lines->starts[span.line - 1];
      const SyntaxError known = in_our_words(message, text.substr(start), span.column);
      report(diagnostics, Code::Syntax, span, known.message, known.hint);
    }
    return std::nullopt;
  }
  return Converter(text, *lines, file).value(result.table());
}

}  // namespace rolewall::policy

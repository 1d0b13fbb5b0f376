#include "report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace rolewall::report {
namespace {

struct Character {
  char32_t value = 0;
  std::size_t size = 0;  // 0: no UTF-8
};

// RFC 3629: no longer form than is needed, no surrogates, nothing above U+10FFFF.
Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || size > text.size()) return {};
  char32_t value = first & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kLeast[size] || surrogate || value > 0x10ffff) return {};
  return {value, size};
}

// What a reader would not see, or would see in another order than it stands.
bool is_unseen(char32_t c) {
  if (c == '\n' || c == '\t') return false;
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
         (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) ||
         (c & 0xfffe) == 0xfffe || (c >= 0xe0000 && c <= 0xe0fff);
}

bool ends_a_line(std::string_view tag) {
  constexpr std::array<std::string_view, 7> kWithin = {"a",    "code", "span", "strong",
                                                       "text", "td",   "th"};
  return std::ranges::find(kWithin, tag) == kWithin.end();
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character c = first_character(text);
    const std::size_t size = std::max<std::size_t>(c.size, 1);
    if (c.size == 0) {
      out += fmt::format("\\u{{{:x}}}", static_cast<std::uint8_t>(text[0]));
    } else if (is_unseen(c.value)) {
      out += fmt::format("\\u{{{:x}}}", static_cast<std::uint32_t>(c.value));
    } else if (c.value == '&') {
      out += "&amp;";
    } else if (c.value == '<') {
      out += "&lt;";
    } else if (c.value == '>') {
      out += "&gt;";
    } else if (c.value == '"') {
      out += "&quot;";
    } else if (c.value == '\'') {
      out += "&#39;";
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return out;
}

void Html::open(Word tag, Attributes attributes) {
  out_ += '<';
  out_ += tag.view();
  for (const Attribute& each : attributes) {
    if (each.value.empty()) continue;
    out_ += fmt::format(" {}=\"{}\"", each.name.view(), escaped(each.value));
  }
  out_ += '>';
}

void Html::close(Word tag) {
  out_ += fmt::format("</{}>", tag.view());
  if (ends_a_line(tag.view())) out_ += '\n';
}

Html::Element Html::in(Word tag, Attributes attributes) {
  open(tag, attributes);
  return {*this, tag};
}

void Html::leaf(Word tag, std::string_view text, Attributes attributes) {
  open(tag, attributes);
  out_ += escaped(text);
  close(tag);
}

void Html::lone(Word tag, Attributes attributes) {
  open(tag, attributes);
  out_ += '\n';
}

// The one text that is not escaped: it is ours, and the build refuses a sheet with a `<`.
void Html::style(const Sheet& sheet) {
  out_ += "<style>";
  out_ += sheet.text;
  out_ += "</style>\n";
}

}  // namespace rolewall::report

#include "print/json_text.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "print/hex.h"

namespace rolewall::print {
namespace {

// The size of the UTF-8 character that the text begins with; 0 where it begins with none. RFC 3629:
// no longer form than is needed, no surrogates, nothing above U+10FFFF.
std::size_t utf8_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  const std::size_t size = first < 0x80                    ? 1
                           : first >= 0xc2 && first < 0xe0 ? 2
                           : first >= 0xe0 && first < 0xf0 ? 3
                           : first >= 0xf0 && first < 0xf5 ? 4
                                                           : 0;
  if (size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool bad = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) >= 0xa0) ||
                   (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) >= 0x90);
  return bad ? 0 : size;
}

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      if (static_cast<std::uint8_t>(c) < 0x20) {
        out += "\\u00";
        append_hex(out, std::array{static_cast<std::uint8_t>(c)});
      } else {
        out += c;
      }
  }
}

// Calls no_text(out) for each byte that is none, and stops where that says so.
template <class NoText>
bool append(std::string& out, std::string_view text, NoText no_text) {
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = utf8_size(text.substr(at));
    if (size == 1) {
      append_escaped(out, text[at]);
    } else if (size != 0) {
      out += text.substr(at, size);
    } else if (!no_text()) {
      return false;
    }
    at += std::max<std::size_t>(size, 1);
  }
  out += '"';
  return true;
}

}  // namespace

bool append_quoted(std::string& out, std::string_view text) {
  const std::size_t before = out.size();
  if (append(out, text, [] { return false; })) return true;
  out.resize(before);
  return false;
}

void append_quoted_text(std::string& out, std::string_view text) {
  append(out, text, [&] {
    out += "\xef\xbf\xbd";
    return true;
  });
}

}  // namespace rolewall::print

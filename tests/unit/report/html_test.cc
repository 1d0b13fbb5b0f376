// Text is data on a page, whatever stands in it and wherever it is put.
#include "report/html.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace rolewall::report {
namespace {

const std::vector<std::string> kHostile = {
    "<script>alert(1)</script>",
    "</script></style></title></pre></td><script>alert(1)</script>",
    "\" onmouseover=\"alert(1)",
    "' onmouseover='alert(1)",
    "\"><img src=x onerror=alert(1)>",
    "<!-- ",
    "-->",
    "]]>",
    "<![CDATA[",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "&",
    "javascript:alert(1)",
    "<svg/onload=alert(1)>",
    "</svg><math><mtext><script>alert(1)</script>",
    "{{constructor}}",
    std::string("a\0<b>", 5),
    "a\x1b[31m\x07",
    "\xe2\x80\xae"
    "gpj.exe",                 // turned around
    "\xc3\x28",                // no UTF-8
    "\xc0\xbcscript\xc0\xbe",  // '<' and '>' in a longer form than is needed
    "\xed\xa0\x80",            // a surrogate
    "\xf4\x90\x80\x80",        // beyond U+10FFFF
    "\xe2\x80\xa8\xe2\x80\xa9",
    "\xef\xbb\xbf",
};

// Nothing but the five references begins with '&', and no other character of markup is there.
bool is_data(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '<' || c == '>' || c == '"' || c == '\'') return false;
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') return false;
    if (c != '&') continue;
    bool is_reference = false;
    for (const std::string_view known : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
      is_reference = is_reference || text.substr(i).starts_with(known);
    }
    if (!is_reference) return false;
  }
  return true;
}

std::string unescaped(std::string text) {
  const std::vector<std::pair<std::string, std::string>> references = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
  for (const auto& [reference, character] : references) {
    for (std::size_t at = 0; (at = text.find(reference, at)) != std::string::npos; ++at) {
      text.replace(at, reference.size(), character);
    }
  }
  return text;
}

TEST_CASE("hostile text is data in an element, an attribute and a line") {
  for (const std::string& text : kHostile) {
    CAPTURE(text);
    const std::string data = escaped(text);
    CHECK(is_data(data));
    Html html;
    {
      const auto body = html.in("body", {{"aria-label", text}, {"id", text}});
      html.leaf("td", text, {{"class", text}, {"href", "#" + text}});
      html.text(text);
      html.lone("meta", {{"content", text}});
      html.leaf("title", text);
      html.leaf("pre", text);
    }
    const std::string expected = fmt::format(
        "<!DOCTYPE html>\n<body aria-label=\"{0}\" id=\"{0}\"><td class=\"{0}\" "
        "href=\"#{0}\">{0}</td>"
        "{0}<meta content=\"{0}\">\n<title>{0}</title>\n<pre>{0}</pre>\n</body>\n",
        data);
    CHECK(html.take() == expected);
  }
}

TEST_CASE("what is plain stays as it is, and comes back from its references") {
  for (const char* text :
       {"web-01", "naïve – 東京 🙂", "a\tb\nc", "1 < 2 && 3 > 2", "it's \"so\""}) {
    CHECK(unescaped(escaped(text)) == text);
  }
}

TEST_CASE("what a reader would not see is shown") {
  CHECK(escaped("a\u202eb") == "a\\u{202e}b");
  CHECK(escaped("a\u200bb") == "a\\u{200b}b");
  CHECK(escaped(std::string("a\0b", 3)) == "a\\u{0}b");
  CHECK(escaped("\xff") == "\\u{ff}");
  CHECK(escaped("\xc0\xbc") == "\\u{c0}\\u{bc}");
  CHECK(escaped("\xe2\x80") == "\\u{e2}\\u{80}");
}

TEST_CASE("an empty attribute is left out") {
  Html html;
  html.leaf("td", "", {{"class", ""}, {"id", "x"}});
  CHECK(html.take() == "<!DOCTYPE html>\n<td id=\"x\"></td>");
}

}  // namespace
}  // namespace rolewall::report

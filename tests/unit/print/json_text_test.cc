// Our strings of JSON against nlohmann's, whose reader reads them.
#include "print/json_text.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <random>

namespace rolewall::print {
namespace {

std::optional<std::string> ours(std::string_view text) {
  std::string out = "before ";
  const bool good = append_quoted(out, text);
  CHECK(out.starts_with("before "));
  if (good) return out.substr(7);
  CHECK_EQ(out.size(), 7);
  return std::nullopt;
}

std::optional<std::string> nlohmanns(std::string_view text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    return std::nullopt;
  }
}

TEST_CASE("one and two bytes, all of them") {
  for (int first = 0; first < 256; ++first) {
    const std::string one(1, static_cast<char>(first));
    REQUIRE(ours(one) == nlohmanns(one));
    for (int second = 0; second < 256; ++second) {
      const std::string two = one + static_cast<char>(second);
      REQUIRE(ours(two) == nlohmanns(two));
    }
  }
}

// At the edges of what UTF-8 allows: too long a form, surrogates, beyond the last character, cut.
TEST_CASE("longer characters") {
  std::mt19937 random(1);
  constexpr std::array<std::uint8_t, 14> kFirst = {0x41, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
                                                   0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff};
  constexpr std::array<std::uint8_t, 8> kNext = {0x22, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf};
  int good = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = "x";
    text += static_cast<char>(kFirst[random() % kFirst.size()]);
    for (std::size_t more = random() % 6; more > 0; --more) {
      text += static_cast<char>(kNext[random() % kNext.size()]);
    }
    const auto quoted = ours(text);
    REQUIRE(quoted == nlohmanns(text));
    if (quoted) ++good;
  }
  CHECK(good > 500);
}

TEST_CASE("bytes that are no text are replaced where a text must stand") {
  std::string out;
  append_quoted_text(out, "a\xff\x22");
  CHECK_EQ(out, "\"a\xef\xbf\xbd\\\"\"");
}

}  // namespace
}  // namespace rolewall::print

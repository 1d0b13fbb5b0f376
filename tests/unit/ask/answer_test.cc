#include "ask/answer.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/file.h"

namespace rolewall::ask {
namespace {

constexpr std::array kVerdicts = {Verdict::Accept,   Verdict::Drop, Verdict::Reject,
                                  Verdict::Stack,    Verdict::Held, Verdict::Conditional,
                                  Verdict::Undecided};

std::string document(const std::string& path) {
  const auto text = read_file(std::string(SOURCE_ROOT) + "/" + path, 1U << 20);
  REQUIRE_MESSAGE(text, path);
  return *text;
}

TEST_CASE("names are read back") {
  for (const Verdict verdict : kVerdicts) CHECK(verdict_from(name_of(verdict)) == verdict);
  CHECK(!verdict_from("maybe"));
}

TEST_CASE("documents say what a verdict means in the program's words") {
  const std::string json = document("docs/json.md");
  const std::string glossary = document("docs/glossary.md");
  const std::string manual = document("packaging/man/rolewall-eval.mdoc");
  for (const Verdict verdict : kVerdicts) {
    CAPTURE(name_of(verdict));
    const std::string row = fmt::format("| `{}` | {} |", name_of(verdict), meaning(verdict));
    CHECK(json.find(row) != std::string::npos);
    const std::string item = fmt::format(".It Cm {}\n{}", name_of(verdict), meaning(verdict));
    CHECK(manual.find(item) != std::string::npos);
  }
  for (const Verdict verdict :
       {Verdict::Stack, Verdict::Held, Verdict::Conditional, Verdict::Undecided}) {
    CAPTURE(name_of(verdict));
    CHECK(glossary.find(meaning(verdict)) != std::string::npos);
  }
}

TEST_CASE("what is denied comes to nobody") {
  for (const Verdict verdict : kVerdicts) {
    const bool open = verdict == Verdict::Accept || verdict == Verdict::Conditional ||
                      verdict == Verdict::Undecided;
    CHECK(is_denied(verdict) == !open);
  }
}

}  // namespace
}  // namespace rolewall::ask

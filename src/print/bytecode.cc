#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "print/bytecode_words.h"
#include "print/print.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"

namespace rolewall::print {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)

void append_set(std::string& out, const Table& table, const Set& set) {
  fmt::format_to(std::back_inserter(out), "{} {} {} {} elements {}\n", name_of(set.kind),
                 name_of(table.family), table.name, set.name, set.elements.count());
  const Elements& elements = set.elements;
  for (std::size_t i = 0; i < elements.count(); ++i) {
    out += "  element " + words(elements.key(i));
    if (!std::ranges::equal(elements.key(i), elements.key_end(i))) {
      out += " - " + words(elements.key_end(i));
    }
    if (!elements.data.empty()) out += " : " + words(elements.value(i));
    if (!elements.verdicts.empty()) out += " : " + verdict_words(elements.verdicts[i]);
    if (!elements.objects.empty()) out += " : " + elements.objects[i];
    out += '\n';
  }
  if (elements.has_catch_all) {
    out += "  element *";
    if (set.kind == SetKind::Map) out += " : " + words(elements.catch_all_data);
    if (set.kind == SetKind::VerdictMap) out += " : " + verdict_words(elements.catch_all_verdict);
    out += '\n';
  }
}

}  // namespace

std::string words(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min<std::size_t>(4, bytes.size() - at));
    fmt::format_to(std::back_inserter(text), "{}0x{:08x}", at == 0 ? "" : " ", word);
  }
  return text;
}
std::string words(const Value& value) {
  return words({value.begin(), value.end()});
}

std::string verdict_words(const Verdict& verdict) {
  const std::string_view code = name_of(verdict.code);
  return verdict.chain.empty() ? std::string(code) : fmt::format("{} -> {}", code, verdict.chain);
}

std::string to_bytecode(const Ruleset& ruleset) {
  std::string out;
  for (const Table& table : ruleset.tables) {
    for (const Set& set : table.sets) append_set(out, table, set);
    for (const Chain& chain : table.chains) {
      const std::string header =
          fmt::format("{} {} {}", name_of(table.family), table.name, chain.name);
      if (chain.base) {
        fmt::format_to(std::back_inserter(out), "{} type {} hook {} prio {} policy {}\n", header,
                       name_of(chain.base->type), name_of(chain.base->hook), chain.base->priority,
                       name_of(chain.base->policy));
      } else {
        out += header + '\n';
      }
      for (std::size_t r = 0; r < chain.rules.size(); ++r) {
        const Rule& rule = chain.rules[r];
        fmt::format_to(std::back_inserter(out), "{} rule {}{}{}\n", header, r + 1,
                       rule.comment.empty() ? "" : " # ", rule.comment.text());
        for (const Expr& expr : rule.exprs) out += "  " + bytecode(expr, table.family) + '\n';
      }
    }
  }
  return out;
}

}  // namespace rolewall::print

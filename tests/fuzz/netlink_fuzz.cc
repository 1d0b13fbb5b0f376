// The decoder of the kernel's dumps on any bytes: it must neither crash nor hand out what verify()
// would refuse, or columns that differ in length. The input is a list of messages: what it holds (a
// byte), its family (a byte), its length (two bytes, little end first), its attributes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "netlink/decode_ruleset.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"

namespace {

using namespace rolewall;  // NOLINT(google-build-using-namespace)
using netlink::RulesetReader;
using netlink::View;

void require(bool condition) {
  if (!condition) std::abort();
}

template <class T>
void require_rows(const std::vector<T>& column, std::size_t rows, bool all) {
  require(column.size() == rows || (!all && column.empty()));
}

void check(const ruleset::Set& set) {
  const ruleset::Elements& elements = set.elements;
  const std::size_t rows = elements.count();
  require(elements.keys.size() == rows * elements.key_size);
  require(elements.data_size == (set.kind == ruleset::SetKind::Map ? set.data.size : 0));
  require_rows(elements.key_ends, rows * elements.key_size, set.interval);
  require_rows(elements.data, rows * elements.data_size, set.kind == ruleset::SetKind::Map);
  require_rows(elements.verdicts, rows, set.kind == ruleset::SetKind::VerdictMap);
  require_rows(elements.objects, rows, set.kind == ruleset::SetKind::ObjectMap);
  require_rows(elements.timeouts_ms, rows, false);
  require_rows(elements.expirations_ms, rows, false);
  require_rows(elements.exprs, rows, false);
  require_rows(elements.comments, rows, false);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  View input(data, size);
  RulesetReader reader;
  constexpr std::size_t kHeader = 4;
  while (input.size() >= kHeader) {
    const std::uint8_t kind = input[0];
    const std::uint8_t family = input[1];
    const std::size_t length = input[2] | static_cast<std::size_t>(input[3]) << 8;
    input = input.subspan(kHeader);
    const View attributes = input.first(std::min(length, input.size()));
    input = input.subspan(attributes.size());
    constexpr Result<void> (RulesetReader::* kReaders[])(std::uint8_t, View) = {
        &RulesetReader::table, &RulesetReader::chain,    &RulesetReader::rule,
        &RulesetReader::set,   &RulesetReader::elements, &RulesetReader::object};
    const auto read = kReaders[kind % std::size(kReaders)];
    if (!(reader.*read)(family, attributes)) return 0;
  }
  if (const auto ruleset = reader.finish(); ruleset && *ruleset) {
    require(!ruleset::verify(**ruleset));
    for (const ruleset::Table& table : (*ruleset)->tables) {
      for (const ruleset::Set& set : table.sets) check(set);
    }
  }
  return 0;
}

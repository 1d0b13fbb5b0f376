// The reader of snapshots on any text: it must not crash, and what it accepts must be valid, must
// survive being written and read again, and must upset neither the other writers nor the evaluator,
// which looks up all that is named.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "eval/eval.h"
#include "print/print.h"
#include "ruleset/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rolewall;  // NOLINT(google-build-using-namespace)
  const auto read = print::from_json({reinterpret_cast<const char*>(data), size});
  if (!read) return 0;
  if (ruleset::verify(read->ruleset)) std::abort();
  const auto again = print::from_json(print::to_json(*read));
  if (!again || *again != *read) std::abort();
  (void)print::to_bytecode(read->ruleset);
  (void)print::to_nft(read->ruleset);
  const eval::Evaluator prepared(read->ruleset, read->host);
  return 0;
}

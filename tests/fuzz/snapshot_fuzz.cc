// The reader of snapshots on any text: it must not crash, and what it accepts must be valid, must
// survive being written and read again, and must not upset the other writers.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

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
  return 0;
}

// Checksums: against what is published, and against every bit that may change.
#include "apply/seal.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace rolewall::apply {
namespace {

TEST_CASE("FIPS 180-4's examples") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256(std::string(1'000'000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("an object with its checksum: each bit that changes is noticed, or says nothing") {
  const nlohmann::json object{{"generation", 3}, {"deadline", "2026-01-01"}, {"former", 2}};
  for (const std::string& text : {sealed_file(object), sealed_line(object)}) {
    CHECK((*unsealed(text) == object));
    for (std::size_t at = 0; at < text.size() * 8; ++at) {
      std::string changed = text;
      changed[at / 8] = static_cast<char>(changed[at / 8] ^ (1 << at % 8));
      const auto read = unsealed(changed);
      CHECK((!read || *read == object));  // white space
    }
  }
  CHECK_FALSE(unsealed(object.dump()));
  CHECK((*unsealed_or_old(object.dump()) == object));
  CHECK_FALSE(unsealed("[]"));
  CHECK_FALSE(unsealed(""));
}

}  // namespace
}  // namespace rolewall::apply

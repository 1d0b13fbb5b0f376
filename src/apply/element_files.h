// The elements of a generation's large sets, beside its snapshot.json: as JSON a million addresses
// take most of a second to read and to write, as they stand in memory a few milliseconds.
//
// `elements.json` lists them: {"sets": [{"set": "net/abusers/4", "file": "elements-0",
// "key_size": 4, "count": 999467, "ranges": false, "checksum": "93a1..."}]}. Each file holds the
// keys, one after the other, in the order of the snapshot's sets, and then, of ranges, as many last
// keys. The snapshot itself has these sets without elements. What does not agree with the list, or
// is not there, is an error: no set is ever taken for an empty one.
#pragma once

#include <string>

#include "base/error.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// Takes the elements of large sets (is_large()) out of `ruleset` and writes them to `directory`. A
// file that would be the same in `former`, an earlier generation's directory or "", is linked.
Result<void> write_elements(const std::string& directory, const std::string& former,
                            ruleset::Ruleset& ruleset);

// Puts them back.
Result<void> read_elements(const std::string& directory, ruleset::Ruleset& ruleset);

}  // namespace rolewall::apply

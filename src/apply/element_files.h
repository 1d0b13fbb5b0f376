// The elements of a generation's large sets, beside its snapshot.json: as JSON a million addresses
// take most of a second to read and to write, as they stand in memory a few milliseconds.
//
// `elements.json` lists them: {"sets": [{"set": "net/abusers/4", "file": "elements-0",
// "key_size": 4, "count": 999467, "ranges": false}]}. Each file holds the keys, one after the
// other, in the order of the snapshot's sets, and then, of ranges, as many last keys. The snapshot
// itself has these sets without elements. What does not agree with the list, or is not there, is an
// error: no set is ever taken for an empty one. Their checksums are the generation's (seal.h).
#pragma once

#include <string>

#include "apply/seal.h"
#include "base/error.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// Takes the elements of large sets (is_large()) out of `ruleset` and writes them to `folder` of the
// state directory. A file that would be the same in `former`, an earlier generation's folder or "",
// is linked. What was written comes into the seal.
Result<void> write_elements(const std::string& directory, const std::string& folder,
                            const std::string& former, ruleset::Ruleset& ruleset, Seal& seal);

// Puts them back. `seal` as for read_sealed_file().
Result<void> read_elements(const std::string& directory, const std::string& folder,
                           const Seal* seal, ruleset::Ruleset& ruleset);

}  // namespace rolewall::apply

// How anything of the state directory is read: the one place where it is decided what to believe.
//
// A file counts where nobody else could have put it there: the directory and the way to it, each
// folder in it and the file itself belong to root or to us, and no one else may write them
// (base/trusted_path.h). Below the directory no link is followed, whoever made it: `current` and
// `boot` are links for people, and read as text. What is not trusted is an error that says how to
// mend it.
//
// Who may write there is one question; whether the bytes are those that we wrote is another, which
// the seals answer (seal.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace rolewall::apply {

// `name` in the directory: "pending.json", "generations/3/seal". Of kind Io with ENOENT where it is
// not there.
Result<std::string> read_state_file(const std::string& directory, std::string_view name,
                                    std::size_t limit);

// A line at its end (append_line() of base/file.h); the file is made where there is none. Nothing
// is written into what could not be read, as one of more than `limit` bytes.
Result<void> append_to_state_file(const std::string& directory, std::string_view name,
                                  std::string_view line, std::size_t limit, bool on_disk);

// Where a link leads; std::nullopt where there is none. What stands there and is no link is an
// error.
Result<std::optional<std::string>> read_state_link(const std::string& directory,
                                                   std::string_view name);

// The names in `folder`, "" for the directory itself, sorted.
Result<std::vector<std::string>> list_state_folder(const std::string& directory,
                                                   std::string_view folder);

// Whether something stands there, trusted or not.
bool is_there(const std::string& directory, std::string_view name);

// Takes away what a generation's folder holds of ours, and the folder where nothing else is in it.
// What others have put there stays. Failing loses nothing.
void remove_generation_folder(const std::string& directory, std::string_view folder);

// What a crash left of a file that was to be put in `name`'s place (write_file_atomically()).
// Failing loses nothing. REQUIRES: nobody writes the file now.
void remove_half_written(const std::string& directory, std::string_view name);

// A number as we write it: digits alone, no zero before others.
std::optional<std::uint32_t> plain_number(std::string_view text);

}  // namespace rolewall::apply

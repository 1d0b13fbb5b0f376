#include "apply/generations.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "apply/applied_json.h"
#include "apply/element_files.h"
#include "apply/seal.h"
#include "apply/state_files.h"
#include "apply/state_format.h"
#include "apply/state_links.h"
#include "base/file.h"
#include "print/print.h"

namespace rolewall::apply {
namespace {

using Number = std::optional<std::uint32_t>;

constexpr std::size_t kMaxApplied = std::size_t{1} << 26;  // the addresses of a large site

// An error of kind Usage.
Result<void> check_that_it_is_kept(const std::string& directory, std::uint32_t generation) {
  if (is_there(directory, folder_of(generation))) return {};
  if (errno == EACCES) return io_error(directory, EACCES);
  return fail(ErrorKind::Usage,
              fmt::format("generation {} is not kept (`rolewall history` lists the kept ones)",
                          generation));
}

// `seal`: what its files must agree with. Without one it is of a format that had none.
Result<Applied> read_applied(const std::string& directory, std::uint32_t generation,
                             const std::optional<Seal>& seal) {
  constexpr std::string_view kFile = "applied.json";
  const std::string folder = folder_of(generation);
  const Result<std::string> text =
      read_sealed_file(directory, folder, seal ? &*seal : nullptr, kFile, kMaxApplied);
  if (!text) return std::unexpected(text.error());
  Result<Applied> applied =
      applied_from_json(fmt::format("{}/{}/{}", directory, folder, kFile), *text);
  if (!applied) return applied;
  const auto format = read_format(directory);
  if (!seal && !(format && *format == kOldestFormat)) {
    return fail(ErrorKind::Io,
                fmt::format("{}/{}: is damaged: it has no `{}`", directory, folder, kSealFile));
  }
  applied->generation = generation;
  const auto kernel = read_state_file(directory, kKernelFile, kMaxKernelFile);
  if (kernel) take_kernel(*kernel, *applied);
  return applied;
}

Result<Applied> read_applied(const std::string& directory, std::uint32_t generation) {
  const auto seal = read_seal(directory, folder_of(generation));
  if (!seal) return std::unexpected(seal.error());
  return read_applied(directory, generation, *seal);
}

using WhichNumber = Result<Number> (*)(const std::string& directory);

Result<std::optional<Generation>> read_which(const std::string& directory, WhichNumber which) {
  TRY(check_format(directory));
  const auto generation = which(directory);
  if (!generation) return std::unexpected(generation.error());
  return read_former(directory, *generation);
}

}  // namespace

Result<std::optional<Generation>> current_generation(const std::string& directory) {
  return read_which(directory, current_number);
}

Result<std::optional<Generation>> boot_generation(const std::string& directory) {
  return read_which(directory, boot_number);
}

Result<Generation> read_generation(const std::string& directory, std::uint32_t generation) {
  TRY(check_format(directory));
  TRY(check_that_it_is_kept(directory, generation));
  const std::string folder = folder_of(generation);
  const auto seal = read_seal(directory, folder);
  if (!seal) return std::unexpected(seal.error());
  Result<Applied> applied = read_applied(directory, generation, *seal);
  if (!applied) return std::unexpected(std::move(applied).error());
  const Seal* const sealed = *seal ? &**seal : nullptr;
  constexpr std::string_view kFile = "snapshot.json";
  const Result<std::string> text =
      read_sealed_file(directory, folder, sealed, kFile, kMaxSnapshotSize);
  if (!text) return std::unexpected(text.error());
  Result<ruleset::Snapshot> snapshot = print::from_json(*text);
  if (!snapshot) {
    Error error = std::move(snapshot).error();
    error.message = fmt::format("{}/{}/{}: {}", directory, folder, kFile, error.message);
    return std::unexpected(std::move(error));
  }
  TRY(read_elements(directory, folder, sealed, snapshot->ruleset));
  return Generation{std::move(*applied), std::move(*snapshot)};
}

Result<std::string> read_sources(const std::string& directory, std::uint32_t generation) {
  TRY(check_format(directory));
  TRY(check_that_it_is_kept(directory, generation));
  const std::string folder = folder_of(generation);
  const auto seal = read_seal(directory, folder);
  if (!seal) return std::unexpected(seal.error());
  if (!*seal || !(*seal)->contains(std::string(kSourcesFile))) return "";
  return read_sealed_file(directory, folder, &**seal, kSourcesFile, kMaxSnapshotSize);
}

Result<std::optional<Generation>> read_former(const std::string& directory, Number former) {
  if (!former) return std::nullopt;
  Result<Generation> read = read_generation(directory, *former);
  if (!read) return std::unexpected(std::move(read).error());
  return std::move(*read);
}

Result<void> check_generation(const std::string& directory, std::uint32_t generation) {
  TRY(check_format(directory));
  TRY(check_that_it_is_kept(directory, generation));
  const auto seal = read_seal(directory, folder_of(generation));
  if (!seal) return std::unexpected(seal.error());
  if (!*seal) {
    const auto read = read_generation(directory, generation);
    return read ? Result<void>() : std::unexpected(read.error());
  }
  if (const auto applied = read_applied(directory, generation, *seal); !applied) {
    return std::unexpected(applied.error());
  }
  for (const auto& [name, checksum] : **seal) {
    const auto read =
        read_sealed_file(directory, folder_of(generation), &**seal, name, kMaxSnapshotSize);
    if (!read) return std::unexpected(read.error());
  }
  return {};
}

Result<std::optional<Applied>> current_applied(const std::string& directory) {
  TRY(check_format(directory));
  // A writer may put another generation in its place, and sweep it away, while we read.
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    const auto generation = current_number(directory);
    if (!generation) return std::unexpected(generation.error());
    if (!*generation) return std::nullopt;
    Result<Applied> applied = read_applied(directory, **generation);
    if (applied) return std::move(*applied);
    if (applied.error().os_errno != ENOENT || attempt == kAttempts) {
      return std::unexpected(std::move(applied).error());
    }
  }
}

Result<Kept> list_kept(const std::string& directory) {
  Kept kept;
  TRY(check_format(directory));
  const auto numbers = list_generations(directory);
  if (!numbers) return std::unexpected(numbers.error());
  for (const std::uint32_t generation : *numbers) {
    Result<Applied> applied = read_applied(directory, generation);
    if (applied) {
      kept.applied.push_back(std::move(*applied));
    } else if (is_there(directory, folder_of(generation))) {
      kept.unreadable.push_back({generation, applied.error().message});
    }
  }
  return kept;
}

std::string why_none_is_in_force(const std::string& directory) {
  const auto kept = list_kept(directory);
  const std::size_t count = kept ? kept->applied.size() + kept->unreadable.size() : 0;
  if (count == 0) return "nothing was applied: nothing is recorded in " + directory;
  return fmt::format(
      "nothing is in force: of the generation{} kept in {} none is loaded (`rolewall history`)",
      count == 1 ? "" : "s", directory);
}

}  // namespace rolewall::apply

#include "apply/seal.h"

#include <fmt/format.h>
#include <nettle/sha2.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "apply/state_files.h"
#include "base/file.h"

namespace rolewall::apply {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxSeal = std::size_t{1} << 20;
constexpr std::size_t kDigits = std::size_t{SHA256_DIGEST_SIZE} * 2;
constexpr std::string_view kBetween = "  ";  // sha256sum(1)
constexpr const char* kMember = "seal";

// Names of users may hold anything.
constexpr int kOneLine = -1;

std::string text_of(const Json& json, int indent = kOneLine) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json with_checksum(Json object) {
  object.erase(kMember);
  object[kMember] = sha256(text_of(object));
  return object;
}

std::optional<Json> parse(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

}  // namespace

std::string sha256(std::string_view bytes) {
  sha256_ctx context;
  ::sha256_init(&context);
  ::sha256_update(&context, bytes.size(), reinterpret_cast<const std::uint8_t*>(bytes.data()));
  std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest{};
  ::sha256_digest(&context, digest.size(), digest.data());
  std::string text;
  for (const std::uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

std::string to_text(const Seal& seal) {
  std::string text;
  for (const auto& [name, checksum] : seal) {
    text += fmt::format("{}{}{}\n", checksum, kBetween, name);
  }
  return text;
}

Result<std::optional<Seal>> read_seal(const std::string& directory, std::string_view folder) {
  const std::string name = fmt::format("{}/{}", folder, kSealFile);
  const Result<std::string> text = read_state_file(directory, name, kMaxSeal);
  if (!text && text.error().os_errno == ENOENT) return std::nullopt;
  if (!text) return std::unexpected(text.error());
  Seal seal;
  for (const std::string& line : lines_of(*text)) {
    if (line.size() <= kDigits + kBetween.size() || line.substr(kDigits, 2) != kBetween) {
      return fail(ErrorKind::Io, fmt::format("{}/{}: is damaged", directory, name));
    }
    seal.emplace(line.substr(kDigits + kBetween.size()), line.substr(0, kDigits));
  }
  return seal;
}

Result<std::string> read_sealed_file(const std::string& directory, std::string_view folder,
                                     const Seal* seal, std::string_view name, std::size_t limit) {
  const std::string path = fmt::format("{}/{}", folder, name);
  Result<std::string> text = read_state_file(directory, path, limit);
  if (!text || seal == nullptr) return text;
  const auto expected = seal->find(std::string(name));
  if (expected != seal->end() && expected->second == sha256(*text)) return text;
  return fail(ErrorKind::Io,
              fmt::format("{}/{}: is damaged: it is not what was written (SHA-256, {}/{}/{})",
                          directory, path, directory, folder, kSealFile));
}

std::string sealed_file(Json object) {
  constexpr int kIndent = 2;
  return text_of(with_checksum(std::move(object)), kIndent) + "\n";
}

std::string sealed_line(Json object) {
  return text_of(with_checksum(std::move(object)));
}

std::optional<Json> unsealed(std::string_view text) {
  std::optional<Json> object = parse(text);
  if (!object) return std::nullopt;
  const auto seal = object->find(kMember);
  if (seal == object->end() || !seal->is_string()) return std::nullopt;
  const std::string expected = seal->get<std::string>();
  object->erase(kMember);
  if (sha256(text_of(*object)) != expected) return std::nullopt;
  return object;
}

std::optional<Json> unsealed_or_old(std::string_view text) {
  std::optional<Json> object = parse(text);
  return object && object->contains(kMember) ? unsealed(text) : object;
}

}  // namespace rolewall::apply

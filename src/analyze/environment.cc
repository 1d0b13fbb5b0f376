#include "analyze/environment.h"

namespace rolewall::analyze {
namespace {

std::uint64_t hash_of(const Environment& environment) {
  std::uint64_t hash =
      static_cast<std::uint64_t>(environment.tracked) << 1 | (environment.has_socket ? 1 : 0);
  const auto add = [&hash](const Bits& bits) {
    for (const Bit bit : bits) hash = (hash ^ bit.code()) * 0x100000001b3;
    hash ^= hash >> 29;
  };
  hash = (hash ^ (environment.translated_before ? 1 : 0)) * 0x100000001b3;
  hash = (hash ^ environment.logged) * 0x100000001b3;
  hash = (hash ^ environment.left) * 0x100000001b3;
  hash = (hash ^ environment.zone) * 0x100000001b3;
  hash = (hash ^ environment.headers) * 0x100000001b3;
  hash = (hash ^ (environment.taken ? 1 : 0)) * 0x100000001b3;
  hash = (hash ^ environment.line) * 0x100000001b3;
  for (const Bits& part : environment.parts) add(part);
  for (const Bits& part : environment.original) add(part);
  return hash;
}

}  // namespace

Environments::Environments(const PacketSpace& space) {
  Environment first;
  for (std::size_t i = 0; i < kPartCount; ++i) first.parts[i] = space.part(static_cast<Part>(i));
  intern(std::move(first));
}

EnvironmentId Environments::intern(Environment environment) {
  const std::uint64_t hash = hash_of(environment);
  const auto [begin, end] = by_hash_.equal_range(hash);
  for (auto had = begin; had != end; ++had) {
    if (all_[had->second] == environment) return had->second;
  }
  const auto id = static_cast<EnvironmentId>(all_.size());
  all_.push_back(std::move(environment));
  by_hash_.emplace(hash, id);
  return id;
}

}  // namespace rolewall::analyze

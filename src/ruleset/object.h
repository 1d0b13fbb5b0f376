// Named objects of a table: state or settings that rules refer to by name (objref).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "ruleset/actions.h"
#include "ruleset/comment.h"
#include "ruleset/stateful.h"

namespace rolewall::ruleset {

// NFT_OBJECT_*: what a rule's objref and a map of objects ask for.
namespace object_type {
inline constexpr std::uint32_t kCounter = 1;
inline constexpr std::uint32_t kQuota = 2;
inline constexpr std::uint32_t kCtHelper = 3;
inline constexpr std::uint32_t kLimit = 4;
inline constexpr std::uint32_t kConnlimit = 5;
inline constexpr std::uint32_t kCtTimeout = 7;
inline constexpr std::uint32_t kSecmark = 8;
inline constexpr std::uint32_t kCtExpectation = 9;
inline constexpr std::uint32_t kSynproxy = 10;
}  // namespace object_type

// NFPROTO_* and IPPROTO_*: what flows it is for; family 0 is both.
struct CtHelper {
  std::string helper;  // the kernel's name: "ftp-standard"
  std::uint16_t family = 0;
  std::uint8_t protocol = 0;
  bool operator==(const CtHelper&) const = default;
};

struct CtTimeoutValue {
  std::uint16_t state =
      0;  // the protocol's own attribute number (CTA_TIMEOUT_TCP_ESTABLISHED, ...)
  std::uint32_t seconds = 0;
  bool operator==(const CtTimeoutValue&) const = default;
};

struct CtTimeout {
  std::uint16_t family = 0;
  std::uint8_t protocol = 0;
  std::vector<CtTimeoutValue> values;
  bool operator==(const CtTimeout&) const = default;
};

struct CtExpectation {
  std::uint16_t family = 0;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  std::uint32_t timeout_ms = 0;
  std::uint8_t size = 0;
  bool operator==(const CtExpectation&) const = default;
};

struct Secmark {
  std::string context;
  bool operator==(const Secmark&) const = default;
};

using ObjectBody = std::variant<Counter, Quota, Limit, Connlimit, CtHelper, CtTimeout,
                                CtExpectation, Secmark, Synproxy, Unsupported>;

struct Object {
  std::string name;
  std::uint64_t handle = 0;
  std::uint32_t type = 0;  // NFT_OBJECT_*
  ObjectBody body;
  Comment comment;
  bool operator==(const Object&) const = default;
};

}  // namespace rolewall::ruleset

#include <fmt/format.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>

#include "netlink/data_types.h"
#include "netlink/decode_expr.h"
#include "netlink/decode_ruleset.h"
#include "netlink/kernel_numbers.h"
#include "ruleset/expressions.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

// NFTA_SET_DESC: the size, and the lengths of a concatenation's fields.
std::vector<std::uint32_t> decode_description(View bytes, std::uint32_t& size,
                                              Attributes& attributes) {
  std::vector<std::uint32_t> lengths;
  Attributes description(bytes);
  size = description.be32_or(NFTA_SET_DESC_SIZE, 0);
  const View fields = description.bytes_or_empty(NFTA_SET_DESC_CONCAT);
  const bool whole = for_each_attribute(fields, [&](std::uint16_t, View payload) {
    Attributes field(payload);
    lengths.push_back(field.be32(NFTA_SET_FIELD_LEN));
    if (std::string problem = field.finish(); !problem.empty()) description.problem(problem);
  });
  if (!whole) description.problem("its fields are cut short");
  if (std::string problem = description.finish(); !problem.empty()) {
    attributes.problem(fmt::format("description: {}", problem));
  }
  return lengths;
}

SetKind decode_kind(std::uint32_t flags, std::uint32_t data_type) {
  if ((flags & NFT_SET_OBJECT) != 0) return SetKind::ObjectMap;
  if ((flags & NFT_SET_MAP) == 0) return SetKind::Set;
  return data_type == NFT_DATA_VERDICT ? SetKind::VerdictMap : SetKind::Map;
}

}  // namespace

Set decode_set(View bytes) {
  Attributes attributes(bytes);
  Set set;
  attributes.ignore(NFTA_SET_TABLE);
  set.name = attributes.text(NFTA_SET_NAME);
  set.handle = attributes.be64_or(NFTA_SET_HANDLE, 0);

  const std::uint32_t flags = attributes.be32_or(NFTA_SET_FLAGS, 0);
  constexpr std::uint32_t kKnownFlags = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | NFT_SET_INTERVAL |
                                        NFT_SET_MAP | NFT_SET_TIMEOUT | NFT_SET_EVAL |
                                        NFT_SET_OBJECT | NFT_SET_CONCAT | NFT_SET_EXPR;
  if ((flags & ~kKnownFlags) != 0) {
    attributes.problem(fmt::format("flags {:#x} are unknown", flags & ~kKnownFlags));
  }
  set.anonymous = (flags & NFT_SET_ANONYMOUS) != 0;
  set.constant = (flags & NFT_SET_CONSTANT) != 0;
  set.interval = (flags & NFT_SET_INTERVAL) != 0;
  set.has_timeout = (flags & NFT_SET_TIMEOUT) != 0;
  set.dynamic = (flags & NFT_SET_EVAL) != 0;

  const std::vector<std::uint32_t> lengths =
      decode_description(attributes.bytes_or_empty(NFTA_SET_DESC), set.size, attributes);
  std::uint32_t key_length = attributes.be32(NFTA_SET_KEY_LEN);
  if (key_length == 0 || key_length > Value::kMaxSize) {
    attributes.problem(fmt::format("a key of {} bytes", key_length));
    key_length = 0;
  }
  set.key = key_fields(attributes.be32_or(NFTA_SET_KEY_TYPE, 0), key_length, lengths);

  const std::uint32_t data_type = attributes.be32_or(NFTA_SET_DATA_TYPE, 0);
  const std::uint32_t data_length = attributes.be32_or(NFTA_SET_DATA_LEN, 0);
  set.kind = decode_kind(flags, data_type);
  if (set.kind == SetKind::Map) {
    set.data = {static_cast<DataType>(data_type), data_length};
    if (data_length == 0 || data_length > Value::kMaxSize) {
      attributes.problem(fmt::format("data of {} bytes", data_length));
      set.data.size = 0;
    }
  }
  if (set.kind == SetKind::ObjectMap) set.object_type = attributes.be32(NFTA_SET_OBJ_TYPE);

  set.timeout_ms = attributes.be64_or(NFTA_SET_TIMEOUT, 0);
  set.gc_interval_ms = attributes.be32_or(NFTA_SET_GC_INTERVAL, 0);
  const View user_data = attributes.bytes_or_empty(NFTA_SET_USERDATA);
  set.comment = comment_in(user_data, NFTNL_UDATA_SET_COMMENT);
  set.notes = decode_notes(set, user_data);
  set.saves_memory =
      attributes.be32_or(NFTA_SET_POLICY, NFT_SET_POL_PERFORMANCE) == NFT_SET_POL_MEMORY;
  for (const std::uint16_t type : {NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS}) {
    if (!attributes.has(type)) continue;
    const std::string problem =
        decode_stateful(attributes.bytes(type), type == NFTA_SET_EXPR, set.exprs);
    if (!problem.empty()) attributes.problem(problem);
  }
  for (const std::uint16_t type :
       {std::uint16_t{NFTA_SET_PAD}, std::uint16_t{NFTA_SET_ID}, kSetType, kSetCount}) {
    attributes.ignore(type);
  }
  set.unsupported = attributes.finish();
  return set;
}

}  // namespace rolewall::netlink

// Named objects of a table. What is not modelled stays in its place as Unsupported, so that a rule
// that runs it is undecided by name.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>

#include "netlink/data_types.h"
#include "netlink/decode_expr.h"
#include "netlink/decode_ruleset.h"
#include "ruleset/expr.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

// Objects whose data is what the expression of the same name has; "" for others.
std::string_view expression_of(std::uint32_t type) {
  switch (type) {
    case NFT_OBJECT_COUNTER:
      return "counter";
    case NFT_OBJECT_QUOTA:
      return "quota";
    case NFT_OBJECT_LIMIT:
      return "limit";
    case NFT_OBJECT_CONNLIMIT:
      return "connlimit";
    case NFT_OBJECT_SYNPROXY:
      return "synproxy";
  }
  return {};
}

// What is wrong, or the body.
ObjectBody checked(Attributes& attributes, std::string_view name, ObjectBody body) {
  std::string problem = attributes.finish();
  if (problem.empty()) return body;
  return Unsupported{std::string(name), std::move(problem)};
}

ObjectBody decode_helper(View data) {
  Attributes attributes(data);
  CtHelper helper{.helper = attributes.text(NFTA_CT_HELPER_NAME),
                  .family = attributes.be16(NFTA_CT_HELPER_L3PROTO),
                  .protocol = attributes.u8(NFTA_CT_HELPER_L4PROTO)};
  return checked(attributes, "ct helper", std::move(helper));
}

// The attributes of the protocol itself (linux/netfilter/nfnetlink_cttimeout.h): seconds each.
ObjectBody decode_timeout(View data) {
  Attributes attributes(data);
  CtTimeout timeout{.family = attributes.be16(NFTA_CT_TIMEOUT_L3PROTO),
                    .protocol = attributes.u8(NFTA_CT_TIMEOUT_L4PROTO),
                    .values = {}};
  const bool whole = for_each_attribute(
      attributes.bytes(NFTA_CT_TIMEOUT_DATA), [&](std::uint16_t type, View payload) {
        if (payload.size() != 4) {
          attributes.problem(fmt::format("timeout {} has {} bytes", type, payload.size()));
          return;
        }
        timeout.values.push_back({.state = type, .seconds = ntohl(native_u32(payload.data()))});
      });
  if (!whole) attributes.problem("its timeouts are cut short");
  return checked(attributes, "ct timeout", std::move(timeout));
}

ObjectBody decode_expectation(View data) {
  Attributes attributes(data);
  CtExpectation expectation{.family = attributes.be16(NFTA_CT_EXPECT_L3PROTO),
                            .protocol = attributes.u8(NFTA_CT_EXPECT_L4PROTO),
                            .port = attributes.be16(NFTA_CT_EXPECT_DPORT),
                            .timeout_ms = attributes.host_u32(NFTA_CT_EXPECT_TIMEOUT),
                            .size = attributes.u8(NFTA_CT_EXPECT_SIZE)};
  return checked(attributes, "ct expectation", expectation);
}

ObjectBody decode_secmark(View data) {
  Attributes attributes(data);
  return checked(attributes, "secmark", Secmark{attributes.text(NFTA_SECMARK_CTX)});
}

ObjectBody decode_body(std::uint32_t type, View data) {
  if (type == NFT_OBJECT_CT_HELPER) return decode_helper(data);
  if (type == NFT_OBJECT_CT_TIMEOUT) return decode_timeout(data);
  if (type == NFT_OBJECT_CT_EXPECT) return decode_expectation(data);
  if (type == NFT_OBJECT_SECMARK) return decode_secmark(data);
  const std::string_view name = expression_of(type);
  Unsupported unknown{fmt::format("object of type {}", type), "it is not modelled"};
  if (name.empty()) return unknown;
  const Expr expr = decode_named_expr(name, data);
  if (const auto* counter = std::get_if<Counter>(&expr)) return *counter;
  if (const auto* quota = std::get_if<Quota>(&expr)) return *quota;
  if (const auto* limit = std::get_if<Limit>(&expr)) return *limit;
  if (const auto* connlimit = std::get_if<Connlimit>(&expr)) return *connlimit;
  if (const auto* synproxy = std::get_if<Synproxy>(&expr)) return *synproxy;
  if (const auto* unsupported = std::get_if<Unsupported>(&expr)) return *unsupported;
  return unknown;
}

}  // namespace

Result<void> RulesetReader::object(std::uint8_t family, View bytes) {
  Attributes attributes(bytes);
  std::size_t index = 0;
  Table* table = find_table(family, attributes.text(NFTA_OBJ_TABLE), index);
  if (table == nullptr) return {};
  Object object;
  object.name = attributes.text(NFTA_OBJ_NAME);
  object.type = attributes.be32(NFTA_OBJ_TYPE);
  object.handle = attributes.be64_or(NFTA_OBJ_HANDLE, 0);
  object.body = decode_body(object.type, attributes.bytes_or_empty(NFTA_OBJ_DATA));
  object.comment =
      comment_in(attributes.bytes_or_empty(NFTA_OBJ_USERDATA), NFTNL_UDATA_OBJ_COMMENT);
  for (const std::uint16_t type : {NFTA_OBJ_USE, NFTA_OBJ_PAD}) attributes.ignore(type);
  if (std::string problem = attributes.finish(); !problem.empty()) {
    object.body = Unsupported{"object", problem};
  }
  table->objects.push_back(std::move(object));
  return {};
}

}  // namespace rolewall::netlink

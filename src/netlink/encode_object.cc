// The counterpart of decode_object.cc.
#include <fmt/format.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "base/overloaded.h"
#include "base/visit.h"
#include "netlink/data_types.h"
#include "netlink/encode.h"
#include "netlink/expr_codec.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

// An object of these types has the data of the expression of its name.
void put_expr_data(Writer& writer, View attributes) {
  for_each_attribute(attributes, [&](std::uint16_t type, View data) {
    if (type == NFTA_EXPR_DATA) writer.put(NFTA_OBJ_DATA | NLA_F_NESTED, data);
  });
}

void put(Writer& writer, const CtHelper& helper) {
  const std::size_t nest = writer.begin_nest(NFTA_OBJ_DATA);
  writer.text(NFTA_CT_HELPER_NAME, helper.helper);
  if (helper.family != 0) writer.be16(NFTA_CT_HELPER_L3PROTO, helper.family);
  writer.u8(NFTA_CT_HELPER_L4PROTO, helper.protocol);
  writer.end_nest(nest);
}

void put(Writer& writer, const CtTimeout& timeout) {
  const std::size_t nest = writer.begin_nest(NFTA_OBJ_DATA);
  if (timeout.family != 0) writer.be16(NFTA_CT_TIMEOUT_L3PROTO, timeout.family);
  writer.u8(NFTA_CT_TIMEOUT_L4PROTO, timeout.protocol);
  const std::size_t values = writer.begin_nest(NFTA_CT_TIMEOUT_DATA);
  for (const CtTimeoutValue& value : timeout.values) writer.be32(value.state, value.seconds);
  writer.end_nest(values);
  writer.end_nest(nest);
}

void put(Writer& writer, const CtExpectation& expectation) {
  const std::size_t nest = writer.begin_nest(NFTA_OBJ_DATA);
  if (expectation.family != 0) writer.be16(NFTA_CT_EXPECT_L3PROTO, expectation.family);
  writer.u8(NFTA_CT_EXPECT_L4PROTO, expectation.protocol);
  writer.be16(NFTA_CT_EXPECT_DPORT, expectation.port);
  // The only number here that the kernel reads in host order.
  writer.put(NFTA_CT_EXPECT_TIMEOUT,
             View{reinterpret_cast<const std::uint8_t*>(&expectation.timeout_ms),
                  sizeof expectation.timeout_ms});
  writer.u8(NFTA_CT_EXPECT_SIZE, expectation.size);
  writer.end_nest(nest);
}

void put(Writer& writer, const Secmark& secmark) {
  const std::size_t nest = writer.begin_nest(NFTA_OBJ_DATA);
  writer.text(NFTA_SECMARK_CTX, secmark.context);
  writer.end_nest(nest);
}

}  // namespace

Result<Message> encode_object(const Table& table, const Object& object) {
  TRY(check_name("object", object.name));
  TRY(check_comment("object " + object.name, object.comment));
  if (const auto* unsupported = std::get_if<Unsupported>(&object.body)) {
    return fail(ErrorKind::Usage,
                fmt::format("object {}: `{}` was not read completely ({}), so it cannot be written",
                            object.name, unsupported->name, unsupported->reason));
  }
  Message message;
  Writer writer(message);
  const std::size_t begin =
      writer.begin_message(nfnetlink_type(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWOBJ),
                           NLM_F_CREATE | NLM_F_EXCL, static_cast<std::uint8_t>(table.family));
  writer.text(NFTA_OBJ_TABLE, table.name);
  writer.text(NFTA_OBJ_NAME, object.name);
  writer.be32(NFTA_OBJ_TYPE, object.type);
  visit_closed(
      Overloaded{[&](const Counter& counter) { put_expr_data(writer, encode(counter)); },
                 [&](const Quota& quota) { put_expr_data(writer, encode(quota)); },
                 [&](const Limit& limit) { put_expr_data(writer, encode(limit)); },
                 [&](const Connlimit& connlimit) { put_expr_data(writer, encode(connlimit)); },
                 [&](const Synproxy& synproxy) { put_expr_data(writer, encode(synproxy)); },
                 [&](const CtHelper& helper) { put(writer, helper); },
                 [&](const CtTimeout& timeout) { put(writer, timeout); },
                 [&](const CtExpectation& expectation) { put(writer, expectation); },
                 [&](const Secmark& secmark) { put(writer, secmark); }, [](const Unsupported&) {}},
      object.body);
  if (object.comment.exists()) {
    UserData user_data;
    user_data.put_comment(NFTNL_UDATA_OBJ_COMMENT, object.comment);
    writer.put(NFTA_OBJ_USERDATA, user_data.bytes());
  }
  TRY(check_size("object " + object.name, writer.size()));
  writer.end_message(begin);
  return message;
}

}  // namespace rolewall::netlink

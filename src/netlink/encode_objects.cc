#include <fmt/format.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <memory>

#include "base/check.h"
#include "netlink/data_types.h"
#include "netlink/encode.h"
#include "netlink/kernel_numbers.h"
#include "netlink/rule_compat.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

// libnftnl writes without looking where its buffer ends. The largest things that pass the checks
// here are a chain's kMaxDevices names, of 20 bytes each with their headers.
constexpr std::size_t kScratchSize = 16UL * 1024;
constexpr std::size_t kMaxDevices = 256;   // NFT_NETDEVICE_MAX
constexpr std::size_t kMaxUserData = 256;  // NFT_USERDATA_MAXLEN

template <class Object, auto Free>
struct Deleter {
  void operator()(Object* object) const { Free(object); }
};

template <class Object, auto Alloc, auto Free>
std::unique_ptr<Object, Deleter<Object, Free>> make() {
  std::unique_ptr<Object, Deleter<Object, Free>> object(Alloc());
  CHECK(object != nullptr, "there is memory");
  return object;
}

template <class Build>
Message build(std::uint16_t type, Family family, std::uint16_t flags, Build payload) {
  // Zeroed: libmnl leaves the bytes that pad an attribute as they are.
  const auto scratch = std::make_unique<char[]>(kScratchSize);
  nlmsghdr* header =
      nftnl_nlmsg_build_hdr(scratch.get(), type, static_cast<std::uint16_t>(family), flags, 0);
  payload(header);
  const auto* begin = reinterpret_cast<const std::uint8_t*>(header);
  return Message(begin, begin + header->nlmsg_len);
}

Message table_message(std::uint16_t type, std::uint16_t flags, Family family,
                      std::string_view name) {
  Message message;
  Writer writer(message);
  const std::size_t begin = writer.begin_message(nfnetlink_type(NFNL_SUBSYS_NFTABLES, type), flags,
                                                 static_cast<std::uint8_t>(family));
  writer.text(NFTA_TABLE_NAME, name);
  writer.end_message(begin);
  return message;
}

Result<void> put_base(nftnl_chain* object, Family family, const std::string& name,
                      const BaseChain& base) {
  const auto number = hook_number(family, base.hook);
  if (!number) {
    return fail(ErrorKind::Usage,
                fmt::format("chain {}: tables of family {} have no hook {}", name,
                            ruleset::name_of(family), ruleset::name_of(base.hook)));
  }
  if (base.policy != VerdictCode::Accept && base.policy != VerdictCode::Drop) {
    return fail(ErrorKind::Usage, fmt::format("chain {}: a policy is accept or drop", name));
  }
  nftnl_chain_set_str(object, NFTNL_CHAIN_TYPE, std::string(ruleset::name_of(base.type)).c_str());
  nftnl_chain_set_u32(object, NFTNL_CHAIN_HOOKNUM, *number);
  nftnl_chain_set_s32(object, NFTNL_CHAIN_PRIO, base.priority);
  nftnl_chain_set_u32(object, NFTNL_CHAIN_POLICY,
                      verdict_number({.code = base.policy, .chain = {}, .queue = 0}));
  if (base.devices.size() > kMaxDevices) {
    return fail(ErrorKind::Usage, fmt::format("chain {}: {} devices, of at most {}", name,
                                              base.devices.size(), kMaxDevices));
  }
  std::vector<const char*> devices;
  for (const std::string& device : base.devices) {
    if (device.empty() || device.size() > kMaxDeviceName || device.ends_with('*')) {
      return fail(ErrorKind::Usage,
                  fmt::format("chain {}: `{}` is not a device name", name, device));
    }
    devices.push_back(device.c_str());
  }
  if (devices.size() == 1) nftnl_chain_set_str(object, NFTNL_CHAIN_DEV, devices[0]);
  if (devices.size() > 1) {
    devices.push_back(nullptr);
    nftnl_chain_set_array(object, NFTNL_CHAIN_DEVICES, devices.data());
  }
  return {};
}

std::uint32_t set_flags(const Set& set) {
  std::uint32_t flags = 0;
  if (set.anonymous) flags |= NFT_SET_ANONYMOUS;
  if (set.constant) flags |= NFT_SET_CONSTANT;
  if (set.interval) flags |= NFT_SET_INTERVAL;
  if (set.interval && set.key.size() > 1) flags |= NFT_SET_CONCAT;
  if (set.kind == SetKind::Map || set.kind == SetKind::VerdictMap) flags |= NFT_SET_MAP;
  if (set.kind == SetKind::ObjectMap) flags |= NFT_SET_OBJECT;
  if (set.has_timeout) flags |= NFT_SET_TIMEOUT;
  if (set.dynamic) flags |= NFT_SET_EVAL;
  if (set.exprs.size() > 1) flags |= NFT_SET_EXPR;
  return flags;
}

void put_data(nftnl_set* object, const Set& set) {
  switch (set.kind) {
    case SetKind::Set:
      break;
    case SetKind::Map:
      nftnl_set_set_u32(object, NFTNL_SET_DATA_TYPE, static_cast<std::uint32_t>(set.data.type));
      nftnl_set_set_u32(object, NFTNL_SET_DATA_LEN, set.data.size);
      break;
    case SetKind::VerdictMap:
      nftnl_set_set_u32(object, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
      nftnl_set_set_u32(object, NFTNL_SET_DATA_LEN, 0);
      break;
    case SetKind::ObjectMap:
      nftnl_set_set_u32(object, NFTNL_SET_OBJ_TYPE, set.object_type);
      break;
  }
}

Result<void> put_set_user_data(nftnl_set* object, const Set& set) {
  Bytes bytes = set.notes.empty() ? plain_notes(set) : set.notes;
  UserData comment;
  comment.put_comment(NFTNL_UDATA_SET_COMMENT, set.comment);
  bytes.insert(bytes.end(), comment.bytes().begin(), comment.bytes().end());
  if (bytes.size() > kMaxUserData) {
    return fail(ErrorKind::Usage, fmt::format("set {}: its comment and notes have {} bytes, but at "
                                              "most {}",
                                              set.name, bytes.size(), kMaxUserData));
  }
  nftnl_set_set_data(object, NFTNL_SET_USERDATA, bytes.data(),
                     static_cast<std::uint32_t>(bytes.size()));
  return {};
}

// The user data of a thing that has a comment and nothing else there.
Bytes comment_data(std::uint8_t type, const Comment& comment) {
  UserData user_data;
  user_data.put_comment(type, comment);
  return user_data.bytes();
}

}  // namespace

Result<void> check_name(std::string_view what, std::string_view name) {
  if (!name.empty() && name.size() <= kMaxName && name.find('\0') == std::string_view::npos) {
    return {};
  }
  return fail(ErrorKind::Usage,
              fmt::format("the name of {} `{}` does not have 1 to {} bytes", what, name, kMaxName));
}

Result<void> check_comment(std::string_view what, const Comment& comment) {
  if (comment.text().size() <= kMaxComment) return {};
  return fail(ErrorKind::Usage,
              fmt::format("the comment of {} has {} bytes, of at most {}: {}", what,
                          comment.text().size(), kMaxComment, comment.text()));
}

Result<void> check_size(std::string_view what, std::size_t message_size) {
  if (message_size <= kMaxMessage) return {};
  return fail(ErrorKind::Usage, fmt::format("{} is too large: {} bytes, of at most {}", what,
                                            message_size, kMaxMessage));
}

Result<Message> encode_new_table(const Table& table) {
  TRY(check_name("table", table.name));
  const auto object = make<nftnl_table, nftnl_table_alloc, nftnl_table_free>();
  nftnl_table_set_str(object.get(), NFTNL_TABLE_NAME, table.name.c_str());
  nftnl_table_set_u32(object.get(), NFTNL_TABLE_FLAGS, table.flags);
  TRY(check_comment("table " + table.name, table.comment));
  if (const Bytes data = comment_data(NFTNL_UDATA_TABLE_COMMENT, table.comment); !data.empty()) {
    nftnl_table_set_data(object.get(), NFTNL_TABLE_USERDATA, data.data(),
                         static_cast<std::uint32_t>(data.size()));
  }
  return build(NFT_MSG_NEWTABLE, table.family, NLM_F_CREATE,
               [&](nlmsghdr* header) { nftnl_table_nlmsg_build_payload(header, object.get()); });
}

Message encode_ensure_table(Family family, std::string_view name) {
  return table_message(NFT_MSG_NEWTABLE, NLM_F_CREATE, family, name);
}

Message encode_delete_table(Family family, std::string_view name) {
  return table_message(NFT_MSG_DELTABLE, 0, family, name);
}

Result<Message> encode_chain(const Table& table, const Chain& chain) {
  TRY(check_name("table", table.name));
  TRY(check_name("chain", chain.name));
  const auto object = make<nftnl_chain, nftnl_chain_alloc, nftnl_chain_free>();
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TABLE, table.name.c_str());
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_NAME, chain.name.c_str());
  if (chain.base) TRY(put_base(object.get(), table.family, chain.name, *chain.base));
  std::uint32_t flags = chain.bound ? NFT_CHAIN_BINDING : 0;
  if (chain.offloaded) flags |= NFT_CHAIN_HW_OFFLOAD;
  if (flags != 0) nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_FLAGS, flags);
  TRY(check_comment("chain " + chain.name, chain.comment));
  if (const Bytes data = comment_data(NFTNL_UDATA_CHAIN_COMMENT, chain.comment); !data.empty()) {
    nftnl_chain_set_data(object.get(), NFTNL_CHAIN_USERDATA, data.data(),
                         static_cast<std::uint32_t>(data.size()));
  }
  return build(NFT_MSG_NEWCHAIN, table.family, NLM_F_CREATE | NLM_F_EXCL,
               [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, object.get()); });
}

Result<Message> encode_rule(const Table& table, const Chain& chain, const Rule& rule,
                            std::uint64_t before) {
  const std::string what = rule.comment.empty() ? "a rule" : "rule " + rule.comment.text();
  TRY(check_name("table", table.name));
  TRY(check_name("chain", chain.name));
  TRY(check_comment(what, rule.comment));
  if (rule.exprs.size() > kMaxExprs) {
    return fail(ErrorKind::Usage, fmt::format("{} has {} expressions, of at most {}", what,
                                              rule.exprs.size(), kMaxExprs));
  }
  const auto object = make<nftnl_rule, nftnl_rule_alloc, nftnl_rule_free>();
  nftnl_rule_set_str(object.get(), NFTNL_RULE_TABLE, table.name.c_str());
  nftnl_rule_set_str(object.get(), NFTNL_RULE_CHAIN, chain.name.c_str());
  if (const Bytes data = comment_data(NFTNL_UDATA_RULE_COMMENT, rule.comment); !data.empty()) {
    nftnl_rule_set_data(object.get(), NFTNL_RULE_USERDATA, data.data(),
                        static_cast<std::uint32_t>(data.size()));
  }
  if (before != 0) nftnl_rule_set_u64(object.get(), NFTNL_RULE_POSITION, before);
  const std::uint16_t place = before != 0 ? 0 : NLM_F_APPEND;
  Message message =
      build(NFT_MSG_NEWRULE, table.family, NLM_F_CREATE | place,
            [&](nlmsghdr* header) { nftnl_rule_nlmsg_build_payload(header, object.get()); });
  Writer writer(message);
  if (const auto compat = compat_of(rule)) {
    const std::size_t nest = writer.begin_nest(NFTA_RULE_COMPAT);
    writer.be32(NFTA_RULE_COMPAT_PROTO, compat->protocol);
    writer.be32(NFTA_RULE_COMPAT_FLAGS, compat->inverted ? NFT_RULE_COMPAT_F_INV : 0);
    writer.end_nest(nest);
  }
  const std::size_t list = writer.begin_nest(NFTA_RULE_EXPRESSIONS);
  for (const Expr& expr : rule.exprs) {
    Result<Message> encoded = encode_expr(expr);
    if (!encoded) {
      Error error = std::move(encoded).error();
      error.message = fmt::format("{} in chain {}: {}", what, chain.name, error.message);
      return std::unexpected(std::move(error));
    }
    writer.put(NFTA_LIST_ELEM | NLA_F_NESTED, *encoded);
  }
  TRY(check_size(what, writer.size()));
  writer.end_nest(list);
  writer.end_message(0);
  return message;
}

Result<Message> encode_set(const Table& table, const Set& set, std::uint32_t id) {
  TRY(check_name("table", table.name));
  TRY(check_name("set", set.name));
  TRY(check_comment("set " + set.name, set.comment));
  const auto refuse = [&](const std::string& reason) {
    return fail(ErrorKind::Usage, fmt::format("set {}: {}", set.name, reason));
  };
  if (!set.unsupported.empty()) {
    return refuse(
        fmt::format("it was not read completely ({}), so it cannot be written", set.unsupported));
  }
  const auto type = key_type(set.key);
  if (set.key.empty() || !type) return refuse("its key cannot be described to the kernel");
  if (set.key_size() == 0 || set.key_size() > Value::kMaxSize) {
    return refuse(fmt::format("a key of {} bytes, of at most {}", set.key_size(), Value::kMaxSize));
  }
  TRY(check_stateful("an element of set " + set.name, set.exprs));

  const auto object = make<nftnl_set, nftnl_set_alloc, nftnl_set_free>();
  nftnl_set_set_str(object.get(), NFTNL_SET_TABLE, table.name.c_str());
  nftnl_set_set_str(object.get(), NFTNL_SET_NAME, set.name.c_str());
  nftnl_set_set_u32(object.get(), NFTNL_SET_FAMILY, static_cast<std::uint32_t>(table.family));
  nftnl_set_set_u32(object.get(), NFTNL_SET_ID, id);
  nftnl_set_set_u32(object.get(), NFTNL_SET_FLAGS, set_flags(set));
  nftnl_set_set_u32(object.get(), NFTNL_SET_KEY_TYPE, *type);
  nftnl_set_set_u32(object.get(), NFTNL_SET_KEY_LEN, set.key_size());
  put_data(object.get(), set);
  if (set.saves_memory) nftnl_set_set_u32(object.get(), NFTNL_SET_POLICY, NFT_SET_POL_MEMORY);
  if (set.size != 0) nftnl_set_set_u32(object.get(), NFTNL_SET_DESC_SIZE, set.size);
  if (set.interval && set.key.size() > 1) {
    std::vector<std::uint8_t> lengths;
    for (const KeyField& field : set.key) lengths.push_back(static_cast<std::uint8_t>(field.size));
    nftnl_set_set_data(object.get(), NFTNL_SET_DESC_CONCAT, lengths.data(),
                       static_cast<std::uint32_t>(lengths.size()));
  }
  if (set.timeout_ms != 0) nftnl_set_set_u64(object.get(), NFTNL_SET_TIMEOUT, set.timeout_ms);
  if (set.gc_interval_ms != 0) {
    nftnl_set_set_u32(object.get(), NFTNL_SET_GC_INTERVAL, set.gc_interval_ms);
  }
  TRY(put_set_user_data(object.get(), set));
  Message message =
      build(NFT_MSG_NEWSET, table.family, NLM_F_CREATE | NLM_F_EXCL,
            [&](nlmsghdr* header) { nftnl_set_nlmsg_build_payload(header, object.get()); });
  Writer writer(message);
  put_stateful(writer, NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS, set.exprs);
  writer.end_message(0);
  return message;
}

}  // namespace rolewall::netlink

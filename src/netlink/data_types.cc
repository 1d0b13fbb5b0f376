#include "netlink/data_types.h"

#include <libnftnl/udata.h>

#include <algorithm>

namespace rolewall::netlink {

using ruleset::Bytes;
using ruleset::DataType;
using ruleset::KeyField;
using ruleset::SetKind;

namespace {

enum class Order : std::uint8_t { None = 0, Host = 1, Network = 2 };

struct TypeRow {
  DataType type;
  std::uint32_t size;  // 0: of no fixed size
  Order order;
};

// As nft 1.0.6 sends them.
constexpr TypeRow kTypes[] = {
    {DataType::NfProto, 1, Order::None},
    {DataType::LinkAddress, 0, Order::Network},
    {DataType::Ipv4Address, 4, Order::Network},
    {DataType::Ipv6Address, 16, Order::Network},
    {DataType::EtherAddress, 6, Order::Network},
    {DataType::EtherType, 2, Order::Network},
    {DataType::ArpOp, 2, Order::Network},
    {DataType::InetProtocol, 1, Order::None},
    {DataType::InetService, 2, Order::Network},
    {DataType::IcmpType, 1, Order::Network},
    {DataType::TcpFlag, 1, Order::Network},
    {DataType::DccpPacketType, 1, Order::None},
    {DataType::MhType, 1, Order::Network},
    {DataType::Time, 4, Order::Host},
    {DataType::Mark, 4, Order::Host},
    {DataType::IfIndex, 4, Order::Host},
    {DataType::ArpHrd, 2, Order::Host},
    {DataType::Realm, 4, Order::Host},
    {DataType::ClassId, 4, Order::Host},
    {DataType::Uid, 4, Order::Host},
    {DataType::Gid, 4, Order::Host},
    {DataType::CtState, 4, Order::Host},
    {DataType::CtDirection, 1, Order::None},
    {DataType::CtStatus, 4, Order::Host},
    {DataType::Icmp6Type, 1, Order::Network},
    {DataType::CtLabel, 16, Order::Host},
    {DataType::PktType, 1, Order::Host},
    {DataType::IcmpCode, 1, Order::Network},
    {DataType::Icmpv6Code, 1, Order::Network},
    {DataType::IcmpxCode, 1, Order::Network},
    {DataType::DevGroup, 4, Order::Host},
    {DataType::Dscp, 1, Order::Network},
    {DataType::Ecn, 1, Order::Network},
    {DataType::FibAddress, 4, Order::Host},
    {DataType::Boolean, 1, Order::None},
    {DataType::CtEventBit, 4, Order::Host},
    {DataType::IfName, 16, Order::Host},
    {DataType::IgmpType, 1, Order::Network},
    {DataType::TimeDate, 8, Order::Host},
    {DataType::TimeHour, 4, Order::Host},
    {DataType::TimeDay, 1, Order::Host},
    {DataType::CgroupV2, 8, Order::Host},
    {DataType::String, 0, Order::Host},
};

const TypeRow* find(DataType type) {
  const auto* row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                 [&](const TypeRow& each) { return each.type == type; });
  return row == std::end(kTypes) ? nullptr : row;
}

std::uint32_t padded(std::uint32_t size) {
  return static_cast<std::uint32_t>(aligned(size));
}

// True where the fields, padded, make up the key.
bool divide(std::vector<KeyField>& fields, std::uint32_t length,
            const std::vector<std::uint32_t>& lengths) {
  std::uint64_t known = 0;
  std::vector<KeyField*> open;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const TypeRow* row = find(fields[i].type);
    fields[i].size = i < lengths.size() ? lengths[i] : row != nullptr ? row->size : 0;
    if (fields[i].size > length) return false;
    if (fields[i].size == 0) open.push_back(&fields[i]);
    known += padded(fields[i].size);
  }
  if (known > length) return false;
  // What has no size of its own (typeof's integers) shares the rest.
  const auto rest = static_cast<std::uint32_t>(length - known);
  if (open.empty()) return rest == 0;
  if (rest == 0 || rest % (4 * open.size()) != 0) return false;
  for (KeyField* field : open) field->size = rest / static_cast<std::uint32_t>(open.size());
  return true;
}

}  // namespace

std::optional<std::uint32_t> key_type(const std::vector<KeyField>& key) {
  if (key.size() == 1) return static_cast<std::uint32_t>(key[0].type);
  std::uint32_t packed = 0;
  if (key.size() * kTypeBits > 32) return std::nullopt;
  for (const KeyField& field : key) {
    const auto number = static_cast<std::uint32_t>(field.type);
    if (number > kTypeMask) return std::nullopt;
    packed = packed << kTypeBits | number;
  }
  return packed;
}

std::vector<KeyField> key_fields(std::uint32_t type, std::uint32_t length,
                                 const std::vector<std::uint32_t>& lengths) {
  std::vector<KeyField> whole{{static_cast<DataType>(type), length}};
  if (type <= kTypeMask && lengths.size() < 2) return whole;
  std::vector<KeyField> fields;
  for (std::uint32_t rest = type; rest != 0; rest >>= kTypeBits) {
    fields.insert(fields.begin(), {static_cast<DataType>(rest & kTypeMask), 0});
  }
  // The kernel's word on the fields counts, whatever the type says.
  if (lengths.size() > 1 && fields.size() != lengths.size()) {
    fields.assign(lengths.size(), {DataType::Invalid, 0});
  }
  return divide(fields, length, lengths) ? fields : whole;
}

std::uint32_t byte_order(const std::vector<KeyField>& key) {
  if (key.size() != 1) return static_cast<std::uint32_t>(Order::None);
  const TypeRow* row = find(key[0].type);
  return static_cast<std::uint32_t>(row == nullptr ? Order::None : row->order);
}

namespace {

// The list's entries; what is cut short at its end is one entry of type 255, so that nothing of it
// is lost.
template <class Visit>
void for_each_entry(View user_data, Visit visit) {
  while (!user_data.empty()) {
    const bool whole = user_data.size() >= 2 && user_data.size() >= std::size_t{2} + user_data[1];
    const std::size_t size = whole ? std::size_t{2} + user_data[1] : user_data.size();
    visit(whole ? user_data[0] : std::uint8_t{255}, user_data.first(size));
    user_data = user_data.subspan(size);
  }
}

}  // namespace

Bytes plain_notes(const ruleset::Set& set) {
  // A concatenation by types is noted like one by `typeof`, with nothing in it.
  constexpr std::uint32_t kConcatenation = 13;  // nft's EXPR_CONCAT
  UserData concatenation;
  concatenation.put_u32(NFTNL_UDATA_SET_TYPEOF_EXPR, kConcatenation);
  concatenation.put(NFTNL_UDATA_SET_TYPEOF_DATA, {});

  const bool is_map = set.kind == SetKind::Map || set.kind == SetKind::VerdictMap;
  UserData user_data;
  user_data.put_u32(NFTNL_UDATA_SET_KEYBYTEORDER, byte_order(set.key));
  if (is_map) {
    user_data.put_u32(NFTNL_UDATA_SET_DATABYTEORDER,
                      set.kind == SetKind::Map ? byte_order({set.data}) : 0);
  }
  if (set.key.size() > 1) user_data.put(NFTNL_UDATA_SET_KEY_TYPEOF, concatenation.bytes());
  if (set.kind == SetKind::Map && static_cast<std::uint32_t>(set.data.type) > kTypeMask) {
    user_data.put(NFTNL_UDATA_SET_DATA_TYPEOF, concatenation.bytes());
  }
  if (is_map) user_data.put_u32(NFTNL_UDATA_SET_DATA_INTERVAL, 0);
  return user_data.bytes();
}

Bytes decode_notes(const ruleset::Set& set, View user_data) {
  Bytes notes;
  for_each_entry(user_data, [&](std::uint8_t type, View entry) {
    if (type != NFTNL_UDATA_SET_COMMENT) notes.insert(notes.end(), entry.begin(), entry.end());
  });
  return notes == plain_notes(set) ? Bytes{} : notes;
}

void UserData::put(std::uint8_t type, View value) {
  bytes_.push_back(type);
  bytes_.push_back(static_cast<std::uint8_t>(value.size()));
  bytes_.insert(bytes_.end(), value.begin(), value.end());
}

void UserData::put_u32(std::uint8_t type, std::uint32_t value) {
  put(type, View{reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
}

// With its NUL.
void UserData::put_comment(std::uint8_t type, const ruleset::Comment& comment) {
  if (!comment.exists()) return;
  const std::string& text = comment.text();
  std::vector<std::uint8_t> bytes(text.begin(), text.end());
  bytes.push_back(0);
  put(type, bytes);
}

ruleset::Comment comment_in(View user_data, std::uint8_t type) {
  while (user_data.size() >= 2) {
    const std::size_t length = user_data[1];
    if (user_data.size() < 2 + length) break;
    const View value = user_data.subspan(2, length);
    if (user_data[0] == type) {
      return ruleset::Comment::written(
          {value.begin(), std::find(value.begin(), value.end(), std::uint8_t{0})});
    }
    user_data = user_data.subspan(2 + length);
  }
  return {};
}

}  // namespace rolewall::netlink

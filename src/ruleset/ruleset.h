// The waist of the product: plain data that mirrors what nf_tables holds. The compiler produces it,
// the kernel's dump decodes into it, and print, eval, analyze and apply work on it, whoever made
// it.
//
// A Ruleset does not change while it runs: counters, tokens and flows of a dry run are kept apart.
// Equality compares what was configured; handles are the kernel's and are left out of it by
// same_configuration().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ruleset/comment.h"
#include "ruleset/elements.h"
#include "ruleset/expr_list.h"
#include "ruleset/object.h"

namespace rolewall::ruleset {

// NFPROTO_*.
enum class Family : std::uint8_t { Inet = 1, Ip = 2, Arp = 3, Netdev = 5, Bridge = 7, Ip6 = 10 };

// In the order that a packet can meet them. Ingress: netdev's, and inet's of kernel 5.10 on.
enum class Hook : std::uint8_t {
  Ingress,
  Prerouting,
  Input,
  Forward,
  Output,
  Postrouting,
  Egress,
};

enum class ChainType : std::uint8_t { Filter, Nat, Route };

// nft's datatypes (src/include/datatype.h of nftables): the number is kept with a set in the kernel
// and tells `nft list` how to print its keys. Six bits each in a concatenation. Numbers that have
// no name here are kept as they are.
enum class DataType : std::uint32_t {
  Invalid = 0,
  Verdict = 1,
  NfProto = 2,
  Bitmask = 3,
  Integer = 4,
  String = 5,
  LinkAddress = 6,
  Ipv4Address = 7,
  Ipv6Address = 8,
  EtherAddress = 9,
  EtherType = 10,
  ArpOp = 11,
  InetProtocol = 12,
  InetService = 13,
  IcmpType = 14,
  TcpFlag = 15,
  DccpPacketType = 16,
  MhType = 17,
  Time = 18,
  Mark = 19,
  IfIndex = 20,
  ArpHrd = 21,
  Realm = 22,
  ClassId = 23,
  Uid = 24,
  Gid = 25,
  CtState = 26,
  CtDirection = 27,
  CtStatus = 28,
  Icmp6Type = 29,
  CtLabel = 30,
  PktType = 31,
  IcmpCode = 32,
  Icmpv6Code = 33,
  IcmpxCode = 34,
  DevGroup = 35,
  Dscp = 36,
  Ecn = 37,
  FibAddress = 38,
  Boolean = 39,
  CtEventBit = 40,
  IfName = 41,
  IgmpType = 42,
  TimeDate = 43,
  TimeHour = 44,
  TimeDay = 45,
  CgroupV2 = 46,
};

// One component of a set's key. In a concatenation each starts on a register: `size` is padded to
// four bytes, with zeros, in the element's key.
struct KeyField {
  DataType type = DataType::Invalid;
  std::uint32_t size = 0;
  bool operator==(const KeyField&) const = default;
};

enum class SetKind : std::uint8_t {
  Set,
  Map,         // key to value
  VerdictMap,  // key to verdict
  ObjectMap,   // key to a named object
};

struct Set {
  std::string name;
  std::uint64_t handle = 0;
  SetKind kind = SetKind::Set;
  std::vector<KeyField> key;      // more than one: a concatenation
  KeyField data;                  // Map alone
  std::uint32_t object_type = 0;  // ObjectMap alone: NFT_OBJECT_*
  bool anonymous = false;
  bool constant = false;
  bool interval =
      false;  // elements may be ranges (rbtree; pipapo where the key is a concatenation)
  bool has_timeout = false;
  bool dynamic = false;          // filled from the packet path (NFT_SET_EVAL)
  std::uint32_t size = 0;        // most elements; 0: no limit
  std::uint64_t timeout_ms = 0;  // of an element that names none
  std::uint32_t gc_interval_ms = 0;
  std::vector<StatefulExpr> exprs;  // every new element gets these
  Elements elements;
  Comment comment;
  bool saves_memory = false;  // NFT_SET_POL_MEMORY: which of its stores the kernel chooses
  // What its maker noted beside the comment for its own listing (nft: the words of `typeof`,
  // auto-merge), as the kernel keeps it; empty: what nft notes of a set of these types.
  Bytes notes;
  std::string unsupported;  // why the decoder could not read it whole; "" if it could

  // Bytes of a key as it stands in registers and in Elements::keys.
  std::uint32_t key_size() const;
  bool operator==(const Set&) const = default;
};

struct Rule {
  std::uint64_t handle = 0;
  Comment comment;  // ours is the policy rule's id, or a built-in step's "(name)"
  ExprList exprs;
  bool operator==(const Rule&) const = default;
};

struct BaseChain {
  ChainType type = ChainType::Filter;
  Hook hook = Hook::Input;
  std::int32_t priority = 0;
  VerdictCode policy = VerdictCode::Accept;  // Accept or Drop
  std::vector<std::string> devices;          // Ingress and Egress alone; hook_device.h
  bool operator==(const BaseChain&) const = default;
};

struct Chain {
  std::string name;
  std::uint64_t handle = 0;
  std::optional<BaseChain> base;  // absent: reached by jump and goto alone
  std::vector<Rule> rules;
  bool bound = false;      // belongs to the one rule that jumps to it (nft's `jump { ... }`)
  bool offloaded = false;  // NFT_CHAIN_HW_OFFLOAD: the device runs the rules, too
  Comment comment{};
  bool operator==(const Chain&) const = default;
};

struct Table {
  Family family = Family::Inet;
  std::string name;
  std::uint64_t handle = 0;
  std::uint32_t flags = 0;  // NFT_TABLE_F_*
  std::vector<Object> objects;
  std::vector<Set> sets;
  std::vector<Chain> chains;
  Comment comment{};
  bool operator==(const Table&) const = default;
};

const Set* find_set(const Table& table, std::string_view name);
const Chain* find_chain(const Table& table, std::string_view name);
const Object* find_object(const Table& table, std::uint32_t type, std::string_view name);

struct Ruleset {
  std::vector<Table> tables;
  bool operator==(const Ruleset&) const = default;
};

// Our table's family and name: the only one that rolewall ever writes.
inline constexpr Family kOwnFamily = Family::Inet;
inline constexpr std::string_view kOwnTable = "rolewall";
bool is_own(const Table& table);

// Without handles and what the kernel counts; sets and chains by name.
Ruleset configuration(Ruleset ruleset);
Object configuration(Object object);
Rule configuration(Rule rule);
StatefulExpr configuration(StatefulExpr expr);

// Equal but for handles and what the kernel counts.
bool same_configuration(const Ruleset& a, const Ruleset& b);

}  // namespace rolewall::ruleset

// What a list of these does when it is copied, moved, destroyed or compared is compiled once, in
// ruleset.cc.
namespace std {
extern template class vector<rolewall::ruleset::Rule>;
extern template class vector<rolewall::ruleset::Chain>;
extern template class vector<rolewall::ruleset::Set>;
extern template class vector<rolewall::ruleset::Object>;
extern template class vector<rolewall::ruleset::Table>;
extern template class vector<rolewall::ruleset::StatefulExpr>;
extern template class vector<vector<rolewall::ruleset::StatefulExpr>>;
extern template class vector<rolewall::ruleset::Verdict>;
}  // namespace std

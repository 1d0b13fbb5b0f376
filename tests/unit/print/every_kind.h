// A snapshot that holds every alternative of Expr and StatefulExpr, every kind of set, and every
// column of elements: what a writer and its reader must carry. It is valid, and not a firewall.
#pragma once

#include "ruleset/expr.h"
#include "ruleset/snapshot.h"

namespace rolewall::print {

inline ruleset::Set make_set(std::string name, ruleset::SetKind kind,
                             std::vector<ruleset::KeyField> key) {
  ruleset::Set set;
  set.name = std::move(name);
  set.kind = kind;
  set.key = std::move(key);
  return set;
}

inline ruleset::Snapshot every_kind() {
  using namespace ruleset;  // NOLINT(google-build-using-namespace)
  Snapshot snapshot;
  snapshot.host = {"web-01",
                   {*net::parse_prefix("192.0.2.1"), *net::parse_prefix("2001:db8::/64")},
                   {*net::parse_prefix("192.0.2.9")},
                   {{"public", "eth0", {}}, {"private", "ens*", {}}}};
  snapshot.host.interfaces[1].behind =
      net::AddressSet::from({*net::parse_prefix("10.0.0.0/8"), *net::parse_prefix("11.0.0.0/32"),
                             *net::parse_prefix("fd00::/8")});
  snapshot.sources["web.inbound.https"] = {"web.toml", 12, 3};

  Set plain = make_set("abusers", SetKind::Set, {{DataType::Ipv4Address, 4}});
  plain.handle = 4;
  plain.interval = true;
  plain.size = 65536;
  plain.comment = "known \"abusers\"\n\x01";
  plain.elements.key_size = 4;
  plain.elements.keys = {10, 0, 0, 0, 192, 0, 2, 1};
  plain.elements.key_ends = {10, 255, 255, 255, 192, 0, 2, 1};
  plain.elements.comments = {"", Comment::written("")};
  plain.elements.timeouts_ms = {0, 60000};
  plain.elements.expirations_ms = {0, 59999};
  plain.elements.has_catch_all = true;

  Set map = make_set("marks", SetKind::Map, {{DataType::InetService, 2}});
  map.data = {DataType::Mark, 4};
  map.elements.key_size = 2;
  map.elements.data_size = 4;
  map.elements.keys = {0, 22, 0, 80};
  map.elements.data = {1, 0, 0, 0, 2, 0, 0, 0};
  map.elements.has_catch_all = true;
  map.elements.catch_all_data = {3, 0, 0, 0};

  Set dispatch = make_set("inbound/tcp", SetKind::VerdictMap,
                          {{DataType::InetProtocol, 1}, {DataType::InetService, 2}});
  dispatch.anonymous = dispatch.constant = true;
  dispatch.elements.key_size = 8;
  dispatch.elements.keys = {6, 0, 0, 0, 1, 187, 0, 0, 17, 0, 0, 0, 0, 53, 0, 0};
  dispatch.elements.verdicts = {{VerdictCode::Jump, "web.inbound.https", 0},
                                {VerdictCode::Drop, "", 0}};
  dispatch.elements.has_catch_all = true;
  dispatch.elements.catch_all_verdict = {VerdictCode::Goto, "web.inbound.https", 0};

  Set objects = make_set("named", SetKind::ObjectMap, {{DataType{999}, 6}});
  objects.object_type = 1;
  objects.elements.key_size = 6;
  objects.elements.keys = {1, 2, 3, 4, 5, 6};
  objects.elements.objects = {"counter \xff"};
  objects.elements.has_catch_all = true;
  objects.elements.catch_all_object = "web \"hits\"";
  objects.elements.catch_all_comment = "the rest";
  objects.notes = {0, 4, 2, 0, 0, 0, 9};
  objects.saves_memory = true;

  Set meter = make_set("meter", SetKind::Set, {{DataType::Ipv6Address, 16}});
  meter.dynamic = meter.has_timeout = true;
  meter.timeout_ms = 300000;
  meter.gc_interval_ms = 10000;
  meter.exprs = {Limit{LimitUnit::Packets, 10, 60, 5, true}, Counter{}};
  meter.elements.key_size = 16;
  meter.elements.keys = Bytes(16, 0xfd);
  meter.elements.exprs = {{Limit{LimitUnit::Packets, 10, 60, 5, true}, Counter{3, 180},
                           Connlimit{4, true}, Quota{1000, 20, true}, Last{250, true}}};

  Set unread = make_set("unread", SetKind::Set, {{DataType::Invalid, 12}});
  unread.unsupported = "attribute 20 is unknown";

  Chain leaf{"web.inbound.https", 9, {}, {}};
  leaf.rules = {{7, "web.inbound.https", {Counter{12, 3400}}},
                {8, "", {ImmediateVerdict{{VerdictCode::Accept, "", 0}}}}};

  Chain input{"input", 1, BaseChain{}, {}};
  input.base->priority = -300;
  input.base->policy = VerdictCode::Drop;
  const std::vector<Expr> all = {
      Payload{PayloadBase::Network, 12, 4, 8},
      Meta{MetaKey::IifName, 0},
      Ct{CtKey::State, {}, 1},
      Ct{CtKey::Packets, CtDirection::Reply, 2},
      Immediate{1, Value::host_u32(66)},
      BitwiseMask{1, 1, 4, Value::host_u32(2), Value::host_u32(0)},
      BitwiseShift{ShiftDirection::Right, 1, 2, 4, 3},
      Byteorder{ByteorderOp::HostToNetwork, 1, 1, 4, 2},
      Cmp{CmpOp::Neq, 1, Value::be16(443)},
      Range{true, 1, Value::be16(1), Value::be16(1023)},
      Lookup{"abusers", 8, LookupResult::Membership, 0, true},
      Lookup{"marks", 1, LookupResult::Data, 3, false},
      Lookup{"inbound/tcp", 1, LookupResult::Verdict, 0, false},
      Counter{},
      Limit{LimitUnit::Bytes, 1024, 1, 4096, false},
      Connlimit{10, true},
      Quota{1u << 30, 17, true},
      Last{5, true},
      Dynset{DynsetOp::Update, "meter", 8, {}, 1000, true, {Connlimit{3, false}}},
      Dynset{DynsetOp::Add, "marks", 8, Register{1}, 0, false, {}},
      MetaSet{MetaKey::Mark, 1},
      CtSet{CtKey::Mark, CtDirection::Original, 1},
      Log{"rolewall \"x\" ", std::uint16_t{0}, 6, 1, 128, 2},
      Notrack{},
      Exthdr{ExthdrKind::Ipv4Option, 131, 2, 1, true, 4},
      Fib{FibResult::OifName, fib_flag::kSource | fib_flag::kIif, 4},
      Rt{RtKey::NextHop6, 8},
      Socket{SocketKey::CgroupV2, 2, 8},
      Osf{1, 1, 4},
      Numgen{NumgenKind::Random, 10, 3, 1},
      JenkinsHash{4, 8, 16, 0xdeadbeefU, 7, 1},
      JenkinsHash{4, 8, 16, {}, 0, 1},
      SymmetricHash{5, 2, 1},
      Tunnel{TunnelKey::Id, TunnelMode::Transmit, 1},
      Xfrm{XfrmKey::Saddr6, XfrmDirection::Out, 1, 8},
      BitwiseRegisters{BitwiseOp::Xor, 1, 2, 3, 4},
      PayloadWrite{PayloadBase::Transport, 2, 2, 1, ChecksumKind::Inet, 16, true},
      ExthdrWrite{ExthdrKind::TcpOption, 2, 2, 2, 1},
      ExthdrReset{ExthdrKind::TcpOption, 34},
      Nat{NatKind::Destination, 10, Register{4}, Register{8}, Register{1}, Register{2}, 3},
      Masquerade{Register{1}, Register{2}, 6},
      Redirect{Register{1}, {}, 2},
      Tproxy{10, Register{4}, Register{1}},
      Synproxy{1460, 7, 15},
      Dup{Register{4}, Register{1}},
      Fwd{1, Register{4}, 10},
      ObjectRef{1, "web \"hits\""},
      ObjectLookup{4, "named"},
      XtMatch{"multiport", 1, Bytes(48)},
      XtTarget{"SNAT", 2, Bytes(48)},
      Unsupported{"inner", "not modelled"},
      Reject{RejectType::IcmpxUnreachable, 3},
      ImmediateVerdict{{VerdictCode::Queue, "", 0x30003}},
  };
  for (const Expr& expr : all) input.rules.push_back({0, "", {expr}});

  Chain ingress{"ingress", 0, BaseChain{}, {}};
  ingress.base->hook = Hook::Ingress;
  ingress.base->devices = {"eth0", "eth1"};
  ingress.comment = "at the device";
  ingress.offloaded = true;
  leaf.bound = true;
  leaf.comment = Comment::written("");

  Table table;
  table.family = Family::Inet;
  table.name = "rolewall";
  table.handle = 3;
  table.flags = 1;
  table.comment = "everything";
  const auto add_object = [&](std::string name, std::uint32_t type, ObjectBody body) {
    table.objects.push_back({std::move(name), 5, type, std::move(body), "a comment"});
  };
  add_object("counter \xff", object_type::kCounter, Counter{3, 180});
  add_object("web \"hits\"", object_type::kCounter, Counter{});
  add_object("quota", object_type::kQuota, Quota{1000, 20, true});
  add_object("helper", object_type::kCtHelper, CtHelper{"ftp", 2, 6});
  add_object("limit", object_type::kLimit, Limit{LimitUnit::Bytes, 10, 60, 5, true});
  add_object("connlimit", object_type::kConnlimit, Connlimit{3, true});
  add_object("timeout", object_type::kCtTimeout, CtTimeout{2, 17, {{1, 30}, {2, 180}}});
  add_object("secmark", object_type::kSecmark, Secmark{"a_t:s0"});
  add_object("expected", object_type::kCtExpectation, CtExpectation{10, 6, 21, 1000, 4});
  add_object("synproxy", object_type::kSynproxy, Synproxy{1460, 7, 3});
  add_object("tunnel", 6, Unsupported{"object of type 6", "it is not modelled"});
  table.sets = {plain, map, dispatch, objects, meter, unread};
  table.chains = {leaf, input, ingress};
  snapshot.ruleset.tables = {table};
  return snapshot;
}

}  // namespace rolewall::print

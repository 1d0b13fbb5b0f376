// The members of a snapshot's file, said once: the writer and the reader both walk these lists, so
// that what one writes the other reads. docs/snapshot-format.md describes the format to users.
//
// Adding a member: a row here. Members that are `optional` are left out where they have their
// default value; a reader refuses a `required` one that is absent, and any key that it does not
// know.
#pragma once

#include <string_view>
#include <tuple>

#include "ruleset/expr.h"
#include "ruleset/snapshot.h"

namespace rolewall::print {

inline constexpr std::string_view kSnapshotKind = "rolewall-snapshot";

template <class Struct, class Member>
struct Field {
  std::string_view name;
  Member Struct::* member;
  bool required;
};

template <class Struct, class Member>
constexpr Field<Struct, Member> required(std::string_view name, Member Struct::* member) {
  return {name, member, true};
}
template <class Struct, class Member>
constexpr Field<Struct, Member> optional(std::string_view name, Member Struct::* member) {
  return {name, member, false};
}

// kFields: a tuple of Field. kType, for alternatives of Expr and StatefulExpr alone: the value of
// their "type" key. kLines: the object is written with a line for each member.
template <class Struct>
struct Fields;

using namespace ruleset;  // NOLINT(google-build-using-namespace): every name below is from it

template <>
struct Fields<Payload> {
  static constexpr std::string_view kType = "payload";
  static constexpr auto kFields =
      std::make_tuple(required("base", &Payload::base), required("offset", &Payload::offset),
                      required("length", &Payload::length), required("to", &Payload::destination));
};

template <>
struct Fields<Meta> {
  static constexpr std::string_view kType = "meta";
  static constexpr auto kFields =
      std::make_tuple(required("key", &Meta::key), required("to", &Meta::destination));
};

template <>
struct Fields<Ct> {
  static constexpr std::string_view kType = "ct";
  static constexpr auto kFields =
      std::make_tuple(required("key", &Ct::key), optional("direction", &Ct::direction),
                      required("to", &Ct::destination));
};

template <>
struct Fields<Immediate> {
  static constexpr std::string_view kType = "immediate";
  static constexpr auto kFields = std::make_tuple(required("value", &Immediate::value),
                                                  required("to", &Immediate::destination));
};

template <>
struct Fields<BitwiseMask> {
  static constexpr std::string_view kType = "bitwise";
  static constexpr auto kFields = std::make_tuple(
      required("from", &BitwiseMask::source), required("length", &BitwiseMask::length),
      required("mask", &BitwiseMask::mask), required("xor", &BitwiseMask::xor_with),
      required("to", &BitwiseMask::destination));
};

template <>
struct Fields<BitwiseShift> {
  static constexpr std::string_view kType = "shift";
  static constexpr auto kFields = std::make_tuple(
      required("direction", &BitwiseShift::direction), required("from", &BitwiseShift::source),
      required("length", &BitwiseShift::length), required("bits", &BitwiseShift::bits),
      required("to", &BitwiseShift::destination));
};

template <>
struct Fields<Byteorder> {
  static constexpr std::string_view kType = "byteorder";
  static constexpr auto kFields =
      std::make_tuple(required("op", &Byteorder::op), required("from", &Byteorder::source),
                      required("length", &Byteorder::length), required("size", &Byteorder::size),
                      required("to", &Byteorder::destination));
};

template <>
struct Fields<Cmp> {
  static constexpr std::string_view kType = "cmp";
  static constexpr auto kFields = std::make_tuple(
      required("op", &Cmp::op), required("from", &Cmp::source), required("value", &Cmp::value));
};

template <>
struct Fields<Range> {
  static constexpr std::string_view kType = "range";
  static constexpr auto kFields =
      std::make_tuple(required("from", &Range::source), required("first", &Range::from),
                      required("last", &Range::to), optional("negated", &Range::negated));
};

template <>
struct Fields<Lookup> {
  static constexpr std::string_view kType = "lookup";
  static constexpr auto kFields =
      std::make_tuple(required("set", &Lookup::set), required("from", &Lookup::source),
                      required("result", &Lookup::result), optional("to", &Lookup::destination),
                      optional("inverted", &Lookup::inverted));
};

template <>
struct Fields<Counter> {
  static constexpr std::string_view kType = "counter";
  static constexpr auto kFields =
      std::make_tuple(optional("packets", &Counter::packets), optional("bytes", &Counter::bytes));
};

template <>
struct Fields<Limit> {
  static constexpr std::string_view kType = "limit";
  static constexpr auto kFields =
      std::make_tuple(required("rate", &Limit::rate), required("per_seconds", &Limit::per_seconds),
                      required("unit", &Limit::unit), required("burst", &Limit::burst),
                      optional("over", &Limit::over));
};

template <>
struct Fields<Connlimit> {
  static constexpr std::string_view kType = "connlimit";
  static constexpr auto kFields =
      std::make_tuple(required("count", &Connlimit::count), optional("over", &Connlimit::over));
};

template <>
struct Fields<Quota> {
  static constexpr std::string_view kType = "quota";
  static constexpr auto kFields =
      std::make_tuple(required("bytes", &Quota::bytes), optional("consumed", &Quota::consumed),
                      optional("over", &Quota::over));
};

template <>
struct Fields<Last> {
  static constexpr std::string_view kType = "last";
  static constexpr auto kFields =
      std::make_tuple(optional("ms_ago", &Last::ms_ago), optional("set", &Last::set));
};

template <>
struct Fields<Dynset> {
  static constexpr std::string_view kType = "dynset";
  static constexpr auto kFields = std::make_tuple(
      required("op", &Dynset::op), required("set", &Dynset::set), required("key", &Dynset::key),
      optional("data", &Dynset::data), optional("timeout_ms", &Dynset::timeout_ms),
      optional("inverted", &Dynset::inverted), optional("exprs", &Dynset::exprs));
};

template <>
struct Fields<ImmediateVerdict> {
  static constexpr std::string_view kType = "verdict";
  static constexpr auto kFields = std::make_tuple(required("verdict", &ImmediateVerdict::verdict));
};

template <>
struct Fields<MetaSet> {
  static constexpr std::string_view kType = "meta-set";
  static constexpr auto kFields =
      std::make_tuple(required("key", &MetaSet::key), required("from", &MetaSet::source));
};

template <>
struct Fields<CtSet> {
  static constexpr std::string_view kType = "ct-set";
  static constexpr auto kFields =
      std::make_tuple(required("key", &CtSet::key), optional("direction", &CtSet::direction),
                      required("from", &CtSet::source));
};

template <>
struct Fields<Log> {
  static constexpr std::string_view kType = "log";
  static constexpr auto kFields = std::make_tuple(
      optional("prefix", &Log::prefix), optional("group", &Log::group),
      required("level", &Log::level), optional("flags", &Log::flags),
      optional("snaplen", &Log::snaplen), optional("queue_threshold", &Log::queue_threshold));
};

template <>
struct Fields<Reject> {
  static constexpr std::string_view kType = "reject";
  static constexpr auto kFields =
      std::make_tuple(required("with", &Reject::type), required("code", &Reject::code));
};

template <>
struct Fields<Notrack> {
  static constexpr std::string_view kType = "notrack";
  static constexpr auto kFields = std::make_tuple();
};

template <>
struct Fields<Unsupported> {
  static constexpr std::string_view kType = "unsupported";
  static constexpr auto kFields = std::make_tuple(required("name", &Unsupported::name),
                                                  required("reason", &Unsupported::reason));
};

template <>
struct Fields<Exthdr> {
  static constexpr std::string_view kType = "exthdr";
  static constexpr auto kFields =
      std::make_tuple(required("kind", &Exthdr::kind), required("header", &Exthdr::type),
                      required("offset", &Exthdr::offset), required("length", &Exthdr::length),
                      optional("present", &Exthdr::present), required("to", &Exthdr::destination));
};

template <>
struct Fields<Fib> {
  static constexpr std::string_view kType = "fib";
  static constexpr auto kFields =
      std::make_tuple(required("result", &Fib::result), required("flags", &Fib::flags),
                      required("to", &Fib::destination));
};

template <>
struct Fields<Rt> {
  static constexpr std::string_view kType = "rt";
  static constexpr auto kFields =
      std::make_tuple(required("key", &Rt::key), required("to", &Rt::destination));
};

template <>
struct Fields<Socket> {
  static constexpr std::string_view kType = "socket";
  static constexpr auto kFields =
      std::make_tuple(required("key", &Socket::key), optional("level", &Socket::level),
                      required("to", &Socket::destination));
};

template <>
struct Fields<Osf> {
  static constexpr std::string_view kType = "osf";
  static constexpr auto kFields =
      std::make_tuple(optional("ttl", &Osf::ttl), optional("flags", &Osf::flags),
                      required("to", &Osf::destination));
};

template <>
struct Fields<Numgen> {
  static constexpr std::string_view kType = "numgen";
  static constexpr auto kFields =
      std::make_tuple(required("kind", &Numgen::kind), required("modulus", &Numgen::modulus),
                      optional("offset", &Numgen::offset), required("to", &Numgen::destination));
};

template <>
struct Fields<JenkinsHash> {
  static constexpr std::string_view kType = "jhash";
  static constexpr auto kFields = std::make_tuple(
      required("from", &JenkinsHash::source), required("length", &JenkinsHash::length),
      required("modulus", &JenkinsHash::modulus), optional("seed", &JenkinsHash::seed),
      optional("offset", &JenkinsHash::offset), required("to", &JenkinsHash::destination));
};

template <>
struct Fields<SymmetricHash> {
  static constexpr std::string_view kType = "symhash";
  static constexpr auto kFields = std::make_tuple(required("modulus", &SymmetricHash::modulus),
                                                  optional("offset", &SymmetricHash::offset),
                                                  required("to", &SymmetricHash::destination));
};

template <>
struct Fields<Tunnel> {
  static constexpr std::string_view kType = "tunnel";
  static constexpr auto kFields =
      std::make_tuple(required("key", &Tunnel::key), optional("mode", &Tunnel::mode),
                      required("to", &Tunnel::destination));
};

template <>
struct Fields<Xfrm> {
  static constexpr std::string_view kType = "xfrm";
  static constexpr auto kFields =
      std::make_tuple(required("key", &Xfrm::key), required("direction", &Xfrm::direction),
                      optional("index", &Xfrm::index), required("to", &Xfrm::destination));
};

template <>
struct Fields<BitwiseRegisters> {
  static constexpr std::string_view kType = "bitwise-registers";
  static constexpr auto kFields = std::make_tuple(
      required("op", &BitwiseRegisters::op), required("from", &BitwiseRegisters::source),
      required("other", &BitwiseRegisters::other), required("length", &BitwiseRegisters::length),
      required("to", &BitwiseRegisters::destination));
};

template <>
struct Fields<PayloadWrite> {
  static constexpr std::string_view kType = "payload-write";
  static constexpr auto kFields = std::make_tuple(
      required("base", &PayloadWrite::base), required("offset", &PayloadWrite::offset),
      required("length", &PayloadWrite::length), required("from", &PayloadWrite::source),
      optional("checksum", &PayloadWrite::checksum),
      optional("checksum_offset", &PayloadWrite::checksum_offset),
      optional("pseudo_header", &PayloadWrite::pseudo_header));
};

template <>
struct Fields<ExthdrWrite> {
  static constexpr std::string_view kType = "exthdr-write";
  static constexpr auto kFields = std::make_tuple(
      required("kind", &ExthdrWrite::kind), required("header", &ExthdrWrite::type),
      required("offset", &ExthdrWrite::offset), required("length", &ExthdrWrite::length),
      required("from", &ExthdrWrite::source));
};

template <>
struct Fields<ExthdrReset> {
  static constexpr std::string_view kType = "exthdr-reset";
  static constexpr auto kFields =
      std::make_tuple(required("kind", &ExthdrReset::kind), required("header", &ExthdrReset::type));
};

template <>
struct Fields<Nat> {
  static constexpr std::string_view kType = "nat";
  static constexpr auto kFields = std::make_tuple(
      required("kind", &Nat::kind), required("family", &Nat::family),
      optional("address_min", &Nat::address_min), optional("address_max", &Nat::address_max),
      optional("port_min", &Nat::port_min), optional("port_max", &Nat::port_max),
      optional("flags", &Nat::flags));
};

template <>
struct Fields<Masquerade> {
  static constexpr std::string_view kType = "masquerade";
  static constexpr auto kFields = std::make_tuple(optional("port_min", &Masquerade::port_min),
                                                  optional("port_max", &Masquerade::port_max),
                                                  optional("flags", &Masquerade::flags));
};

template <>
struct Fields<Redirect> {
  static constexpr std::string_view kType = "redirect";
  static constexpr auto kFields = std::make_tuple(optional("port_min", &Redirect::port_min),
                                                  optional("port_max", &Redirect::port_max),
                                                  optional("flags", &Redirect::flags));
};

template <>
struct Fields<Tproxy> {
  static constexpr std::string_view kType = "tproxy";
  static constexpr auto kFields =
      std::make_tuple(optional("family", &Tproxy::family), optional("address", &Tproxy::address),
                      optional("port", &Tproxy::port));
};

template <>
struct Fields<Synproxy> {
  static constexpr std::string_view kType = "synproxy";
  static constexpr auto kFields = std::make_tuple(required("mss", &Synproxy::mss),
                                                  required("window_scale", &Synproxy::window_scale),
                                                  required("flags", &Synproxy::flags));
};

template <>
struct Fields<Dup> {
  static constexpr std::string_view kType = "dup";
  static constexpr auto kFields =
      std::make_tuple(optional("address", &Dup::address), optional("device", &Dup::device));
};

template <>
struct Fields<Fwd> {
  static constexpr std::string_view kType = "fwd";
  static constexpr auto kFields =
      std::make_tuple(required("device", &Fwd::device), optional("address", &Fwd::address),
                      optional("family", &Fwd::family));
};

template <>
struct Fields<ObjectRef> {
  static constexpr std::string_view kType = "object";
  static constexpr auto kFields = std::make_tuple(required("object_type", &ObjectRef::type),
                                                  required("name", &ObjectRef::name));
};

template <>
struct Fields<ObjectLookup> {
  static constexpr std::string_view kType = "object-lookup";
  static constexpr auto kFields =
      std::make_tuple(required("from", &ObjectLookup::source), required("set", &ObjectLookup::set));
};

template <>
struct Fields<CtHelper> {
  static constexpr std::string_view kType = "ct-helper";
  static constexpr auto kFields =
      std::make_tuple(required("helper", &CtHelper::helper), optional("family", &CtHelper::family),
                      required("protocol", &CtHelper::protocol));
};

template <>
struct Fields<CtTimeoutValue> {
  static constexpr auto kFields = std::make_tuple(required("state", &CtTimeoutValue::state),
                                                  required("seconds", &CtTimeoutValue::seconds));
};

template <>
struct Fields<CtTimeout> {
  static constexpr std::string_view kType = "ct-timeout";
  static constexpr auto kFields = std::make_tuple(optional("family", &CtTimeout::family),
                                                  required("protocol", &CtTimeout::protocol),
                                                  required("values", &CtTimeout::values));
};

template <>
struct Fields<CtExpectation> {
  static constexpr std::string_view kType = "ct-expectation";
  static constexpr auto kFields = std::make_tuple(
      optional("family", &CtExpectation::family), required("protocol", &CtExpectation::protocol),
      required("port", &CtExpectation::port), required("timeout_ms", &CtExpectation::timeout_ms),
      required("size", &CtExpectation::size));
};

template <>
struct Fields<Secmark> {
  static constexpr std::string_view kType = "secmark";
  static constexpr auto kFields = std::make_tuple(required("context", &Secmark::context));
};

template <>
struct Fields<Object> {
  static constexpr auto kFields =
      std::make_tuple(required("name", &Object::name), optional("handle", &Object::handle),
                      required("type", &Object::type), required("body", &Object::body),
                      optional("comment", &Object::comment));
};

template <>
struct Fields<KeyField> {
  static constexpr auto kFields =
      std::make_tuple(required("type", &KeyField::type), required("size", &KeyField::size));
};

template <>
struct Fields<Set> {
  static constexpr bool kLines = true;
  static constexpr auto kFields = std::make_tuple(
      required("name", &Set::name), optional("handle", &Set::handle), required("kind", &Set::kind),
      required("key", &Set::key), optional("data", &Set::data),
      optional("object_type", &Set::object_type), optional("anonymous", &Set::anonymous),
      optional("constant", &Set::constant), optional("interval", &Set::interval),
      optional("has_timeout", &Set::has_timeout), optional("dynamic", &Set::dynamic),
      optional("size", &Set::size), optional("timeout_ms", &Set::timeout_ms),
      optional("gc_interval_ms", &Set::gc_interval_ms), optional("exprs", &Set::exprs),
      optional("comment", &Set::comment), optional("saves_memory", &Set::saves_memory),
      optional("notes", &Set::notes), optional("unsupported", &Set::unsupported),
      optional("elements", &Set::elements));
};

template <>
struct Fields<Rule> {
  static constexpr bool kLines = true;
  static constexpr auto kFields =
      std::make_tuple(optional("handle", &Rule::handle), optional("comment", &Rule::comment),
                      required("exprs", &Rule::exprs));
};

template <>
struct Fields<BaseChain> {
  static constexpr auto kFields = std::make_tuple(
      required("type", &BaseChain::type), required("hook", &BaseChain::hook),
      required("priority", &BaseChain::priority), required("policy", &BaseChain::policy),
      optional("devices", &BaseChain::devices));
};

template <>
struct Fields<Chain> {
  static constexpr bool kLines = true;
  static constexpr auto kFields =
      std::make_tuple(required("name", &Chain::name), optional("handle", &Chain::handle),
                      optional("base", &Chain::base), optional("bound", &Chain::bound),
                      optional("offloaded", &Chain::offloaded),
                      optional("comment", &Chain::comment), required("rules", &Chain::rules));
};

template <>
struct Fields<Table> {
  static constexpr bool kLines = true;
  static constexpr auto kFields =
      std::make_tuple(required("family", &Table::family), required("name", &Table::name),
                      optional("handle", &Table::handle), optional("flags", &Table::flags),
                      optional("comment", &Table::comment), optional("objects", &Table::objects),
                      required("sets", &Table::sets), required("chains", &Table::chains));
};

template <>
struct Fields<Ruleset> {
  static constexpr bool kLines = true;
  static constexpr auto kFields = std::make_tuple(required("tables", &Ruleset::tables));
};

template <>
struct Fields<Interface> {
  static constexpr auto kFields = std::make_tuple(
      required("name", &Interface::name), required("device", &Interface::device),
      optional("behind", &Interface::behind), optional("index", &Interface::index),
      optional("group", &Interface::group), optional("hardware_type", &Interface::hardware_type),
      optional("kind", &Interface::kind), optional("mac", &Interface::mac));
};

template <>
struct Fields<Route> {
  static constexpr auto kFields =
      std::make_tuple(required("to", &Route::to), optional("type", &Route::type),
                      optional("device", &Route::device), optional("gateway", &Route::gateway),
                      optional("table", &Route::table), optional("metric", &Route::metric));
};

template <>
struct Fields<ConntrackSettings> {
  static constexpr auto kFields = std::make_tuple(
      optional("tcp_loose", &ConntrackSettings::tcp_loose),
      optional("tcp_be_liberal", &ConntrackSettings::tcp_be_liberal),
      optional("tcp_ignore_invalid_rst", &ConntrackSettings::tcp_ignore_invalid_rst),
      optional("tcp_max_retrans", &ConntrackSettings::tcp_max_retrans),
      optional("checksum", &ConntrackSettings::checksum),
      optional("tcp_timeout_syn_sent", &ConntrackSettings::tcp_timeout_syn_sent),
      optional("tcp_timeout_syn_recv", &ConntrackSettings::tcp_timeout_syn_recv),
      optional("tcp_timeout_established", &ConntrackSettings::tcp_timeout_established),
      optional("tcp_timeout_fin_wait", &ConntrackSettings::tcp_timeout_fin_wait),
      optional("tcp_timeout_close_wait", &ConntrackSettings::tcp_timeout_close_wait),
      optional("tcp_timeout_last_ack", &ConntrackSettings::tcp_timeout_last_ack),
      optional("tcp_timeout_time_wait", &ConntrackSettings::tcp_timeout_time_wait),
      optional("tcp_timeout_close", &ConntrackSettings::tcp_timeout_close),
      optional("tcp_timeout_max_retrans", &ConntrackSettings::tcp_timeout_max_retrans),
      optional("tcp_timeout_unacknowledged", &ConntrackSettings::tcp_timeout_unacknowledged),
      optional("udp_timeout", &ConntrackSettings::udp_timeout),
      optional("udp_timeout_stream", &ConntrackSettings::udp_timeout_stream),
      optional("icmp_timeout", &ConntrackSettings::icmp_timeout),
      optional("icmpv6_timeout", &ConntrackSettings::icmpv6_timeout),
      optional("generic_timeout", &ConntrackSettings::generic_timeout),
      optional("max", &ConntrackSettings::max));
};

template <>
struct Fields<XtTable> {
  static constexpr bool kLines = true;
  static constexpr auto kFields =
      std::make_tuple(required("name", &XtTable::name), required("lines", &XtTable::lines));
};

template <>
struct Fields<Host> {
  static constexpr bool kLines = true;
  static constexpr auto kFields =
      std::make_tuple(required("name", &Host::name), required("addresses", &Host::addresses),
                      optional("virtual_addresses", &Host::virtual_addresses),
                      required("interfaces", &Host::interfaces), optional("routes", &Host::routes),
                      optional("forwards_ipv4", &Host::forwards_ipv4),
                      optional("forwards_ipv6", &Host::forwards_ipv6),
                      optional("conntrack", &Host::conntrack), optional("kernel", &Host::kernel),
                      optional("xt_tables", &Host::xt_tables), optional("ipsets", &Host::ipsets));
};

template <>
struct Fields<SourceLine> {
  static constexpr auto kFields = std::make_tuple(
      required("file", &SourceLine::file), required("line", &SourceLine::line),
      required("column", &SourceLine::column), optional("expires", &SourceLine::expires));
};

template <>
struct Fields<Snapshot> {
  static constexpr bool kLines = true;
  static constexpr auto kFields =
      std::make_tuple(required("host", &Snapshot::host), required("ruleset", &Snapshot::ruleset),
                      optional("sources", &Snapshot::sources));
};

}  // namespace rolewall::print

// The members of a snapshot's file, said once: the writer and the reader both walk these lists, so
// that what one writes the other reads. docs/snapshot-format.md describes the format to users.
//
// Adding a member: a row here. Members that are `optional` are left out where they have their
// default value; a reader refuses a `required` one that is absent, and any key that it does not
// know.
#pragma once

#include <string_view>
#include <tuple>

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
      optional("comment", &Set::comment), optional("unsupported", &Set::unsupported),
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
                      optional("base", &Chain::base), required("rules", &Chain::rules));
};

template <>
struct Fields<Table> {
  static constexpr bool kLines = true;
  static constexpr auto kFields =
      std::make_tuple(required("family", &Table::family), required("name", &Table::name),
                      optional("handle", &Table::handle), optional("flags", &Table::flags),
                      required("sets", &Table::sets), required("chains", &Table::chains));
};

template <>
struct Fields<Ruleset> {
  static constexpr bool kLines = true;
  static constexpr auto kFields = std::make_tuple(required("tables", &Ruleset::tables));
};

template <>
struct Fields<Interface> {
  static constexpr auto kFields =
      std::make_tuple(required("name", &Interface::name), required("device", &Interface::device),
                      optional("behind", &Interface::behind));
};

template <>
struct Fields<Host> {
  static constexpr bool kLines = true;
  static constexpr auto kFields =
      std::make_tuple(required("name", &Host::name), required("addresses", &Host::addresses),
                      optional("virtual_addresses", &Host::virtual_addresses),
                      required("interfaces", &Host::interfaces));
};

template <>
struct Fields<SourceLine> {
  static constexpr auto kFields =
      std::make_tuple(required("file", &SourceLine::file), required("line", &SourceLine::line),
                      required("column", &SourceLine::column));
};

template <>
struct Fields<Snapshot> {
  static constexpr bool kLines = true;
  static constexpr auto kFields =
      std::make_tuple(required("host", &Snapshot::host), required("ruleset", &Snapshot::ruleset),
                      optional("sources", &Snapshot::sources));
};

}  // namespace rolewall::print

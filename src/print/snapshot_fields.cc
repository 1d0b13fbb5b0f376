#include "print/snapshot_fields.h"

#include <cstring>

#include "print/snapshot_rows.h"
#include "ruleset/expr.h"

// Adding a member: a row here, without which this file does not compile. Members that are
// `optional` are left out where they have their default value; a reader refuses a `required` one
// that is absent, and any key that it does not know.
namespace rolewall::print {

using namespace ruleset;  // NOLINT(google-build-using-namespace): every name below is from it

template <>
struct Described<Payload> {
  static constexpr std::string_view kType = "payload";
  static constexpr std::array kFields{
      required<&Payload::base>("base"), required<&Payload::offset>("offset"),
      required<&Payload::length>("length"), required<&Payload::destination>("to")};
};

template <>
struct Described<Meta> {
  static constexpr std::string_view kType = "meta";
  static constexpr std::array kFields{required<&Meta::key>("key"),
                                      required<&Meta::destination>("to")};
};

template <>
struct Described<Ct> {
  static constexpr std::string_view kType = "ct";
  static constexpr std::array kFields{required<&Ct::key>("key"),
                                      optional<&Ct::direction>("direction"),
                                      required<&Ct::destination>("to")};
};

template <>
struct Described<Immediate> {
  static constexpr std::string_view kType = "immediate";
  static constexpr std::array kFields{required<&Immediate::value>("value"),
                                      required<&Immediate::destination>("to")};
};

template <>
struct Described<BitwiseMask> {
  static constexpr std::string_view kType = "bitwise";
  static constexpr std::array kFields{
      required<&BitwiseMask::source>("from"), required<&BitwiseMask::length>("length"),
      required<&BitwiseMask::mask>("mask"), required<&BitwiseMask::xor_with>("xor"),
      required<&BitwiseMask::destination>("to")};
};

template <>
struct Described<BitwiseShift> {
  static constexpr std::string_view kType = "shift";
  static constexpr std::array kFields{
      required<&BitwiseShift::direction>("direction"), required<&BitwiseShift::source>("from"),
      required<&BitwiseShift::length>("length"), required<&BitwiseShift::bits>("bits"),
      required<&BitwiseShift::destination>("to")};
};

template <>
struct Described<Byteorder> {
  static constexpr std::string_view kType = "byteorder";
  static constexpr std::array kFields{
      required<&Byteorder::op>("op"), required<&Byteorder::source>("from"),
      required<&Byteorder::length>("length"), required<&Byteorder::size>("size"),
      required<&Byteorder::destination>("to")};
};

template <>
struct Described<Cmp> {
  static constexpr std::string_view kType = "cmp";
  static constexpr std::array kFields{required<&Cmp::op>("op"), required<&Cmp::source>("from"),
                                      required<&Cmp::value>("value")};
};

template <>
struct Described<Range> {
  static constexpr std::string_view kType = "range";
  static constexpr std::array kFields{required<&Range::source>("from"),
                                      required<&Range::from>("first"), required<&Range::to>("last"),
                                      optional<&Range::negated>("negated")};
};

template <>
struct Described<Lookup> {
  static constexpr std::string_view kType = "lookup";
  static constexpr std::array kFields{
      required<&Lookup::set>("set"), required<&Lookup::source>("from"),
      required<&Lookup::result>("result"), optional<&Lookup::destination>("to"),
      optional<&Lookup::inverted>("inverted")};
};

template <>
struct Described<Counter> {
  static constexpr std::string_view kType = "counter";
  static constexpr std::array kFields{optional<&Counter::packets>("packets"),
                                      optional<&Counter::bytes>("bytes")};
};

template <>
struct Described<Limit> {
  static constexpr std::string_view kType = "limit";
  static constexpr std::array kFields{
      required<&Limit::rate>("rate"), required<&Limit::per_seconds>("per_seconds"),
      required<&Limit::unit>("unit"), required<&Limit::burst>("burst"),
      optional<&Limit::over>("over")};
};

template <>
struct Described<Connlimit> {
  static constexpr std::string_view kType = "connlimit";
  static constexpr std::array kFields{required<&Connlimit::count>("count"),
                                      optional<&Connlimit::over>("over")};
};

template <>
struct Described<Quota> {
  static constexpr std::string_view kType = "quota";
  static constexpr std::array kFields{required<&Quota::bytes>("bytes"),
                                      optional<&Quota::consumed>("consumed"),
                                      optional<&Quota::over>("over")};
};

template <>
struct Described<Last> {
  static constexpr std::string_view kType = "last";
  static constexpr std::array kFields{optional<&Last::ms_ago>("ms_ago"),
                                      optional<&Last::set>("set")};
};

template <>
struct Described<Dynset> {
  static constexpr std::string_view kType = "dynset";
  static constexpr std::array kFields{required<&Dynset::op>("op"),
                                      required<&Dynset::set>("set"),
                                      required<&Dynset::key>("key"),
                                      optional<&Dynset::data>("data"),
                                      optional<&Dynset::timeout_ms>("timeout_ms"),
                                      optional<&Dynset::inverted>("inverted"),
                                      optional<&Dynset::exprs>("exprs")};
};

template <>
struct Described<ImmediateVerdict> {
  static constexpr std::string_view kType = "verdict";
  static constexpr std::array kFields{required<&ImmediateVerdict::verdict>("verdict")};
};

template <>
struct Described<MetaSet> {
  static constexpr std::string_view kType = "meta-set";
  static constexpr std::array kFields{required<&MetaSet::key>("key"),
                                      required<&MetaSet::source>("from")};
};

template <>
struct Described<CtSet> {
  static constexpr std::string_view kType = "ct-set";
  static constexpr std::array kFields{required<&CtSet::key>("key"),
                                      optional<&CtSet::direction>("direction"),
                                      required<&CtSet::source>("from")};
};

template <>
struct Described<Log> {
  static constexpr std::string_view kType = "log";
  static constexpr std::array kFields{
      optional<&Log::prefix>("prefix"),   optional<&Log::group>("group"),
      required<&Log::level>("level"),     optional<&Log::flags>("flags"),
      optional<&Log::snaplen>("snaplen"), optional<&Log::queue_threshold>("queue_threshold")};
};

template <>
struct Described<Reject> {
  static constexpr std::string_view kType = "reject";
  static constexpr std::array kFields{required<&Reject::type>("with"),
                                      required<&Reject::code>("code")};
};

template <>
struct Described<Notrack> {
  static constexpr std::string_view kType = "notrack";
  static constexpr std::array<Field, 0> kFields{};
};

template <>
struct Described<XtMatch> {
  static constexpr std::string_view kType = "match";
  static constexpr std::array kFields{required<&XtMatch::name>("name"),
                                      required<&XtMatch::revision>("revision"),
                                      required<&XtMatch::info>("info")};
};

template <>
struct Described<XtTarget> {
  static constexpr std::string_view kType = "target";
  static constexpr std::array kFields{required<&XtTarget::name>("name"),
                                      required<&XtTarget::revision>("revision"),
                                      required<&XtTarget::info>("info")};
};

template <>
struct Described<Unsupported> {
  static constexpr std::string_view kType = "unsupported";
  static constexpr std::array kFields{required<&Unsupported::name>("name"),
                                      required<&Unsupported::reason>("reason")};
};

template <>
struct Described<Exthdr> {
  static constexpr std::string_view kType = "exthdr";
  static constexpr std::array kFields{
      required<&Exthdr::kind>("kind"),       required<&Exthdr::type>("header"),
      required<&Exthdr::offset>("offset"),   required<&Exthdr::length>("length"),
      optional<&Exthdr::present>("present"), required<&Exthdr::destination>("to")};
};

template <>
struct Described<Fib> {
  static constexpr std::string_view kType = "fib";
  static constexpr std::array kFields{required<&Fib::result>("result"),
                                      required<&Fib::flags>("flags"),
                                      required<&Fib::destination>("to")};
};

template <>
struct Described<Rt> {
  static constexpr std::string_view kType = "rt";
  static constexpr std::array kFields{required<&Rt::key>("key"), required<&Rt::destination>("to")};
};

template <>
struct Described<Socket> {
  static constexpr std::string_view kType = "socket";
  static constexpr std::array kFields{required<&Socket::key>("key"),
                                      optional<&Socket::level>("level"),
                                      required<&Socket::destination>("to")};
};

template <>
struct Described<Osf> {
  static constexpr std::string_view kType = "osf";
  static constexpr std::array kFields{optional<&Osf::ttl>("ttl"), optional<&Osf::flags>("flags"),
                                      required<&Osf::destination>("to")};
};

template <>
struct Described<Numgen> {
  static constexpr std::string_view kType = "numgen";
  static constexpr std::array kFields{
      required<&Numgen::kind>("kind"), required<&Numgen::modulus>("modulus"),
      optional<&Numgen::offset>("offset"), required<&Numgen::destination>("to")};
};

template <>
struct Described<JenkinsHash> {
  static constexpr std::string_view kType = "jhash";
  static constexpr std::array kFields{
      required<&JenkinsHash::source>("from"),     required<&JenkinsHash::length>("length"),
      required<&JenkinsHash::modulus>("modulus"), optional<&JenkinsHash::seed>("seed"),
      optional<&JenkinsHash::offset>("offset"),   required<&JenkinsHash::destination>("to")};
};

template <>
struct Described<SymmetricHash> {
  static constexpr std::string_view kType = "symhash";
  static constexpr std::array kFields{required<&SymmetricHash::modulus>("modulus"),
                                      optional<&SymmetricHash::offset>("offset"),
                                      required<&SymmetricHash::destination>("to")};
};

template <>
struct Described<Tunnel> {
  static constexpr std::string_view kType = "tunnel";
  static constexpr std::array kFields{required<&Tunnel::key>("key"),
                                      optional<&Tunnel::mode>("mode"),
                                      required<&Tunnel::destination>("to")};
};

template <>
struct Described<Xfrm> {
  static constexpr std::string_view kType = "xfrm";
  static constexpr std::array kFields{
      required<&Xfrm::key>("key"), required<&Xfrm::direction>("direction"),
      optional<&Xfrm::index>("index"), required<&Xfrm::destination>("to")};
};

template <>
struct Described<BitwiseRegisters> {
  static constexpr std::string_view kType = "bitwise-registers";
  static constexpr std::array kFields{
      required<&BitwiseRegisters::op>("op"), required<&BitwiseRegisters::source>("from"),
      required<&BitwiseRegisters::other>("other"), required<&BitwiseRegisters::length>("length"),
      required<&BitwiseRegisters::destination>("to")};
};

template <>
struct Described<PayloadWrite> {
  static constexpr std::string_view kType = "payload-write";
  static constexpr std::array kFields{required<&PayloadWrite::base>("base"),
                                      required<&PayloadWrite::offset>("offset"),
                                      required<&PayloadWrite::length>("length"),
                                      required<&PayloadWrite::source>("from"),
                                      optional<&PayloadWrite::checksum>("checksum"),
                                      optional<&PayloadWrite::checksum_offset>("checksum_offset"),
                                      optional<&PayloadWrite::pseudo_header>("pseudo_header")};
};

template <>
struct Described<ExthdrWrite> {
  static constexpr std::string_view kType = "exthdr-write";
  static constexpr std::array kFields{
      required<&ExthdrWrite::kind>("kind"), required<&ExthdrWrite::type>("header"),
      required<&ExthdrWrite::offset>("offset"), required<&ExthdrWrite::length>("length"),
      required<&ExthdrWrite::source>("from")};
};

template <>
struct Described<ExthdrReset> {
  static constexpr std::string_view kType = "exthdr-reset";
  static constexpr std::array kFields{required<&ExthdrReset::kind>("kind"),
                                      required<&ExthdrReset::type>("header")};
};

template <>
struct Described<Nat> {
  static constexpr std::string_view kType = "nat";
  static constexpr std::array kFields{required<&Nat::kind>("kind"),
                                      required<&Nat::family>("family"),
                                      optional<&Nat::address_min>("address_min"),
                                      optional<&Nat::address_max>("address_max"),
                                      optional<&Nat::port_min>("port_min"),
                                      optional<&Nat::port_max>("port_max"),
                                      optional<&Nat::flags>("flags")};
};

template <>
struct Described<Masquerade> {
  static constexpr std::string_view kType = "masquerade";
  static constexpr std::array kFields{optional<&Masquerade::port_min>("port_min"),
                                      optional<&Masquerade::port_max>("port_max"),
                                      optional<&Masquerade::flags>("flags")};
};

template <>
struct Described<Redirect> {
  static constexpr std::string_view kType = "redirect";
  static constexpr std::array kFields{optional<&Redirect::port_min>("port_min"),
                                      optional<&Redirect::port_max>("port_max"),
                                      optional<&Redirect::flags>("flags")};
};

template <>
struct Described<Tproxy> {
  static constexpr std::string_view kType = "tproxy";
  static constexpr std::array kFields{optional<&Tproxy::family>("family"),
                                      optional<&Tproxy::address>("address"),
                                      optional<&Tproxy::port>("port")};
};

template <>
struct Described<Synproxy> {
  static constexpr std::string_view kType = "synproxy";
  static constexpr std::array kFields{required<&Synproxy::mss>("mss"),
                                      required<&Synproxy::window_scale>("window_scale"),
                                      required<&Synproxy::flags>("flags")};
};

template <>
struct Described<Dup> {
  static constexpr std::string_view kType = "dup";
  static constexpr std::array kFields{optional<&Dup::address>("address"),
                                      optional<&Dup::device>("device")};
};

template <>
struct Described<Fwd> {
  static constexpr std::string_view kType = "fwd";
  static constexpr std::array kFields{required<&Fwd::device>("device"),
                                      optional<&Fwd::address>("address"),
                                      optional<&Fwd::family>("family")};
};

template <>
struct Described<ObjectRef> {
  static constexpr std::string_view kType = "object";
  static constexpr std::array kFields{required<&ObjectRef::type>("object_type"),
                                      required<&ObjectRef::name>("name")};
};

template <>
struct Described<ObjectLookup> {
  static constexpr std::string_view kType = "object-lookup";
  static constexpr std::array kFields{required<&ObjectLookup::source>("from"),
                                      required<&ObjectLookup::set>("set")};
};

template <>
struct Described<CtHelper> {
  static constexpr std::string_view kType = "ct-helper";
  static constexpr std::array kFields{required<&CtHelper::helper>("helper"),
                                      optional<&CtHelper::family>("family"),
                                      required<&CtHelper::protocol>("protocol")};
};

template <>
struct Described<CtTimeoutValue> {
  static constexpr std::array kFields{required<&CtTimeoutValue::state>("state"),
                                      required<&CtTimeoutValue::seconds>("seconds")};
};

template <>
struct Described<CtTimeout> {
  static constexpr std::string_view kType = "ct-timeout";
  static constexpr std::array kFields{optional<&CtTimeout::family>("family"),
                                      required<&CtTimeout::protocol>("protocol"),
                                      required<&CtTimeout::values>("values")};
};

template <>
struct Described<CtExpectation> {
  static constexpr std::string_view kType = "ct-expectation";
  static constexpr std::array kFields{
      optional<&CtExpectation::family>("family"), required<&CtExpectation::protocol>("protocol"),
      required<&CtExpectation::port>("port"), required<&CtExpectation::timeout_ms>("timeout_ms"),
      required<&CtExpectation::size>("size")};
};

template <>
struct Described<Secmark> {
  static constexpr std::string_view kType = "secmark";
  static constexpr std::array kFields{required<&Secmark::context>("context")};
};

template <>
struct Described<Object> {
  static constexpr std::array kFields{
      required<&Object::name>("name"), optional<&Object::handle>("handle"),
      required<&Object::type>("type"), required<&Object::body>("body"),
      optional<&Object::comment>("comment")};
};

template <>
struct Described<KeyField> {
  static constexpr std::array kFields{required<&KeyField::type>("type"),
                                      required<&KeyField::size>("size")};
};

template <>
struct Described<Set> {
  static constexpr bool kLines = true;
  static constexpr std::array kFields{required<&Set::name>("name"),
                                      optional<&Set::handle>("handle"),
                                      required<&Set::kind>("kind"),
                                      required<&Set::key>("key"),
                                      optional<&Set::data>("data"),
                                      optional<&Set::object_type>("object_type"),
                                      optional<&Set::anonymous>("anonymous"),
                                      optional<&Set::constant>("constant"),
                                      optional<&Set::interval>("interval"),
                                      optional<&Set::has_timeout>("has_timeout"),
                                      optional<&Set::dynamic>("dynamic"),
                                      optional<&Set::size>("size"),
                                      optional<&Set::timeout_ms>("timeout_ms"),
                                      optional<&Set::gc_interval_ms>("gc_interval_ms"),
                                      optional<&Set::exprs>("exprs"),
                                      optional<&Set::comment>("comment"),
                                      optional<&Set::saves_memory>("saves_memory"),
                                      optional<&Set::notes>("notes"),
                                      optional<&Set::unsupported>("unsupported"),
                                      optional<&Set::elements>("elements")};
};

template <>
struct Described<Rule> {
  static constexpr bool kLines = true;
  static constexpr std::array kFields{optional<&Rule::handle>("handle"),
                                      optional<&Rule::comment>("comment"),
                                      required<&Rule::exprs>("exprs")};
};

template <>
struct Described<BaseChain> {
  static constexpr std::array kFields{
      required<&BaseChain::type>("type"), required<&BaseChain::hook>("hook"),
      required<&BaseChain::priority>("priority"), required<&BaseChain::policy>("policy"),
      optional<&BaseChain::devices>("devices")};
};

template <>
struct Described<Chain> {
  static constexpr bool kLines = true;
  static constexpr std::array kFields{
      required<&Chain::name>("name"),           optional<&Chain::handle>("handle"),
      optional<&Chain::base>("base"),           optional<&Chain::bound>("bound"),
      optional<&Chain::offloaded>("offloaded"), optional<&Chain::comment>("comment"),
      required<&Chain::rules>("rules")};
};

template <>
struct Described<Table> {
  static constexpr bool kLines = true;
  static constexpr std::array kFields{
      required<&Table::family>("family"),   required<&Table::name>("name"),
      optional<&Table::handle>("handle"),   optional<&Table::flags>("flags"),
      optional<&Table::comment>("comment"), optional<&Table::objects>("objects"),
      required<&Table::sets>("sets"),       required<&Table::chains>("chains")};
};

template <>
struct Described<Ruleset> {
  static constexpr bool kLines = true;
  static constexpr std::array kFields{required<&Ruleset::tables>("tables")};
};

template <>
struct Described<StackSettings> {
  static constexpr std::array kFields{
      optional<&StackSettings::rp_filter>("rp_filter"),
      optional<&StackSettings::accept_local>("accept_local"),
      optional<&StackSettings::route_localnet>("route_localnet"),
      optional<&StackSettings::accept_source_route>("accept_source_route"),
      optional<&StackSettings::send_redirects>("send_redirects"),
      optional<&StackSettings::forwards_ipv4>("forwards_ipv4"),
      optional<&StackSettings::forwards_broadcasts>("forwards_broadcasts"),
      optional<&StackSettings::drops_unicast_in_multicast>("drops_unicast_in_multicast"),
      optional<&StackSettings::drops_ipv6_unicast_in_multicast>("drops_ipv6_unicast_in_multicast"),
      optional<&StackSettings::forwards_ipv6>("forwards_ipv6"),
      optional<&StackSettings::ipv6>("ipv6")};
};

template <>
struct Described<Interface> {
  static constexpr std::array kFields{required<&Interface::name>("name"),
                                      required<&Interface::device>("device"),
                                      optional<&Interface::behind>("behind"),
                                      optional<&Interface::index>("index"),
                                      optional<&Interface::group>("group"),
                                      optional<&Interface::hardware_type>("hardware_type"),
                                      optional<&Interface::kind>("kind"),
                                      optional<&Interface::mac>("mac"),
                                      optional<&Interface::mtu>("mtu"),
                                      optional<&Interface::ipv6_mtu>("ipv6_mtu"),
                                      optional<&Interface::master>("master"),
                                      optional<&Interface::link>("link"),
                                      optional<&Interface::shows_ipv4>("shows_ipv4"),
                                      optional<&Interface::shows_ipv6>("shows_ipv6"),
                                      optional<&Interface::settings>("settings")};
};

template <>
struct Described<Route> {
  static constexpr std::array kFields{required<&Route::to>("to"),
                                      optional<&Route::type>("type"),
                                      optional<&Route::device>("device"),
                                      optional<&Route::gateway>("gateway"),
                                      optional<&Route::table>("table"),
                                      optional<&Route::metric>("metric"),
                                      optional<&Route::one_of_several>("one_of_several"),
                                      optional<&Route::preference>("preference"),
                                      optional<&Route::mtu>("mtu"),
                                      optional<&Route::mtu_locked>("mtu_locked")};
};

template <>
struct Described<JoinedGroup> {
  static constexpr std::array kFields{required<&JoinedGroup::device>("device"),
                                      required<&JoinedGroup::group>("group"),
                                      optional<&JoinedGroup::filtered>("filtered")};
};

template <>
struct Described<ConntrackSettings> {
  static constexpr std::array kFields{
      optional<&ConntrackSettings::tcp_loose>("tcp_loose"),
      optional<&ConntrackSettings::tcp_be_liberal>("tcp_be_liberal"),
      optional<&ConntrackSettings::tcp_ignore_invalid_rst>("tcp_ignore_invalid_rst"),
      optional<&ConntrackSettings::tcp_max_retrans>("tcp_max_retrans"),
      optional<&ConntrackSettings::checksum>("checksum"),
      optional<&ConntrackSettings::tcp_timeout_syn_sent>("tcp_timeout_syn_sent"),
      optional<&ConntrackSettings::tcp_timeout_syn_recv>("tcp_timeout_syn_recv"),
      optional<&ConntrackSettings::tcp_timeout_established>("tcp_timeout_established"),
      optional<&ConntrackSettings::tcp_timeout_fin_wait>("tcp_timeout_fin_wait"),
      optional<&ConntrackSettings::tcp_timeout_close_wait>("tcp_timeout_close_wait"),
      optional<&ConntrackSettings::tcp_timeout_last_ack>("tcp_timeout_last_ack"),
      optional<&ConntrackSettings::tcp_timeout_time_wait>("tcp_timeout_time_wait"),
      optional<&ConntrackSettings::tcp_timeout_close>("tcp_timeout_close"),
      optional<&ConntrackSettings::tcp_timeout_max_retrans>("tcp_timeout_max_retrans"),
      optional<&ConntrackSettings::tcp_timeout_unacknowledged>("tcp_timeout_unacknowledged"),
      optional<&ConntrackSettings::udp_timeout>("udp_timeout"),
      optional<&ConntrackSettings::udp_timeout_stream>("udp_timeout_stream"),
      optional<&ConntrackSettings::icmp_timeout>("icmp_timeout"),
      optional<&ConntrackSettings::icmpv6_timeout>("icmpv6_timeout"),
      optional<&ConntrackSettings::generic_timeout>("generic_timeout"),
      optional<&ConntrackSettings::max>("max")};
};

template <>
struct Described<XtTable> {
  static constexpr bool kLines = true;
  static constexpr std::array kFields{required<&XtTable::name>("name"),
                                      required<&XtTable::lines>("lines")};
};

template <>
struct Described<Ticks> {
  static constexpr std::array kFields{required<&Ticks::now>("now"),
                                      required<&Ticks::per_second>("per_second")};
};

template <>
struct Described<IpsetNumber> {
  static constexpr std::array kFields{required<&IpsetNumber::name>("name"),
                                      required<&IpsetNumber::number>("number")};
};

template <>
struct Described<Host> {
  static constexpr bool kLines = true;
  static constexpr std::array kFields{
      required<&Host::name>("name"),
      required<&Host::addresses>("addresses"),
      optional<&Host::virtual_addresses>("virtual_addresses"),
      required<&Host::interfaces>("interfaces"),
      optional<&Host::routes>("routes"),
      optional<&Host::routes_for_some>("routes_for_some"),
      optional<&Host::local_routes>("local_routes"),
      optional<&Host::has_routing_rules>("has_routing_rules"),
      optional<&Host::has_added_local_routes>("has_added_local_routes"),
      optional<&Host::forwards_ipv4>("forwards_ipv4"),
      optional<&Host::forwards_ipv6>("forwards_ipv6"),
      optional<&Host::joined_groups>("joined_groups"),
      optional<&Host::routes_groups_ipv4>("routes_groups_ipv4"),
      optional<&Host::routes_groups_ipv6>("routes_groups_ipv6"),
      optional<&Host::conntrack>("conntrack"),
      optional<&Host::has_transparent_sockets>("has_transparent_sockets"),
      optional<&Host::kernel>("kernel"),
      optional<&Host::xt_tables>("xt_tables"),
      optional<&Host::ticks>("ticks"),
      optional<&Host::ipsets>("ipsets"),
      optional<&Host::ipset_numbers>("ipset_numbers")};
};

template <>
struct Described<SourceLine> {
  static constexpr std::array kFields{
      required<&SourceLine::file>("file"), required<&SourceLine::line>("line"),
      required<&SourceLine::column>("column"), optional<&SourceLine::expires>("expires")};
};

template <>
struct Described<WrittenKey> {
  static constexpr std::array kFields{required<&WrittenKey::key>("key"),
                                      required<&WrittenKey::values>("values")};
};

template <>
struct Described<Written> {
  static constexpr std::array kFields{
      required<&Written::kind>("kind"), required<&Written::name>("name"),
      required<&Written::file>("file"), optional<&Written::line>("line"),
      required<&Written::keys>("keys")};
};

template <>
struct Described<Beside::IpsecPolicy> {
  static constexpr std::array kFields{required<&Beside::IpsecPolicy::direction>("direction"),
                                      required<&Beside::IpsecPolicy::from>("from"),
                                      required<&Beside::IpsecPolicy::to>("to")};
};

template <>
struct Described<Beside> {
  static constexpr std::array kFields{optional<&Beside::ipsec>("ipsec"),
                                      optional<&Beside::legacy_tables>("legacy_tables")};
};

template <>
struct Described<Snapshot> {
  static constexpr bool kLines = true;
  static constexpr std::array kFields{
      required<&Snapshot::host>("host"), required<&Snapshot::ruleset>("ruleset"),
      optional<&Snapshot::sources>("sources"), optional<&Snapshot::written>("written"),
      optional<&Snapshot::beside>("beside")};
};

namespace {

constexpr std::array kColumns{
    optional<&Elements::verdicts>("verdicts"),
    optional<&Elements::objects>("objects"),
    optional<&Elements::timeouts_ms>("timeouts_ms"),
    optional<&Elements::expirations_ms>("expirations_ms"),
    optional<&Elements::exprs>("exprs"),
    optional<&Elements::comments>("comments"),
};

template <class Number>
Number number_at(const void* value) {
  Number number{};
  std::memcpy(&number, value, sizeof(number));
  return number;
}

}  // namespace

std::uint64_t unsigned_number(const NumberForm& form, const void* value) {
  switch (form.size) {
    case 1:
      return number_at<std::uint8_t>(value);
    case 2:
      return number_at<std::uint16_t>(value);
    case 4:
      return number_at<std::uint32_t>(value);
    default:
      return number_at<std::uint64_t>(value);
  }
}

std::int64_t signed_number(const NumberForm& form, const void* value) {
  // Its sign is the highest bit of its size.
  const auto unused = static_cast<int>(64 - form.size * 8);
  return static_cast<std::int64_t>(unsigned_number(form, value) << unused) >> unused;
}

void put_number(const NumberForm& form, std::uint64_t number, void* value) {
  const auto put = [&]<class Number>(Number cut) { std::memcpy(value, &cut, sizeof(cut)); };
  switch (form.size) {
    case 1:
      return put(static_cast<std::uint8_t>(number));
    case 2:
      return put(static_cast<std::uint16_t>(number));
    case 4:
      return put(static_cast<std::uint32_t>(number));
    default:
      return put(number);
  }
}

const ObjectForm& snapshot_form() {
  return std::get<ObjectForm>(kForm<Snapshot>);
}

const Form& source_line_form() {
  return kForm<SourceLine>;
}

std::span<const Field> element_columns() {
  return kColumns;
}

std::string_view type_name(const Expr& expr) {
  return std::get<ChoiceForm>(kForm<Expr>).alternatives[expr.index()].type;
}

}  // namespace rolewall::print

// The interpreter's named objects: net/netfilter/nft_objref.c, and those of nft_ct.c. All rules
// that name an object share what it remembers.
#include "base/overloaded.h"
#include "base/visit.h"
#include "eval/interpreter.h"
#include "eval/program.h"

namespace rolewall::eval {
namespace {

constexpr std::uint32_t kStatusHelper = 1 << 13;

// Whether the flow's entry is one that may still be given something.
bool is_new(const Flow& flow) {
  return flow.tracking == Tracking::Entry && !flow.seen_before &&
         (flow.status & flow_status::kConfirmed) == 0;
}

}  // namespace

Interpreter::Next Interpreter::run_object(std::uint32_t object) {
  const auto cell = static_cast<CellIndex>(table_->first_object_cell + object);
  const auto passes = [](bool goes_on) { return goes_on ? Next::Expression : Next::Break; };
  return visit_closed(
      Overloaded{
          [](const ruleset::Counter&) { return Next::Expression; },
          [&](const ruleset::Quota& quota) { return passes(run_quota(quota, cell)); },
          [&](const ruleset::Limit& limit) { return run_limit(limit, cell); },
          [&](const ruleset::Connlimit& connlimit) { return run_connlimit(connlimit, cell); },
          [&](const ruleset::CtHelper& helper) { return run_ct_helper(helper); },
          [&](const ruleset::CtTimeout& timeout) { return run_ct_timeout(timeout); },
          [&](const ruleset::CtExpectation& expectation) {
            return run_ct_expectation(expectation);
          },
          // Nothing that is modelled reads the security mark.
          [](const ruleset::Secmark&) { return Next::Expression; },
          [&](const ruleset::Synproxy&) { return run_synproxy(SynproxyOf::Nft); },
          [&](const ruleset::Unsupported& unsupported) { return undecided(unsupported.reason); },
      },
      table_->table->objects[object].body);
}

Interpreter::Next Interpreter::run_object_lookup(const ruleset::ObjectLookup& lookup,
                                                 const Program::Set& set) {
  const Hit hit = find(set, at(lookup.source));
  if (hit.place == Hit::Place::CatchAll) return run_object(set.catch_all_target);
  if (hit.place != Hit::Place::Element) return Next::Break;
  return run_object(set.targets[hit.element]);
}

// nft_ct_helper_obj_eval().
Interpreter::Next Interpreter::run_ct_helper(const ruleset::CtHelper& helper) {
  Flow& flow = frame_->flow;
  const auto family =
      static_cast<std::uint16_t>(frame_->ipv6 ? ruleset::Family::Ip6 : ruleset::Family::Ip);
  const auto both = static_cast<std::uint16_t>(ruleset::Family::Inet);
  const bool fits = helper.protocol == flow.tuple.protocol &&
                    (helper.family == family || helper.family == both || helper.family == 0);
  if (!is_new(flow) || !fits || (flow.status & kStatusHelper) != 0) return Next::Expression;
  // nf_ct_helper_ext_add() alone does not set IPS_HELPER: a later object takes this one's place.
  flow.helper = helper.helper;
  flow.expects = true;
  return Next::Expression;
}

// nft_ct_timeout_obj_eval(): the first that a flow is given stays.
Interpreter::Next Interpreter::run_ct_timeout(const ruleset::CtTimeout& timeout) {
  Flow& flow = frame_->flow;
  const Dissection& headers = frame_->dissection;
  const bool fits = headers.has_protocol && timeout.protocol == headers.protocol;
  const bool has_one = flow.timeouts != nullptr || !flow.unknown_timeouts.empty();
  if (fits && is_new(flow) && !has_one) flow.timeouts = &timeout;
  return Next::Expression;
}

// nft_ct_expect_obj_eval(): the first expectation of a new flow always has room.
Interpreter::Next Interpreter::run_ct_expectation(const ruleset::CtExpectation& expectation) {
  if (!is_new(frame_->flow)) {
    const bool added =
        frame_->flow.seen_before && choose_whether("the connection has room for an expectation");
    frame_->flow.expects |= added;
    return added ? Next::Expression : Next::Break;
  }
  if (expectation.size == 0) return Next::Break;
  frame_->flow.expects = true;
  return Next::Expression;
}

}  // namespace rolewall::eval

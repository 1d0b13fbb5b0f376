// Targets of iptables: nft_target_eval_xt() of net/netfilter/nft_compat.c, where XT_CONTINUE lets
// the rule go on and every other answer is a verdict; and of each target what it does. Those that
// write into the packet are in interpreter_xt_write.cc.
#include <fmt/format.h>

#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "eval/interpreter.h"
#include "eval/nat.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;

std::uint32_t shifted(std::uint32_t mark, const r::XtConnmarkTarget& target) {
  return target.shifts_right ? mark >> target.shift : mark << target.shift;
}

}  // namespace

Interpreter::Next Interpreter::run_xt_target(const r::XtTargetMeaning& target) {
  return visit_closed(
      Overloaded{
          [](const OneOf<r::XtNotes, r::XtTee> auto&) { return Next::Expression; },
          [&](const r::XtReject&) {
            target_ = {.code = r::VerdictCode::Drop, .rejects = true};
            return Next::Verdict;
          },
          [&](const r::XtSetMark& mark) {
            if (mark.mask != 0xffffffff) {
              note_given(frame_->mark_is_set, frame_->reads.mark, "a packet mark");
            }
            frame_->mark = (frame_->mark & ~mark.mask) ^ mark.value;
            frame_->mark_is_set = true;
            return Next::Expression;
          },
          [&](const r::XtClassify& classify) {
            frame_->priority = classify.priority;
            frame_->priority_is_set = true;
            return Next::Expression;
          },
          [&](const r::XtSynproxyTarget&) {
            const bool tcp = frame_->dissection.has_protocol &&
                             frame_->dissection.protocol == net::protocol::kTcp;
            return tcp ? run_synproxy(SynproxyOf::Iptables) : xt_drops();
          },
          [&](const OneOf<r::XtConnmarkTarget, r::XtNat, r::XtCt, r::XtSetMss, r::XtStripOptions,
                          r::XtSetTos, r::XtSetTtl, r::XtSetEcn, r::XtTproxyTarget, r::XtSetTarget,
                          r::XtQueue> auto& t) { return run_xt_target(t); },
      },
      target);
}

// connmark_tg_shift()
Interpreter::Next Interpreter::run_xt_target(const r::XtConnmarkTarget& target) {
  using Does = r::XtConnmarkTarget::Does;
  Flow& flow = frame_->flow;
  if (flow.tracking != Tracking::Entry) {
    const bool clears =
        target.does == Does::Restores && flow.has_template && flow.tracking == Tracking::None;
    if (clears) frame_->mark &= ~target.packet_mask;
    return Next::Expression;
  }
  if (flow.seen_before && target.does != Does::Sets) {
    return target.does == Does::Saves ? Next::Expression
                                      : undecided("the mark of a connection, which is not known");
  }
  switch (target.does) {
    case Does::Sets:
      flow.mark = shifted((flow.mark & ~target.connection_mask) ^ target.value, target);
      break;
    case Does::Saves:
      note_given(frame_->mark_is_set, frame_->reads.mark, "a packet mark");
      flow.mark = (flow.mark & ~target.connection_mask) ^
                  shifted(frame_->mark & target.packet_mask, target);
      break;
    case Does::Restores:
      frame_->mark = (frame_->mark & ~target.packet_mask) ^
                     shifted(flow.mark & target.connection_mask, target);
      frame_->mark_is_set = true;
      break;
  }
  return Next::Expression;
}

Interpreter::Next Interpreter::run_xt_target(const r::XtNat& target) {
  using Kind = r::XtNat::Kind;
  if ((target.flags & kNatPortOffset) != 0) {
    return undecided("a translation of ports by their distance from a base");
  }
  const NatRange range{.flags = target.flags,
                       .first = target.first,
                       .last = target.last,
                       .first_port = target.first_port,
                       .last_port = target.last_port};
  switch (target.kind) {
    case Kind::Source:
      return take_nat(translate_to(range, r::NatKind::Source, *frame_));
    case Kind::Destination:
      return take_nat(translate_to(range, r::NatKind::Destination, *frame_));
    case Kind::Masquerade:
      return take_nat(masquerade_with(range, *frame_));
    case Kind::Redirect:
      return take_nat(redirect_with(range, *frame_));
    case Kind::Netmap:
      return take_nat(map_prefix(range, kind_at(frame_->hook), *frame_));
  }
  return Next::Undecided;
}

// xt_ct_target()
Interpreter::Next Interpreter::run_xt_target(const r::XtCt& target) {
  Flow& flow = frame_->flow;
  if (flow.tracking != Tracking::None || flow.has_template) return Next::Expression;
  if (target.untracks) {
    flow.tracking = Tracking::Untracked;
    return Next::Expression;
  }
  if (target.zone_of_mark) return undecided("a conntrack zone by the packet's mark");
  if (target.zone_of_direction) return undecided("a zone for one direction of the connection");
  flow.zone = target.zone;
  flow.has_template = true;
  flow.unknown_timeouts = target.timeout;
  if (!target.helper.empty()) {
    flow.helper = target.helper;
    flow.expects = true;
  }
  return Next::Expression;
}

// tproxy_tg4(), tproxy_tg6_v1(): to a transparent socket, with a mark; else it is dropped.
Interpreter::Next Interpreter::run_xt_target(const r::XtTproxyTarget& target) {
  constexpr std::size_t kPorts = 8;
  const Dissection& dissection = frame_->dissection;
  if (!dissection.has_protocol || !readable(frame_->bytes, dissection.transport, kPorts)) {
    return xt_drops();
  }
  if (has_no_transparent_socket()) return xt_drops();
  if (!choose_whether("a transparent socket takes it")) return xt_drops();
  frame_->has_socket = true;
  frame_->mark = (frame_->mark & ~target.mark_mask) ^ target.mark_value;
  frame_->mark_is_set = true;
  target_ = {.code = r::VerdictCode::Accept};
  return Next::Verdict;
}

Interpreter::Next Interpreter::run_xt_target(const r::XtQueue& target) {
  if (target.bypass &&
      !choose_whether(fmt::format("a program listens to queue {}", target.first))) {
    target_ = {.code = r::VerdictCode::Accept};
    return Next::Verdict;
  }
  target_ = {.code = r::VerdictCode::Queue};
  return Next::Verdict;
}

}  // namespace rolewall::eval

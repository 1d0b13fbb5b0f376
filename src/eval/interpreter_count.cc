// How many connections are open: net/netfilter/nft_connlimit.c and nf_conncount.c. The kernel keeps
// the tuples that it has counted in a list, and takes those whose connection is gone out of it when
// it looks: at a connection's first packets each time, later only once a tick of its clock.
#include <fmt/format.h>

#include <algorithm>

#include "eval/interpreter.h"
#include "eval/ticks.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

constexpr std::size_t kMostCollected = 64;  // CONNCOUNT_GC_MAX_COLLECT, and one more

// already_closed()
bool is_closed(const FlowEntry& entry) {
  return entry.original.protocol == net::protocol::kTcp &&
         (entry.tcp.state == TcpState::TimeWait || entry.tcp.state == TcpState::Close);
}

}  // namespace

// nf_conntrack_find_get(), and already_closed() of what it finds.
bool Interpreter::has_ended(const CountedFlow& counted, bool in_set) {
  const Flows* flows = frame_->flow.others;
  const FlowEntry* entry = flows == nullptr ? nullptr : flows->peek(counted.flow, counted.zone);
  const std::uint64_t margin = doubt_about_end_ns(clock_.error_ns);
  if (entry == nullptr || (entry->status & flow_status::kDying) != 0) {
    // find_or_evict(): for two ticks it may be about to come, if another processor has counted it.
    const bool just_now = clock_.now_ns != 0 && clock_.now_ns <= counted.added_ns + 3 * margin;
    return !just_now || !choose_whether("what is no connection any more is counted for two ticks");
  }
  if (entry->expires_ns + margin <= clock_.now_ns) return true;
  if (is_closed(*entry)) return true;
  // nft_rhash_gc() looks once a second: had the counted one ended by then, the next connection
  // between the same ends is none that is counted.
  const bool is_another = entry->original != counted.flow || entry->began_ns > counted.added_ns;
  if (in_set && is_another &&
      choose_whether("the set has looked between two connections of the same ends")) {
    return true;
  }
  return entry->expires_ns <= clock_.now_ns + margin &&
         choose_whether("a connection that is counted has timed out");
}

// The loop of __nf_conncount_add(), or of __nf_conncount_gc_list() where nothing is to be added:
// that spares no connection for being the packet's own. True: the packet's own is counted.
bool Interpreter::collect(ConnectionCount& count, const std::vector<bool>& ended,
                          const FlowEntry* entry, const CountedFlow& own, bool adds) {
  std::size_t collected = 0;
  std::size_t at = 0;
  bool found = false;
  std::erase_if(count.open, [&](const CountedFlow& counted) {
    const bool gone = ended[at++];
    if (found || collected > kMostCollected) return false;
    if (adds && entry != nullptr && counted.is_of(own)) {
      found = true;
      return false;
    }
    collected += gone ? 1 : 0;
    return gone;
  });
  if (!found) count.looked_ns = clock_.now_ns;
  return found;
}

// nft_connlimit_do_eval(). A kernel's tick may be as long as 10 ms, and how many lie between two
// packets depends on where they begin.
Interpreter::Next Interpreter::run_connlimit(const ruleset::Connlimit& connlimit, CellIndex cell,
                                             bool in_set) {
  const Flow& flow = frame_->flow;
  const auto answer = [&](bool over) {
    return over == connlimit.over ? Next::Expression : Next::Break;
  };
  if (flow.seen_before) {
    return answer(
        choose_whether(fmt::format("more than {} connections are open", connlimit.count)));
  }
  assume_unspent("a count of connections");
  CountedFlow own{flow.tuple, flow.zone, clock_.now_ns};
  if (flow.tracking != Tracking::Entry) {
    own.zone = 0;  // nf_ct_zone_dflt, whatever a rule has chosen for it
    if (!tuple_of(frame_->bytes, frame_->ipv6, own.flow)) {
      target_ = {.code = ruleset::VerdictCode::Drop};
      return Next::Verdict;
    }
  }
  const FlowEntry* entry = flow.entry;
  if (flow.tracking != Tracking::Entry && flow.others != nullptr) {
    entry = flow.others->peek(own.flow, own.zone);
  }
  if (entry != nullptr && (entry->status & flow_status::kDying) != 0) entry = nullptr;
  ConnectionCount& count = state_.connections(cell);
  std::vector<bool> ended;
  bool has_news = false;  // a look would take something away
  for (const CountedFlow& counted : count.open) {
    ended.push_back(has_ended(counted, in_set));
    has_news |= ended.back();
  }
  const bool is_new = flow.entry == nullptr;
  const bool assured = entry != nullptr && (entry->status & flow_status::kAssured) != 0;
  const bool listed =
      std::ranges::any_of(count.open, [&](const CountedFlow& each) { return each.is_of(own); });
  bool adds = !assured;
  if (assured && (!listed || is_closed(*entry))) {
    adds = choose_whether("a connection that was open before is counted, as by older kernels");
  }
  const bool looks_once_a_tick = is_new || assured;
  const bool same_tick =
      count.looked_ns && clock_.now_ns != 0 &&
      clock_.now_ns <= *count.looked_ns + 2 * doubt_about_end_ns(clock_.error_ns);
  // What the packet's look leaves behind, the set's own may have found before.
  const auto listed_at =
      std::ranges::find_if(count.open, [&](const CountedFlow& each) { return each.is_of(own); }) -
      count.open.begin();
  const bool stops_early = adds && entry != nullptr && listed;
  const bool leaves_some =
      (looks_once_a_tick && same_tick) ||
      (stops_early && std::find(ended.begin() + listed_at, ended.end(), true) != ended.end());
  if (in_set && has_news && leaves_some &&
      choose_whether("the set has looked for connections that have ended")) {
    std::size_t at = 0;
    std::erase_if(count.open, [&](const CountedFlow&) { return ended[at++]; });
    ended.assign(count.open.size(), false);
    has_news = false;
  }
  const bool skips = has_news && looks_once_a_tick && same_tick &&
                     choose_whether("connections that have ended just now are still counted");
  const bool counted = !skips && collect(count, ended, entry, own, adds);
  if (adds && !counted) count.open.push_back(own);
  return answer(count.open.size() > connlimit.count);
}

}  // namespace rolewall::eval

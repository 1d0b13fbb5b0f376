#include "eval/state.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/time.h"
#include "ruleset/stateful.h"

namespace rolewall::eval {
namespace {

// In tokens: what a packet costs, and what an unused limit holds.
struct Price {
  std::int64_t cost = 0;
  std::int64_t full = 0;
};

// nft_limit_init(), nft_limit_pkts_init() and nft_limit_bytes_eval().
Price price(const ruleset::Limit& limit, std::uint32_t packet_size) {
  constexpr std::uint64_t kDefaultPacketBurst = 5;
  const std::uint64_t period = limit.per_seconds * kNsPerSecond;
  std::uint64_t cost = 0;
  std::uint64_t full = 0;
  if (limit.unit == ruleset::LimitUnit::Packets) {
    cost = period / limit.rate;
    full = cost * (limit.burst == 0 ? kDefaultPacketBurst : limit.burst);
  } else {
    cost = period * packet_size / limit.rate;
    full = period * (limit.rate + limit.burst) / limit.rate;
  }
  return {static_cast<std::int64_t>(cost), static_cast<std::int64_t>(full)};
}

DynamicElement deleted_element() {
  DynamicElement element;
  element.deleted = true;
  return element;
}

}  // namespace

CellIndex State::reserve(std::size_t count) {
  CHECK(cells_.size() == reserved_, "cells are reserved before the first packet");
  const std::size_t first = cells_.size();
  CHECK(first + count < UINT32_MAX, "cells are numbered in 32 bits");
  cells_.resize(first + count);
  reserved_ = cells_.size();
  return static_cast<CellIndex>(first);
}

void State::forget() {
  ++epoch_;
  cells_.resize(reserved_);
  if (!dynamic_.empty()) dynamic_.clear();
  if (!connections_.empty()) connections_.clear();
  begin_packet();
  doubtful_cells_.clear();
  doubtful_elements_.clear();
  doubtful_in_.clear();
  free_cells_.clear();
  keyed_cells_.clear();
  began_ns_.reset();
  doubted_ = 0;
}

// nft_limit_eval(): as many tokens come as nanoseconds pass, up to the burst's.
std::optional<bool> State::is_within_limit(const ruleset::Limit& limit, CellIndex cell_index,
                                           std::uint32_t packet_size, Clock clock) {
  const auto [cost, full] = price(limit, packet_size);
  const auto error = static_cast<std::int64_t>(clock.error_ns);
  touched_cells_.push_back(cell_index);
  Cell& cell = change(cell_index);
  if (cell.epoch != epoch_) {
    cell = {.epoch = epoch_, .left = {{full, full}, {full - error, full}}, .last_ns = clock.now_ns};
  }
  if (cell.doubted != doubted_) {
    cell.left = Tokens::any();
    cell.last_ns = clock.now_ns;
    cell.doubted = doubted_;
  }
  const auto passed =
      clock.now_ns > cell.last_ns ? static_cast<std::int64_t>(clock.now_ns - cell.last_ns) : 0;
  cell.last_ns = clock.now_ns;
  Bracket& rest = cell.left.without_error;
  rest = {std::min(rest.least + passed, full - error), std::min(rest.most + passed, full)};
  Bracket& tokens = cell.left.tokens;
  tokens.least += std::max<std::int64_t>(passed - error, 0);
  tokens.least = std::min(std::max(tokens.least, rest.least), full);
  tokens.most = std::min({tokens.most + passed + error, rest.most + error, full});
  if (tokens.least >= cost) return true;
  if (tokens.most < cost) return false;
  return std::nullopt;
}

void State::spend_limit(const ruleset::Limit& limit, CellIndex cell_index,
                        std::uint32_t packet_size, Clock clock, bool within) {
  const std::int64_t cost = price(limit, packet_size).cost;
  const auto error = static_cast<std::int64_t>(clock.error_ns);
  Cell& cell = change(cell_index);
  auto& [tokens, rest] = cell.left;
  if (!within) {
    tokens.most = std::min(tokens.most, cost - 1);
    rest.most = std::min(rest.most, cost - 1);
    return;
  }
  tokens = {std::max(tokens.least, cost) - cost, tokens.most - cost};
  rest = {std::max(rest.least, cost - error) - cost, rest.most - cost};
}

// nft_overquota().
bool State::quota(const ruleset::Quota& quota, CellIndex cell_index, std::uint32_t packet_size) {
  touch(cell_index);
  Cell& cell = change(cell_index);
  if (cell.epoch != epoch_) cell = {.epoch = epoch_, .amount = quota.consumed};
  cell.amount += packet_size;
  return (cell.amount > quota.bytes) == quota.over;
}

bool State::take_of_quota(CellIndex cell_index, std::uint64_t bytes, std::uint32_t packet_size) {
  touch(cell_index);
  Cell& cell = change(cell_index);
  if (cell.epoch != epoch_) cell = {.epoch = epoch_, .amount = bytes};
  const bool fits = cell.amount >= packet_size;
  cell.amount = fits ? cell.amount - packet_size : 0;
  return fits;
}

std::uint64_t& State::noted(std::string_view list, std::string_view key) {
  constexpr CellIndex kOfLists = 0xffffffff;  // no rule's
  const CellIndex index = cell_of(kOfLists, fmt::format("{}\n{}", list, key));
  touch(index);
  Cell& cell = change(index);
  if (cell.epoch != epoch_) cell = {.epoch = epoch_};
  return cell.amount;
}

CellIndex State::cell_of(CellIndex owner, std::string_view key) {
  const auto [at, is_new] = keyed_cells_.try_emplace({owner, std::string(key)}, 0);
  if (!is_new) return at->second;
  note([this, key = at->first] { keyed_cells_.erase(key); });
  return at->second = cells_for(1);
}

std::uint32_t State::next_number(CellIndex cell_index, std::uint32_t modulus,
                                 std::uint32_t before) {
  touch(cell_index);
  Cell& cell = change(cell_index);
  if (cell.epoch != epoch_) cell = {.epoch = epoch_, .amount = before};
  cell.amount = cell.amount + 1 < modulus ? cell.amount + 1 : 0;
  return static_cast<std::uint32_t>(cell.amount);
}

ConnectionCount& State::connections(CellIndex cell) {
  touch(cell);
  note_connections(cell);
  return connections_[cell];
}

const DynamicElement* State::find(std::uint32_t set, std::string_view key) {
  if (!doubtful_elements_.empty() && doubtful_elements_.contains({set, std::string(key)})) {
    met_doubt_ = true;
  }
  const auto changed = dynamic_.find(set);
  if (changed == dynamic_.end()) return nullptr;
  const auto at = changed->second.entries.find(key);
  if (at == changed->second.entries.end()) return nullptr;
  touched_elements_.emplace_back(set, key);
  return &at->second.element;
}

const DynamicElement& State::add(std::uint32_t set, std::string_view key, bool in_elements,
                                 const std::vector<ruleset::StatefulExpr>* exprs,
                                 std::uint64_t expires_ns, ruleset::Bytes data) {
  touched_elements_.emplace_back(set, key);
  DynamicSet& changed = dynamic_[set];
  note_entry(changed, key);
  Entry& entry = changed.entries[std::string(key)];
  entry.element = {.deleted = false,
                   .first_cell = cells_for(exprs->size()),
                   .exprs = exprs,
                   .expires_ns = expires_ns,
                   .data = std::move(data)};
  entry.hides_element = in_elements;
  ++changed.present;
  queue_end(changed, entry, key);
  return entry.element;
}

void State::adopt(std::uint32_t set, std::string_view key,
                  const std::vector<ruleset::StatefulExpr>* exprs, CellIndex first_cell,
                  std::uint64_t expires_ns, ruleset::Bytes data) {
  touched_elements_.emplace_back(set, key);
  DynamicSet& changed = dynamic_[set];
  note_entry(changed, key);
  Entry& entry = changed.entries[std::string(key)];
  entry.element = {.deleted = false,
                   .first_cell = first_cell,
                   .exprs = exprs,
                   .expires_ns = expires_ns,
                   .data = std::move(data)};
  entry.hides_element = true;
  ++changed.present;
  ++changed.gone;
  queue_end(changed, entry, key);
}

void State::set_end(std::uint32_t set, std::string_view key, std::uint64_t expires_ns) {
  DynamicSet& changed = dynamic_[set];
  note_entry(changed, key);
  Entry& entry = changed.entries.find(key)->second;
  entry.element.expires_ns = expires_ns;
  queue_end(changed, entry, key);
}

void State::remove(std::uint32_t set, std::string_view key, bool in_elements,
                   std::uint64_t now_ns) {
  touched_elements_.emplace_back(set, key);
  DynamicSet& changed = dynamic_[set];
  note_entry(changed, key);
  linger(changed, now_ns);
  const auto [at, is_new] = changed.entries.try_emplace(std::string(key));
  if (is_new) {
    CHECK(in_elements, "what is removed is there");
    ++changed.gone;
  } else if (!at->second.element.deleted) {
    --changed.present;
    free_cells(at->second.element);
  }
  if (!in_elements) {
    changed.entries.erase(at);
    return;
  }
  at->second = {.element = deleted_element(), .hides_element = true};
}

State::Bracket State::added(std::uint32_t set, std::uint64_t now_ns, std::uint64_t lingers_ns,
                            const std::function<Ends()>& ends_ns) {
  DynamicSet& changed = dynamic_[set];
  if (!changed.elements_end) {
    changed.elements_end = ends_ns();
    std::ranges::sort(*changed.elements_end, std::greater());
  }
  for (Ends& ends = *changed.elements_end; !ends.empty() && ends.back().first <= now_ns;) {
    // What packets did to one before has counted it.
    if (!changed.entries.contains(ends.back().second)) {
      count_gone(changed);
      linger(changed, ends.back().first);
    }
    note([&ends, last = ends.back()] { ends.push_back(last); });
    ends.pop_back();
  }
  while (!changed.ends.empty() && changed.ends.begin()->first <= now_ns) {
    const Queued what = *changed.ends.begin();
    note([&changed, what] { changed.ends.insert(what); });
    changed.ends.erase(changed.ends.begin());
    end(changed, what, now_ns);
  }
  std::deque<std::uint64_t>& lingering = changed.lingering;
  while (!lingering.empty() && lingering.front() + lingers_ns < now_ns) {
    note([&lingering, first = lingering.front()] { lingering.push_front(first); });
    lingering.pop_front();
  }
  const std::int64_t now = changed.present - changed.gone;
  return {now, now + static_cast<std::int64_t>(lingering.size())};
}

// One is in the queue by its earliest end since it was last there.
void State::queue_end(DynamicSet& set, Entry& entry, std::string_view key) {
  const std::uint64_t end = entry.element.expires_ns;
  if (end == 0 || (entry.queued_ns != 0 && entry.queued_ns <= end)) return;
  entry.queued_ns = end;
  const auto [at, is_new] = set.ends.emplace(end, key);
  if (is_new) note([&set, what = *at] { set.ends.erase(what); });
}

void State::linger(DynamicSet& set, std::uint64_t now_ns) {
  note([&set] { set.lingering.pop_back(); });
  set.lingering.push_back(now_ns);
}

void State::count_gone(DynamicSet& set) {
  note([&set] { --set.gone; });
  ++set.gone;
}

void State::end(DynamicSet& set, const Queued& what, std::uint64_t now_ns) {
  const auto& [when, key] = what;
  const auto at = set.entries.find(key);
  // Taken away since, or queued anew.
  if (at == set.entries.end() || at->second.queued_ns != when) return;
  note_entry(set, key);
  Entry& entry = at->second;
  entry.queued_ns = 0;
  if (entry.element.expires_ns > now_ns) return queue_end(set, entry, key);
  --set.present;
  linger(set, when);
  free_cells(entry.element);
  if (entry.hides_element) {
    entry = {.element = deleted_element(), .hides_element = true};
  } else {
    set.entries.erase(at);
  }
}

void State::free_cells(const DynamicElement& element) {
  const std::size_t count = element.exprs->size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto cell = static_cast<CellIndex>(element.first_cell + i);
    change(cell) = {};
    note_connections(cell);
    connections_.erase(cell);
    if (doubtful_cells_.erase(cell) != 0) note([this, cell] { doubtful_cells_.insert(cell); });
  }
  // The ruleset's own are not given to others.
  if (count != 0 && element.first_cell >= reserved_) {
    note([this, count] { free_cells_[count].pop_back(); });
    free_cells_[count].push_back(element.first_cell);
  }
}

CellIndex State::cells_for(std::size_t count) {
  if (auto& rows = free_cells_[count]; !rows.empty()) {
    const CellIndex first = rows.back();
    note([this, count, first] { free_cells_[count].push_back(first); });
    rows.pop_back();
    return first;
  }
  const auto first = static_cast<CellIndex>(cells_.size());
  note([this, first] { cells_.resize(first); });
  cells_.resize(cells_.size() + count);
  return first;
}

State::Cell& State::change(CellIndex cell) {
  if (undo_ != nullptr) undo_->note([this, cell, was = cells_[cell]] { cells_[cell] = was; });
  return cells_[cell];
}

// The numbers beside it, too.
void State::note_entry(DynamicSet& set, std::string_view key) {
  if (undo_ == nullptr) return;
  std::optional<Entry> was;
  if (const auto at = set.entries.find(key); at != set.entries.end()) was = at->second;
  undo_->note([&set, key = std::string(key), was, present = set.present, gone = set.gone] {
    set.present = present;
    set.gone = gone;
    if (was) {
      set.entries.insert_or_assign(key, *was);
    } else {
      set.entries.erase(key);
    }
  });
}

void State::note_connections(CellIndex cell) {
  if (undo_ == nullptr) return;
  const auto at = connections_.find(cell);
  if (at == connections_.end()) {
    undo_->note([this, cell] { connections_.erase(cell); });
  } else {
    undo_->note([this, cell, was = at->second] { connections_[cell] = was; });
  }
}

void State::begin_packet() {
  touched_cells_.clear();
  touched_elements_.clear();
  met_doubt_ = false;
}

void State::touch(CellIndex cell) {
  touched_cells_.push_back(cell);
  met_doubt_ |= all_is_doubtful() || doubtful_cells_.contains(cell);
}

std::map<CellIndex, State::CellNow> State::touched_cells() const {
  std::map<CellIndex, CellNow> now;
  for (const CellIndex cell : touched_cells_) {
    const auto count = connections_.find(cell);
    now[cell] = {cells_[cell], count == connections_.end() ? ConnectionCount{} : count->second};
  }
  return now;
}

std::map<State::ElementKey, std::optional<DynamicElement>> State::touched_elements() const {
  std::map<ElementKey, std::optional<DynamicElement>> now;
  for (const ElementKey& element : touched_elements_) {
    std::optional<DynamicElement>& is = now[element];
    const auto set = dynamic_.find(element.first);
    if (set == dynamic_.end()) continue;
    const auto at = set->second.entries.find(element.second);
    if (at != set->second.entries.end()) is = at->second.element;
  }
  return now;
}

void State::Tokens::include(const Tokens& other) {
  const auto widen = [](Bracket& bracket, const Bracket& by) {
    bracket = {std::min(bracket.least, by.least), std::max(bracket.most, by.most)};
  };
  widen(tokens, other.tokens);
  widen(without_error, other.without_error);
}

State::Tokens State::Tokens::any() {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 4;
  constexpr std::int64_t kMostError = 1'000'000'000;
  return {{0, kMost}, {-kMostError, kMost}};
}

void State::doubt(CellIndex cell_index, const Tokens& tokens, std::uint64_t now_ns) {
  doubtful_cells_.insert(cell_index);
  if (cell_index >= cells_.size()) return;
  Cell& cell = cells_[cell_index];
  cell.epoch = epoch_;
  cell.left = tokens;
  cell.last_ns = now_ns;
}

}  // namespace rolewall::eval

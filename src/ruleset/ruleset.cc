#include "ruleset/ruleset.h"

#include <endian.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <span>

#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/expr.h"
#include "ruleset/registers.h"

namespace rolewall::ruleset {
namespace {

template <class T>
void permute(std::vector<T>& column, const std::vector<std::size_t>& order, std::size_t width = 1) {
  if (column.empty()) return;
  std::vector<T> sorted;
  sorted.reserve(column.size());
  for (const std::size_t from : order) {
    for (std::size_t i = 0; i < width; ++i) sorted.push_back(std::move(column[from * width + i]));
  }
  column = std::move(sorted);
}

// As memcmp(), of keys: most are one word.
int compare_bytes(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  std::uint32_t x = 0;
  std::uint32_t y = 0;
  if (a.size() != sizeof x) return std::memcmp(a.data(), b.data(), a.size());
  std::memcpy(&x, a.data(), sizeof x);
  std::memcpy(&y, b.data(), sizeof y);
  x = be32toh(x);
  y = be32toh(y);
  return x < y ? -1 : x > y ? 1 : 0;
}

// State the kernel keeps in an expression is put back to how a fresh one begins.
void forget_state(StatefulExpr& expr) {
  visit_closed(Overloaded{[](Counter& counter) { counter = {}; }, [](Limit&) {}, [](Connlimit&) {},
                          [](Quota& quota) { quota.consumed = 0; }, [](Last& last) { last = {}; }},
               expr);
}

void forget_state(Expr& expr) {
  if (auto* counter = std::get_if<Counter>(&expr)) *counter = {};
  if (auto* quota = std::get_if<Quota>(&expr)) quota->consumed = 0;
  if (auto* last = std::get_if<Last>(&expr)) *last = {};
  if (auto* dynset = std::get_if<Dynset>(&expr)) {
    for (StatefulExpr& inner : dynset->exprs) forget_state(inner);
  }
}

}  // namespace

Object configuration(Object object) {
  object.handle = 0;
  if (auto* counter = std::get_if<Counter>(&object.body)) *counter = {};
  if (auto* quota = std::get_if<Quota>(&object.body)) quota->consumed = 0;
  return object;
}

Rule configuration(Rule rule) {
  rule.handle = 0;
  for (Expr& expr : rule.exprs) forget_state(expr);
  return rule;
}

StatefulExpr configuration(StatefulExpr expr) {
  forget_state(expr);
  return expr;
}

Ruleset configuration(Ruleset ruleset) {
  for (Table& table : ruleset.tables) {
    table.handle = 0;
    for (Object& object : table.objects) object = configuration(std::move(object));
    for (Set& set : table.sets) {
      set.handle = 0;
      set.elements.expirations_ms.clear();
      for (auto& exprs : set.elements.exprs) {
        for (StatefulExpr& expr : exprs) forget_state(expr);
      }
    }
    for (Chain& chain : table.chains) {
      chain.handle = 0;
      for (Rule& rule : chain.rules) rule = configuration(std::move(rule));
    }
    const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
    std::sort(table.objects.begin(), table.objects.end(), by_name);
    std::sort(table.sets.begin(), table.sets.end(), by_name);
    std::sort(table.chains.begin(), table.chains.end(), by_name);
  }
  return ruleset;
}

void Elements::sort() {
  const auto in_order = [this](std::size_t i) {
    const int keys_order = compare_bytes(key(i - 1), key(i));
    return keys_order < 0 || (keys_order == 0 && compare_bytes(key_end(i - 1), key_end(i)) <= 0);
  };
  std::size_t sorted = 1;
  while (sorted < count() && in_order(sorted)) ++sorted;
  if (sorted >= count()) return;

  std::vector<std::size_t> order(count());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto less = [this](std::size_t a, std::size_t b) {
    const int keys_order = compare_bytes(key(a), key(b));
    if (keys_order != 0) return keys_order < 0;
    return compare_bytes(key_end(a), key_end(b)) < 0;
  };
  std::sort(order.begin(), order.end(), less);
  permute(keys, order, key_size);
  permute(key_ends, order, key_size);
  permute(data, order, data_size);
  permute(verdicts, order);
  permute(objects, order);
  permute(timeouts_ms, order);
  permute(expirations_ms, order);
  permute(exprs, order);
  permute(comments, order);
}

void Elements::append(const Elements& from, std::size_t row) {
  const std::size_t rows = count();
  const auto append_bytes = [](std::vector<std::uint8_t>& to, std::span<const std::uint8_t> bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
  };
  // Of a column that has not been needed so far, the rows before hold the default.
  const auto append_cell = [&](auto& to, const auto& column) {
    if (to.empty() && column.empty()) return;
    to.resize(rows);
    if (column.empty()) {
      to.emplace_back();
    } else {
      to.push_back(column[row]);
    }
  };
  append_bytes(keys, from.key(row));
  if (!from.key_ends.empty()) append_bytes(key_ends, from.key_end(row));
  if (data_size != 0) append_bytes(data, from.value(row));
  append_cell(verdicts, from.verdicts);
  append_cell(objects, from.objects);
  append_cell(timeouts_ms, from.timeouts_ms);
  append_cell(expirations_ms, from.expirations_ms);
  append_cell(exprs, from.exprs);
  append_cell(comments, from.comments);
}

void Elements::take_catch_all(const Elements& from) {
  has_catch_all = from.has_catch_all;
  catch_all_verdict = from.catch_all_verdict;
  catch_all_data = from.catch_all_data;
  catch_all_object = from.catch_all_object;
  catch_all_comment = from.catch_all_comment;
}

std::uint32_t Set::key_size() const {
  if (key.size() == 1) return key[0].size;
  std::size_t size = 0;
  for (const KeyField& field : key) size += padded_size(field.size);
  return static_cast<std::uint32_t>(size);
}

bool is_own(const Table& table) {
  return table.family == kOwnFamily && table.name == kOwnTable;
}

const Set* find_set(const Table& table, std::string_view name) {
  const auto at = std::find_if(table.sets.begin(), table.sets.end(),
                               [&](const Set& set) { return set.name == name; });
  return at == table.sets.end() ? nullptr : &*at;
}

const Chain* find_chain(const Table& table, std::string_view name) {
  const auto at = std::find_if(table.chains.begin(), table.chains.end(),
                               [&](const Chain& chain) { return chain.name == name; });
  return at == table.chains.end() ? nullptr : &*at;
}

const Object* find_object(const Table& table, std::uint32_t type, std::string_view name) {
  const auto found = std::ranges::find_if(table.objects, [&](const Object& object) {
    return object.type == type && object.name == name;
  });
  return found == table.objects.end() ? nullptr : &*found;
}

namespace {

// What has another length is not copied to be compared.
bool have_equal_sizes(const Ruleset& a, const Ruleset& b) {
  const auto rules = [](const Table& table) {
    std::size_t count = 0;
    for (const Chain& chain : table.chains) count += chain.rules.size();
    return count;
  };
  return std::ranges::equal(a.tables, b.tables, [&](const Table& one, const Table& other) {
    return one.chains.size() == other.chains.size() && one.sets.size() == other.sets.size() &&
           rules(one) == rules(other);
  });
}

}  // namespace

bool same_configuration(const Ruleset& a, const Ruleset& b) {
  return have_equal_sizes(a, b) && configuration(a) == configuration(b);
}

}  // namespace rolewall::ruleset

template class std::vector<rolewall::ruleset::Rule>;
template class std::vector<rolewall::ruleset::Chain>;
template class std::vector<rolewall::ruleset::Set>;
template class std::vector<rolewall::ruleset::Object>;
template class std::vector<rolewall::ruleset::Table>;
template class std::vector<rolewall::ruleset::StatefulExpr>;
template class std::vector<std::vector<rolewall::ruleset::StatefulExpr>>;
template class std::vector<rolewall::ruleset::Verdict>;

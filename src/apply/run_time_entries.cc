#include "apply/run_time_entries.h"

#include <algorithm>
#include <span>
#include <utility>

#include "ruleset/own_table.h"

namespace rolewall::apply {

using namespace ruleset;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kMsPerSecond = 1000;

void append(std::vector<std::uint8_t>& to, const std::vector<std::uint8_t>& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// The prefix of an interval that is one, as all of ours are.
unsigned length_of(std::span<const std::uint8_t> first, std::span<const std::uint8_t> last) {
  unsigned length = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      if (((first[i] ^ last[i]) & 0x80U >> bit) != 0) return length;
      ++length;
    }
  }
  return length;
}

}  // namespace

bool holds_entries(const Set& set) {
  return own::holds_bans(set.name) || own::holds_openings(set.name);
}

std::string set_of(const RunTimeEntry& entry) {
  if (entry.opened) return own::allowed_set(net::is_ipv4(entry.opened->from));
  const net::Prefix& prefix = *entry.banned;
  std::string set = own::banned_set(net::is_ipv4(prefix.address));
  const bool single = prefix.length == net::address_bits(prefix.address);
  return single ? set : own::prefixes(std::move(set));
}

Elements row_of(const RunTimeEntry& entry, const Set& set) {
  Elements row;
  row.key_size = set.key_size();
  if (entry.opened) {
    const Opening& opening = *entry.opened;
    row.keys = {opening.protocol,
                0,
                0,
                0,
                static_cast<std::uint8_t>(opening.port >> 8),
                static_cast<std::uint8_t>(opening.port),
                0,
                0};
    append(row.keys, net::to_bytes(opening.from));
  } else {
    row.keys = net::to_bytes(entry.banned->address);
    if (set.interval) {
      row.key_ends = row.keys;
      for (unsigned bit = entry.banned->length; bit < net::address_bits(entry.banned->address);
           ++bit) {
        row.key_ends[bit / 8] = static_cast<std::uint8_t>(row.key_ends[bit / 8] | 0x80U >> bit % 8);
      }
    }
  }
  if (entry.left) {
    const auto ms = static_cast<std::uint64_t>(entry.left->count()) * kMsPerSecond;
    row.timeouts_ms = {ms};
  }
  if (!entry.reason.empty()) row.comments = {entry.reason};
  return row;
}

RunTimeEntry entry_of(const Set& set, std::size_t row) {
  const Elements& elements = set.elements;
  RunTimeEntry entry;
  const auto key = elements.key(row);
  if (own::holds_openings(set.name)) {
    constexpr std::size_t kAddress = 8;
    entry.opened = {.protocol = key[0],
                    .port = static_cast<std::uint16_t>(key[4] << 8 | key[5]),
                    .from = net::address_from_bytes(key.subspan(kAddress))};
  } else {
    entry.banned = {net::address_from_bytes(key), length_of(key, elements.key_end(row))};
  }
  const auto number = [&](const std::vector<std::uint64_t>& column) {
    return column.empty() ? 0 : column[row];
  };
  if (const std::uint64_t left = number(elements.expirations_ms); left != 0) {
    entry.left = seconds(static_cast<std::int64_t>((left + kMsPerSecond - 1) / kMsPerSecond));
  }
  if (!elements.comments.empty()) entry.reason = elements.comments[row];
  return entry;
}

bool overlap(const net::Prefix& one, const net::Prefix& other) {
  if (net::is_ipv4(one.address) != net::is_ipv4(other.address)) return false;
  const unsigned length = std::min(one.length, other.length);
  return net::first({one.address, length}) == net::first({other.address, length});
}

Result<std::optional<Table>> read_sets(Kernel& kernel,
                                       const std::function<bool(const Set&)>& are_asked_for) {
  const Result<std::optional<Table>> declared =
      kernel.read_table(kOwnFamily, kOwnTable, {.any = false});
  if (!declared) return std::unexpected(declared.error());
  if (!*declared) return std::nullopt;
  std::vector<std::string> others;
  for (const Set& set : (*declared)->sets) {
    if (!are_asked_for(set)) others.push_back(set.name);
  }
  return kernel.read_table(kOwnFamily, kOwnTable, {.but = std::move(others)});
}

std::vector<RunTimeEntry> entries_in(const Table& table,
                                     const std::function<bool(const Set&)>& are_asked_for) {
  std::vector<RunTimeEntry> entries;
  for (const Set& set : table.sets) {
    if (!are_asked_for(set)) continue;
    for (std::size_t row = 0; row < set.elements.count(); ++row) {
      entries.push_back(entry_of(set, row));
    }
  }
  return entries;
}

}  // namespace rolewall::apply

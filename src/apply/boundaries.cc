#include "apply/boundaries.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/visit.h"
#include "eval/wire.h"
#include "ruleset/expr.h"
#include "ruleset/own_table.h"
#include "ruleset/registers.h"

namespace rolewall::apply {
namespace {

namespace r = ruleset;

constexpr std::size_t kIpv4Size = 4;
constexpr std::size_t kIpv6Size = 16;

template <class Family>
std::optional<net::Address> beside(Family address, bool below) {
  const auto next =
      static_cast<typename Family::Number>(below ? address.value - 1 : address.value + 1);
  const bool wrapped = below ? next > address.value : next < address.value;
  return wrapped ? std::nullopt : std::optional<net::Address>(Family{next});
}

class Collector {
 public:
  explicit Collector(const net::AddressSet& within) : within_(within) {
    if (!within.ipv4.empty()) {
      ipv4_ = around<net::Ipv4>(within.ipv4.intervals());
    }
    if (!within.ipv6.empty()) {
      ipv6_ = around<net::Ipv6>(within.ipv6.intervals());
    }
  }

  void take(const r::Table& table) {
    for (const r::Set& set : table.sets) {
      if (!r::own::holds_bans(set.name)) take(set);
    }
    for (const r::Chain& chain : table.chains) {
      for (const r::Rule& rule : chain.rules) take(rule);
    }
  }

  std::vector<net::Address> found() const { return {found_.begin(), found_.end()}; }

 private:
  using Bytes = std::vector<std::uint8_t>;
  using Bounds = std::pair<Bytes, Bytes>;

  // From one below the lowest to one above the highest.
  template <class Family>
  static Bounds around(const std::vector<net::Interval<Family>>& intervals) {
    const Family low = intervals.front().first;
    const Family high = intervals.back().last;
    return {net::to_bytes(beside(low, true).value_or(low)),
            net::to_bytes(beside(high, false).value_or(high))};
  }

  bool any_within(std::size_t size) const {
    return size == kIpv4Size ? !within_.ipv4.empty() : !within_.ipv6.empty();
  }

  void add(const std::optional<net::Address>& address) {
    if (address && within_.contains(*address)) found_.insert(*address);
  }
  void add(const net::Address& first, const net::Address& last) {
    add(visit_closed([](const auto& own) { return beside(own, true); }, first));
    add(first);
    add(last);
    add(visit_closed([](const auto& own) { return beside(own, false); }, last));
  }

  // A list may hold a million: most lie far from what is asked about.
  bool is_far(std::span<const std::uint8_t> first, std::span<const std::uint8_t> last) const {
    const auto& [low, high] = first.size() == kIpv4Size ? ipv4_ : ipv6_;
    return std::memcmp(last.data(), low.data(), last.size()) < 0 ||
           std::memcmp(first.data(), high.data(), first.size()) > 0;
  }

  void take(const r::Set& set) {
    std::size_t at = 0;
    for (const r::KeyField& field : set.key) {
      const std::size_t size = field.size;
      const bool address =
          field.type == r::DataType::Ipv4Address || field.type == r::DataType::Ipv6Address;
      if (address && (size == kIpv4Size || size == kIpv6Size) && any_within(size)) {
        for (std::size_t row = 0; row < set.elements.count(); ++row) {
          const auto first = set.elements.key(row).subspan(at, size);
          const auto last = set.elements.key_end(row).subspan(at, size);
          if (!is_far(first, last))
            add(net::address_from_bytes(first), net::address_from_bytes(last));
        }
      }
      at += r::padded_size(size);
    }
  }

  // An address that is compared whole, behind a mask, or by its first bytes alone.
  void take(const r::Rule& rule) {
    std::size_t whole = 0;  // of what was loaded last, if that is (a part of) an address
    const r::BitwiseMask* mask = nullptr;
    for (const r::Expr& expr : rule.exprs) {
      if (const auto* load = std::get_if<r::Payload>(&expr)) {
        whole = size_of_address(*load);
        mask = nullptr;
      } else if (const auto* masked = std::get_if<r::BitwiseMask>(&expr)) {
        mask = masked;
      } else if (const auto* cmp = std::get_if<r::Cmp>(&expr)) {
        take(cmp->value, cmp->value, whole, mask);
      } else if (const auto* range = std::get_if<r::Range>(&expr)) {
        take(range->from, range->to, whole, nullptr);
      }
    }
  }

  static std::size_t size_of_address(const r::Payload& load) {
    if (load.base != r::PayloadBase::Network) return 0;
    const auto is_at = [&](std::size_t source, std::size_t destination) {
      return load.offset == source || load.offset == destination;
    };
    using namespace eval;
    if (is_at(ipv4::kSource, ipv4::kDestination) && load.length <= kIpv4Size) return kIpv4Size;
    if (is_at(ipv6::kSource, ipv6::kDestination) && load.length <= kIpv6Size) return kIpv6Size;
    return 0;
  }

  void take(const r::Value& from, const r::Value& to, std::size_t whole,
            const r::BitwiseMask* mask) {
    if (whole == 0) whole = from.size;  // conntrack's addresses are loaded whole
    if ((whole != kIpv4Size && whole != kIpv6Size) || from.size > whole) return;
    std::vector<std::uint8_t> first(from.begin(), from.end());
    std::vector<std::uint8_t> last(to.begin(), to.end());
    first.resize(whole, 0x00);
    last.resize(whole, 0xff);
    for (std::size_t i = 0; mask != nullptr && i < mask->mask.size && i < whole; ++i) {
      last[i] = static_cast<std::uint8_t>(last[i] | ~mask->mask.bytes[i]);
    }
    add(net::address_from_bytes(first), net::address_from_bytes(last));
  }

  const net::AddressSet& within_;
  Bounds ipv4_;
  Bounds ipv6_;
  std::set<net::Address> found_;
};

}  // namespace

std::optional<net::Address> next_to(const net::Address& address, bool below) {
  return std::visit([&](const auto& own) { return beside(own, below); }, address);
}

std::vector<net::Address> addresses_told_apart(const ruleset::Table& table,
                                               const net::AddressSet& within) {
  Collector collector(within);
  collector.take(table);
  return collector.found();
}

}  // namespace rolewall::apply

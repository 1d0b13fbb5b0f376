#include "analyze/address_values.h"

#include <utility>
#include <vector>

namespace rolewall::analyze {
namespace {

constexpr std::size_t kMostIntervals = 20'000;
constexpr std::uint64_t kMostAlike = 256;
constexpr unsigned kWords = 4;  // of an IPv6 address

class Reader {
 public:
  Reader(Diagrams& diagrams, PacketSpace& space) : d_(diagrams), space_(space) {}

  net::IntervalSet<net::Ipv4> ipv4(Diagram packets, Part part) {
    std::vector<net::Interval<net::Ipv4>> all;
    const FieldId field = space_.field(part);
    for (const auto& run : d_.runs(of(d_.both(packets, space_.is_ipv4()), field, 1), field)) {
      if (run.then != kEverything) continue;
      all.push_back({{static_cast<std::uint32_t>(run.values.first)},
                     {static_cast<std::uint32_t>(run.values.last)}});
    }
    return net::IntervalSet<net::Ipv4>::from(std::move(all));
  }

  net::IntervalSet<net::Ipv6> ipv6(Diagram packets, Part part) {
    first_ = space_.field(part);
    add(of(d_.both(packets, space_.is_ipv6()), first_, kWords), 0, 0);
    return net::IntervalSet<net::Ipv6>::from(std::move(ipv6_));
  }

  bool complete() const { return complete_; }

 private:
  Diagram of(Diagram packets, FieldId first, unsigned count) {
    return d_.quantify(packets, [&](FieldId field) {
      return field >= first && field < first + count ? Quantifier::Keep : Quantifier::Any;
    });
  }

  // What has the words `before` as its first ones.
  void add(Diagram at, unsigned word, net::Uint128 before) {
    if (at == kNothing) return;
    if (at == kEverything) return add_between(word, before, before);
    for (const auto& run : d_.runs(at, first_ + word)) {
      if (run.then == kNothing) continue;
      if (run.then == kEverything) {
        add_between(word + 1, before << kAddressField | run.values.first,
                    before << kAddressField | run.values.last);
        continue;
      }
      // Values that go on alike below, and not wholly: each by itself.
      for (std::uint64_t value = run.values.first; value <= run.values.last; ++value) {
        if (ipv6_.size() > kMostIntervals || value - run.values.first > kMostAlike) {
          complete_ = false;
          break;
        }
        add(run.then, word + 1, before << kAddressField | value);
      }
    }
  }

  // Of the first `word` words, these.
  void add_between(unsigned word, net::Uint128 first, net::Uint128 last) {
    if (word == 0) return ipv6_.push_back({{0}, {~net::Uint128{0}}});
    const unsigned below = kAddressField * (kWords - word);
    ipv6_.push_back({{first << below}, {last << below | ((net::Uint128{1} << below) - 1)}});
  }

  Diagrams& d_;
  PacketSpace& space_;
  FieldId first_ = 0;
  std::vector<net::Interval<net::Ipv6>> ipv6_;
  bool complete_ = true;
};

}  // namespace

AddressValues addresses_in(Diagrams& diagrams, PacketSpace& space, Diagram packets, bool sources) {
  Reader reader(diagrams, space);
  AddressValues values;
  values.addresses.ipv4 = reader.ipv4(packets, sources ? Part::Source4 : Part::Destination4);
  values.addresses.ipv6 = reader.ipv6(packets, sources ? Part::Source6 : Part::Destination6);
  values.complete = reader.complete();
  return values;
}

}  // namespace rolewall::analyze

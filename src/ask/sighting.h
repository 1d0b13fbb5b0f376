// Which way a captured packet went: to the host, or away from it. A capture of Ethernet frames does
// not say; addresses of the link layer do, those of IP often, and where the host forwards, what is
// behind its devices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "eval/capture.h"
#include "eval/eval.h"
#include "net/address_set.h"
#include "ruleset/host.h"

namespace rolewall::ask {

// What is known of a capture beside its packets.
struct TakenOn {
  std::string device;      // of the host; that of the packet which is asked, where `each_says`
  bool each_says = false;  // taken on every device: each packet says on which
  // Every packet arrives there, or the host sends it. Absent: as the capture says of each, else its
  // addresses.
  std::optional<eval::Direction> direction{};
  bool trust_checksums = false;  // a network card was to fill them in
  bool explain = false;          // list the rules that were tried on the hook that decides
};

enum class Seen : std::uint8_t {
  Arriving,
  Leaving,
  Either,  // as far as the capture tells
};

class Sightings {
 public:
  // Holds references, which must outlive it. `translates`: what leaves may bear other addresses
  // than what came.
  Sightings(const ruleset::Host& host, const TakenOn& taken_on, bool translates);

  // Packets in their order: what one tells of the host's link addresses, the next ones profit from.
  // Writes into the packet that it was for another machine, where its frame says so.
  Seen see(eval::CapturedPacket& captured);
  // Whether the packet that was seen last may have been for another machine: its frame was to none
  // of the link addresses that are known to be this host's, of which the capture has shown none
  // yet.
  bool may_be_for_another() const { return may_be_for_another_; }

  bool is_own(const net::Address& address) const { return own_.contains(address); }
  bool forwards(bool ipv6) const { return ipv6 ? host_.forwards_ipv6 : host_.forwards_ipv4; }

  // The devices by which packets from or to the address pass, as far as routes, and what is behind
  // the devices, tell.
  std::vector<std::string> devices_towards(const net::Address& address) const;
  // Those of the host on which the capture was not taken.
  std::vector<std::string> other_devices() const;

 private:
  using Mac = std::vector<std::uint8_t>;
  // A packet but for what a hop changes.
  struct Twin {
    std::vector<std::uint8_t> rest;
    std::uint8_t hops = 0;
  };

  struct Ends {
    Mac to;
    Mac from;
  };
  std::optional<Ends> frame_ends(const eval::Packet& packet) const;
  std::optional<Seen> by_known_mac(eval::Packet& packet);
  std::optional<Seen> by_learned_mac(const eval::Packet& packet);
  Seen by_addresses(const eval::Packet& packet);
  bool is_twin(const eval::Packet& packet);

  const ruleset::Host& host_;
  const TakenOn& taken_on_;
  const bool translates_;
  net::AddressSet own_;      // the host's own addresses
  net::AddressSet singles_;  // these without pools and what moves from host to host
  Mac known_mac_;            // of the device, by the host's description; empty: not known
  bool shows_known_mac_ = false;
  bool may_be_for_another_ = false;
  std::set<Mac> learned_macs_;
  std::deque<Twin> arrived_;
};

}  // namespace rolewall::ask

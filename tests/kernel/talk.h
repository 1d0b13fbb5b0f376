// Two ends that talk through a host: each answers what has reached it, as it looked then, so that
// translations are met on the way back. TCP is spoken rightly most of the time, and wrongly in the
// ways that a window check or a state machine could miss.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eval/route.h"
#include "generator.h"
#include "random.h"
#include "ruleset/host.h"
#include "sandbox/observation.h"
#include "segment.h"

namespace rolewall::kernel_judge {

// The addresses of the host on trial and around it: "eth0" leads outside, "eth1" to its network.
struct Neighbourhood {
  std::vector<net::Address> outer;  // its own, on eth0
  std::vector<net::Address> inner;  // its own, on the other
  std::vector<net::Address> outside;
  std::vector<net::Address> inside;
};
Neighbourhood neighbourhood(bool ipv6);

class Talk {
 public:
  // Between whom, the seed says. The host, whose routes are known, must outlive it. `one_device`:
  // it reaches all of them by eth0. `varied`: also to groups and broadcasts and from the host to
  // itself, by UDP-Lite, and with IP options and extension headers.
  Talk(std::uint64_t seed, const ruleset::Host& host, bool one_device, bool varied = false);

  // The next packet that somebody says.
  Question next();
  // Whether it came by a device that does not lead back to its sender: a capture may take it for
  // one that leaves.
  bool strayed() const { return strayed_; }
  // What became of it: where the other end is, and what it has heard.
  void learn(const sandbox::Observation& seen);

 private:
  // Where an end's packets enter, and what it knows of itself and of the other.
  struct End {
    std::string device;  // "": on the host itself
    Speaker speaks;      // what stands in its packets
    std::uint32_t sequence = 0;
    std::uint32_t heard = 0;  // the other's next sequence number
    std::uint16_t window = 0;
    std::uint8_t scale = 0;
    bool has_sack = false;
    std::vector<Bytes> said;
    std::optional<Bytes> last_heard;
  };

  End& end(bool client) { return client ? client_ : server_; }
  Question question(const End& from, Bytes bytes);
  TcpSegment segment(End& from, std::uint8_t flags, std::uint32_t data);
  void begin_another();
  void set_out(End& from);
  Bytes in_order(bool from_client);
  Bytes out_of_order(bool from_client);
  Bytes plain(bool from_client);
  Bytes error_about(const End& from);
  Bytes options_of(End& from, bool syn);
  Bytes wrap(const End& from, Bytes transport) const;

  std::string way_to(const net::Address& address) const;
  void vary_ends(const Neighbourhood& around);

  Random random_;
  eval::Routes routes_;
  bool strayed_ = false;
  bool varied_ = false;
  Bytes plain_;  // what was said last, before an option was added
  std::string inner_device_;
  bool ipv6_ = false;
  std::uint8_t protocol_ = 6;
  End client_;
  End server_;
  net::Address first_destination_;  // as asked for, whoever then answers
  std::uint16_t first_port_ = 0;
  std::string first_device_;
  unsigned step_ = 0;
  bool last_from_client_ = true;
  bool picked_up_ = false;  // TCP whose beginning nobody has seen
};

}  // namespace rolewall::kernel_judge

// Links, addresses and routes of the current network namespace, set through rtnetlink.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "net/address.h"

namespace rolewall::sandbox {

using Mac = std::array<std::uint8_t, 6>;

struct VethEnd {
  std::string name;  // at most 15 bytes
  Mac mac{};
};

struct Route {
  net::Prefix destination;
  std::string device;
  std::uint32_t metric = 0;  // of two routes to one destination the lower wins
};

// Each call is one acknowledged request; its error says what was asked and the kernel's reason.
class Rtnetlink {
 public:
  static Result<Rtnetlink> open();
  ~Rtnetlink();
  Rtnetlink(Rtnetlink&&) noexcept;
  Rtnetlink& operator=(Rtnetlink&&) noexcept;

  // Two Ethernet devices, joined by a cable, down, that resolve no neighbours (NOARP).
  Result<void> add_veth(const VethEnd& a, const VethEnd& b);
  Result<void> bring_up(const std::string& device);
  // Usable at once: IPv6's duplicate address detection is left out.
  Result<void> add_address(const std::string& device, const net::Address& address);
  Result<void> add_route(const Route& route);

 private:
  struct State;
  explicit Rtnetlink(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace rolewall::sandbox

// What carries a session of ssh that comes from this machine itself: of a program that relays it to
// sshd over the loopback or between this host's addresses (haproxy, sslh, socat, the end of a
// reverse tunnel, another ssh), of a container's; and a shell that another server than sshd serves
// (mosh, one over QUIC, a terminal in a browser, one in the window of a desktop seen by VNC or
// RDP).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "net/address.h"
#include "netlink/sockets.h"
#include "observe/ssh_service.h"
#include "observe/tunnels.h"

namespace rolewall::observe {

// To or from a container, as connection tracking knows it.
struct ForwardedFlow {
  std::uint8_t protocol = 0;
  netlink::Endpoint from;  // as its first packet arrives
  netlink::Endpoint to;
  netlink::Endpoint comes_to;  // where address translation sends it; `to` where none does
  std::string bridge{};        // between whose ports it goes; "" where it is routed
};

struct Relay {
  std::string what;  // "haproxy, which relays the session from 127.0.0.1 port 40000"
  // One of them carries the session.
  std::vector<OuterFlow> flows;
  std::vector<ForwardedFlow> forwarded;
  bool of_shell = false;  // of the one that this command runs in
  // The session comes from beyond it: something carries it there for certain.
  bool is_passed = false;
};

// Of each session that a program of this network namespace has opened, and, where the session that
// this command runs in is none of sshd's, of what serves its shell.
std::vector<Relay> relays(const SshService& ssh);

// What comes to programs of this host that speak over the loopback to these sockets, or by UDP from
// these ports of theirs: to the end of a tunnel behind sslh, haproxy, stunnel.
std::vector<OuterFlow> relayed_to(const std::set<std::uint64_t>& held,
                                  const std::set<std::uint16_t>& ports);

// Of a session that comes from a container or a virtual machine, or through one: what comes to
// `guest` from elsewhere, by a program of this host's or forwarded. Nothing may be seen of it.
Relay relay_of_guest(const net::Address& guest);

}  // namespace rolewall::observe

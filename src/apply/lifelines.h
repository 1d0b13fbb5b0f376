// What a session of ssh lives on, as conversations that must pass: the session itself, ssh from
// `management`, the loopback, neighbour discovery in each form that RFC 4861 allows, what keeps
// addresses and routes alive (router advertisements, DHCP, routing protocols, VRRP), and what
// carries the tunnel or the relay that it goes through.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apply/guard_facts.h"
#include "apply/ways.h"
#include "eval/build.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// One packet that this host receives or sends.
struct Leg {
  bool arrives = true;  // for this host; `forwarded`: for one behind it
  eval::PacketFields fields;
  std::string device;
  std::optional<std::uint32_t> state{};  // absent: what conntrack makes of it
  bool forwarded = false;
  std::string leaves{};  // by this device, whatever the routes say
};

struct Lifeline {
  std::string what;
  std::vector<Leg> legs;  // one conversation, begun with nothing known
  std::string advice{};   // what would admit its first packet, where no rule does
  // Where the first packet must come to, if it is sent to somewhere else and translated.
  std::optional<Endpoint> delivered_to{};
  // It arrives where no route leads back: then (spoofed) may deny it, which is what `behind` says.
  bool off_route = false;
  Need need = Need::Certain;
  std::string one_of{};  // of those that bear the same name one must pass, whatever each needs
  bool stands_for_all = false;  // other programs' rules are asked about it, too
  std::string kind{};           // of many that are like it a few are told of
  bool of_anybody = false;      // of an end that is not known: what fails may be another's
  // To a door at which nobody listens now: it is needed as far as it passes today, and wholly where
  // the ruleset lets somebody in there.
  bool is_shut = false;
};

inline constexpr const char* kUseTimer =
    ": use --confirm TIME, which rolls back by itself if you are cut off";

// What cannot be put into packets.
struct Unasked {
  std::string what;
  std::string how;
  bool may_be_risked = false;  // a note; else it is refused where no rollback is armed
};

struct Lifelines {
  std::vector<Lifeline> all;
  std::vector<Unasked> unasked;
};

// The first port that a side may draw (RFC 6335, 6); the kernel's vxlan draws from as low as this.
inline constexpr std::uint16_t kDrawnPort = 49152;

namespace tcp {
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kSynAck = 0x12;
inline constexpr std::uint8_t kAck = 0x10;
}  // namespace tcp

// As policies name it: "ssh", "udp/1194", "protocol/47".
std::string service_of(std::uint8_t protocol, std::uint16_t port);

// One that goes this way, which its name tells where it is not certain. It is needed no more than
// the way is.
void put(Lifelines& into, Lifeline line, const Way& way);

// The answer to a packet, by this device.
Leg turned(Leg leg, const std::string& device, std::uint8_t tcp_flags = 0);

// A network's first and last host; somebody's address where it is as good as everybody.
std::set<net::Address> ends_of(const net::Prefix& prefix);

// `tables`: ours, as it is and as it will be, whose rules tell addresses apart. `ours_decides`: no
// table changes what another is shown, and ours is read whole; then the analyser may say what it
// does with all of management.
Lifelines lifelines(const GuardFacts& facts, const std::vector<const ruleset::Table*>& tables,
                    bool ours_decides);

}  // namespace rolewall::apply

// Who reaches whom on what: each pair of ends (roles, the internet, management, the site's
// networks) and each service that some rule names, asked as tests are: out of one host and into the
// other.
//
// What is asked are samples (sample.h): a service's ports, a role's hosts, the ends of a network,
// and within it an address of each that a rule for the service names literally.
// Of hosts that are alike (alike.h) one is asked, or two where they ask each other. That what no
// rule names is open, by a rule for every service, is seen by one such port of TCP, one of UDP and
// a protocol: it is told as kEveryOtherTcpPort and so on. Which gateway lies between two hosts no
// policy says; `through` names one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ask/answer.h"
#include "ask/site.h"
#include "base/error.h"
#include "policy/policy.h"

namespace rolewall::ask {

// What no rule names, as a service: ssh is within it, where no rule is for ssh.
inline constexpr std::string_view kEveryOtherTcpPort = "every other TCP port";
inline constexpr std::string_view kEveryOtherUdpPort = "every other UDP port";
inline constexpr std::string_view kEveryOtherProtocol = "every other protocol";

// From one host, or from outside, to another: the packets of a service.
struct Passage {
  std::string from;  // a host's name, else the end's
  std::string to;
  std::size_t like_from = 0;  // further hosts for which the same holds
  std::size_t like_to = 0;
  Verdict verdict = Verdict::Accept;  // of some packet: the most open one
  std::vector<Hop> hops;              // of that packet
};

struct Reach {
  std::string from;  // as asked: "web", "internet"
  std::string to;
  std::string service;
  std::vector<Passage> open;  // those that pass, or may: every host that does
  std::size_t pairs = 0;      // that were asked; `open` has all of them, or some

  bool for_all() const { return open.size() == pairs; }
};

// Of a site with very many networks and services each network is not asked by itself.
struct ReachAnswer {
  std::vector<Reach> cells;           // those that are open, in the order of the ends and services
  std::vector<std::string> left_out;  // networks that were no end of their own
  // Nothing is open through the host: the services that are open to it and end at the receiver, for
  // it translates their destination.
  std::vector<std::string> translated;
};

struct ReachQuestion {
  std::string from;  // an end in words; "": each of the site's
  std::string to;
  std::string through;  // a host that passes the packets on; "": none is asked
  std::size_t most_packets = 2'000'000;
};

// The ends that are asked where none is named, in the site's order.
std::vector<std::string> reach_ends(const policy::Policy& policy);

// Fails where the words name nothing, or where too many packets would have to be asked even without
// the networks that nobody named.
Result<ReachAnswer> reach(const policy::Policy& policy, policy::Date date, Site& site,
                          const ReachQuestion& question);

}  // namespace rolewall::ask

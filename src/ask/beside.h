// What decides about a live machine's packets beside the rules that a question is put to: IPsec's
// policies (ip-xfrm(8)), and tables of iptables-legacy, whose rules cannot be read.
#pragma once

#include <string>
#include <vector>

#include "ask/answer.h"
#include "eval/packet.h"
#include "net/address.h"
#include "ruleset/host.h"

namespace rolewall::ask {

struct Beside {
  // Which may block or wrap what goes between these ends.
  struct IpsecPolicy {
    std::string direction;  // "in", "out", "fwd"
    net::Prefix from;
    net::Prefix to;
  };
  std::vector<IpsecPolicy> ipsec;
  std::vector<std::string> legacy_tables;  // "ip filter (3 rules)"

  bool is_empty() const { return ipsec.empty() && legacy_tables.empty(); }
};

// "no table of iptables-legacy drops or translates it (ip filter (3 rules)); their rules cannot be
// read"; those of the packet's family alone.
std::vector<std::string> assumed_of(const Beside& beside, const eval::Packet& packet);

// The last hop of a packet that the rules accept is conditional where a policy of IPsec may be for
// it. `packet`: as it came; `after`: as it left, since the kernel asks by either
// (nf_nat_decode_session(), nf_xfrm_me_harder()).
void weigh(std::vector<Hop>& hops, const Beside& beside, const eval::Packet& packet,
           const eval::Packet& after);

// What carries a packet that leaves by a tunnel's device is a packet of its own; "": it does not
// leave by one.
std::string assumed_of_tunnel(const ruleset::Host& host, const std::string& device);
// The same of all packets; "": there is no tunnel.
std::string remark_on_tunnels(const ruleset::Host& host);

// The same of all packets, for whoever proves or compares: a sentence each.
std::vector<std::string> remarks_on(const Beside& beside);

}  // namespace rolewall::ask

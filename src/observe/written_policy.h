// The policy that a table was made of, as its generation records it (ruleset::Written): which rules
// there are, the packets that each is for as far as the record says, and the names of addresses.
// For whoever shows counters and log lines in the policy's words. It decides no packet's fate: that
// is eval's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "net/address_set.h"
#include "net/protocol.h"
#include "ruleset/snapshot.h"

namespace rolewall::observe {

enum class Direction : std::uint8_t { Inbound, Outbound, Forward, Nat };

std::string_view name_of(Direction direction);  // as a policy writes it
// Of a rule's full name: "web.inbound.app" is Inbound. std::nullopt for a step or anything else.
std::optional<Direction> direction_of(std::string_view rule);

// "tcp/443", "udp/68 from 67", "icmp/echo-request", "protocol/112".
struct ServicePart {
  std::uint8_t protocol = 0;
  net::PortRange ports;  // all for what has none
  std::optional<std::uint8_t> icmp_type;
  net::PortRange from_ports{};  // all where it asks for none
};

// What a service's literals stand for.
struct KnownService {
  std::vector<ServicePart> parts;
  bool all_parts_known = true;
};

struct WrittenRule {
  std::string name;
  std::string file;  // "" where the record does not say
  std::uint32_t line = 0;
  Direction direction = Direction::Inbound;
  std::string action;                 // "accept" where the rule says none
  std::vector<std::string> services;  // as written; empty: every protocol
  std::vector<ServicePart> parts;     // what they stand for
  bool all_parts_known = true;
  std::optional<net::AddressSet> from;  // absent: the record does not say
  std::optional<net::AddressSet> to;
  std::vector<std::string> from_words;  // as written; empty: any
  std::vector<std::string> to_words;
  std::vector<std::string> conditions;  // further keys that leave packets out: "in", "user"
  std::vector<WrittenKey> keys;         // all that it says

  // "https", "http, https", "any service".
  std::string service() const;
  // A [[nat]] rule that translates destinations; what it sends elsewhere it admits.
  bool translates_destination() const;
  // Whether a packet to this port from that one, or of this type, is one of the service's, whoever
  // sends it. Ports are 0 where the protocol has none; without a type any may be meant.
  bool serves(std::uint8_t protocol, std::uint16_t from_port, std::uint16_t port,
              std::optional<std::uint8_t> icmp_type = std::nullopt) const;
};

struct NamedAddresses {
  std::string name;
  net::AddressSet addresses;
  bool is_host = false;
  bool is_network = false;  // of site.toml's [networks]: addresses can be added to it
  bool is_any = false;      // a name for every address says nothing
  long double width = 0;    // how many addresses, roughly
};

class WrittenPolicy {
 public:
  WrittenPolicy() = default;
  // `hosts`: the site's, with all their addresses.
  WrittenPolicy(const ruleset::Snapshot& snapshot,
                const std::map<std::string, std::vector<net::Prefix>>& hosts);

  const std::vector<WrittenRule>& rules() const { return rules_; }
  const WrittenRule* rule(std::string_view name) const;
  // Of those that a rule's `from` and `to` name.
  bool is_network(std::string_view name) const;
  // An `id` made of the service, "tcp-8443", "tcp-8443-2", that no rule of the direction has.
  // `further`: ends of names, ".inbound.tcp-8443", that are taken, too.
  std::string free_id(Direction direction, std::string service,
                      const std::set<std::string>& further = {}) const;
  // What `self` is short for.
  bool is_self(std::string_view host) const { return host == self_; }
  // Whether `service` and `to` of its rules mean what the client wrote, whatever other programs
  // translate before (docs/policy-language.md, Forwarding and NAT).
  bool means_what_client_wrote(Direction direction) const;
  // As a term of `from` and `to` stands for; std::nullopt where the record does not say.
  std::optional<net::AddressSet> term(std::string_view text) const;
  // Where [defaults] stand; nullptr where that is not recorded.
  const ruleset::Written* defaults() const;
  // The name of the host with this address, else of the smallest network with it; "" where the
  // record names none.
  std::string name_of(const net::Address& address) const;
  // Of a host alone, else "".
  std::string host_name(const net::Address& address) const;
  // The service by name that a packet to this port is of: "https"; its literal, "tcp/8443", where
  // none or several are. One that has other ports, too, says less than the literal.
  std::string service_name(std::uint8_t protocol, std::uint16_t from_port, std::uint16_t port,
                           std::optional<std::uint8_t> icmp_type = std::nullopt) const;
  // A name that no rule of the record uses.
  void add_service(const std::string& name, const std::vector<std::string>& literals);

 private:
  void add_names(const ruleset::Snapshot& snapshot);
  void add_name(const std::string& name, net::AddressSet addresses, std::string_view kind);
  void add_rule(const ruleset::Written& written);
  std::optional<net::AddressSet> addresses_of(const std::vector<std::string>& terms) const;

  std::string self_;
  std::vector<WrittenRule> rules_;
  std::vector<NamedAddresses> named_;
  using Services = std::map<std::string, KnownService, std::less<>>;
  Services services_;  // that rules of the record use
  Services further_services_;
  std::vector<ruleset::Written> defaults_;  // one or none
};

// "tcp/443" where the protocol has ports, else "icmp/echo-request", "protocol/112".
std::string service_literal(std::uint8_t protocol, std::uint16_t port,
                            std::optional<std::uint8_t> icmp_type = std::nullopt);

}  // namespace rolewall::observe

#include "observe/kernel_settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "observe/other_chains.h"
#include "ruleset/own_table.h"

namespace rolewall::observe {
namespace {

using ruleset::Chain;
namespace own = ruleset::own;
using ruleset::Table;

bool has_step(const Table& own, std::string_view chain, std::string_view step) {
  const Chain* found = ruleset::find_chain(own, chain);
  return found != nullptr &&
         std::ranges::find(found->rules, step, &ruleset::Rule::comment) != found->rules.end();
}

class Settings {
 public:
  Settings(const Table& own, const ruleset::Host& machine, const KernelSettings& settings)
      : own_(own), machine_(machine), settings_(settings) {}

  std::vector<Finding> take() {
    forwarding();
    devices();
    conntrack();
    bridges();
    return std::move(findings_);
  }

 private:
  void say(Weight weight, Code code, std::string what, std::string hint) {
    findings_.push_back({weight, code, std::move(what), std::move(hint)});
  }

  void forwarding() {
    const bool speaks = ruleset::find_chain(own_, own::kForwardDispatch) != nullptr;
    if (speaks && !machine_.forwards_ipv4 && !machine_.forwards_ipv6) {
      say(Weight::Warning, Code::ForwardingOff,
          "the policy has forward rules, but the kernel does not forward: net.ipv4.ip_forward and "
          "net.ipv6.conf.all.forwarding are 0",
          "sysctl -w net.ipv4.ip_forward=1 (and for IPv6)");
    }
    if (!speaks && (machine_.forwards_ipv4 || machine_.forwards_ipv6)) {
      const char* which = !machine_.forwards_ipv6   ? "IPv4"
                          : !machine_.forwards_ipv4 ? "IPv6"
                                                    : "IPv4 and IPv6";
      if (accepts_by_default(own_, own::kForward)) {
        say(Weight::Warning, Code::ForwardingOn,
            fmt::format("the kernel forwards {}, and the policy's default accepts all of it",
                        which),
            "sysctl -w net.ipv4.ip_forward=0 (and for IPv6), or write [[forward]] rules and set "
            "the default "
            "to drop");
      } else {
        say(Weight::Note, Code::ForwardingOn,
            fmt::format(
                "the kernel forwards {}, but the policy has no [[forward]] rules: all of it "
                "is dropped",
                which),
            "");
      }
    }
  }

  // Where there are devices for which `is_so`; `text` names them.
  void say_of(const std::function<bool(const DeviceSettings&)>& is_so, Weight weight, Code code,
              fmt::format_string<const std::string&> text, const char* hint) {
    std::vector<std::string> names;
    for (const DeviceSettings& device : settings_.devices) {
      if (is_so(device)) names.push_back(device.device);
    }
    if (names.empty()) return;
    constexpr std::size_t kMostNamed = 8;
    const std::size_t more = names.size() > kMostNamed ? names.size() - kMostNamed : 0;
    names.resize(names.size() - more);
    const std::string devices = fmt::format("{}{}", fmt::join(names, ", "),
                                            more == 0 ? "" : fmt::format(" and {} more", more));
    say(weight, code, fmt::format(text, devices), hint);
  }

  // How `all` counts: include/linux/inetdevice.h (IN_DEV_ANDCONF, IN_DEV_ORCONF, IN_DEV_MAXCONF).
  void devices() {
    const DeviceSettings& all = settings_.all;
    say_of([&](const auto& d) { return all.accept_source_route && d.accept_source_route; },
           Weight::Warning, Code::SourceRoute,
           "senders can choose the route of their packets and of the replies on {}: "
           "accept_source_route is 1",
           "sysctl -w net.ipv4.conf.all.accept_source_route=0");
    say_of([&](const auto& d) { return all.route_localnet || d.route_localnet; }, Weight::Warning,
           Code::RouteLocalnet,
           "packets to 127.0.0.0/8 are accepted from the network on {}: if a rule admits the port, "
           "they reach programs that listen on loopback only",
           "sysctl -w net.ipv4.conf.all.route_localnet=0, and for each device (Docker and "
           "kube-proxy set it for their own ports)");
    if (machine_.forwards_ipv4) {
      say_of([&](const auto& d) { return all.accept_redirects && d.accept_redirects; },
             Weight::Note, Code::Redirects,
             "neighbours can change this router's routes with ICMP redirects on {}: "
             "accept_redirects is 1",
             "sysctl -w net.ipv4.conf.all.accept_redirects=0");
    }
    if (settings_.devices.size() > 1 && !has_step(own_, own::kInput, own::step::kSpoofed)) {
      say_of([&](const auto& d) { return std::max(all.rp_filter, d.rp_filter) == 0; }, Weight::Note,
             Code::ForgedSources,
             "forged source addresses are not dropped on {}: rp_filter is 0, and no interface in "
             "the policy has `behind`",
             "sysctl -w net.ipv4.conf.all.rp_filter=2, or `behind` in [interfaces]");
    }
  }

  void conntrack() {
    const ruleset::ConntrackSettings& conntrack = machine_.conntrack;
    constexpr std::uint64_t kFullPercent = 80;
    if (conntrack.max != 0 &&
        std::uint64_t{settings_.connections} * 100 >= conntrack.max * kFullPercent) {
      say(Weight::Warning, Code::ConntrackFull,
          fmt::format("conntrack has {} of at most {} connections: when it is full, new "
                      "ones are dropped whatever the policy says",
                      settings_.connections, conntrack.max),
          "sysctl -w net.netfilter.nf_conntrack_max=..., as far as memory allows");
    }
    if (conntrack.tcp_be_liberal) {
      say(Weight::Note, Code::TcpLiberal,
          "(invalid) does not drop TCP packets outside the window: nf_conntrack_tcp_be_liberal "
          "is 1",
          "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=0");
    }
    // nf_conntrack_proto_tcp.c, tcp_new(): a packet from the middle of a session begins an entry.
    if (conntrack.tcp_loose && accepts_by_default(own_, own::kOutput)) {
      say(Weight::Note, Code::TcpLoose,
          "a connection whose conntrack entry was deleted (by conntrack -D, for example) goes on "
          "with this host's next packet: the outbound default accepts it, and "
          "nf_conntrack_tcp_loose is 1",
          "sysctl -w net.netfilter.nf_conntrack_tcp_loose=0");
    }
  }

  void bridges() {
    const bool bridges = std::ranges::find(machine_.interfaces, "bridge",
                                           &ruleset::Interface::kind) != machine_.interfaces.end();
    if (!bridges) return;
    if (settings_.bridge_asks_ipv4.value_or(false)) {
      say(Weight::Note, Code::BridgedFrames,
          "frames between bridge ports pass rolewall's forward chain: "
          "net.bridge.bridge-nf-call-iptables is 1",
          "");
    } else {
      say(Weight::Note, Code::BridgedFrames,
          "frames between bridge ports do not pass rolewall's chains", "");
    }
  }

  const Table& own_;
  const ruleset::Host& machine_;
  const KernelSettings& settings_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> legacy_iptables(const KernelSettings& settings) {
  if (settings.legacy_tables.empty()) return {};
  return {
      {Weight::Warning, Code::LegacyIptables,
       fmt::format("iptables-legacy tables are in force ({}): rolewall cannot read their rules, "
                   "and neither `eval` nor the guard knows them; a drop there is final, too, and "
                   "a translation there is not seen",
                   fmt::join(settings.legacy_tables, ", ")),
       "`iptables-legacy-save | iptables-nft-restore` loads the same rules where rolewall sees "
       "them; then empty the old tables"}};
}

std::vector<Finding> kernel_settings(const Table& own, const ruleset::Host& machine,
                                     const KernelSettings& settings) {
  return Settings(own, machine, settings).take();
}

}  // namespace rolewall::observe

#include "observe/finding.h"

#include <algorithm>
#include <array>

namespace rolewall::observe {
namespace {

constexpr std::array kTable = {
    CodeRow{Code::PublishedPort, "published-port",
            "another table translates destinations on prerouting, as Docker does: such connections "
            "pass the forward chain"},
    CodeRow{Code::Untracked, "untracked",
            "another table turns connection tracking off for some packets: their answers are not "
            "established"},
    CodeRow{Code::SentPast, "sent-past",
            "another table sends packets directly to a device, past rolewall's chains"},
    CodeRow{Code::OffloadedFlows, "offloaded-flows",
            "another table offloads connections to a flowtable: their later packets pass no chain"},
    CodeRow{Code::LegacyIptables, "legacy-iptables",
            "there are iptables-legacy tables, which other programs cannot read"},
    CodeRow{Code::OtherMachine, "other-machine",
            "the policy's host has neither this machine's name nor any of its addresses"},
    CodeRow{Code::AbsentDevice, "absent-device",
            "rules name a device that this machine does not have; what is `behind` it is dropped "
            "wherever it arrives"},
    CodeRow{Code::NoNatHelper, "no-nat-helper",
            "a rule's `helper` needs a kernel module on a host that translates addresses, and it "
            "is not loaded"},
    CodeRow{Code::ForwardingOn, "forwarding-on",
            "the kernel forwards, but the policy has no forward rules"},
    CodeRow{Code::ForwardingOff, "forwarding-off",
            "the policy has forward rules, but the kernel does not forward"},
    CodeRow{Code::SourceRoute, "source-route",
            "senders can choose the route of their packets: `accept_source_route` is on"},
    CodeRow{Code::RouteLocalnet, "route-localnet",
            "packets to 127.0.0.0/8 are accepted from the network: `route_localnet` is on"},
    CodeRow{Code::Redirects, "redirects",
            "neighbours can change this router's routes: `accept_redirects` is on"},
    CodeRow{Code::ForgedSources, "forged-sources",
            "several devices, no `rp_filter`, and no `behind` in the policy: forged sources are "
            "not dropped"},
    CodeRow{Code::ConntrackFull, "conntrack-full",
            "80 % of the connection tracking entries, or more, are in use"},
    CodeRow{Code::TcpLiberal, "tcp-liberal",
            "`nf_conntrack_tcp_be_liberal` is on: (invalid) does not drop TCP packets outside the "
            "window"},
    CodeRow{Code::TcpLoose, "tcp-loose",
            "`nf_conntrack_tcp_loose` is on and the outbound default accepts: a connection goes on "
            "after `conntrack -D`"},
    CodeRow{
        Code::BridgedFrames, "bridged-frames",
        "there is a bridge: whether the frames between its ports pass rolewall's forward chain"},
    CodeRow{Code::ExpiredRule, "expired-rule", "a rule has expired, but is still in force"},
    CodeRow{Code::ExpiringRule, "expiring-rule", "a rule expires within 30 days"},
    CodeRow{Code::UnadmittedListener, "unadmitted-listener",
            "a program listens on a port, but no rule admits it"},
    CodeRow{Code::IdleRule, "idle-rule",
            "an inbound rule names ports, but no program listens on any of them"},
};

consteval bool is_in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].code) != i) return false;
  }
  return kTable.back().code == Code::IdleRule;
}
static_assert(is_in_order(), "each code has its row, in the order of the enum");

}  // namespace

std::span<const CodeRow> code_table() {
  return kTable;
}

std::string_view name_of(Code code) {
  return kTable[static_cast<std::size_t>(code)].word;
}

const CodeRow* find_code(std::string_view word) {
  const auto* row = std::ranges::find(kTable, word, &CodeRow::word);
  return row == kTable.end() ? nullptr : row;
}

}  // namespace rolewall::observe

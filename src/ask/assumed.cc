#include "ask/assumed.h"

#include <fmt/format.h>

#include <algorithm>

#include "eval/dissect.h"
#include "eval/route.h"
#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::ask {
namespace {

namespace protocol = net::protocol;

// Where it stands, from the network header on, and what the packet has there.
struct Open {
  std::size_t from = 0;
  std::size_t to = 0;
  std::string value;
};

void add_network(const eval::Packet& packet, std::vector<Open>& open) {
  const std::uint8_t* bytes = packet.bytes.data();
  const std::size_t size = packet.bytes.size();
  if (is_ipv6(packet)) {
    open.push_back({0, 2, fmt::format("dscp={}", (eval::be16(bytes) >> 6) & 0x3fU)});
    open.push_back({4, 6, fmt::format("length={}", size)});
    open.push_back({7, 8, fmt::format("ttl={}", bytes[7])});
    return;
  }
  open.push_back({1, 2, fmt::format("dscp={}", bytes[1] >> 2)});
  open.push_back({2, 4, fmt::format("length={}", size)});
  open.push_back({4, 6, fmt::format("an IP identification of {}", eval::be16(bytes + 4))});
  open.push_back({6, 7, fmt::format("df={}", (bytes[6] & 0x40) != 0 ? 1 : 0)});
  open.push_back({8, 9, fmt::format("ttl={}", bytes[8])});
}

void add_data(std::size_t from, const eval::Packet& packet, std::vector<Open>& open) {
  if (from < packet.bytes.size()) {
    open.push_back({from, packet.bytes.size(),
                    fmt::format("{} bytes of data, all zero", packet.bytes.size() - from)});
  }
}

void add_transport(const eval::Packet& packet, std::vector<Open>& open) {
  const bool ipv6 = is_ipv6(packet);
  const auto headers = ipv6 ? eval::dissect_ipv6(packet.bytes) : eval::dissect_ipv4(packet.bytes);
  if (!headers.has_protocol || headers.fragment_offset != 0) return;
  const std::size_t at = headers.transport;
  const auto word = [&](std::size_t offset) {
    return eval::be16(packet.bytes.data() + at + offset);
  };
  const auto has = [&](std::size_t length) { return eval::readable(packet.bytes, at, length); };
  if (headers.protocol == protocol::kTcp && has(20)) {
    open.push_back({at + 4, at + 8, "a TCP sequence number of 1"});
    open.push_back({at + 8, at + 12, "the TCP acknowledgement's usual number"});
    open.push_back(
        {at + 12, at + 13, fmt::format("a TCP header of {} bytes", word(12) >> 12 << 2)});
    open.push_back({at + 14, at + 16, fmt::format("a TCP window of {}", word(14))});
    open.push_back({at + 18, at + 20, "no urgent data"});
    add_data(at + 20, packet, open);
  } else if (headers.protocol == protocol::kUdp && has(8)) {
    open.push_back({at + 4, at + 6, fmt::format("length={}", packet.bytes.size())});
    add_data(at + 8, packet, open);
  } else if ((headers.protocol == protocol::kIcmp || headers.protocol == protocol::kIcmpv6) &&
             has(8)) {
    open.push_back({at + 1, at + 2, fmt::format("an ICMP code of {}", packet.bytes[at + 1])});
    open.push_back({at + 4, at + 6, fmt::format("an ICMP identifier of {}", word(4))});
    open.push_back({at + 6, at + 8, fmt::format("an ICMP sequence number of {}", word(6))});
  }
}

}  // namespace

std::vector<std::string> what_was_open(const eval::Packet& packet, const eval::Journey& journey) {
  const eval::Reads& reads = journey.reads;
  const bool ipv6 = is_ipv6(packet);
  std::vector<std::string> found;
  if (packet.bytes.size() < (ipv6 ? eval::ipv6::kHeaderSize : eval::ipv4::kHeaderSize))
    return found;
  std::vector<Open> open;
  add_network(packet, open);
  add_transport(packet, open);
  // A search through the whole packet asks for no field: a list of all would tell nobody anything.
  const bool reads_all = std::ranges::any_of(reads.bytes, [&](const eval::Reads::Bytes& read) {
    return read.from == 0 && read.to >= packet.bytes.size();
  });
  if (reads_all) {
    found.emplace_back("all its other bytes as usual, and zeros for data");
    open.clear();
  }
  for (const Open& field : open) {
    const bool was_read = std::ranges::any_of(reads.bytes, [&](const eval::Reads::Bytes& read) {
      return read.from < field.to && field.from < read.to;
    });
    if (was_read) found.push_back(field.value);
  }
  if (reads.length) found.push_back(fmt::format("length={}", packet.bytes.size()));
  if (reads.mark) found.push_back(fmt::format("a packet mark of {}", packet.mark));
  if (reads.priority) found.push_back(fmt::format("a packet priority of {}", packet.priority));
  if (reads.user) found.emplace_back("a sender that is no user whom a rule names");
  if (reads.group) found.emplace_back("a sender in no group that a rule names");
  if (reads.cgroup) found.emplace_back("a sender in no cgroup that a rule names");
  if (reads.options) found.emplace_back("no options or extension headers");
  if (journey.takes_group_as_joined) {
    const auto group = eval::destination_of(packet.bytes, ipv6);
    found.push_back(fmt::format("{} joined", net::format(group)));
  }
  found.insert(found.end(), journey.assumed.begin(), journey.assumed.end());
  return found;
}

void note_assumed(const std::vector<std::string>& open, const Sample& sample,
                  std::vector<std::string>& assumed) {
  for (const std::string& value : open) {
    const bool said = (sample.says_length && value.starts_with("length=")) ||
                      (sample.says_ttl && value.starts_with("ttl=")) ||
                      (sample.says_dscp && value.starts_with("dscp=")) ||
                      (sample.says_fragment && value.starts_with("df=")) ||
                      (sample.time_ns && value.starts_with("time="));
    if (!said && std::ranges::find(assumed, value) == assumed.end()) assumed.push_back(value);
  }
}

}  // namespace rolewall::ask

#include "observe/log_reader.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <vector>

#include "base/time.h"
#include "netlink/attributes.h"

namespace rolewall::observe {
namespace {

using netlink::View;

// What tells one packet from another: the headers and an ICMP error's quotation of them.
constexpr std::uint32_t kBytesOfPacket = 128;
// The kernel gathers lines in a buffer of this size and sends it when it is full, or after a tenth
// of a second: a system call for hundreds of lines.
constexpr std::uint32_t kGathered = 65536;
constexpr std::uint32_t kHundredths = 10;
constexpr std::uint32_t kLinesAtOnce = 512;
constexpr netlink::EventSocket::Room kRoomForLines{
    .datagram = std::size_t{2} * kGathered, .at_once = 16, .waiting = 32 << 20, .most_calls = 16};

class Request {
 public:
  explicit Request(std::uint16_t group) : writer_(bytes_) {
    begin_ = writer_.begin_message(netlink::nfnetlink_type(NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG),
                                   NLM_F_ACK, AF_UNSPEC, group);
  }
  netlink::Writer& writer() { return writer_; }
  View finish() {
    writer_.end_message(begin_);
    return bytes_;
  }

 private:
  std::vector<std::uint8_t> bytes_;
  netlink::Writer writer_;
  std::size_t begin_ = 0;
};

template <class Struct>
View as_bytes(const Struct& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

Result<void> bind_to(netlink::EventSocket& socket, std::uint16_t group) {
  Request bind(group);
  const nfulnl_msg_config_cmd command{.command = NFULNL_CFG_CMD_BIND};
  bind.writer().put(NFULA_CFG_CMD, as_bytes(command));
  return socket.ask(bind.finish(), "cannot read the log group");
}

Result<void> configure(netlink::EventSocket& socket, std::uint16_t group, std::uint16_t flags) {
  Request request(group);
  nfulnl_msg_config_mode mode{};
  mode.copy_range = htonl(kBytesOfPacket);
  mode.copy_mode = NFULNL_COPY_PACKET;
  request.writer().put(NFULA_CFG_MODE, as_bytes(mode));
  request.writer().be32(NFULA_CFG_NLBUFSIZ, kGathered);
  request.writer().be32(NFULA_CFG_TIMEOUT, kHundredths);
  request.writer().be32(NFULA_CFG_QTHRESH, kLinesAtOnce);
  request.writer().be16(NFULA_CFG_FLAGS, flags);
  return socket.ask(request.finish(), "cannot read the log group");
}

// Whoever may read no group, and whoever asks for one that another reads, gets the same answer
// (nfulnl_recv_config): whether a further group can be had tells them apart.
bool may_read_another(std::uint16_t group) {
  constexpr std::uint16_t kOther = 0x8000;
  auto socket = netlink::EventSocket::open({.datagram = 4096});
  return socket && bind_to(*socket, group ^ kOther);
}

// What an errno means here.
std::string why_not(std::uint16_t group, int error) {
  if (error == EPERM && may_read_another(group)) error = EBUSY;
  switch (error) {
    case EBUSY:
      return fmt::format(
          "log group {} has a reader already (rolewall-log.service, ulogd?): a "
          "group has one",
          group);
    case EPERM:
      return "reading the log takes CAP_NET_ADMIN in this network namespace: run it as root, or "
             "give the container NET_ADMIN";
    case EINVAL:
    case EOPNOTSUPP:
    case ENOENT:
      return "the kernel has no nfnetlink_log here: load it where modules can be loaded, outside "
             "of a container (modprobe nfnetlink_log)";
    default:
      return "";
  }
}

std::uint32_t be32_at(View bytes) {
  if (bytes.size() < 4) return 0;
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | bytes[3];
}

std::string_view text_in(View bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.substr(0, text.find('\0'));
}

std::uint64_t time_in(View bytes) {
  if (bytes.size() < 16) return 0;
  const std::uint64_t seconds = std::uint64_t{be32_at(bytes)} << 32 | be32_at(bytes.subspan(4));
  const std::uint64_t micro =
      std::uint64_t{be32_at(bytes.subspan(8))} << 32 | be32_at(bytes.subspan(12));
  return seconds * kNsPerSecond + micro * 1000;
}

std::uint64_t clock_now() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

std::string name_now(std::uint32_t index) {
  std::array<char, IF_NAMESIZE> name{};
  if (::if_indextoname(index, name.data()) == nullptr) return fmt::format("#{}", index);
  return name.data();
}

struct Numbered {
  LogLine line;
  std::uint32_t in_device = 0;
  std::uint32_t out_device = 0;
  std::optional<std::uint32_t> number;
};

Numbered decode_line(View attributes) {
  Numbered found;
  netlink::for_each_attribute(attributes, [&](std::uint16_t type, View payload) {
    switch (type) {
      case NFULA_PACKET_HDR:
        if (payload.size() >= 3) found.line.hook = payload[2];
        break;
      case NFULA_TIMESTAMP:
        found.line.time_ns = time_in(payload);
        break;
      case NFULA_IFINDEX_INDEV:
        found.in_device = be32_at(payload);
        break;
      case NFULA_IFINDEX_OUTDEV:
        found.out_device = be32_at(payload);
        break;
      case NFULA_PAYLOAD:
        found.line.packet = payload;
        break;
      case NFULA_PREFIX:
        found.line.prefix = text_in(payload);
        break;
      case NFULA_UID:
        found.line.user = be32_at(payload);
        break;
      case NFULA_CT:
        found.line.connection = payload;
        break;
      case NFULA_CT_INFO:
        found.line.connection_info = be32_at(payload);
        break;
      case NFULA_SEQ:
        found.number = be32_at(payload);
        break;
      default:
        break;
    }
  });
  return found;
}

}  // namespace

Result<LogReader> LogReader::open(std::uint16_t group, bool with_connections) {
  auto socket = netlink::EventSocket::open(kRoomForLines);
  if (!socket) return std::unexpected(std::move(socket).error());
  const auto explained = [&](Result<void> done) -> Result<void> {
    if (done) return done;
    const std::string why = why_not(group, done.error().os_errno);
    if (why.empty()) return done;
    return fail(ErrorKind::System, why, done.error().os_errno);
  };
  TRY(explained(bind_to(*socket, group)));
  // A kernel without CONFIG_NETFILTER_NETLINK_GLUE_CT refuses the flag; where ctnetlink is a
  // module, it is loaded meanwhile.
  constexpr int kTries = 2;
  for (int i = 0; with_connections && i < kTries; ++i) {
    if (configure(*socket, group, NFULNL_CFG_F_SEQ | NFULNL_CFG_F_CONNTRACK)) {
      return LogReader(std::move(*socket), true);
    }
  }
  TRY(explained(configure(*socket, group, NFULNL_CFG_F_SEQ)));
  return LogReader(std::move(*socket), !with_connections);
}

std::string_view LogReader::device_name(std::uint32_t index) {
  if (index == 0) return "";
  const auto [at, is_new] = device_names_.try_emplace(index);
  if (is_new) at->second = name_now(index);
  return at->second;
}

Result<void> LogReader::read(int timeout_ms, const std::function<void(const LogLine&)>& visit) {
  std::uint64_t now = 0;
  device_names_.clear();
  const auto read = socket_.read(timeout_ms, [&](const netlink::Answer& message) {
    if (message.type != netlink::nfnetlink_type(NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET)) return;
    Numbered found = decode_line(message.attributes);
    if (found.number) {
      if (next_) lost_ += *found.number - *next_;
      next_ = *found.number + 1;
    }
    ++taken_;
    found.line.in_device = device_name(found.in_device);
    found.line.out_device = device_name(found.out_device);
    // The kernel stamps none that this host sends (__build_packet_message).
    if (found.line.time_ns == 0) {
      if (now == 0) now = clock_now();
      found.line.time_ns = now;
    }
    visit(found.line);
  });
  // The numbers tell how many, with the next line.
  if (!read && read.error().kind == ErrorKind::Conflict) {
    has_overrun_ = true;
    return {};
  }
  return read;
}

}  // namespace rolewall::observe

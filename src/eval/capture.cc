#include "eval/capture.h"

#include <fmt/format.h>
#include <pcap/pcap.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "base/time.h"
#include "eval/pcapng.h"
#include "eval/wire.h"

namespace rolewall::eval {
namespace {

constexpr std::size_t kEthernetHeader = 14;
constexpr std::size_t kMacSize = 6;
constexpr std::size_t kCookedHeader = 16;   // LINKTYPE_LINUX_SLL
constexpr std::size_t kCooked2Header = 20;  // LINKTYPE_LINUX_SLL2
constexpr std::size_t kNullHeader = 4;
// Longer packets than IP can be are no packets: libpcap takes up to 256 KiB.
constexpr std::uint32_t kLongest = 262144;

struct PcapCloser {
  void operator()(pcap_t* pcap) const { ::pcap_close(pcap); }
};
struct DumperCloser {
  void operator()(pcap_dumper_t* dumper) const { ::pcap_dump_close(dumper); }
};

bool is_supported(int link_type) {
  switch (link_type) {
    case DLT_EN10MB:
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
    case DLT_LINUX_SLL:
    case DLT_LINUX_SLL2:
    case DLT_NULL:
    case DLT_LOOP:
      return true;
    default:
      return false;
  }
}

// What stands before the network header.
struct Link {
  std::size_t size = 0;
  std::uint16_t ether_type = 0;  // 0: no IP
  PacketType type = PacketType::Host;
  bool outgoing = false;
  std::uint32_t interface_index = 0;
  std::string other;
};

std::string name_of_ether_type(std::uint16_t type) {
  constexpr std::uint16_t kLeastType = 0x600;
  switch (type) {
    case 0x0806:
      return "ARP";
    case 0x8100:
    case 0x88a8:
      return "a frame with a VLAN tag, which arrives on the VLAN's device";
    case 0x8863:
    case 0x8864:
      return "PPPoE";
    case 0x88cc:
      return "LLDP";
    case 0x8847:
      return "MPLS";
    default:
      return type < kLeastType ? "IEEE 802.3" : fmt::format("EtherType 0x{:04x}", type);
  }
}

void set_ether_type(Link& link, std::uint16_t type) {
  if (type == kEtherTypeIpv4 || type == kEtherTypeIpv6) {
    link.ether_type = type;
  } else {
    link.other = name_of_ether_type(type);
  }
}

// PACKET_* of linux/if_packet.h, as the cooked headers have it.
void set_cooked_type(Link& link, unsigned type) {
  constexpr unsigned kOutgoing = 4;
  link.outgoing = type == kOutgoing;
  if (type <= 3) link.type = static_cast<PacketType>(type);
}

void set_version(Link& link, ByteSpan bytes) {
  const unsigned version = bytes.size() > link.size ? bytes[link.size] >> 4U : 0;
  if (version == 4) {
    link.ether_type = kEtherTypeIpv4;
  } else if (version == 6) {
    link.ether_type = kEtherTypeIpv6;
  } else {
    link.other = "no IP version";
  }
}

// A tag of VLAN 0 says a priority and no VLAN: the device itself takes the frame, without the tag
// (__netif_receive_skb_core() of net/core/dev.c).
constexpr std::size_t kVlanTag = 4;
bool has_priority_tag(ByteSpan bytes) {
  constexpr std::uint16_t kTagged = 0x8100;
  constexpr std::uint16_t kVlanMask = 0x0fff;
  return bytes.size() >= kEthernetHeader + 2 && be16(bytes.data() + 2 * kMacSize) == kTagged &&
         (be16(bytes.data() + kEthernetHeader) & kVlanMask) == 0;
}

Link read_link(int link_type, ByteSpan bytes) {
  Link link;
  const auto needs = [&](std::size_t size) {
    link.size = size;
    if (bytes.size() < size) link.other = "a frame with an incomplete link header";
    return bytes.size() >= size;
  };
  switch (link_type) {
    case DLT_EN10MB:
      if (!needs(kEthernetHeader)) return link;
      if (std::ranges::all_of(bytes.first(kMacSize), [](auto byte) { return byte == 0xff; })) {
        link.type = PacketType::Broadcast;
      } else if ((bytes[0] & 1) != 0) {
        link.type = PacketType::Multicast;
      }
      set_ether_type(link, be16(bytes.data() + 2 * kMacSize));
      if (has_priority_tag(bytes)) {
        if (!needs(kEthernetHeader + kVlanTag)) return link;
        link.other.clear();
        set_ether_type(link, be16(bytes.data() + kEthernetHeader + kVlanTag - 2));
      }
      return link;
    case DLT_LINUX_SLL:
      if (!needs(kCookedHeader)) return link;
      set_cooked_type(link, be16(bytes.data()));
      set_ether_type(link, be16(bytes.data() + 14));
      return link;
    case DLT_LINUX_SLL2:
      if (!needs(kCooked2Header)) return link;
      link.interface_index = be32(bytes.data() + 4);
      set_cooked_type(link, bytes[10]);
      set_ether_type(link, be16(bytes.data()));
      return link;
    case DLT_NULL:
    case DLT_LOOP:
      // An address family, in the byte order and by the numbers of whoever wrote it.
      if (!needs(kNullHeader)) return link;
      set_version(link, bytes);
      return link;
    default:
      set_version(link, bytes);
      return link;
  }
}

std::uint64_t nanoseconds(const timeval& time) {
  if (time.tv_sec < 0 || time.tv_usec < 0) return 0;
  return static_cast<std::uint64_t>(time.tv_sec) * kNsPerSecond +
         static_cast<std::uint64_t>(time.tv_usec);
}

std::uint64_t size_of(std::FILE* file) {
  struct stat status{};
  if (::fstat(::fileno(file), &status) != 0 || !S_ISREG(status.st_mode)) return 0;
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace

struct Capture::State {
  std::unique_ptr<pcap_t, PcapCloser> pcap;
  std::uint64_t size = 0;
  int link_type = 0;
  std::uint64_t number = 0;
  // The last packet, as libpcap holds it until the next.
  const pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
};

Capture::Capture(std::unique_ptr<State> state) : state_(std::move(state)) {}
Capture::~Capture() = default;
Capture::Capture(Capture&&) noexcept = default;
Capture& Capture::operator=(Capture&&) noexcept = default;

Result<Capture> Capture::open(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) {
    return fail(ErrorKind::Io, fmt::format("{}: {}", path, std::strerror(errno)), errno);
  }
  auto capture = open(file);  // NOLINT(clang-analyzer-unix.Stream): libpcap closes it
  if (capture) return capture;
  Error error = capture.error();
  error.message = fmt::format("{}: {}", path, error.message);
  return std::unexpected(error);
}

Result<Capture> Capture::open(std::FILE* file) {
  auto state = std::make_unique<State>();
  state->size = size_of(file);
  if (const std::vector<std::string> names = pcapng_interfaces(file); names.size() > 1) {
    std::fclose(file);
    return fail(
        ErrorKind::Io,
        fmt::format("it was captured on several interfaces ({}), which are not told apart here: "
                    "`tcpdump -i any` takes one capture of all, and `tshark -r FILE -Y "
                    "'frame.interface_name == \"{}\"' -F pcap -w OTHER` takes one out",
                    fmt::join(names, ", "), names.front()));
  }
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  state->pcap.reset(
      ::pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, error.data()));
  if (!state->pcap) {
    std::fclose(file);
    return fail(ErrorKind::Io, fmt::format("not a capture: {}", error.data()));
  }
  state->link_type = ::pcap_datalink(state->pcap.get());
  if (!is_supported(state->link_type)) {
    const char* name = ::pcap_datalink_val_to_name(state->link_type);
    return fail(
        ErrorKind::Io,
        fmt::format("a capture of link type {} is not supported, only Ethernet, raw IP, Linux "
                    "cooked and loopback",
                    name != nullptr ? name : std::to_string(state->link_type)));
  }
  return Capture(std::move(state));
}

Result<bool> Capture::next(CapturedPacket& captured) {
  State& state = *state_;
  pcap_pkthdr* header = nullptr;
  switch (::pcap_next_ex(state.pcap.get(), &header, &state.data)) {
    case 1:
      break;
    case PCAP_ERROR_BREAK:
      return false;
    default:
      return fail(ErrorKind::Io, fmt::format("after packet {}: {}", state.number,
                                             ::pcap_geterr(state.pcap.get())));
  }
  state.header = header;
  const ByteSpan bytes(state.data, header->caplen);
  const Link link = read_link(state.link_type, bytes);

  captured = {};
  captured.number = ++state.number;
  captured.time_ns = nanoseconds(header->ts);
  captured.outgoing = link.outgoing;
  captured.says_way = state.link_type == DLT_LINUX_SLL || state.link_type == DLT_LINUX_SLL2;
  captured.interface_index = link.interface_index;
  captured.other = link.other;
  Packet& packet = captured.packet;
  if (!captured.other.empty()) return true;
  packet.ether_type = link.ether_type;
  packet.type = link.type;
  if (state.link_type == DLT_EN10MB) {
    packet.link.assign(bytes.begin(), bytes.begin() + kEthernetHeader);
    put_be16(packet.link.data() + 2 * kMacSize, packet.ether_type);
  }
  const ByteSpan from_network = bytes.subspan(link.size);
  packet.bytes.assign(from_network.begin(), from_network.end());
  if (header->len > header->caplen && header->len <= kLongest) {
    packet.missing = header->len - header->caplen;
    packet.bytes.resize(packet.bytes.size() + packet.missing);
  }
  return true;
}

bool Capture::names_interfaces() const {
  return state_->link_type == DLT_LINUX_SLL2;
}

bool Capture::lacks_interfaces() const {
  return state_->link_type == DLT_LINUX_SLL;
}

std::uint64_t Capture::position() const {
  const long at = std::ftell(::pcap_file(state_->pcap.get()));
  return at < 0 ? 0 : static_cast<std::uint64_t>(at);
}

std::uint64_t Capture::size() const {
  return state_->size;
}

struct CaptureWriter::State {
  const Capture::State* from = nullptr;
  std::string path;
  std::unique_ptr<pcap_t, PcapCloser> like;
  std::unique_ptr<pcap_dumper_t, DumperCloser> dumper;
};

CaptureWriter::CaptureWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
CaptureWriter::~CaptureWriter() = default;
CaptureWriter::CaptureWriter(CaptureWriter&&) noexcept = default;
CaptureWriter& CaptureWriter::operator=(CaptureWriter&&) noexcept = default;

Result<CaptureWriter> CaptureWriter::create(const std::string& path, const Capture& from) {
  auto state = std::make_unique<State>();
  state->from = from.state_.get();
  state->path = path;
  state->like.reset(::pcap_open_dead_with_tstamp_precision(state->from->link_type, kLongest,
                                                           PCAP_TSTAMP_PRECISION_NANO));
  if (!state->like) return fail(ErrorKind::System, "no memory to write a capture");
  // Opened here: libpcap would take "-" for standard output.
  std::FILE* file = std::fopen(path.c_str(), "wbe");
  if (file == nullptr) {
    return fail(ErrorKind::Io, fmt::format("{}: {}", path, std::strerror(errno)), errno);
  }
  state->dumper.reset(::pcap_dump_fopen(state->like.get(), file));
  if (!state->dumper) {
    std::fclose(file);
    return fail(ErrorKind::Io, fmt::format("{}: {}", path, ::pcap_geterr(state->like.get())));
  }
  // NOLINTNEXTLINE(clang-analyzer-unix.Stream): libpcap closes it with the dumper
  return CaptureWriter(std::move(state));
}

void CaptureWriter::take() {
  if (state_->from->header == nullptr) return;
  ::pcap_dump(reinterpret_cast<u_char*>(state_->dumper.get()), state_->from->header,
              state_->from->data);
}

Result<void> CaptureWriter::finish() {
  std::FILE* file = ::pcap_dump_file(state_->dumper.get());
  if (::pcap_dump_flush(state_->dumper.get()) != 0 || std::ferror(file) != 0) {
    return fail(ErrorKind::Io, fmt::format("{}: {}", state_->path, std::strerror(errno)), errno);
  }
  return {};
}

}  // namespace rolewall::eval

#include "sandbox/request.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace rolewall::sandbox {
namespace {

constexpr std::size_t kMessageLimit = 1024 + 64;

std::unexpected<Error> failed(std::string_view what, int error) {
  return fail(ErrorKind::System, fmt::format("{}: {}", what, std::strerror(error)), error);
}

nlmsghdr* header_of(const std::vector<std::byte>& message) {
  return reinterpret_cast<nlmsghdr*>(const_cast<std::byte*>(message.data()));
}

}  // namespace

Result<Descriptor> netfilter_socket() {
  Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket.valid()) return failed("open a netlink socket", errno);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failed("bind a netlink socket", errno);
  }
  return socket;
}

Request::Request(std::uint8_t subsystem, std::uint8_t type, std::uint8_t family,
                 std::uint16_t resource)
    : message_(kMessageLimit) {
  nlmsghdr* header = mnl_nlmsg_put_header(message_.data());
  header->nlmsg_type = static_cast<std::uint16_t>(subsystem << 8 | type);
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  auto* generic = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  generic->nfgen_family = family;
  generic->version = NFNETLINK_V0;
  generic->res_id = htons(resource);
}

void Request::put(std::uint16_t type, const void* data, std::size_t size) {
  mnl_attr_put(header_of(message_), type, size, data);
}

Result<void> Request::send(int socket, std::string_view what) const {
  const nlmsghdr* header = header_of(message_);
  if (::send(socket, header, header->nlmsg_len, 0) < 0) return failed(what, errno);
  std::array<std::byte, kMessageLimit> answer{};
  while (true) {
    const ssize_t size = ::recv(socket, answer.data(), answer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed(what, errno);
    const auto* reply = reinterpret_cast<const nlmsghdr*>(answer.data());
    if (!mnl_nlmsg_ok(reply, static_cast<int>(size))) return failed(what, EBADMSG);
    if (reply->nlmsg_type != NLMSG_ERROR) continue;
    const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(reply));
    if (error->error != 0) return failed(what, -error->error);
    return {};
  }
}

}  // namespace rolewall::sandbox

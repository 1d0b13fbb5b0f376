#include "netlink/ipsets.h"

#include <fmt/format.h>
#include <libipset/linux_ip_set.h>
#include <libipset/session.h>
#include <libipset/types.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <utility>

#include "base/file.h"
#include "netlink/exchange.h"

namespace rolewall::netlink {
namespace {

constexpr std::size_t kLargest = std::size_t{256} << 20;

struct Text {
  std::string all;
  bool too_large = false;
};

// What libipset prints, in pieces of at most its own buffer.
// NOLINTNEXTLINE(cert-dcl50-cpp): the library's interface
int collect(ipset_session* /*session*/, void* to, const char* format, ...) {
  Text& text = *static_cast<Text*>(to);
  std::array<char, IPSET_OUTBUFLEN + 1> piece{};
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(piece.data(), piece.size(), format, arguments);
  va_end(arguments);
  if (length < 0 || static_cast<std::size_t>(length) >= piece.size() ||
      text.all.size() + static_cast<std::size_t>(length) > kLargest) {
    text.too_large = true;
    return -1;
  }
  text.all.append(piece.data(), static_cast<std::size_t>(length));
  return 0;
}

// Asked first: libipset words a refusal and does not say which it was. A kernel without ip_set does
// not know the subsystem (nfnetlink_rcv_msg()).
Result<bool> has_ipsets() {
  const SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed("cannot ask for ip sets", errno);
  std::vector<std::uint8_t> request;
  Writer writer(request);
  const std::size_t begin = writer.begin_message(
      nfnetlink_type(NFNL_SUBSYS_IPSET, IPSET_CMD_PROTOCOL), NLM_F_ACK, AF_UNSPEC);
  writer.put(IPSET_ATTR_PROTOCOL, std::array<std::uint8_t, 1>{IPSET_PROTOCOL});
  writer.end_message(begin);
  const int error = exchange(socket.get(), request, [](const nlmsghdr&) {});
  if (error == EINVAL || error == EOPNOTSUPP) return false;
  if (error != 0) return failed("cannot ask for ip sets", error);
  return true;
}

struct SessionCloser {
  void operator()(ipset_session* session) const { ipset_session_fini(session); }
};

}  // namespace

Result<std::vector<std::string>> read_ipsets() {
  const auto there = has_ipsets();
  if (!there) return std::unexpected(there.error());
  if (!*there) return std::vector<std::string>();
  static const bool types_are_known = (ipset_load_types(), true);
  static_cast<void>(types_are_known);
  Text text;
  const std::unique_ptr<ipset_session, SessionCloser> session(ipset_session_init(collect, &text));
  if (!session) return fail(ErrorKind::System, "ip_set: no memory");
  if (ipset_session_output(session.get(), IPSET_LIST_SAVE) != 0 ||
      ipset_cmd(session.get(), IPSET_CMD_SAVE, 0) != 0) {
    const char* said = ipset_session_report_msg(session.get());
    return fail(ErrorKind::System,
                text.too_large ? "the kernel's ip sets are too large"
                               : fmt::format("the kernel's ip sets cannot be read: {}", said));
  }
  return lines_of(text.all);
}

// ip_set_byname()
Result<std::vector<ruleset::IpsetNumber>> read_ipset_numbers(
    const std::vector<std::string>& saved) {
  constexpr std::string_view kCreate = "create ";
  std::vector<ruleset::IpsetNumber> numbers;
  const SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed("cannot ask for ip sets", errno);
  for (const std::string& line : saved) {
    if (!line.starts_with(kCreate)) continue;
    const std::string name =
        line.substr(kCreate.size(), line.find(' ', kCreate.size()) - kCreate.size());
    std::vector<std::uint8_t> request;
    Writer writer(request);
    const std::size_t begin = writer.begin_message(
        nfnetlink_type(NFNL_SUBSYS_IPSET, IPSET_CMD_GET_BYNAME), NLM_F_ACK, AF_UNSPEC);
    writer.put(IPSET_ATTR_PROTOCOL, std::array<std::uint8_t, 1>{IPSET_PROTOCOL});
    writer.text(IPSET_ATTR_SETNAME, name);
    writer.end_message(begin);
    const int error = exchange(socket.get(), request, [&](const nlmsghdr& message) {
      if (mnl_nlmsg_get_payload_len(&message) < sizeof(nfgenmsg)) return;
      const auto* begin_of = static_cast<const std::uint8_t*>(
          mnl_nlmsg_get_payload_offset(&message, sizeof(nfgenmsg)));
      const View attributes(begin_of, mnl_nlmsg_get_payload_len(&message) - sizeof(nfgenmsg));
      const View number = find_attribute(attributes, IPSET_ATTR_INDEX);
      if (number.size() != 2) return;
      numbers.push_back({name, static_cast<std::uint16_t>(number[0] << 8 | number[1])});
    });
    if (error != 0 && error != ENOENT) return failed("cannot ask for an ip set's number", error);
  }
  return numbers;
}

}  // namespace rolewall::netlink

#include "iptables_loader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "netlink/ipsets.h"
#include "sandbox/descriptor.h"

namespace rolewall::kernel_judge {
namespace {

constexpr std::array kFolders{"/usr/sbin/", "/sbin/"};

std::string program(bool ipv6) {
  const std::string name = ipv6 ? "ip6tables-nft-restore" : "iptables-nft-restore";
  for (const char* folder : kFolders) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return "";
}

// Elements that single out one another: a network within one that is excluded, one device of two,
// an address with and without a port.
constexpr const char* kIpsets = R"(
create s4ip hash:ip
add s4ip 10.9.1.5
add s4ip 198.51.100.7
add s4ip 192.0.2.1
create s4wide hash:ip netmask 24
add s4wide 10.9.1.0
create s4net hash:net
add s4net 10.9.0.0/16
add s4net 10.9.1.0/24 nomatch
add s4net 10.9.1.5
add s4net 192.0.2.0/25
create s4port hash:ip,port
add s4port 10.9.1.5,tcp:22
add s4port 198.51.100.7,tcp:80
add s4port 198.51.100.7,udp:53
add s4port 10.9.0.1,icmp:echo-request
add s4port 198.51.100.7,esp:0
create s4netport hash:net,port
add s4netport 10.9.0.0/16,tcp:22
add s4netport 10.9.1.0/24,tcp:22 nomatch
add s4netport 198.51.100.0/24,tcp:443
add s4netport 128.0.0.0/1,udp:53
create s4dev hash:net,iface
add s4dev 10.9.1.0/24,eth1
add s4dev 10.9.0.0/16,eth0
add s4dev 198.51.100.0/24,eth wildcard
add s4dev 0.0.0.0/0,eth0 nomatch
create s4three hash:ip,port,net
add s4three 198.51.100.7,tcp:80,10.9.0.0/16
add s4three 198.51.100.7,tcp:80,10.9.1.0/24 nomatch
add s4three 10.9.0.1,udp:53,0.0.0.0/1
create s4map bitmap:ip range 10.9.1.0/24
add s4map 10.9.1.5
add s4map 10.9.1.77
create s4mac bitmap:ip,mac range 10.9.1.0/24
add s4mac 10.9.1.5,02:00:00:00:00:01
create s4list list:set
add s4list s4port
add s4list s4map
add s4list s4wide
create s4b hash:ip timeout 3600
create s4c hash:ip,port
create s4d bitmap:ip range 10.9.1.0/24
create s4counted hash:ip counters
create s4countednet hash:net counters
create s4mapped hash:ip skbinfo
add s4mapped 10.9.1.5 skbmark 0x5/0xff skbprio 1:5
add s4mapped 198.51.100.7 skbmark 0x10
create s6ip hash:ip family inet6
add s6ip 2001:db8:9:1::5
add s6ip 2001:db8:9::1
create s6wide hash:ip family inet6 netmask 64
add s6wide 2001:db8:9:1::
create s6net hash:net family inet6
add s6net 2001:db8::/32
add s6net 2001:db8:9:1::/64 nomatch
add s6net 2001:db8:9:1::5
create s6port hash:ip,port family inet6
add s6port 2001:db8:9:1::5,tcp:22
add s6port 2001:db8:9::1,udp:53
add s6port 2001:db8:9::1,icmpv6:echo-request
create s6netport hash:net,port family inet6
add s6netport 2001:db8:9::/48,tcp:22
add s6netport 2001:db8:9:1::/64,tcp:22 nomatch
create s6dev hash:net,iface family inet6
add s6dev 2001:db8:9:1::/64,eth1
add s6dev 2001:db8::/32,eth wildcard
create s6three hash:ip,port,net family inet6
add s6three 2001:db8:9::1,tcp:80,2001:db8::/32
create s6list list:set
add s6list s6port
add s6list s6wide
create s6b hash:ip family inet6 timeout 3600
create s6c hash:ip,port family inet6
create s6counted hash:ip family inet6 counters
create s6countednet hash:net family inet6 counters
create s6maps hash:ip family inet6 skbinfo
add s6maps 2001:db8:9:1::5 skbmark 0x5/0xff
create s4ends hash:ip,port,ip
add s4ends 10.9.1.5,tcp:22,198.51.100.7
add s4ends 198.51.100.7,udp:53,10.9.1.5
create s6ends hash:ip,port,ip family inet6
add s6ends 2001:db8:9:1::5,tcp:22,2001:db8:9::1
create ports bitmap:port range 0-1024
add ports 22
add ports 53
add ports 80
)";
constexpr const char* kFirstOfAddedTo = R"(
flush s4b
add s4b 10.9.1.5
flush s4c
add s4c 10.9.1.5,tcp:22
flush s4counted
add s4counted 10.9.1.5 packets 2 bytes 150
add s4counted 198.51.100.7
flush s4countednet
add s4countednet 10.9.1.0/24 packets 3 bytes 250
add s4countednet 10.9.0.0/16 packets 1 bytes 90
add s4countednet 10.9.1.77 nomatch
flush s4d
add s4d 10.9.1.77
flush s6b
add s6b 2001:db8:9:1::5
flush s6counted
add s6counted 2001:db8:9:1::5 packets 2 bytes 150
flush s6countednet
add s6countednet 2001:db8::/32 packets 3 bytes 250
flush s6c
add s6c 2001:db8:9:1::5,tcp:22
)";

Result<void> feed_ipset(const char* text) {
  FILE* pipe = ::popen("ipset restore", "we");
  if (pipe == nullptr) return fail(ErrorKind::System, "cannot start ipset");
  std::fputs(text + 1, pipe);
  if (::pclose(pipe) != 0) return fail(ErrorKind::System, "ipset does not take its sets");
  return {};
}

std::unexpected<Error> system_error(const char* what) {
  return fail(ErrorKind::System, std::string(what) + ": " + std::strerror(errno), errno);
}

Result<void> restore(const std::string& text, bool ipv6) {
  if (text.empty()) return {};
  const std::string path = program(ipv6);
  const sandbox::Descriptor file(::memfd_create("rules", MFD_CLOEXEC));
  if (file.get() < 0 ||
      ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::lseek(file.get(), 0, SEEK_SET) != 0) {
    return system_error("cannot write the rules");
  }
  const bool shows = std::getenv("SHOW_REFUSALS") != nullptr;
  const pid_t child = ::fork();
  if (child < 0) return system_error("cannot start a process");
  if (child == 0) {
    const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(file.get(), STDIN_FILENO);
    ::dup2(nowhere, STDOUT_FILENO);
    if (!shows) ::dup2(nowhere, STDERR_FILENO);
    ::execl(path.c_str(), path.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return system_error("cannot wait for iptables-restore");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (shows) {
    ::write(STDERR_FILENO, text.data(), text.size());
  }
  return fail(ErrorKind::Usage, "iptables-restore refuses the rules");
}

}  // namespace

bool has_iptables() {
  return !program(false).empty() && !program(true).empty();
}

std::string ipset_lines() {
  return std::string(kIpsets + 1) + (kFirstOfAddedTo + 1);
}

Result<void> make_ipsets(ruleset::Host& host) {
  TRY(feed_ipset(kIpsets));
  TRY(restore_ipsets());
  auto saved = netlink::read_ipsets();
  if (!saved) return std::unexpected(saved.error());
  auto numbers = netlink::read_ipset_numbers(*saved);
  if (!numbers) return std::unexpected(numbers.error());
  host.ipsets = std::move(*saved);
  host.ipset_numbers = std::move(*numbers);
  return {};
}

Result<void> restore_ipsets() {
  return feed_ipset(kFirstOfAddedTo);
}

Result<void> load_iptables(const IptablesText& text) {
  TRY(restore(render(text, false), false));
  return restore(render(text, true), true);
}

}  // namespace rolewall::kernel_judge

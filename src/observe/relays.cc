#include "observe/relays.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "net/protocol.h"
#include "netlink/conntrack.h"
#include "netlink/unix_sockets.h"
#include "observe/opener.h"
#include "observe/socket_owners.h"

namespace rolewall::observe {
namespace {

using netlink::TcpSocket;

constexpr int kMostRelays = 8;  // one behind the other
constexpr const char* kMosh = "mosh-server";
// Where an X server listens for the programs that it shows.
constexpr std::string_view kDisplays = "/tmp/.X11-unix/";

bool is_display(std::string_view name) {
  if (name.starts_with('\0')) name.remove_prefix(1);
  return name.starts_with(kDisplays);
}

// As /proc/PID/stat has it (new_encode_dev() of include/linux/kdev_t.h).
unsigned number_of_terminal(const struct stat& status) {
  constexpr unsigned kLow = 0xff;
  const unsigned minor = ::minor(status.st_rdev);
  return (minor & kLow) | ::major(status.st_rdev) << 8U | (minor & ~kLow) << 12U;
}

// The terminal that somebody may sit at: this process's; below setsid(1) the one that it reads or
// writes, or that of what it descends from. 0: none.
unsigned terminal_here() {
  if (const unsigned own = terminal_of(static_cast<unsigned>(::getpid())); own != 0) return own;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    struct stat status{};
    if (::isatty(fd) == 1 && ::fstat(fd, &status) == 0) return number_of_terminal(status);
  }
  for (const unsigned process : ancestors()) {
    if (const unsigned terminal = terminal_of(process); terminal != 0) return terminal;
  }
  return 0;
}

// Of a desktop's program without a terminal the environment alone tells.
bool names_display() {
  const char* display = std::getenv("DISPLAY");
  return display != nullptr && *display != '\0';
}

// A shell has a terminal, in a browser too; a service that runs this command for itself (a web
// application that bans a client which it still talks to) has none.
bool may_be_typed() {
  return terminal_here() != 0 || names_display();
}

class Search {
 public:
  explicit Search(netlink::TcpSockets sockets) : sockets_(std::move(sockets)) {}

  // Nothing where no program here has opened it.
  std::optional<Relay> of(const SshConnection& session) {
    const TcpSocket* far =
        find(session.client, session.client_port, session.server, session.server_port);
    if (far == nullptr) return std::nullopt;
    Relay relay;
    std::string by;
    for (const unsigned process : holders_of(far->inode)) {
      add(process, 0, relay.flows);
      by = process_at(process).name;
    }
    if (relay.flows.empty()) return std::nullopt;
    relay.what = fmt::format("{}, which relays the session from {} port {}", by,
                             net::format(session.client), session.client_port);
    return relay;
  }

  // Of what this process descends from, the nearest that serves somebody; else the desktop that
  // shows its terminal; else the server that what it descends from is connected to; else each
  // desktop and each mosh there is, since the shell may be attached to from one (tmux, screen).
  std::vector<Relay> of_shells(const std::vector<SshConnection>& sessions) {
    for (const unsigned process : ancestors()) {
      if (auto relay = of_shell(process, sessions)) return {std::move(*relay)};
    }
    for (const unsigned process : ancestors()) {
      if (auto relay = of_desktop(process, sessions)) return {std::move(*relay)};
    }
    for (const unsigned process : ancestors()) {
      if (auto relay = of_partner(process, sessions)) return {std::move(*relay)};
    }
    std::vector<Relay> found = of_desktops(sessions);
    for (const unsigned id : processes_named(kMosh)) {
      if (auto relay = of_shell(id, sessions)) found.push_back(std::move(*relay));
    }
    return found;
  }

  // Of programs that speak to these sockets from within this host, or by UDP from these ports: what
  // comes to them, or what they have dialled.
  std::vector<OuterFlow> relayed_to(const std::set<std::uint64_t>& held,
                                    const std::set<std::uint16_t>& ports) {
    std::set<std::uint64_t> far_ends;
    for (const TcpSocket& socket : sockets_.established) {
      const TcpSocket* far = held.contains(socket.inode) ? other_end(socket) : nullptr;
      if (far != nullptr) far_ends.insert(far->inode);
    }
    const auto datagrams = netlink::read_udp_sockets();
    for (const netlink::UdpSocket& each :
         datagrams ? *datagrams : std::vector<netlink::UdpSocket>{}) {
      if (ports.contains(each.local_port) && !held.contains(each.inode))
        far_ends.insert(each.inode);
    }
    std::vector<OuterFlow> flows;
    if (far_ends.empty()) return flows;
    for (const std::uint64_t inode : held) seen_.merge(set_of(holders_of(inode)));
    for (const std::uint64_t inode : far_ends) {
      for (const unsigned process : holders_of(inode)) add(process, 1, flows);
    }
    return flows;
  }

  // Programs of this host that have connections to the address.
  void add_relays_to(const net::Address& guest, std::vector<OuterFlow>& flows) {
    for (const TcpSocket& socket : sockets_.established) {
      if (socket.remote != guest) continue;
      for (const unsigned process : holders_of(socket.inode)) {
        for (const OuterFlow& flow : accepted_by(process)) {
          if (flow.remote != guest) put(flows, flow);
        }
      }
    }
  }

 private:
  const TcpSocket* find(const net::Address& local, std::uint16_t local_port,
                        const net::Address& remote, std::uint16_t remote_port) const {
    const auto at = std::ranges::find_if(sockets_.established, [&](const TcpSocket& each) {
      return each.local == local && each.local_port == local_port && each.remote == remote &&
             each.remote_port == remote_port;
    });
    return at == sockets_.established.end() ? nullptr : &*at;
  }
  const TcpSocket* other_end(const TcpSocket& socket) const {
    return find(socket.remote, socket.remote_port, socket.local, socket.local_port);
  }

  const Process& process_at(unsigned id) {
    const auto [at, is_new] = processes_.try_emplace(id);
    if (is_new && !all_are_read_) at->second = process_of(id);
    return at->second;
  }

  std::vector<unsigned> holders_of(std::uint64_t inode) {
    if (!all_are_read_) processes_ = processes_with_sockets();
    all_are_read_ = true;
    std::vector<unsigned> found;
    for (const auto& [id, process] : processes_) {
      if (process.sockets.contains(inode)) found.push_back(id);
    }
    return found;
  }

  static std::set<unsigned> set_of(const std::vector<unsigned>& processes) {
    return {processes.begin(), processes.end()};
  }

  static void put(std::vector<OuterFlow>& flows, const OuterFlow& flow) {
    if (std::ranges::find(flows, flow) == flows.end()) flows.push_back(flow);
  }

  std::vector<const TcpSocket*> connections_of(unsigned process) {
    std::vector<const TcpSocket*> found;
    const Process& held = process_at(process);
    for (const TcpSocket& socket : sockets_.established) {
      if (held.sockets.contains(socket.inode)) found.push_back(&socket);
    }
    return found;
  }

  // From elsewhere. Who accepted it need not listen any more (a relay for one connection).
  std::vector<OuterFlow> accepted_by(unsigned process) {
    std::vector<OuterFlow> flows;
    for (const TcpSocket* socket : connections_of(process)) {
      if (other_end(*socket) != nullptr || opener_of(*socket, sockets_) != Opener::Peer) continue;
      flows.push_back({.protocol = net::protocol::kTcp,
                       .local = socket->local,
                       .remote = socket->remote,
                       .local_port = socket->local_port,
                       .remote_port = socket->remote_port,
                       .opened_by_peer = true,
                       .opened_here = false});
    }
    return flows;
  }

  void add_what_comes_to(unsigned process, int depth, std::vector<OuterFlow>& flows) {
    for (const OuterFlow& flow : accepted_by(process)) put(flows, flow);
    for (const unsigned other : clients_within(process)) add(other, depth + 1, flows);
    for (const unsigned other : relaying_to(process)) add(other, depth + 1, flows);
  }

  // What this process relays comes to it from elsewhere, or from another relay; else it has dialled
  // out; else it is the child of one that does (an ssh, started in a session).
  void add(unsigned process, int depth, std::vector<OuterFlow>& flows) {
    if (depth > kMostRelays || process <= 1 || !seen_.insert(process).second) return;
    const std::size_t before = flows.size();
    add_what_comes_to(process, depth, flows);
    if (flows.size() != before) return;
    for (const OuterFlow& flow : flows_of(process_at(process).sockets)) {
      if (flow.protocol != net::protocol::kTcp || !is_within(flow)) put(flows, flow);
    }
    if (flows.size() == before) add(parent_of(process), depth + 1, flows);
  }

  const std::vector<netlink::UnixSocket>& unix_sockets() {
    if (!unix_sockets_)
      unix_sockets_ = netlink::read_unix_sockets().value_or(std::vector<netlink::UnixSocket>{});
    return *unix_sockets_;
  }

  // Who has connected to Unix sockets of the process (a websockify, xrdp, an sslh), not to be shown
  // on its display.
  std::set<unsigned> relaying_to(unsigned process) {
    std::set<unsigned> found;
    const std::set<std::uint64_t>& own = process_at(process).sockets;
    for (const netlink::UnixSocket& socket : unix_sockets()) {
      if (socket.name.empty() || is_display(socket.name) || !own.contains(socket.inode)) continue;
      for (const unsigned other : holders_of(socket.peer)) found.insert(other);
    }
    return found;
  }

  // The X server that shows a window of the process's (a terminal), and who has come to it: a
  // viewer of VNC or RDP, or what relays one. Of a display that is this machine's own, nobody.
  std::optional<Relay> of_desktop(unsigned process, const std::vector<SshConnection>& sessions) {
    if (!may_be_typed()) return std::nullopt;
    const std::set<std::uint64_t> own = process_at(process).sockets;
    for (const netlink::UnixSocket& socket : unix_sockets()) {
      if (!is_display(socket.name) || !own.contains(socket.peer)) continue;
      for (const unsigned server : holders_of(socket.inode)) {
        if (auto found = seen_on(server, sessions, "shows this terminal")) return found;
      }
    }
    return std::nullopt;
  }

  // Of a terminal that a program makes: at the machine's own console no desktop is in between.
  std::vector<Relay> of_desktops(const std::vector<SshConnection>& sessions) {
    constexpr unsigned kFirstPty = 136;  // UNIX98_PTY_SLAVE_MAJOR and seven more: linux/major.h
    const unsigned terminal = terminal_here();
    const unsigned major = terminal >> 8U & 0xfffU;
    const bool is_made = kFirstPty <= major && major <= kFirstPty + 7;
    std::vector<Relay> found;
    if (!is_made && (terminal != 0 || !names_display())) return found;
    std::set<unsigned> servers;
    for (const netlink::UnixSocket& socket : unix_sockets()) {
      if (!is_display(socket.name)) continue;
      for (const unsigned server : holders_of(socket.inode)) servers.insert(server);
    }
    for (const unsigned server : servers) {
      if (auto relay = seen_on(server, sessions, "may show this terminal")) {
        found.push_back(std::move(*relay));
      }
    }
    return found;
  }

  // Who holds the terminal may get by a Unix socket what another program has accepted (Eternal
  // Terminal). Of those that nothing comes to from elsewhere (a bus, a journal) nothing follows.
  std::optional<Relay> of_partner(unsigned process, const std::vector<SshConnection>& sessions) {
    if (!serves_terminal(process)) return std::nullopt;
    const std::set<std::uint64_t> own = process_at(process).sockets;
    for (const netlink::UnixSocket& socket : unix_sockets()) {
      if (socket.name.empty() || is_display(socket.name) || !own.contains(socket.peer)) continue;
      for (const unsigned server : holders_of(socket.inode)) {
        Relay relay{.what = fmt::format("{}, to which {}, which serves this shell, is connected",
                                        process_at(server).name, process_at(process).name),
                    .flows = accepted_by(server),
                    .forwarded = {},
                    .of_shell = true};
        seen_ = {process, server};
        for (const unsigned client : clients_within(server)) add(client, 1, relay.flows);
        if (auto found = beside(sessions, std::move(relay))) return found;
      }
    }
    return std::nullopt;
  }

  std::optional<Relay> seen_on(unsigned server, const std::vector<SshConnection>& sessions,
                               std::string_view what) {
    Relay relay{.what = fmt::format("{}, the desktop that {}", process_at(server).name, what),
                .flows = {},
                .forwarded = {},
                .of_shell = true};
    add_what_comes_to(server, 0, relay.flows);
    return beside(sessions, std::move(relay));
  }

  // What is a session of sshd's is checked as such.
  static std::optional<Relay> beside(const std::vector<SshConnection>& sessions, Relay relay) {
    std::erase_if(relay.flows, [&](const OuterFlow& flow) {
      return std::ranges::any_of(sessions, [&](const SshConnection& session) {
        return session.client == flow.remote && session.client_port == flow.remote_port;
      });
    });
    return relay.flows.empty() ? std::nullopt : std::optional(std::move(relay));
  }

  // Who has connected to it by TCP, from within this host.
  std::set<unsigned> clients_within(unsigned process) {
    std::set<unsigned> found;
    for (const TcpSocket* socket : connections_of(process)) {
      const TcpSocket* far = other_end(*socket);
      if (far == nullptr) continue;
      const bool was_accepted =
          opener_of(*socket, sockets_) == Opener::Peer || opener_of(*far, sockets_) == Opener::Here;
      if (!was_accepted) continue;
      for (const unsigned other : holders_of(far->inode)) found.insert(other);
    }
    return found;
  }

  static bool is_below(unsigned process, unsigned above) {
    constexpr int kDeepest = 64;  // a process that ends meanwhile could close a circle
    for (int depth = 0; process > 1 && depth < kDeepest; ++depth) {
      if (process == above) return true;
      process = parent_of(process);
    }
    return false;
  }

  // What was started from the shell is not who sits at it.
  std::set<unsigned> clients_of_shell(unsigned server) {
    std::set<unsigned> found = clients_within(server);
    std::erase_if(found, [&](unsigned client) { return is_below(client, server); });
    return found;
  }

  // Who serves a terminal is on another one than who sits there, or on none.
  static bool serves_terminal(unsigned process) {
    return may_be_typed() && terminal_of(process) != terminal_here();
  }

  // With whom it speaks UDP, or whoever may speak to it where nobody is known.
  enum class Whom : std::uint8_t { Known, Anybody };
  void add_datagrams(unsigned process, std::vector<OuterFlow>& flows, Whom whom = Whom::Known) {
    for (const OuterFlow& flow : flows_of(process_at(process).sockets)) {
      if (flow.protocol != net::protocol::kUdp) continue;
      if (!flow.anybody || whom == Whom::Anybody) put(flows, flow);
    }
  }

  // It has accepted the connection that serves the terminal, from elsewhere or from what relays it
  // (a web server before a terminal in a browser), or is spoken to by UDP (a shell over QUIC); else
  // it has dialled: an agent of a cloud's, a bastion's.
  std::vector<OuterFlow> served_by(unsigned process, const std::set<unsigned>& clients) {
    if (!may_be_typed()) return {};
    std::vector<OuterFlow> flows = accepted_by(process);
    seen_.clear();  // a relay may have carried another session, too
    for (const unsigned client : clients) add(client, 1, flows);
    if (!serves_terminal(process)) return flows;
    if (clients.empty()) add_datagrams(process, flows);
    if (!flows.empty() || !clients.empty()) return flows;
    for (const OuterFlow& flow : flows_of(process_at(process).sockets)) {
      const bool dialled = flow.protocol == net::protocol::kTcp && flow.opened_here;
      if (dialled && !is_within(flow)) put(flows, flow);
    }
    if (flows.empty()) add_datagrams(process, flows, Whom::Anybody);
    return flows;
  }

  bool is_within(const OuterFlow& flow) const {
    return find(flow.remote, flow.remote_port, flow.local, flow.local_port) != nullptr;
  }

  std::optional<Relay> of_shell(unsigned id, const std::vector<SshConnection>& sessions) {
    const std::set<unsigned> clients = clients_of_shell(id);
    const Process& process = process_at(id);
    Relay relay{.what = process.name + ", which serves this shell",
                .flows = served_by(id, clients),
                .forwarded = {},
                .of_shell = true};
    if (process.name == kMosh) {
      relay.flows.clear();
      add_datagrams(id, relay.flows, Whom::Anybody);
      for (OuterFlow& flow : relay.flows) {
        flow.opened_by_peer = true;  // its port is one of those that the kernel draws from, too
        flow.opened_here = false;    // the client moves, and speaks first
      }
    }
    // Somebody has come to it, and by nothing that is seen here.
    if (sessions.empty() && !clients.empty() && relay.flows.empty() && may_be_typed()) {
      relay.is_passed = true;
      return relay;
    }
    return beside(sessions, std::move(relay));
  }

  netlink::TcpSockets sockets_;
  std::map<unsigned, Process> processes_;  // as far as they were read
  bool all_are_read_ = false;
  std::set<unsigned> seen_;
  std::optional<std::vector<netlink::UnixSocket>> unix_sockets_;  // once they were read
};

bool may_be_relayed(const SshConnection& session, const netlink::TcpSockets& sockets) {
  return std::ranges::any_of(sockets.established, [&](const TcpSocket& each) {
    return each.local == session.client && each.local_port == session.client_port;
  });
}

}  // namespace

std::vector<Relay> relays(const SshService& ssh) {
  auto sockets = netlink::read_tcp_sockets();
  if (!sockets) return {};
  const bool is_own = ssh.kind == SessionKind::Own;
  const bool any = std::ranges::any_of(ssh.sessions, [&](const SshConnection& session) {
    return may_be_relayed(session, *sockets);
  });
  if (is_own && !any) return {};
  Search search(std::move(*sockets));
  std::vector<Relay> found;
  for (const SshConnection& session : ssh.sessions) {
    if (auto relay = search.of(session)) found.push_back(std::move(*relay));
  }
  if (!is_own) {
    for (Relay& relay : search.of_shells(ssh.sessions)) found.push_back(std::move(relay));
  }
  return found;
}

std::vector<OuterFlow> relayed_to(const std::set<std::uint64_t>& held,
                                  const std::set<std::uint16_t>& ports) {
  auto sockets = netlink::read_tcp_sockets();
  if (!sockets) return {};
  return Search(std::move(*sockets)).relayed_to(held, ports);
}

Relay relay_of_guest(const net::Address& guest) {
  Relay relay;
  if (auto sockets = netlink::read_tcp_sockets()) {
    Search(std::move(*sockets)).add_relays_to(guest, relay.flows);
  }
  const auto flows =
      netlink::read_flows_with([&](const net::Address& each) { return each == guest; });
  if (!flows) return relay;
  for (const netlink::TrackedFlow& flow : *flows) {
    relay.forwarded.push_back({.protocol = flow.protocol,
                               .from = flow.from,
                               .to = flow.to,
                               .comes_to = flow.answered_by});
  }
  return relay;
}

}  // namespace rolewall::observe

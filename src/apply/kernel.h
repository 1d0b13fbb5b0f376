// The seam to the kernel: all that putting a policy in force asks of nf_tables, conntrack and
// sockets. The real one is netlink/; tests have one in memory (tests/support/memory_kernel.h) that
// can fail at every step.
//
// What both promise: a commit is all or nothing. It is nothing where the kernel's generation is not
// the expected one any more (`generation_clash`), where the kernel refuses one of its messages
// (`refusals`), and where it does not fit into one message (an error with EMSGSIZE). Each commit,
// whoever makes it, raises the generation.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "net/address_set.h"
#include "net/protocol.h"
#include "netlink/netlink.h"
#include "netlink/open_connections.h"
#include "netlink/sockets.h"
#include "ruleset/change.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// By what it is recognised later that the kernel still holds what it held: its generation, and how
// it keeps our table and its large sets (is_large()). And whether our table has, or may have, jumps
// to bans and openings (run_time_jumps.h): it may have to lose them though the generation is the
// same, for a ban whose time is over raises none.
struct KernelMark {
  std::uint32_t generation = 0;
  bool run_time_jumps = true;
  netlink::TableState large_sets{};
  bool operator==(const KernelMark&) const = default;
};

// Which elements of a table to read; chains, rules and the sets themselves always are.
struct ElementsRead {
  bool any = true;
  std::vector<std::string> but{};  // the sets whose elements are left out
};

class Kernel {
 public:
  virtual ~Kernel() = default;

  virtual Result<std::uint32_t> generation() = 0;
  // Every table's family, name and flags, with nothing in it.
  virtual Result<std::vector<ruleset::Table>> tables() = 0;
  // std::nullopt where there is no such table, as in all that follows.
  virtual Result<std::optional<ruleset::Table>> read_table(ruleset::Family family,
                                                           std::string_view name,
                                                           const ElementsRead& which) = 0;
  // Sets of more than `most` elements without them.
  virtual Result<std::optional<netlink::TableInPart>> read_table_in_part(ruleset::Family family,
                                                                         std::string_view name,
                                                                         std::size_t most) = 0;
  // Adds to the set's elements what a packet with this key finds there, if anything.
  virtual Result<void> read_element(const ruleset::Table& table, ruleset::Set& set,
                                    const ruleset::Bytes& key) = 0;
  virtual Result<std::optional<netlink::TableState>> table_state(ruleset::Family family,
                                                                 std::string_view name) = 0;

  virtual Result<netlink::CommitResult> replace_table(
      const ruleset::Table& table, std::optional<std::uint32_t> expected_generation) = 0;
  virtual Result<netlink::CommitResult> change_table(
      const ruleset::Table& wanted, const ruleset::TableChange& change,
      std::optional<std::uint32_t> expected_generation) = 0;
  // Success where there is no such table.
  virtual Result<netlink::CommitResult> delete_table(
      ruleset::Family family, std::string_view name,
      std::optional<std::uint32_t> expected_generation) = 0;

  virtual Result<netlink::TcpSockets> tcp_sockets() = 0;
  // Gives an open session its conntrack entry, unless it has one. `protocol`: TCP, or UDP between
  // these ports.
  virtual Result<void> ensure_conntrack_entry(const netlink::TcpSocket& session,
                                              bool opened_by_remote,
                                              std::uint8_t protocol = net::protocol::kTcp) = 0;
  // Ends whatever is open with these addresses.
  virtual Result<netlink::Ended> cut_connections(const net::AddressSet& with) = 0;
  // What connection tracking knows to be open, and how these are ended.
  virtual Result<std::vector<netlink::OpenConnection>> open_connections() = 0;
  virtual Result<netlink::Ended> end_connections(
      std::span<const netlink::OpenConnection> connections) = 0;
};

// That of the calling thread's network namespace.
Result<std::unique_ptr<Kernel>> open_netlink_kernel();

}  // namespace rolewall::apply

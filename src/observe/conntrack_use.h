// How full connection tracking is, and what it could not keep.
#pragma once

#include <cstdint>
#include <optional>

namespace rolewall::observe {

// Absent: the kernel does not say. Its limit and what it has dropped are this network namespace's.
struct ConntrackUse {
  std::optional<std::uint64_t> entries;
  std::optional<std::uint64_t> limit;
  std::optional<bool> accounting;  // net.netfilter.nf_conntrack_acct: bytes and packets are counted
  // Since the namespace was made (net/netfilter/nf_conntrack_standalone.c: ct_cpu_seq_show).
  std::optional<std::uint64_t> dropped;        // the table was full: the packet is gone
  std::optional<std::uint64_t> early_dropped;  // entries that made room for others
  std::optional<std::uint64_t> insert_failed;  // the packet is gone
};

ConntrackUse conntrack_use();

}  // namespace rolewall::observe

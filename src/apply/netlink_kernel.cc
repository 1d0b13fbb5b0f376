// The running kernel, over netlink/.
#include <utility>

#include "apply/kernel.h"

namespace rolewall::apply {
namespace {

using netlink::CommitResult;
using ruleset::Family;
using ruleset::Table;

class NetlinkKernel : public Kernel {
 public:
  explicit NetlinkKernel(netlink::Connection connection) : connection_(std::move(connection)) {}

  Result<std::uint32_t> generation() override { return connection_.generation(); }
  Result<std::vector<Table>> tables() override { return connection_.tables(); }
  Result<std::optional<Table>> read_table(Family family, std::string_view name,
                                          const ElementsRead& which) override {
    return connection_.dump_table(family, name, which.any, which.but);
  }
  Result<std::optional<netlink::TableInPart>> read_table_in_part(Family family,
                                                                 std::string_view name,
                                                                 std::size_t most) override {
    return connection_.dump_table_in_part(family, name, most);
  }
  Result<void> read_element(const Table& table, ruleset::Set& set,
                            const ruleset::Bytes& key) override {
    return connection_.read_element(table, set, key);
  }
  Result<std::optional<netlink::TableState>> table_state(Family family,
                                                         std::string_view name) override {
    return connection_.table_state(family, name);
  }

  Result<CommitResult> replace_table(const Table& table,
                                     std::optional<std::uint32_t> expected_generation) override {
    return connection_.replace_table(table, expected_generation);
  }
  Result<CommitResult> change_table(const Table& wanted, const ruleset::TableChange& change,
                                    std::optional<std::uint32_t> expected_generation) override {
    return connection_.change_table(wanted, change, expected_generation);
  }
  Result<CommitResult> delete_table(Family family, std::string_view name,
                                    std::optional<std::uint32_t> expected_generation) override {
    return connection_.delete_table(family, name, expected_generation);
  }

  Result<netlink::TcpSockets> tcp_sockets() override { return netlink::read_tcp_sockets(); }
  Result<void> ensure_conntrack_entry(const netlink::TcpSocket& session, bool opened_by_remote,
                                      std::uint8_t protocol) override {
    return netlink::ensure_conntrack_entry(session, opened_by_remote, protocol);
  }
  Result<netlink::Ended> cut_connections(const net::AddressSet& with) override {
    return netlink::end_connections_with(
        [&](const net::Address& address) { return with.contains(address); });
  }
  Result<std::vector<netlink::OpenConnection>> open_connections() override {
    return netlink::read_open_connections();
  }
  Result<netlink::Ended> end_connections(
      std::span<const netlink::OpenConnection> connections) override {
    return netlink::end_connections(connections);
  }

 private:
  netlink::Connection connection_;
};

}  // namespace

Result<std::unique_ptr<Kernel>> open_netlink_kernel() {
  Result<netlink::Connection> connection = netlink::Connection::open();
  if (!connection) return std::unexpected(std::move(connection).error());
  return std::make_unique<NetlinkKernel>(std::move(*connection));
}

}  // namespace rolewall::apply

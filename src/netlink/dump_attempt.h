// What the kernel's nf_tables is asked for, and one attempt at reading all of it.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "netlink/decode_ruleset.h"
#include "netlink/socket.h"

namespace rolewall::netlink {

// Which tables to read.
struct Scope {
  std::uint8_t family = AF_UNSPEC;
  std::string table{};             // "": all
  bool contents = true;            // or nothing but the tables themselves
  std::vector<std::string> but{};  // sets whose elements are left out
  std::size_t most = SIZE_MAX;     // and those of sets that hold more than this
};

bool in_scope(const Scope& scope, const Answer& answer);

// `message`: NFT_MSG_GET*. `table_attribute`: by which the kernel itself leaves other tables out.
std::vector<std::uint8_t> request(int message, std::uint16_t flags, const Scope& scope,
                                  std::uint16_t table_attribute = 0);

// One element, as nft_get_set_elem() finds it; without a key the catch-all.
std::vector<std::uint8_t> element_request(const ruleset::Table& table, const ruleset::Set& set,
                                          View key);

class DumpAttempt {
 public:
  // `generation`: what the kernel is at.
  DumpAttempt(Socket& socket, std::uint32_t generation);

  // std::nullopt: it changed meanwhile.
  Result<std::optional<ruleset::Ruleset>> read(const Scope& scope, bool with_elements);

  // The sets that held more elements than were to be read.
  std::vector<std::string> take_too_large() { return std::move(too_large_); }

 private:
  Result<void> dump(std::vector<std::uint8_t> request,
                    const std::function<Result<void>(const Answer&)>& visit);
  Result<void> read_elements(const Scope& scope);

  Socket& socket_;
  std::uint32_t generation_;
  RulesetReader reader_;
  std::vector<std::string> too_large_;
  bool interrupted_ = false;
};

}  // namespace rolewall::netlink

// Rules that would admit what was logged, to choose from: one for each service and direction, with
// those who asked for it, and what it would open, which may be more (by diff).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cli/json.h"
#include "cli/rule_openings.h"
#include "observe/log_event.h"

namespace rolewall::cli {

class LogSuggestions {
 public:
  static constexpr std::size_t kMostServices = 1024;
  static constexpr std::size_t kMostPeers = 256;  // of one service
  static constexpr std::size_t kMostCompared = 50;

  void take(const observe::LogEvent& event, const observe::WrittenPolicy& policy);

  // How many packets the kernel has counted for them meanwhile; an error says why it is not known.
  void set_packets_of_defaults(Result<std::uint64_t> packets) {
    packets_of_defaults_ = std::move(packets);
  }

  // The kernel does not tell what clients wrote, and the rules must name that.
  void lacks_what_clients_wrote() { lacks_what_clients_wrote_ = true; }

  // TOML for people, or an object of JSON. `openings`: an error says why nobody can tell what a
  // rule would open.
  std::string write(const observe::WrittenPolicy& policy, std::string_view format,
                    const Result<RuleOpenings>& openings) const;

 private:
  struct Key {
    observe::Direction direction;
    std::string service;
    std::string target;  // of what is passed on: to whom; else ""
    auto operator<=>(const Key&) const = default;
  };
  struct Seen {
    std::uint64_t lines = 0;
    std::uint64_t first_ns = 0;
    std::uint64_t last_ns = 0;
    std::set<net::Address> peers;
    bool has_more_peers = false;
  };
  struct Suggestion {
    std::string rule;
    std::vector<Result<ask::Diff>>
        opens{};  // in each of RuleOpenings::files(); empty: not compared
  };
  Json as_json(const observe::WrittenPolicy& policy, const std::vector<Suggestion>& suggestions,
               const Result<RuleOpenings>& openings) const;
  std::vector<Suggestion> all(const observe::WrittenPolicy& policy,
                              const Result<RuleOpenings>& openings) const;
  // What the log holds back, as comments; "" where it has a line of every packet.
  std::string held_back_in_words(const observe::WrittenPolicy& policy) const;
  static std::vector<std::string> selectors(const Seen& seen, const observe::WrittenPolicy& policy);
  static std::string as_rule(const Key& key, const Seen& seen, const observe::WrittenPolicy& policy,
                             std::set<std::string>& taken);

  std::map<Key, Seen> seen_;
  std::uint64_t left_out_ = 0;         // lines of further services
  std::uint64_t of_the_middle_ = 0;    // of TCP connections: they ask for nothing
  std::uint64_t without_service_ = 0;  // whose packets do not say which they are for
  std::uint64_t lines_of_defaults_ = 0;
  bool lacks_what_clients_wrote_ = false;
  Result<std::uint64_t> packets_of_defaults_ = fail(ErrorKind::Refused, "nobody has looked");
  std::map<std::string, std::uint64_t> by_others_;  // lines that no rule would change, by step
};

}  // namespace rolewall::cli

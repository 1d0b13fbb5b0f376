// Networks, and the two built-ins that the site defines (`management`, and what `internet` leaves
// out): they may refer to each other, so they are resolved together, each once.
#pragma once

#include <vector>

#include "policy/loader.h"

namespace rolewall::policy {

class Networks {
 public:
  explicit Networks(Loader& loader) : loader_(loader) {}

  // A [networks] table. The site's comes first; a block's entries are defaults, for names that are
  // not yet defined. `used_at`: the block is shipped, and this is where the site brings it in.
  void declare(const Value& table, bool is_default, std::optional<Span> used_at);

  // After every host, role, tag and network was declared. Fills Policy's networks, management,
  // internal and internet; the values may be null.
  void resolve(const Value* management, const Value* internal);

 private:
  enum class State : std::uint8_t { Waiting, Visiting, Done };
  struct Node {
    Selectors terms;
    State state = State::Waiting;
    const Value* value = nullptr;
    std::optional<Span> used_at;
  };

  void read(Index index);
  void read_table(Network& network, Node& node);
  void read_file(Network& network, const Value& value);
  void read_keep(Network& network, const Section& section);
  void take_unanswered(Network& network, const Selectors& terms);
  void read_names(Network& network, std::span<const Value> names);
  void report_conflict(const Member& member, Span earlier, Span at);
  void visit(Index index);
  void finish(Index index);
  bool depends_on_broken(const Selectors& terms) const;
  void report_cycle(Index node);
  Span span_of(Index node) const;
  std::string name_of(Index node) const;
  std::optional<Index> node_of(const Term& term) const;

  Index management_node() const { return static_cast<Index>(nodes_.size() - 2); }
  Index internet_node() const { return static_cast<Index>(nodes_.size() - 1); }

  Loader& loader_;
  std::vector<Node> nodes_;  // by network; then management, then internet
  std::vector<Index> path_;
};

}  // namespace rolewall::policy

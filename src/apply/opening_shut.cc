#include "apply/opening_shut.h"

#include <fmt/format.h>

#include <optional>

#include "apply/lifelines.h"
#include "apply/rulesets_in_part.h"
#include "apply/ways.h"
#include "apply/words.h"
#include "eval/build.h"
#include "eval/eval.h"
#include "eval/route.h"
#include "net/protocol.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {
namespace {

class Asked {
 public:
  Asked(InPart& in_force, const GuardFacts& facts)
      : ruleset_(in_force.ruleset),
        facts_(facts),
        ways_(facts),
        evaluator_(in_force.ruleset, facts.machine, &in_force.partial) {}

  std::string who_shuts(const Opening& opening) {
    std::string who;
    for (const net::Prefix& own : facts_.machine.addresses) {
      if (net::is_ipv4(own.address) != net::is_ipv4(opening.from) ||
          eval::is_link_local(own.address) != eval::is_link_local(opening.from) ||
          net::is_loopback(own.address)) {
        continue;
      }
      for (const Way& way : ways_.with(opening.from)) {
        if (way.off_route) continue;
        const auto denied = who_denies(first_packet(opening, own.address, way.in));
        if (!denied) return "";
        if (who.empty()) who = *denied;
      }
    }
    return who;
  }

 private:
  static eval::Packet first_packet(const Opening& opening, const net::Address& own,
                                   const std::string& device) {
    eval::PacketFields fields;
    fields.protocol = opening.protocol;
    fields.source = opening.from;
    fields.destination = own;
    fields.destination_port = opening.port;
    if (opening.protocol == net::protocol::kTcp) fields.tcp_flags = tcp::kSyn;
    eval::Packet packet = eval::build(fields);
    packet.in_device = device;
    return packet;
  }

  // std::nullopt where it comes through, or that hangs on what is not known.
  std::optional<std::string> who_denies(const eval::Packet& packet) {
    const eval::Outcomes all = evaluator_.outcomes(
        packet, eval::Direction::Arrive, {.steps = false, .unmodelled = eval::Unmodelled::Chosen});
    if (!all.complete) return std::nullopt;
    for (const eval::Journey& way : all.ways) {
      const bool is_denied = way.fate() == eval::Fate::Drop || way.fate() == eval::Fate::Reject;
      if (!is_denied || !way.hooks.back().decided) return std::nullopt;
    }
    const eval::Decision& by = all.ways.front().hooks.back().decision;
    const ruleset::Table& table = ruleset_.tables[by.table];
    const ruleset::Chain& chain = table.chains[by.chain];
    if (by.rule == eval::Decision::kPolicy) {
      return fmt::format("the policy of chain {}, {}", chain.name, table_name(table));
    }
    const std::string_view comment = chain.rules[by.rule].comment.text();
    if (ruleset::is_own(table) && comment == ruleset::own::step::kBanned) return std::nullopt;
    if (ruleset::is_own(table) && !comment.empty()) return fmt::format("rule {}", comment);
    return fmt::format("rule {} of chain {}, {}", by.rule + 1, chain.name, table_name(table));
  }

  const ruleset::Ruleset& ruleset_;
  const GuardFacts& facts_;
  Ways ways_;
  eval::Evaluator evaluator_;
};

}  // namespace

std::string who_shuts(Kernel& kernel, const Opening& opening, const GuardFacts& facts) {
  InPart in_force;
  InPart without_ours;
  if (!read_rulesets(kernel, std::nullopt, {}, in_force, without_ours)) return "";
  while (true) {
    std::string who = Asked(in_force, facts).who_shuts(opening);
    const Result<bool> more = read_what_was_asked(kernel, in_force);
    if (!more) return "";
    if (!*more) return who;
  }
}

}  // namespace rolewall::apply

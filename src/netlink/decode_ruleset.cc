#include "netlink/decode_ruleset.h"

#include <fmt/format.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>

#include <utility>

#include "netlink/data_types.h"
#include "netlink/decode_expr.h"
#include "netlink/kernel_numbers.h"
#include "ruleset/expr.h"
#include "ruleset/hook_device.h"
#include "ruleset/names.h"
#include "ruleset/verify.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

// From kernel 6.16 on, a device may be named by how its name begins.
constexpr std::uint16_t kDevicePrefix = 2;  // NFTA_DEVICE_PREFIX

std::vector<std::string> decode_devices(Attributes& hook) {
  std::vector<std::string> devices;
  if (hook.has(NFTA_HOOK_DEVS)) {
    hook.ignore(NFTA_HOOK_DEV);  // the only device, once more
    const bool whole = for_each_attribute(hook.bytes(NFTA_HOOK_DEVS), [&](std::uint16_t type,
                                                                          View payload) {
      std::string name(payload.begin(), std::find(payload.begin(), payload.end(), std::uint8_t{0}));
      if (type == kDevicePrefix) {
        const auto prefix = hook_of_prefix(name);
        if (!prefix) hook.problem("the beginning of a device's name ends in a backslash");
        devices.push_back(prefix.value_or(name));
        return;
      }
      if (type != NFTA_DEVICE_NAME) {
        hook.problem(fmt::format("attribute {} of its devices is unknown", type));
      }
      devices.push_back(hook_of_device(std::move(name)));
    });
    if (!whole) hook.problem("its devices are cut short");
  } else if (hook.has(NFTA_HOOK_DEV)) {
    devices.push_back(hook_of_device(hook.text(NFTA_HOOK_DEV)));
  }
  return devices;
}

BaseChain decode_base(Family family, Attributes& attributes) {
  BaseChain base;
  Attributes hook(attributes.bytes(NFTA_CHAIN_HOOK));
  const std::uint32_t number = hook.be32(NFTA_HOOK_HOOKNUM);
  if (const auto known = hook_of(family, number)) {
    base.hook = *known;
  } else {
    attributes.problem(fmt::format("hook {} is unknown", number));
  }
  base.priority = static_cast<std::int32_t>(hook.be32(NFTA_HOOK_PRIORITY));
  base.devices = decode_devices(hook);
  if (std::string problem = hook.finish(); !problem.empty()) attributes.problem(problem);

  const std::string type = attributes.text(NFTA_CHAIN_TYPE);
  if (const auto known = chain_type_of(type)) {
    base.type = *known;
  } else {
    attributes.problem(fmt::format("type {} is unknown", type));
  }
  const std::uint32_t policy = attributes.be32(NFTA_CHAIN_POLICY);
  const auto verdict = verdict_of(policy);
  if (verdict && (verdict->code == VerdictCode::Accept || verdict->code == VerdictCode::Drop)) {
    base.policy = verdict->code;
  } else {
    attributes.problem(fmt::format("policy {} is unknown", policy));
  }
  return base;
}

std::unexpected<Error> unreadable(std::string_view what, const std::string& name,
                                  const std::string& problem) {
  return fail(ErrorKind::System,
              fmt::format("the kernel's {} `{}` cannot be read: {}", what, name, problem));
}

}  // namespace

Table* RulesetReader::find_table(std::uint8_t family, const std::string& name, std::size_t& index) {
  const auto at = tables_.find({family, name});
  if (at == tables_.end()) return nullptr;
  index = at->second;
  return &ruleset_.tables[index];
}

Result<void> RulesetReader::table(std::uint8_t family, View bytes) {
  Attributes attributes(bytes);
  Table table;
  table.name = attributes.text(NFTA_TABLE_NAME);
  table.handle = attributes.be64_or(NFTA_TABLE_HANDLE, 0);
  table.flags = attributes.be32_or(NFTA_TABLE_FLAGS, 0);
  table.comment =
      comment_in(attributes.bytes_or_empty(NFTA_TABLE_USERDATA), NFTNL_UDATA_TABLE_COMMENT);
  for (const std::uint16_t type : {NFTA_TABLE_USE, NFTA_TABLE_PAD, NFTA_TABLE_OWNER}) {
    attributes.ignore(type);
  }
  const auto known = family_of(family);
  if (!known) attributes.problem(fmt::format("family {} is unknown", family));
  const std::string problem = attributes.finish();
  if (!known || !problem.empty()) return unreadable("table", table.name, problem);
  table.family = *known;
  tables_.emplace(TableKey{family, table.name}, ruleset_.tables.size());
  ruleset_.tables.push_back(std::move(table));
  return {};
}

Result<void> RulesetReader::chain(std::uint8_t family, View bytes) {
  Attributes attributes(bytes);
  std::size_t index = 0;
  Table* table = find_table(family, attributes.text(NFTA_CHAIN_TABLE), index);
  if (table == nullptr) return {};
  Chain chain;
  chain.name = attributes.text(NFTA_CHAIN_NAME);
  chain.handle = attributes.be64_or(NFTA_CHAIN_HANDLE, 0);
  if (attributes.has(NFTA_CHAIN_HOOK)) chain.base = decode_base(table->family, attributes);
  constexpr std::uint32_t kKnownFlags = NFT_CHAIN_BASE | NFT_CHAIN_HW_OFFLOAD | NFT_CHAIN_BINDING;
  const std::uint32_t flags = attributes.be32_or(NFTA_CHAIN_FLAGS, 0);
  if ((flags & ~kKnownFlags) != 0) {
    attributes.problem(fmt::format("flags {:#x} are unknown", flags & ~kKnownFlags));
  }
  chain.bound = (flags & NFT_CHAIN_BINDING) != 0;
  chain.offloaded = (flags & NFT_CHAIN_HW_OFFLOAD) != 0;
  chain.comment =
      comment_in(attributes.bytes_or_empty(NFTA_CHAIN_USERDATA), NFTNL_UDATA_CHAIN_COMMENT);
  for (const std::uint16_t type :
       {NFTA_CHAIN_USE, NFTA_CHAIN_COUNTERS, NFTA_CHAIN_PAD, NFTA_CHAIN_ID}) {
    attributes.ignore(type);
  }
  if (std::string problem = attributes.finish(); !problem.empty()) {
    return unreadable("chain", chain.name, problem);
  }
  chains_.emplace(ObjectKey{index, chain.name}, table->chains.size());
  table->chains.push_back(std::move(chain));
  return {};
}

Result<void> RulesetReader::rule(std::uint8_t family, View bytes) {
  Attributes attributes(bytes);
  std::size_t index = 0;
  Table* table = find_table(family, attributes.text(NFTA_RULE_TABLE), index);
  if (table == nullptr) return {};
  const auto chain = chains_.find({index, attributes.text(NFTA_RULE_CHAIN)});
  if (chain == chains_.end()) return {};
  Rule rule;
  rule.handle = attributes.be64_or(NFTA_RULE_HANDLE, 0);
  rule.comment =
      comment_in(attributes.bytes_or_empty(NFTA_RULE_USERDATA), NFTNL_UDATA_RULE_COMMENT);
  rule.exprs = decode_exprs(attributes.bytes_or_empty(NFTA_RULE_EXPRESSIONS));
  attributes.ignore(NFTA_RULE_POSITION);
  attributes.ignore(NFTA_RULE_PAD);
  if (std::string problem = attributes.finish(); !problem.empty()) {
    // First, so that whoever evaluates the rule stumbles over it before anything else.
    rule.exprs.insert(rule.exprs.begin(), Unsupported{"rule", problem});
  }
  table->chains[chain->second].rules.push_back(std::move(rule));
  return {};
}

Result<void> RulesetReader::set(std::uint8_t family, View bytes) {
  Attributes attributes(bytes);
  std::size_t index = 0;
  Table* table = find_table(family, attributes.text(NFTA_SET_TABLE), index);
  if (table == nullptr) return {};
  Set set = decode_set(bytes);
  sets_.emplace(ObjectKey{index, set.name}, table->sets.size());
  table->sets.push_back(std::move(set));
  return {};
}

Result<void> RulesetReader::elements(std::uint8_t family, View bytes) {
  Attributes attributes(bytes);
  std::size_t index = 0;
  Table* table = find_table(family, attributes.text(NFTA_SET_ELEM_LIST_TABLE), index);
  if (table == nullptr) return {};
  ObjectKey key{index, attributes.text(NFTA_SET_ELEM_LIST_SET)};
  const auto set = sets_.find(key);
  if (set == sets_.end()) return {};
  PendingElements& pending = pending_[std::move(key)];
  decode_elements(table->sets[set->second], attributes.bytes_or_empty(NFTA_SET_ELEM_LIST_ELEMENTS),
                  pending);
  if (std::string problem = attributes.finish(); !problem.empty() && pending.problem.empty()) {
    pending.problem = problem;
  }
  return {};
}

RulesetReader::ObjectKey RulesetReader::key_of(const Table& table, const Set& set) const {
  return {tables_.at({static_cast<std::uint8_t>(table.family), table.name}), set.name};
}

std::size_t RulesetReader::count(const Table& table, const Set& set) const {
  const auto at = pending_.find(key_of(table, set));
  return at == pending_.end() ? 0 : at->second.elements.count();
}

void RulesetReader::leave_out(const Table& table, const Set& set) {
  pending_.erase(key_of(table, set));
}

Result<std::optional<Ruleset>> RulesetReader::finish() {
  bool consistent = true;
  for (auto& [key, pending] : pending_) {
    const auto& [index, name] = key;
    consistent &= finish_elements(ruleset_.tables[index].sets[sets_.at(key)], std::move(pending));
  }
  if (!consistent) return std::nullopt;
  for (Table& table : ruleset_.tables) {
    for (Set& set : table.sets) {
      set.elements.key_size = set.key_size();
      set.elements.data_size = set.kind == SetKind::Map ? set.data.size : 0;
    }
  }
  if (const auto flaw = set_flaws_aside(ruleset_)) {
    return fail(ErrorKind::System,
                fmt::format("the kernel's ruleset cannot be read: {}: {}", flaw->path, flaw->what));
  }
  return std::exchange(ruleset_, {});
}

}  // namespace rolewall::netlink

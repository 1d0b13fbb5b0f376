#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "netlink/batch.h"
#include "netlink/encode.h"
#include "netlink/kernel_numbers.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;
using Kind = Subject::Kind;

// A message about something of the table that has the table's name and `content`.
template <class Content>
Message message(int type, std::uint16_t flags, const Table& table, std::uint16_t table_attribute,
                Content content) {
  Message bytes;
  Writer writer(bytes);
  const std::size_t begin = writer.begin_message(nfnetlink_type(NFNL_SUBSYS_NFTABLES, type), flags,
                                                 static_cast<std::uint8_t>(table.family));
  writer.text(table_attribute, table.name);
  content(writer);
  writer.end_message(begin);
  return bytes;
}

Message delete_rule(const Table& table, const TableChange::RuleRemoval& removal) {
  return message(NFT_MSG_DELRULE, 0, table, NFTA_RULE_TABLE, [&](Writer& writer) {
    writer.text(NFTA_RULE_CHAIN, removal.chain);
    writer.be64(NFTA_RULE_HANDLE, removal.handle);
  });
}

Message delete_named(int type, const Table& table, std::uint16_t table_attribute,
                     std::uint16_t name_attribute, const std::string& name) {
  return message(type, 0, table, table_attribute,
                 [&](Writer& writer) { writer.text(name_attribute, name); });
}

Message delete_object(const Table& table, const TableChange::ObjectRemoval& removal) {
  return message(NFT_MSG_DELOBJ, 0, table, NFTA_OBJ_TABLE, [&](Writer& writer) {
    writer.text(NFTA_OBJ_NAME, removal.name);
    writer.be32(NFTA_OBJ_TYPE, removal.type);
  });
}

// nf_tables_updchain(): what is not named stays as it is.
Message set_policy(const Table& table, const Chain& chain) {
  return message(NFT_MSG_NEWCHAIN, 0, table, NFTA_CHAIN_TABLE, [&](Writer& writer) {
    writer.text(NFTA_CHAIN_NAME, chain.name);
    writer.be32(NFTA_CHAIN_POLICY,
                verdict_number({.code = chain.base->policy, .chain = {}, .queue = 0}));
  });
}

Result<void> add_elements(Batch& batch, const Table& table, const TableChange::Elements& part,
                          ElementVerb verb) {
  return encode_elements(table, table.sets[part.set], part.elements, verb, [&](View bytes) {
    batch.add({.kind = Kind::Elements, .index = part.set, .rule = 0}, bytes);
  });
}

}  // namespace

// Removals by what they free: rules and elements name sets, chains and objects. Additions as in
// replace_batch().
Result<Batch> change_batch(const Table& wanted, const TableChange& change,
                           std::optional<std::uint32_t> expected_generation) {
  Batch batch(expected_generation);
  std::size_t element_bytes = 0;
  for (const std::size_t i : change.added_sets) {
    element_bytes += encoded_size(wanted.sets[i].elements);
  }
  for (const auto* parts : {&change.removed_elements, &change.added_elements}) {
    for (const auto& part : *parts) element_bytes += encoded_size(part.elements);
  }
  batch.reserve(element_bytes);
  const Subject removal{.kind = Kind::Removal, .index = 0, .rule = 0};
  for (const auto& rule : change.removed_rules) batch.add(removal, delete_rule(wanted, rule));
  for (const auto& part : change.removed_elements) {
    TRY(add_elements(batch, wanted, part, ElementVerb::Remove));
  }
  for (const std::string& set : change.removed_sets) {
    batch.add(removal, delete_named(NFT_MSG_DELSET, wanted, NFTA_SET_TABLE, NFTA_SET_NAME, set));
  }
  for (const std::string& chain : change.removed_chains) {
    batch.add(removal,
              delete_named(NFT_MSG_DELCHAIN, wanted, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, chain));
  }
  for (const auto& object : change.removed_objects) {
    batch.add(removal, delete_object(wanted, object));
  }

  for (const std::size_t i : change.added_objects) {
    TRY(batch.add_encoded({.kind = Kind::Object, .index = i, .rule = 0},
                          encode_object(wanted, wanted.objects[i])));
  }
  for (const std::size_t i : change.added_sets) {
    TRY(batch.add_encoded({.kind = Kind::Set, .index = i, .rule = 0},
                          encode_set(wanted, wanted.sets[i], static_cast<std::uint32_t>(i + 1))));
  }
  for (const std::size_t i : change.added_chains) {
    TRY(batch.add_encoded({.kind = Kind::Chain, .index = i, .rule = 0},
                          encode_chain(wanted, wanted.chains[i])));
  }
  for (const std::size_t i : change.new_policies) {
    batch.add({.kind = Kind::Chain, .index = i, .rule = 0}, set_policy(wanted, wanted.chains[i]));
  }
  for (const std::size_t i : change.added_sets) {
    TRY(encode_elements(
        wanted, wanted.sets[i], wanted.sets[i].elements, ElementVerb::Fill,
        [&](View bytes) { batch.add({.kind = Kind::Elements, .index = i, .rule = 0}, bytes); }));
  }
  for (const auto& part : change.added_elements) {
    TRY(add_elements(batch, wanted, part, ElementVerb::Add));
  }
  for (const auto& at : change.added_rules) {
    const Chain& chain = wanted.chains[at.chain];
    TRY(batch.add_encoded({.kind = Kind::Rule, .index = at.chain, .rule = at.rule},
                          encode_rule(wanted, chain, chain.rules[at.rule], at.before)));
  }
  batch.finish();
  return batch;
}

}  // namespace rolewall::netlink

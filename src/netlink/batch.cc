#include "netlink/batch.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cstring>

#include "netlink/encode.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

void or_flags(std::uint8_t* message, std::uint16_t more) {
  std::uint8_t* at = message + offsetof(nlmsghdr, nlmsg_flags);
  const auto flags = static_cast<std::uint16_t>(native_u16(at) | more);
  std::memcpy(at, &flags, sizeof flags);
}

}  // namespace

Batch::Batch(std::optional<std::uint32_t> expected_generation) {
  messages_.push_back({.subject = {}, .begin = 0});
  Writer writer(bytes_);
  const std::size_t begin =
      writer.begin_message(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  if (expected_generation) writer.be32(NFNL_BATCH_GENID, *expected_generation);
  writer.end_message(begin);
}

Result<void> Batch::add_encoded(const Subject& subject, const Result<Message>& message) {
  if (!message) return std::unexpected(message.error());
  add(subject, *message);
  return {};
}

void Batch::add(const Subject& subject, View message) {
  messages_.push_back({.subject = subject, .begin = bytes_.size()});
  bytes_.insert(bytes_.end(), message.begin(), message.end());
  bytes_.resize(aligned(bytes_.size()));
}

void Batch::finish() {
  // Without errors the kernel is silent; the last message asks it to speak.
  or_flags(bytes_.data() + messages_.back().begin, NLM_F_ACK);
  messages_.push_back({.subject = {}, .begin = bytes_.size()});
  Writer writer(bytes_);
  const std::size_t begin =
      writer.begin_message(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  writer.end_message(begin);
}

void Batch::number_from(std::uint32_t first_sequence) {
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    const auto sequence = static_cast<std::uint32_t>(first_sequence + i);
    std::memcpy(bytes_.data() + messages_[i].begin + offsetof(nlmsghdr, nlmsg_seq), &sequence,
                sizeof sequence);
  }
}

View Batch::message(std::uint32_t sequence) const {
  const std::size_t begin = messages_[sequence].begin;
  return View{bytes_}.subspan(begin, native_u32(bytes_.data() + begin));
}

// Objects, sets and chains before what names them; elements after chains, because those of verdict
// maps jump, and before rules, because a bound anonymous set takes no more of them.
Result<Batch> replace_batch(const Table& table, std::optional<std::uint32_t> expected_generation) {
  using Kind = Subject::Kind;
  Batch batch(expected_generation);
  const Subject whole{.kind = Kind::Table, .index = 0, .rule = 0};
  std::size_t element_bytes = 0;
  for (const Set& set : table.sets) element_bytes += encoded_size(set.elements);
  batch.reserve(element_bytes);
  // To delete what is not there would be an error.
  batch.add(whole, encode_ensure_table(table.family, table.name));
  batch.add(whole, encode_delete_table(table.family, table.name));
  TRY(batch.add_encoded(whole, encode_new_table(table)));
  for (std::size_t i = 0; i < table.objects.size(); ++i) {
    TRY(batch.add_encoded({.kind = Kind::Object, .index = i, .rule = 0},
                          encode_object(table, table.objects[i])));
  }
  for (std::size_t i = 0; i < table.sets.size(); ++i) {
    TRY(batch.add_encoded({.kind = Kind::Set, .index = i, .rule = 0},
                          encode_set(table, table.sets[i], static_cast<std::uint32_t>(i + 1))));
  }
  for (std::size_t i = 0; i < table.chains.size(); ++i) {
    TRY(batch.add_encoded({.kind = Kind::Chain, .index = i, .rule = 0},
                          encode_chain(table, table.chains[i])));
  }
  for (std::size_t i = 0; i < table.sets.size(); ++i) {
    TRY(encode_elements(table, table.sets[i], table.sets[i].elements, ElementVerb::Fill,
                        [&](View message) {
                          batch.add({.kind = Kind::Elements, .index = i, .rule = 0}, message);
                        }));
  }
  // A bound chain takes no more rules once the one that jumps to it is there (nf_tables_newrule()).
  for (const bool bound : {true, false}) {
    for (std::size_t i = 0; i < table.chains.size(); ++i) {
      const Chain& chain = table.chains[i];
      if (chain.bound != bound) continue;
      for (std::size_t j = 0; j < chain.rules.size(); ++j) {
        TRY(batch.add_encoded({.kind = Kind::Rule, .index = i, .rule = j},
                              encode_rule(table, chain, chain.rules[j])));
      }
    }
  }
  batch.finish();
  return batch;
}

Batch delete_batch(Family family, std::string_view name,
                   std::optional<std::uint32_t> expected_generation) {
  Batch batch(expected_generation);
  const Subject whole{.kind = Subject::Kind::Table, .index = 0, .rule = 0};
  batch.add(whole, encode_ensure_table(family, name));
  batch.add(whole, encode_delete_table(family, name));
  batch.finish();
  return batch;
}

}  // namespace rolewall::netlink

#include "netlink/kernel_numbers.h"

#include <netinet/in.h>  // before linux/in.h, which says nothing twice

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <span>

#include "ruleset/names.h"

namespace rolewall::netlink {
namespace {

using ruleset::Family;
using ruleset::Hook;
using ruleset::Verdict;
using ruleset::VerdictCode;

struct HookRow {
  Hook hook;
  std::uint32_t number;
};

// NF_BR_* has the numbers of NF_INET_*.
constexpr std::array kInetHooks{
    HookRow{Hook::Prerouting, NF_INET_PRE_ROUTING},   HookRow{Hook::Input, NF_INET_LOCAL_IN},
    HookRow{Hook::Forward, NF_INET_FORWARD},          HookRow{Hook::Output, NF_INET_LOCAL_OUT},
    HookRow{Hook::Postrouting, NF_INET_POST_ROUTING}, HookRow{Hook::Ingress, NF_INET_INGRESS}};
constexpr std::array kArpHooks{HookRow{Hook::Input, 0}, HookRow{Hook::Output, 1},
                               HookRow{Hook::Forward, 2}};
constexpr std::array kNetdevHooks{HookRow{Hook::Ingress, NF_NETDEV_INGRESS},
                                  HookRow{Hook::Egress, NF_NETDEV_EGRESS}};

std::span<const HookRow> hooks_of(Family family) {
  switch (family) {
    case Family::Inet:
      return kInetHooks;
    case Family::Ip:
    case Family::Ip6:
    case Family::Bridge:
      return std::span{kInetHooks}.first<5>();
    case Family::Arp:
      return kArpHooks;
    case Family::Netdev:
      return kNetdevHooks;
  }
  return {};
}

}  // namespace

std::optional<std::uint32_t> hook_number(Family family, Hook hook) {
  for (const HookRow& row : hooks_of(family)) {
    if (row.hook == hook) return row.number;
  }
  return std::nullopt;
}

std::optional<Hook> hook_of(Family family, std::uint32_t number) {
  for (const HookRow& row : hooks_of(family)) {
    if (row.number == number) return row.hook;
  }
  return std::nullopt;
}

std::optional<Family> family_of(std::uint8_t number) {
  for (const auto& row : ruleset::name_rows(Family{})) {
    if (static_cast<std::uint8_t>(row.value) == number) return row.value;
  }
  return std::nullopt;
}

std::optional<ruleset::ChainType> chain_type_of(std::string_view name) {
  return ruleset::from_name<ruleset::ChainType>(name);
}

std::uint32_t verdict_number(const Verdict& verdict) {
  const auto number = [&]() -> int {
    switch (verdict.code) {
      case VerdictCode::Accept:
        return NF_ACCEPT;
      case VerdictCode::Drop:
        return NF_DROP;
      case VerdictCode::Queue:
        return NF_QUEUE;
      case VerdictCode::Continue:
        return NFT_CONTINUE;
      case VerdictCode::Break:
        return NFT_BREAK;
      case VerdictCode::Jump:
        return NFT_JUMP;
      case VerdictCode::Goto:
        return NFT_GOTO;
      case VerdictCode::Return:
        return NFT_RETURN;
    }
    return NF_DROP;
  }();
  const std::uint32_t upper = verdict.code == VerdictCode::Queue ? verdict.queue : 0;
  return static_cast<std::uint32_t>(number) | upper;
}

std::optional<Verdict> verdict_of(std::uint32_t number) {
  const auto plain = [](VerdictCode code) {
    return Verdict{.code = code, .chain = {}, .queue = 0};
  };
  switch (static_cast<std::int32_t>(number)) {
    case NF_ACCEPT:
      return plain(VerdictCode::Accept);
    case NF_DROP:
      return plain(VerdictCode::Drop);
    case NFT_CONTINUE:
      return plain(VerdictCode::Continue);
    case NFT_BREAK:
      return plain(VerdictCode::Break);
    case NFT_JUMP:
      return plain(VerdictCode::Jump);
    case NFT_GOTO:
      return plain(VerdictCode::Goto);
    case NFT_RETURN:
      return plain(VerdictCode::Return);
    default:
      break;
  }
  if ((number & NF_VERDICT_MASK) == NF_QUEUE) {
    return Verdict{.code = VerdictCode::Queue,
                   .chain = {},
                   .queue = number & ~static_cast<std::uint32_t>(NF_VERDICT_MASK)};
  }
  return std::nullopt;
}

std::uint32_t register_number(ruleset::Register index) {
  return NFT_REG32_00 + index;
}

std::optional<ruleset::Register> register_of(std::uint32_t number) {
  if (number >= NFT_REG_1 && number <= NFT_REG_4) {
    return static_cast<ruleset::Register>((number - NFT_REG_1) * (NFT_REG_SIZE / NFT_REG32_SIZE));
  }
  if (number >= NFT_REG32_00 && number <= NFT_REG32_15) {
    return static_cast<ruleset::Register>(number - NFT_REG32_00);
  }
  return std::nullopt;
}

}  // namespace rolewall::netlink

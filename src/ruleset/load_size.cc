#include "ruleset/load_size.h"

namespace rolewall::ruleset {

std::uint32_t load_size(MetaKey key) {
  switch (key) {
    case MetaKey::NfTrace:
    case MetaKey::NfProto:
    case MetaKey::L4Proto:
    case MetaKey::PktType:
    case MetaKey::SecPath:
    case MetaKey::TimeDay:
    case MetaKey::BriBroute:
      return 1;
    case MetaKey::Protocol:
    case MetaKey::IifType:
    case MetaKey::OifType:
    case MetaKey::BriIifPvid:
    case MetaKey::BriIifVproto:
      return 2;
    case MetaKey::Length:
    case MetaKey::Priority:
    case MetaKey::Mark:
    case MetaKey::Iif:
    case MetaKey::Oif:
    case MetaKey::SkUid:
    case MetaKey::SkGid:
    case MetaKey::RtClassId:
    case MetaKey::SecMark:
    case MetaKey::Cpu:
    case MetaKey::IifGroup:
    case MetaKey::OifGroup:
    case MetaKey::Cgroup:
    case MetaKey::Prandom:
    case MetaKey::TimeHour:
    case MetaKey::SdIif:
      return 4;
    case MetaKey::TimeNs:
      return 8;
    case MetaKey::IifName:
    case MetaKey::OifName:
    case MetaKey::BriIifName:
    case MetaKey::BriOifName:
    case MetaKey::IifKind:
    case MetaKey::OifKind:
    case MetaKey::SdIfName:
      return kInterfaceNameSize;
  }
  return 0;
}

std::uint32_t load_size(CtKey key, Family family) {
  switch (key) {
    case CtKey::Direction:
    case CtKey::L3Protocol:
    case CtKey::Protocol:
      return 1;
    case CtKey::ProtoSource:
    case CtKey::ProtoDestination:
    case CtKey::Zone:
      return 2;
    case CtKey::State:
    case CtKey::Status:
    case CtKey::Mark:
    case CtKey::SecMark:
    case CtKey::Expiration:
    case CtKey::EventMask:
    case CtKey::SourceIp:
    case CtKey::DestinationIp:
    case CtKey::Id:
      return 4;
    case CtKey::Packets:
    case CtKey::Bytes:
    case CtKey::AvgPacket:
      return 8;
    case CtKey::Source:
    case CtKey::Destination:
      return family == Family::Ip ? 4 : 16;
    case CtKey::Helper:
    case CtKey::Labels:
    case CtKey::SourceIp6:
    case CtKey::DestinationIp6:
      return 16;
  }
  return 0;
}

}  // namespace rolewall::ruleset

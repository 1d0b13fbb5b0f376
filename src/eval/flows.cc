#include "eval/flows.h"

#include <algorithm>
#include <string_view>

#include "base/time.h"
#include "eval/dissect.h"
#include "eval/nat.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace protocol = net::protocol;

constexpr std::uint64_t kLeastLowered = 120;
constexpr std::uint64_t kAnswersWithin = kNsPerSecond;

// nf_conntrack_udp_packet().
std::uint32_t follow_udp(FlowEntry& entry, std::uint64_t now_ns, const TrackingSettings& settings) {
  if ((entry.status & flow_status::kConfirmed) == 0) entry.stream_ns = now_ns + 2 * kNsPerSecond;
  if ((entry.status & flow_status::kSeenReply) == 0 || now_ns <= entry.stream_ns) {
    return settings.udp_timeout;
  }
  entry.status |= flow_status::kAssured;
  return settings.udp_timeout_stream;
}

// nf_conntrack_udplite_packet(): once both have spoken it is a stream, however soon.
std::uint32_t follow_udp_lite(FlowEntry& entry, const TrackingSettings& settings) {
  if ((entry.status & flow_status::kSeenReply) == 0) return settings.udp_timeout;
  entry.status |= flow_status::kAssured;
  return settings.udp_timeout_stream;
}

// nf_conntrack_gre_packet().
std::uint32_t follow_gre(FlowEntry& entry, const TrackingSettings& settings) {
  if ((entry.status & flow_status::kSeenReply) == 0) return settings.gre_timeout;
  entry.status |= flow_status::kAssured;
  return settings.gre_timeout_stream;
}

ByteSpan transport_of(ByteSpan packet, bool ipv6) {
  if (!ipv6) return packet.subspan(ipv4::header_size(packet));
  const auto found = skip_ipv6_extensions(packet, ipv6::kHeaderSize, packet[ipv6::kNextHeader]);
  return found && found->offset <= packet.size() ? packet.subspan(found->offset) : ByteSpan{};
}

}  // namespace

std::size_t Flows::KeyHash::operator()(const Key& key) const {
  const auto text = [](const auto& bytes) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  constexpr std::size_t kFactor = 0x9e3779b97f4a7c15;
  std::size_t hash = key.zone + key.tuple.protocol;
  for (const std::string_view part :
       {text(key.tuple.source), text(key.tuple.destination), text(key.tuple.source_port),
        text(key.tuple.destination_port)}) {
    hash = hash * kFactor + std::hash<std::string_view>{}(part);
  }
  return hash;
}

Flows::Key Flows::source_key(const Tuple& tuple, std::uint16_t zone) {
  Key key{tuple, zone};
  key.tuple.destination = {};
  key.tuple.destination_port = {};
  return key;
}

FlowEntry& Flows::to_change(std::uint64_t number) {
  FlowEntry& entry = entries_.at(number);
  note([this, number, was = entry] { entries_.insert_or_assign(number, was); });
  return entry;
}

Flows::Found Flows::find(const Tuple& tuple, std::uint16_t zone) {
  look_for_doubt({tuple, zone});
  const auto at = by_tuple_.find({tuple, zone});
  if (at == by_tuple_.end()) return {};
  FlowEntry& entry = to_change(at->second.entry);
  if (entry.expires_ns <= now_ns_) {
    remove(entry);
    return {};
  }
  return {&entry, at->second.is_reply};
}

// Every packet of a flow leaves as the inverse of what the other direction bears.
Flows::Found Flows::find_translated(const Tuple& tuple, std::uint16_t zone) {
  const Found other = find(invert(tuple), zone);
  return {other.entry, !other.is_reply};
}

std::uint16_t Flows::number_of(std::string_view name) {
  const auto at = std::ranges::find(names_, name);
  const auto number = static_cast<std::uint16_t>(at - names_.begin());
  if (at == names_.end()) names_.emplace_back(name);
  return number;
}

std::uint16_t Flows::number_of(const FlowTimeouts& timeouts) {
  const auto at = std::ranges::find(timeouts_, timeouts);
  const auto number = static_cast<std::uint16_t>(at - timeouts_.begin() + 1);
  if (at == timeouts_.end()) timeouts_.push_back(timeouts);
  return number;
}

const FlowTimeouts* Flows::own_timeouts(const FlowEntry& entry) const {
  return entry.timeouts == 0 ? nullptr : &timeouts_[entry.timeouts - 1U];
}

const FlowEntry* Flows::peek(const Tuple& tuple, std::uint16_t zone) const {
  look_for_doubt({tuple, zone});
  const auto at = by_tuple_.find({tuple, zone});
  return at == by_tuple_.end() ? nullptr : &entries_.at(at->second.entry);
}

FlowEntry* Flows::at_its_end(const Tuple& tuple, std::uint16_t zone, std::uint64_t margin_ns) {
  const auto at = by_tuple_.find({tuple, zone});
  if (at == by_tuple_.end()) return nullptr;
  FlowEntry& entry = to_change(at->second.entry);
  const FlowTimeouts* own = own_timeouts(entry);
  const bool may_live_on = own != nullptr && !own->unknown.empty();
  const bool near = entry.expires_ns <= now_ns_ + margin_ns &&
                    (may_live_on || now_ns_ <= entry.expires_ns + margin_ns);
  return near ? &entry : nullptr;
}

std::vector<const FlowEntry*> Flows::expecting() const {
  constexpr std::size_t kMostAsked = 256;  // the rest is taken to be like these
  std::vector<const FlowEntry*> unlike;
  std::size_t asked = 0;
  for (auto at = expecting_.all.rbegin(); at != expecting_.all.rend() && asked < kMostAsked; ++at) {
    const auto found = entries_.find(*at);
    if (found == entries_.end() || found->second.expires_ns <= now_ns_) continue;
    const FlowEntry& entry = found->second;
    ++asked;
    const auto is_like = [&](const FlowEntry* other) {
      return other->helper == entry.helper && other->mark == entry.mark;
    };
    if (std::ranges::none_of(unlike, is_like)) unlike.push_back(&entry);
  }
  return unlike;
}

void Flows::note_expecting(FlowEntry& entry) {
  if (entry.expects) return;
  entry.expects = true;
  note([this] { expecting_.all.pop_back(); });
  expecting_.all.push_back(by_tuple_.at({entry.original, entry.zone}).entry);
}

void Flows::collect() {
  if (now_ns_ < collected_ns_ + kNsPerSecond) return;
  note([this, was = collected_ns_] { collected_ns_ = was; });
  collected_ns_ = now_ns_;
  std::vector<const FlowEntry*> over;
  for (const auto& [number, entry] : entries_) {
    if (entry.expires_ns <= now_ns_) over.push_back(&entry);
  }
  for (const FlowEntry* entry : over) remove(*entry);
}

bool Flows::has(const Tuple& tuple, std::uint16_t zone) const {
  look_for_doubt({tuple, zone});
  const auto at = by_tuple_.find({tuple, zone});
  return at != by_tuple_.end() && entries_.at(at->second.entry).expires_ns > now_ns_;
}

TakenPorts* Flows::taken_ports(const Tuple& tuple, std::uint16_t zone, bool create) const {
  if (create) return &taken_ports_[{tuple, zone}];
  const auto at = taken_ports_.find({tuple, zone});
  return at == taken_ports_.end() ? nullptr : &at->second;
}

// By either of its tuples it may be what a search has found in its way, for either of the ports.
void Flows::forget_taken(const FlowEntry& entry) {
  if (taken_ports_.empty()) return;
  for (const Tuple& tuple : {entry.original, entry.reply}) {
    const Tuple wanted = invert(tuple);
    for (const auto port : {&Tuple::source_port, &Tuple::destination_port}) {
      Tuple any = wanted;
      any.*port = {};
      const auto at = taken_ports_.find({any, entry.zone});
      if (at == taken_ports_.end()) continue;
      at->second.remove(be16((wanted.*port).data()));
      if (at->second.empty()) taken_ports_.erase(at);
    }
  }
}

void Flows::note_gone(Numbers& numbers) {
  ++numbers.gone;
  if (undo_ != nullptr || 2 * numbers.gone < numbers.all.size()) return;
  std::erase_if(numbers.all, [&](std::uint64_t number) { return !entries_.contains(number); });
  numbers.gone = 0;
}

void Flows::note_cause(const Tuple& tuple, const Cause& cause) {
  if (causes_.size() >= many_causes_) {
    std::erase_if(causes_,
                  [&](const auto& old) { return old.second.at_ns + kAnswersWithin < now_ns_; });
    many_causes_ = std::max(2 * causes_.size(), std::size_t{1024});
  }
  if (const auto at = causes_.find(tuple); at != causes_.end()) {
    note([this, tuple, was = at->second] { causes_[tuple] = was; });
  } else {
    note([this, tuple] { causes_.erase(tuple); });
  }
  causes_[tuple] = cause;
  causes_[tuple].at_ns = now_ns_;
}

const Cause* Flows::cause_of(const Tuple& tuple) const {
  const auto at = causes_.find(tuple);
  const bool fresh = at != causes_.end() && now_ns_ <= at->second.at_ns + kAnswersWithin;
  return fresh ? &at->second : nullptr;
}

void Flows::begin_packet() {
  touched_.clear();
  met_doubt_ = false;
  has_begun_one_ = false;
}

// As many as a large table has flows: beyond that it is no longer told apart which.
void Flows::doubt(const Key& key) {
  constexpr std::size_t kMost = std::size_t{1} << 20;
  if (doubtful_.size() >= kMost) {
    all_doubtful_ = true;
    doubtful_.clear();
    doubtful_sources_.clear();
  }
  if (all_doubtful_) return;
  doubtful_.insert(key);
  doubtful_sources_.insert(source_key(key.tuple, key.zone));
}

std::map<Flows::Key, std::optional<FlowEntry>> Flows::touched() const {
  std::map<Key, std::optional<FlowEntry>> now;
  for (const Key& key : touched_) {
    std::optional<FlowEntry>& is = now[key];
    if (const auto at = by_tuple_.find(key); at != by_tuple_.end()) {
      is = entries_.at(at->second.entry);
    }
  }
  return now;
}

// The reply's tuple is put before the original one (__nf_conntrack_hash_insert()): where they are
// the same, as from a port to itself on one address, packets are found to be replies.
void Flows::list(const FlowEntry& entry, std::uint64_t number) {
  by_tuple_.insert_or_assign({entry.original, entry.zone}, Place{number, false});
  by_tuple_.insert_or_assign({entry.reply, entry.zone}, Place{number, true});
}

bool Flows::confirm(FlowEntry entry) {
  for (const Tuple& tuple : {entry.original, entry.reply}) {
    if (find(tuple, entry.zone).entry != nullptr) return false;
  }
  entry.status |= flow_status::kConfirmed;
  has_begun_one_ = true;
  const std::uint64_t number = next_entry_;
  note([this, number] { take_back_confirmed(number); });
  ++next_entry_;
  list(entry, number);
  by_source_[source_key(entry.original, entry.zone)].all.push_back(number);
  if (entry.expects) expecting_.all.push_back(number);
  entries_.emplace(number, entry);
  return true;
}

// Whatever came after it has been taken back: its number is the last everywhere.
void Flows::take_back_confirmed(std::uint64_t number) {
  const FlowEntry& entry = entries_.at(number);
  const auto source = by_source_.find(source_key(entry.original, entry.zone));
  source->second.all.pop_back();
  if (source->second.all.empty()) by_source_.erase(source);
  if (entry.expects) expecting_.all.pop_back();
  by_tuple_.erase({entry.original, entry.zone});
  by_tuple_.erase({entry.reply, entry.zone});
  forget_taken(entry);
  entries_.erase(number);
  next_entry_ = number;
}

void Flows::remove(const FlowEntry& entry) {
  const auto at = by_tuple_.find({entry.original, entry.zone});
  if (at == by_tuple_.end()) return;
  const std::uint64_t number = at->second.entry;
  note_removal(number);
  const Key from = source_key(entry.original, entry.zone);
  const bool expects = entry.expects;
  forget_taken(entry);
  by_tuple_.erase({entry.original, entry.zone});
  by_tuple_.erase({entry.reply, entry.zone});
  entries_.erase(number);
  const auto source = by_source_.find(from);
  note_gone(source->second);
  if (source->second.all.empty()) by_source_.erase(source);
  if (expects) note_gone(expecting_);
}

void Flows::note_removal(std::uint64_t number) {
  if (undo_ == nullptr) return;
  undo_->note([this, number, was = entries_.at(number)] {
    entries_.emplace(number, was);
    list(was, number);
    --by_source_.at(source_key(was.original, was.zone)).gone;
    if (was.expects) --expecting_.gone;
  });
}

void Flows::remove_oldest() {
  note([this, was = oldest_] { oldest_ = was; });
  while (!entries_.contains(oldest_)) ++oldest_;
  remove(entries_.at(oldest_));
}

void Flows::clear() {
  by_tuple_.clear();
  by_source_.clear();
  entries_.clear();
  expecting_ = {};
  taken_ports_.clear();
  causes_.clear();
  doubtful_.clear();
  doubtful_sources_.clear();
  all_doubtful_ = false;
  oldest_ = next_entry_;
  begin_packet();
  now_ns_ = 0;
  collected_ns_ = 0;
}

TcpAnswer::What follow_flow(FlowEntry& entry, ByteSpan packet, bool is_reply, std::uint64_t now_ns,
                            const TrackingSettings& settings) {
  TcpAnswer answer;
  switch (entry.original.protocol) {
    case protocol::kTcp: {
      const ByteSpan tcp = transport_of(packet, entry.original.ipv6);
      const bool confirmed = (entry.status & flow_status::kConfirmed) != 0;
      if (!confirmed && !begin_tcp(entry.tcp, tcp, settings)) {
        return TcpAnswer::What::Invalid;
      }
      answer = follow_tcp(entry.tcp, tcp, is_reply, entry.status, settings);
      break;
    }
    case protocol::kUdp:
      answer.timeout_s = follow_udp(entry, now_ns, settings);
      break;
    case protocol::kUdpLite:
      answer.timeout_s = follow_udp_lite(entry, settings);
      break;
    case protocol::kIcmp:
      answer.timeout_s = settings.icmp_timeout;
      break;
    case protocol::kIcmpv6:
      answer.timeout_s = settings.icmpv6_timeout;
      break;
    case protocol::kGre:
      answer.timeout_s = follow_gre(entry, settings);
      break;
    default:
      answer.timeout_s = settings.generic_timeout;
      break;
  }
  if (answer.what == TcpAnswer::What::Accept) {
    entry.expires_ns = now_ns + answer.timeout_s * kNsPerSecond;
  } else if (answer.lowers_timeout && entry.expires_ns > now_ns + kLeastLowered * kNsPerSecond) {
    // nf_tcp_handle_invalid()
    entry.expires_ns =
        std::min(entry.expires_ns, now_ns + settings.tcp_timeout_unacknowledged * kNsPerSecond);
  }
  if (answer.what == TcpAnswer::What::Accept || answer.what == TcpAnswer::What::Kill) {
    entry.packets[is_reply ? 1 : 0] += 1;
    entry.bytes[is_reply ? 1 : 0] += packet.size();
  }
  return answer.what;
}

void close_flow(FlowEntry& entry, ByteSpan packet, std::uint64_t now_ns,
                const TrackingSettings& settings) {
  const ByteSpan tcp = transport_of(packet, entry.original.ipv6);
  if (!readable(tcp, 0, 20) || is_reset(tcp) || entry.tcp.state == TcpState::Close) return;
  entry.tcp.state = TcpState::Close;
  entry.expires_ns = now_ns + settings.tcp_timeout_close * kNsPerSecond;
}

}  // namespace rolewall::eval

#include "cli/eval_capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "ask/conditions.h"
#include "ask/sample.h"
#include "ask/site.h"
#include "cli/exit_status.h"
#include "cli/render.h"
#include "cli/render_answer.h"
#include "cli/render_json.h"
#include "eval/capture.h"
#include "eval/dissect.h"
#include "eval/eval.h"
#include "eval/wire.h"
#include "net/address_set.h"
#include "net/protocol.h"
#include "ruleset/names.h"

namespace rolewall::cli {
namespace {

using ask::Verdict;

// Between a capture's time of a packet and the moment at which the rules see it: a softirq's delay.
constexpr std::uint64_t kClockErrorNs = 1'000'000;

// The policy's name for an interface or a device's own; an error where the host has another.
Result<std::string> device_of(const ruleset::Host& host, const std::string& given) {
  if (given.empty() && host.interfaces.size() == 1) return host.interfaces.front().device;
  std::string known;
  for (const ruleset::Interface& interface : host.interfaces) {
    if (!given.empty() && (interface.name == given || interface.device == given)) {
      return interface.device;
    }
    known += (known.empty() ? "" : ", ") + interface.name;
  }
  if (given == "lo" || (host.interfaces.empty() && !given.empty())) return given;
  if (given.empty()) {
    return fail(ErrorKind::Usage, "say by which interface the capture's packets came: --in " +
                                      (known.empty() ? "DEVICE" : known));
  }
  return fail(ErrorKind::Usage,
              fmt::format("the host has no interface `{}`; it has {}", given, known));
}

// What the words of a packet say of it; absent where its headers are not whole.
std::optional<ask::Sample> sample_of(const eval::Packet& packet) {
  const eval::ByteSpan bytes = packet.bytes;
  const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
  const auto headers = ipv6 ? eval::dissect_ipv6_checked(bytes) : eval::dissect_ipv4_checked(bytes);
  if (!headers || !headers->has_protocol) return std::nullopt;
  ask::Sample sample;
  eval::PacketFields& fields = sample.fields;
  if (ipv6) {
    fields.source = net::ipv6_from_bytes(bytes.data() + eval::ipv6::kSource);
    fields.destination = net::ipv6_from_bytes(bytes.data() + eval::ipv6::kDestination);
    fields.ttl = bytes[eval::ipv6::kHopLimit];
  } else {
    fields.source = net::ipv4_from_bytes(bytes.data() + eval::ipv4::kSource);
    fields.destination = net::ipv4_from_bytes(bytes.data() + eval::ipv4::kDestination);
    fields.ttl = bytes[eval::ipv4::kTtl];
  }
  fields.protocol = headers->protocol;
  fields.length = static_cast<std::uint32_t>(bytes.size());
  if (headers->fragment_offset != 0) {
    fields.fragment_offset = headers->fragment_offset;
    return sample;
  }
  const eval::ByteSpan transport =
      bytes.subspan(std::min<std::size_t>(headers->transport, bytes.size()));
  if (net::has_ports(fields.protocol)) {
    if (transport.size() < 4) return std::nullopt;
    fields.source_port = eval::be16(transport.data());
    fields.destination_port = eval::be16(transport.data() + 2);
    if (fields.protocol == net::protocol::kTcp && transport.size() >= 14) {
      fields.tcp_flags = transport[13];
    }
  } else if (transport.size() >= 2) {
    fields.icmp_type = transport[0];
    fields.icmp_code = transport[1];
  }
  return sample;
}

// What was decided about one packet.
struct Judged {
  Verdict as_taken = Verdict::Accept;  // of the way by which the conversation goes on
  bool sent = false;
  std::string words;
  ask::Hop hop;
  std::vector<eval::Condition> conditions;  // of that way
};

std::string why(const Judged& judged) {
  if (!judged.hop.reason.empty()) return printable(judged.hop.reason);
  return judged.hop.decided_by ? in_words(*judged.hop.decided_by) : "nothing is in its way";
}

class Run {
 public:
  Run(const CaptureOptions& options, const ruleset::Snapshot& snapshot, std::string device)
      : options_(options),
        snapshot_(snapshot),
        device_(std::move(device)),
        evaluator_(snapshot.ruleset, snapshot.host) {
    std::vector<net::Prefix> own = snapshot.host.addresses;
    own.insert(own.end(), snapshot.host.virtual_addresses.begin(),
               snapshot.host.virtual_addresses.end());
    own_ = net::AddressSet::from(own);
  }

  Result<void> go() {
    auto capture = eval::Capture::open(options_.file);
    if (!capture) return std::unexpected(capture.error());
    opened_ = true;
    std::optional<eval::CaptureWriter> writer;
    if (!options_.write_dropped.empty()) {
      auto created = eval::CaptureWriter::create(options_.write_dropped, *capture);
      if (!created) return std::unexpected(created.error());
      writer = std::move(*created);
    }
    eval::CapturedPacket captured;
    while (true) {
      const auto more = capture->next(captured);
      if (!more) {
        stop_progress();
        return std::unexpected(more.error());
      }
      if (!*more) break;
      const bool denied = take(captured);
      if (denied && writer) writer->take();
      show_progress(*capture);
    }
    stop_progress();
    if (writer) TRY(writer->finish());
    return {};
  }

  void summarise() const { options_.json ? summarise_json() : summarise_text(); }

 private:
  struct Count {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    Verdict verdict = Verdict::Accept;
    std::string why;
    std::optional<ask::DecidedBy> decided_by;
    std::string reason;
  };

  // Whether it is denied.
  bool take(eval::CapturedPacket& captured) {
    ++packets_;
    if (!captured.other.empty()) {
      ++others_[captured.other];
      if (options_.json) print_other(captured);
      return false;
    }
    const Judged judged = judge(captured);
    count(judged, captured.packet.bytes.size());
    if (options_.json) {
      print_packet(captured, judged);
    } else if (options_.each) {
      out().line(fmt::format("{:>6}  {}: {}  {}", captured.number, judged.words,
                             painted(out(), judged.hop.verdict), why(judged)));
      for (const ask::Alternative& way : judged.hop.alternatives) {
        out().line(fmt::format("          {}: {}  {}", printable(way.when),
                               painted(out(), way.verdict),
                               way.decided_by ? in_words(*way.decided_by) : ""));
      }
    }
    return judged.hop.verdict == Verdict::Drop || judged.hop.verdict == Verdict::Reject ||
           judged.hop.verdict == Verdict::Stack;
  }

  // The host's own packets are told by their source, where the capture does not say.
  bool is_sent(const eval::CapturedPacket& captured,
               const std::optional<ask::Sample>& sample) const {
    if (!options_.hook.empty()) return options_.hook == "output";
    if (captured.outgoing) return true;
    return sample && own_.contains(sample->fields.source) &&
           !own_.contains(sample->fields.destination);
  }

  Judged judge(eval::CapturedPacket& captured) {
    eval::Packet& packet = captured.packet;
    auto sample = sample_of(packet);
    Judged judged;
    judged.sent = is_sent(captured, sample);
    (judged.sent ? packet.out_device : packet.in_device) = device_;
    if (sample) {
      (judged.sent ? sample->out : sample->in) = device_;
      judged.words = to_words(*sample);
    } else {
      judged.words = fmt::format("an IP packet of {} bytes, {}={}", packet.bytes.size(),
                                 judged.sent ? "out" : "in", device_);
    }
    // Frames in a capture may be a little out of order; a clock is not.
    now_ns_ = std::max(now_ns_, captured.time_ns);
    const eval::Options how{.steps = false,
                            .keep_state = true,
                            .now_ns = now_ns_,
                            .clock_error_ns = kClockErrorNs,
                            .trust_checksums = options_.checksums == "trust"};
    const auto direction = judged.sent ? eval::Direction::Send : eval::Direction::Arrive;
    const eval::Outcomes outcomes = evaluator_.next(packet, direction, how);
    const eval::Journey& journey = outcomes.ways.front();
    judged.as_taken = ask::verdict_of(journey.fate());
    judged.hop.verdict = judged.as_taken;
    judged.conditions = journey.conditions;
    if (!journey.hooks.empty()) {
      const eval::HookResult& last = journey.hooks.back();
      judged.hop.hook = last.hook;
      judged.hop.reason = last.reason;
      if (last.decided) {
        judged.hop.decided_by =
            ask::decided_by(snapshot_.ruleset, snapshot_.sources, last.decision);
      }
    }
    std::vector<ask::Hop> hops{judged.hop};
    ask::weigh(hops, outcomes, snapshot_);
    judged.hop = std::move(hops.front());
    const bool assumes = std::ranges::any_of(judged.conditions, &eval::Condition::assumed);
    if (assumes && judged.as_taken != Verdict::Undecided) judged.hop.verdict = Verdict::Conditional;
    return judged;
  }

  void count(const Judged& judged, std::size_t bytes) {
    Count& entry = counts_[{judged.hop.verdict, why(judged)}];
    ++entry.packets;
    entry.bytes += bytes;
    entry.verdict = judged.hop.verdict;
    entry.why = why(judged);
    entry.decided_by = judged.hop.decided_by;
    entry.reason = judged.hop.reason;
    for (const eval::Condition& condition : judged.conditions) ++conditions_[condition.about];
  }

  static Json time_of(const eval::CapturedPacket& captured) {
    constexpr std::uint64_t kSecond = 1'000'000'000;
    return fmt::format("{}.{:09}", captured.time_ns / kSecond, captured.time_ns % kSecond);
  }

  static void print_other(const eval::CapturedPacket& captured) {
    Json json;
    json["number"] = captured.number;
    json["time"] = time_of(captured);
    json["other"] = captured.other;
    print(json);
  }

  void print_packet(const eval::CapturedPacket& captured, const Judged& judged) const {
    Json json;
    json["number"] = captured.number;
    json["time"] = time_of(captured);
    json["packet"] = judged.words;
    json["verdict"] = ask::name_of(judged.hop.verdict);
    if (judged.hop.verdict == Verdict::Conditional) {
      json["as_taken"] = ask::name_of(judged.as_taken);
    }
    for (const eval::Condition& condition : judged.conditions) {
      json["conditions"].push_back({{"about", condition.about}, {"is", condition.is}});
    }
    for (const ask::Alternative& way : judged.hop.alternatives) {
      json["alternatives"].push_back(to_json(way));
    }
    json["hook"] = ruleset::name_of(judged.hop.hook);
    json["device"] = device_;
    if (judged.hop.decided_by) json["decided_by"] = to_json(*judged.hop.decided_by);
    if (!judged.hop.reason.empty()) json["reason"] = judged.hop.reason;
    print(json);
  }

  std::vector<Count> by_packets() const {
    std::vector<Count> sorted;
    for (const auto& [key, entry] : counts_) sorted.push_back(entry);
    std::ranges::stable_sort(sorted, std::greater{}, &Count::packets);
    return sorted;
  }

  void summarise_text() const {
    out().line(fmt::format("{}: {} packets on {}", printable(options_.file), grouped(packets_),
                           printable(device_)));
    for (const Count& entry : by_packets()) {
      const std::string verdict(ask::name_of(entry.verdict));
      const std::string padding(verdict.size() < 11 ? 11 - verdict.size() : 0, ' ');
      out().line(fmt::format("  {:>10}  {}{}  {}", grouped(entry.packets),
                             painted(out(), entry.verdict), padding, entry.why));
    }
    for (const auto& [what, packets] : others_) {
      out().line(fmt::format("  {:>10}  not IP       {}", grouped(packets), printable(what)));
    }
    for (const auto& [about, packets] : conditions_) {
      out().line(
          fmt::format("  taken for given: {}, of {} packets", printable(about), grouped(packets)));
    }
  }

  void summarise_json() const {
    Json summary;
    summary["file"] = options_.file;
    summary["packets"] = packets_;
    summary["by_rule"] = Json::array();
    for (const Count& entry : by_packets()) {
      Json json;
      json["verdict"] = ask::name_of(entry.verdict);
      json["packets"] = entry.packets;
      json["bytes"] = entry.bytes;
      if (entry.decided_by) json["decided_by"] = to_json(*entry.decided_by);
      if (!entry.reason.empty()) json["reason"] = entry.reason;
      summary["by_rule"].push_back(std::move(json));
    }
    for (const auto& [what, packets] : others_) summary["other"][what] = packets;
    for (const auto& [about, packets] : conditions_) summary["conditions"][about] = packets;
    print(Json{{"summary", summary}});
  }

  // On a terminal alone, and only where it takes a while.
  void show_progress(const eval::Capture& capture) {
    constexpr std::uint64_t kEvery = 1024;
    constexpr std::chrono::milliseconds kRedraw{250};
    if (packets_ % kEvery != 0 || !err().interactive()) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - drawn_ < kRedraw) return;
    drawn_ = now;
    has_progress_ = true;
    const std::uint64_t size = capture.size();
    const std::string part =
        size == 0 ? ""
                  : fmt::format("{:3} %, ",
                                std::min<std::uint64_t>(capture.position() * 100 / size, 100));
    err().write(fmt::format("\r{}{} packets", part, grouped(packets_)));
  }
  void stop_progress() const {
    if (has_progress_) err().write("\r\033[K");
  }

  const CaptureOptions& options_;
  const ruleset::Snapshot& snapshot_;
  std::string device_;
  eval::Evaluator evaluator_;
  net::AddressSet own_;
  bool opened_ = false;
  std::uint64_t now_ns_ = 0;
  std::uint64_t packets_ = 0;
  std::map<std::pair<Verdict, std::string>, Count> counts_;
  std::map<std::string, std::uint64_t> others_;
  std::map<std::string, std::uint64_t> conditions_;
  std::chrono::steady_clock::time_point drawn_ = std::chrono::steady_clock::now();
  bool has_progress_ = false;
};

}  // namespace

int eval_capture(const CaptureOptions& options, const ruleset::Snapshot& snapshot) {
  auto device = device_of(snapshot.host, options.device);
  if (!device) return report(device.error());
  Run run(options, snapshot, std::move(*device));
  const auto done = run.go();
  run.summarise();
  return done ? kDone : report(done.error());
}

}  // namespace rolewall::cli

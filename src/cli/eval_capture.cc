#include "cli/eval_capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "ask/capture.h"
#include "base/time.h"
#include "cli/exit_status.h"
#include "cli/interruption.h"
#include "cli/render.h"
#include "cli/render_answer.h"
#include "cli/render_json.h"
#include "eval/capture.h"
#include "eval/eval.h"
#include "ruleset/names.h"

namespace rolewall::cli {
namespace {

using ask::Verdict;

constexpr std::string_view kEveryDevice = "any";

bool knows_indexes(const ruleset::Host& host) {
  return std::ranges::any_of(host.interfaces,
                             [](const auto& interface) { return interface.index != 0; });
}

// Why packets cannot be asked each on its own interface; "": they can.
std::string why_not_each(const ruleset::Host& host, const eval::Capture& capture) {
  if (capture.lacks_interfaces()) {
    return "the capture does not say by which interface each packet went: take it with `tcpdump "
           "-i any -y LINUX_SLL2`";
  }
  if (!capture.names_interfaces()) return "the capture was taken on one interface";
  if (!knows_indexes(host)) {
    return "policies do not say which number an interface has: ask with --live, or with --ruleset "
           "what `rolewall dump` writes on the host";
  }
  return "";
}

// The policy's name for an interface or a device's own; an error where the host has another.
Result<std::string> device_of(const ruleset::Host& host, const std::string& given,
                              const eval::Capture& capture) {
  const std::string not_each = why_not_each(host, capture);
  if (not_each.empty() && given.empty()) return std::string(kEveryDevice);
  if (given == kEveryDevice) {
    if (!not_each.empty()) return fail(ErrorKind::Usage, "--in any: " + not_each);
    return given;
  }
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
    std::string message =
        "say on which interface the capture was taken: --in " + (known.empty() ? "DEVICE" : known);
    if (capture.lacks_interfaces() || capture.names_interfaces()) {
      message += fmt::format("; if on all of them, {}", not_each);
    }
    return fail(ErrorKind::Usage, message);
  }
  return fail(ErrorKind::Usage,
              fmt::format("the host has no interface `{}`; its interfaces are {}", given, known));
}

std::string why(const ask::CapturedAnswer& answer) {
  if (!answer.hop.reason.empty()) return printable(answer.hop.reason);
  return answer.hop.decided_by ? in_words(*answer.hop.decided_by) : "no chain is on this hook";
}

ask::TakenOn taken_on(const CaptureOptions& options, const std::string& device) {
  ask::TakenOn taken{.device = device,
                     .each_says = device == kEveryDevice,
                     .trust_checksums = options.checksums == "trust",
                     .explain = options.explain};
  if (!options.hook.empty()) {
    taken.direction = options.hook == "output" ? eval::Direction::Send : eval::Direction::Arrive;
  }
  return taken;
}

class Run {
 public:
  Run(const CaptureOptions& options, const ruleset::Snapshot& snapshot, const std::string& device)
      : options_(options), device_(device), conversation_(snapshot, taken_on(options, device)) {}

  Result<void> go(eval::Capture& capture) {
    std::optional<eval::CaptureWriter> writer;
    if (!options_.write_dropped.empty()) {
      auto created = eval::CaptureWriter::create(options_.write_dropped, capture);
      if (!created) return std::unexpected(created.error());
      writer = std::move(*created);
    }
    eval::CapturedPacket captured;
    const Interruption interruption;
    while (!Interruption::requested()) {
      const auto more = capture.next(captured);
      if (!more && Interruption::requested()) break;
      if (!more) {
        stop_progress();
        return std::unexpected(more.error());
      }
      if (!*more) break;
      const bool denied = take(captured);
      if (denied && writer) writer->take();
      show_progress(capture);
    }
    stop_progress();
    interrupted_ = Interruption::requested();
    if (interrupted_) came_to_ = part_of(capture);
    if (writer) TRY(writer->finish());
    return {};
  }
  // What there was of the capture is not all in the summary.
  bool was_interrupted() const { return interrupted_; }

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
    const ask::CapturedAnswer answer = conversation_.ask(captured);
    if (!answer.passed_over.empty()) {
      ++passed_over_[answer.passed_over];
      if (options_.json) print_passed_over(captured, answer);
      return false;
    }
    count(answer, captured.packet.bytes.size());
    if (options_.json) {
      print_packet(captured, answer);
    } else if (options_.each) {
      out().line(fmt::format("{:>6}  {}: {}  {}", captured.number, answer.packet,
                             painted(out(), answer.hop.verdict), why(answer)));
      if (answer.hop.verdict == Verdict::Conditional) render_conditions(answer);
      for (const ask::Alternative& way : answer.hop.alternatives) {
        out().line(fmt::format("          {}: {}  {}", printable(way.when),
                               painted(out(), way.verdict),
                               way.decided_by ? in_words(*way.decided_by) : ""));
      }
      render_tried(out(), answer.hop);
    }
    // Held fragments are left out: the last of them has the verdict of the datagram.
    return ask::is_denied(answer.hop.verdict) && answer.hop.verdict != Verdict::Held;
  }

  // What the verdict hangs on, and what it is as that was taken.
  static void render_conditions(const ask::CapturedAnswer& answer) {
    std::string taken;
    for (const eval::Condition& condition : answer.conditions) {
      if (condition.assumed) taken += (taken.empty() ? "" : "; ") + condition.about;
    }
    if (taken.empty()) return;
    out().line(fmt::format("          {} if, as was taken: {}", painted(out(), answer.as_taken),
                           printable(taken)));
  }

  void count(const ask::CapturedAnswer& answer, std::size_t bytes) {
    Count& entry = counts_[{answer.hop.verdict, why(answer)}];
    ++entry.packets;
    entry.bytes += bytes;
    entry.verdict = answer.hop.verdict;
    entry.why = why(answer);
    entry.decided_by = answer.hop.decided_by;
    entry.reason = answer.hop.reason;
    for (const eval::Condition& condition : answer.conditions) ++conditions_[condition.about];
    was_translated_ |= answer.was_translated;
  }

  static Json time_of(const eval::CapturedPacket& captured) {
    return fmt::format("{}.{:09}", captured.time_ns / kNsPerSecond,
                       captured.time_ns % kNsPerSecond);
  }

  static void print_other(const eval::CapturedPacket& captured) {
    Json json;
    json["number"] = captured.number;
    json["time"] = time_of(captured);
    json["other"] = captured.other;
    print(json);
  }

  static void print_passed_over(const eval::CapturedPacket& captured,
                                const ask::CapturedAnswer& answer) {
    Json json;
    json["number"] = captured.number;
    json["time"] = time_of(captured);
    json["packet"] = answer.packet;
    json["passed_over"] = answer.passed_over;
    print(json);
  }

  void print_packet(const eval::CapturedPacket& captured, const ask::CapturedAnswer& answer) const {
    Json json;
    json["number"] = captured.number;
    json["time"] = time_of(captured);
    json["packet"] = answer.packet;
    json["verdict"] = ask::name_of(answer.hop.verdict);
    if (answer.hop.verdict == Verdict::Conditional) {
      json["as_taken"] = ask::name_of(answer.as_taken);
    }
    for (const eval::Condition& condition : answer.conditions) {
      json["conditions"].push_back({{"about", condition.about}, {"is", condition.is}});
    }
    const Json hop = to_json(answer.hop);
    if (const Json* tried = hop.find("tried"); tried != nullptr) json["tried"] = *tried;
    for (const ask::Alternative& way : answer.hop.alternatives) {
      json["alternatives"].push_back(to_json(way));
    }
    json["hook"] = ruleset::name_of(answer.hop.hook);
    json["device"] = conversation_.device();
    if (answer.hop.decided_by) json["decided_by"] = to_json(*answer.hop.decided_by);
    if (!answer.hop.reason.empty()) json["reason"] = answer.hop.reason;
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
                           device_ == kEveryDevice ? "all interfaces" : printable(device_)));
    if (interrupted_) {
      out().line(fmt::format("  interrupted{}: of what is behind packet {} nothing is known",
                             came_to_ ? fmt::format(" after {} % of the file", *came_to_) : "",
                             grouped(packets_)));
    }
    const std::vector<Count> sorted = by_packets();
    for (const Count& entry : sorted) {
      const std::string verdict(ask::name_of(entry.verdict));
      const std::string padding(verdict.size() < 11 ? 11 - verdict.size() : 0, ' ');
      out().line(fmt::format("  {:>10}  {}{}  {}", grouped(entry.packets),
                             painted(out(), entry.verdict), padding, entry.why));
    }
    for (const Verdict verdict : {Verdict::Stack, Verdict::Held}) {
      if (std::ranges::find(sorted, verdict, &Count::verdict) == sorted.end()) continue;
      out().line(fmt::format("  {}: {}", ask::name_of(verdict), ask::meaning(verdict)));
    }
    for (const auto& [what, packets] : others_) {
      out().line(fmt::format("  {:>10}  not IP       {}", grouped(packets), printable(what)));
    }
    for (const auto& [what, packets] : passed_over_) {
      out().line(fmt::format("  {:>10}  not asked    {}", grouped(packets), printable(what)));
    }
    for (const auto& [about, packets] : conditions_) {
      out().line(
          fmt::format("  assumed: {}, for {}", printable(about), counted(packets, "packet")));
    }
    if (was_translated_) {
      out().line(
          "  the host translates addresses, and one interface does not show all of it: capture on "
          "the inside, or on all (tcpdump -i any -w FILE), and ask with --live or --ruleset");
    }
  }

  void summarise_json() const {
    Json summary;
    summary["file"] = options_.file;
    summary["packets"] = packets_;
    if (interrupted_) summary["interrupted"] = true;
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
    for (const auto& [what, packets] : passed_over_) summary["passed_over"][what] = packets;
    for (const auto& [about, packets] : conditions_) summary["conditions"][about] = packets;
    print(Json{{"summary", summary}});
  }

  // How many hundredths of the file; absent where it has no size.
  static std::optional<std::uint64_t> part_of(const eval::Capture& capture) {
    const std::uint64_t size = capture.size();
    if (size == 0) return std::nullopt;
    return std::min<std::uint64_t>(capture.position() * 100 / size, 100);
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
    const auto part = part_of(capture);
    err().write(fmt::format("\r{}{} packets", part ? fmt::format("{:3} %, ", *part) : "",
                            grouped(packets_)));
  }
  void stop_progress() const {
    if (has_progress_) err().write("\r\033[K");
  }

  const CaptureOptions& options_;
  std::string device_;
  ask::Conversation conversation_;
  std::uint64_t packets_ = 0;
  std::map<std::pair<Verdict, std::string>, Count> counts_;
  std::map<std::string, std::uint64_t> others_;
  std::map<std::string, std::uint64_t> passed_over_;
  std::map<std::string, std::uint64_t> conditions_;
  std::chrono::steady_clock::time_point drawn_ = std::chrono::steady_clock::now();
  bool was_translated_ = false;
  bool has_progress_ = false;
  bool interrupted_ = false;
  std::optional<std::uint64_t> came_to_;
};

}  // namespace

int eval_capture(const CaptureOptions& options, const ruleset::Snapshot& snapshot) {
  auto capture = eval::Capture::open(options.file);
  if (!capture) return report(capture.error());
  const auto device = device_of(snapshot.host, options.device, *capture);
  if (!device) return report(device.error());
  Run run(options, snapshot, *device);
  const auto done = run.go(*capture);
  run.summarise();
  if (!done) return report(done.error());
  return run.was_interrupted() ? kSystem : kDone;
}

}  // namespace rolewall::cli

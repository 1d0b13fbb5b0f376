// Rulesets that real tools and people wrote: each is loaded by its own program in a namespace, read
// from the kernel, written to another namespace and read again, and must be the same; at most one
// rule in a hundred may be undecided, of nft's own and of iptables-nft's. The rulesets are not part
// of the project; where their folder is not there, the test is skipped.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "network.h"
#include "support/share.h"
#include "trip.h"

namespace rolewall::corpus {
namespace {

constexpr int kSkipped = 77;  // Meson's exit status for a test that cannot run here
constexpr double kMostUndecided = 0.01;
constexpr std::size_t kMostShown = 20;  // losses in full

struct Total {
  std::size_t samples = 0;
  std::size_t not_loaded = 0;
  Findings findings;
};

class Report {
 public:
  explicit Report(bool verbose) : verbose_(verbose) {}

  // Commands of which one is refused are tried in halves.
  void add(const Sample& sample) {
    const auto start = std::chrono::steady_clock::now();
    const auto findings = make_trip(sample);
    if (!findings && findings.error().kind == ErrorKind::Usage && sample.commands.size() > 1) {
      const auto [first, second] = sample.halves();
      add(first);
      add(second);
      return;
    }
    Total& total = totals_[static_cast<std::size_t>(sample.origin)];
    if (!findings) {
      ++total.not_loaded;
      // A namespace's root may not send more at once than the machine's net.core.wmem_max.
      const bool too_long =
          findings.error().message.find(std::strerror(EMSGSIZE)) != std::string::npos;
      refused_ |= sample.origin == Origin::Native && !too_long;
      fmt::print("not loaded: {}: {}\n", sample.name, findings.error().message);
      return;
    }
    ++total.samples;
    merge(*findings, total.findings);
    for (const std::string& loss : findings->losses) {
      if (++losses_ <= kMostShown) fmt::print("LOST: {}: {}\n", sample.name, loss);
    }
    if (verbose_) {
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      fmt::print("{:6.2f} s {:6} rules  {}\n", took.count(), findings->rules, sample.name);
    }
  }

  // The exit status.
  int finish() const {
    static constexpr std::array<std::string_view, 3> kNames{
        "native rulesets", "rulesets of iptables, translated", "rulesets of iptables"};
    for (std::size_t i = 0; i < totals_.size(); ++i) {
      const Total& total = totals_[i];
      fmt::print(
          "{}: {} ({} more refused by their own program or this kernel), {} rules, {} "
          "elements, {} rules' bytecode compared\n",
          kNames[i], total.samples, total.not_loaded, total.findings.rules, total.findings.elements,
          total.findings.bytecode_compared);
      show("not read", total.findings.unread, total.findings.rules);
      show("not evaluated", total.findings.refused, total.findings.rules);
    }
    const double native = undecided(Origin::Native);
    const double iptables = undecided(Origin::Iptables);
    fmt::print("{} differences, {:.2f} % of the native rules undecided, {:.2f} % of iptables'\n",
               losses_, 100 * native, 100 * iptables);
    return losses_ == 0 && std::max(native, iptables) <= kMostUndecided && !refused_ ? 0 : 1;
  }

 private:
  using Reasons = std::map<std::string, std::size_t>;

  double undecided(Origin origin) const {
    const Findings& of = totals_[static_cast<std::size_t>(origin)].findings;
    return static_cast<double>(sum(of.unread) + sum(of.refused)) /
           static_cast<double>(std::max<std::size_t>(of.rules, 1));
  }

  static void merge(const Findings& from, Findings& into) {
    into.rules += from.rules;
    into.elements += from.elements;
    into.bytecode_compared += from.bytecode_compared;
    for (const auto& [reason, count] : from.unread) into.unread[reason] += count;
    for (const auto& [reason, count] : from.refused) into.refused[reason] += count;
  }

  static std::size_t sum(const Reasons& reasons) {
    std::size_t total = 0;
    for (const auto& [reason, count] : reasons) total += count;
    return total;
  }

  static void show(std::string_view what, const Reasons& reasons, std::size_t rules) {
    if (reasons.empty()) return;
    fmt::print("  {}: {} of {} rules\n", what, sum(reasons), rules);
    for (const auto& [reason, count] : reasons) fmt::print("    {:6} {}\n", count, reason);
  }

  bool verbose_;
  std::array<Total, 3> totals_;
  std::size_t losses_ = 0;
  bool refused_ = false;  // a native ruleset, for another reason than its size
};

int run(const std::string& folder, bool verbose, const std::string& only) {
  const auto samples = read_samples(folder);
  if (!samples) {
    fmt::print("{}\n", samples.error().message);
    return 1;
  }
  Report report(verbose);
  std::size_t number = 0;
  for (const Sample& sample : *samples) {
    if (number++ % test::share() != 0) continue;
    if (!only.empty() && sample.name.find(only) == std::string::npos) continue;
    report.add(sample);
  }
  return report.finish();
}

}  // namespace
}  // namespace rolewall::corpus

// corpus_test FOLDER [--verbose] [--only PART_OF_A_NAME]; ROLEWALL_CORPUS goes before
// FOLDER.
int main(int count, char** words) {
  using namespace rolewall;  // NOLINT(google-build-using-namespace)
  std::string folder = count > 1 ? words[1] : "";
  if (const char* named = std::getenv("ROLEWALL_CORPUS"); named != nullptr) folder = named;
  bool verbose = false;
  std::string only;
  for (int i = 2; i < count; ++i) {
    const std::string_view word = words[i];
    verbose |= word == "--verbose";
    if (word == "--only" && i + 1 < count) only = words[++i];
  }
  if (!std::filesystem::is_directory(folder)) {
    fmt::print("skipped: there is no corpus at `{}` (ROLEWALL_CORPUS names its folder)\n", folder);
    return corpus::kSkipped;
  }
  return corpus::where_networks_can_be_made([&] { return corpus::run(folder, verbose, only); });
}

#include "observe/drop_reasons.h"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/file.h"

namespace rolewall::observe {
namespace {

constexpr const char* kFormats[] = {"/sys/kernel/tracing/events/skb/kfree_skb/format",
                                    "/sys/kernel/debug/tracing/events/skb/kfree_skb/format"};
constexpr std::size_t kLongestFormat = std::size_t{1} << 20;
constexpr std::size_t kPages = 16;  // of records a processor: a power of two

template <class Number>
std::optional<Number> number_after(std::string_view text, std::string_view words) {
  const std::size_t at = text.find(words);
  if (at == std::string_view::npos) return std::nullopt;
  Number number{};
  const char* begin = text.data() + at + words.size();
  while (begin != text.data() + text.size() && *begin == ' ') ++begin;
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  return number;
}

// "field:unsigned short protocol;	offset:32;	size:2;	signed:0;"
std::optional<std::size_t> offset_of_field(std::string_view text, std::string_view declaration,
                                           std::size_t size) {
  const std::size_t at = text.find(declaration);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(at, text.find('\n', at) - at);
  if (number_after<std::size_t>(line, "size:") != size) return std::nullopt;
  return number_after<std::size_t>(line, "offset:");
}

std::size_t page_size() {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

int open_event(std::uint64_t id, int processor) {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.config = id;
  attributes.sample_period = 1;
  attributes.sample_type = PERF_SAMPLE_TIME | PERF_SAMPLE_RAW;
  attributes.use_clockid = 1;
  attributes.clockid = CLOCK_MONOTONIC;
  return static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, -1, processor, -1, PERF_FLAG_FD_CLOEXEC));
}

}  // namespace

std::optional<DropFormat> parse_drop_format(std::string_view text) {
  DropFormat format;
  const auto id = number_after<std::uint64_t>(text, "\nID:");
  const auto protocol = offset_of_field(text, "field:unsigned short protocol;", 2);
  const auto reason = offset_of_field(text, "field:enum skb_drop_reason reason;", 4);
  if (!id || !protocol || !reason) return std::nullopt;
  format.id = *id;
  format.protocol_at = *protocol;
  format.reason_at = *reason;
  // { 12, "NETFILTER_DROP" }
  for (std::size_t at = text.find("__print_symbolic"); at < text.size();) {
    const std::size_t brace = text.find("{ ", at);
    if (brace == std::string_view::npos) break;
    const std::string_view entry = text.substr(brace, text.find('}', brace) - brace);
    const auto number = number_after<std::uint32_t>(entry, "{");
    const std::size_t quote = entry.find('"');
    const std::size_t end = entry.rfind('"');
    if (number && quote < end) {
      format.names.emplace(*number, std::string(entry.substr(quote + 1, end - quote - 1)));
    }
    at = brace + 2;
  }
  return format;
}

Result<DropReasons> DropReasons::open() {
  std::optional<DropFormat> format;
  bool found = false;
  for (const char* path : kFormats) {
    const auto text = read_file(path, kLongestFormat);
    if (!text) continue;
    found = true;
    format = parse_drop_format(*text);
    if (format) break;
  }
  if (!found) {
    return fail(ErrorKind::System,
                "no tracefs is there to read (`mount -t tracefs nodev /sys/kernel/tracing`)");
  }
  if (!format) return fail(ErrorKind::System, "this kernel tells no reason (before 5.17)");
  DropReasons reasons(std::move(*format));
  const long processors = ::sysconf(_SC_NPROCESSORS_CONF);
  for (int processor = 0; processor < processors; ++processor) {
    const int event = open_event(reasons.format_.id, processor);
    if (event < 0 && errno == ENODEV) continue;  // it is switched off
    if (event < 0) {
      return fail(ErrorKind::System,
                  fmt::format("skb:kfree_skb cannot be read: {}", std::strerror(errno)), errno);
    }
    void* memory =
        ::mmap(nullptr, (1 + kPages) * page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, event, 0);
    if (memory == MAP_FAILED) {
      const int error = errno;
      ::close(event);
      return fail(ErrorKind::System,
                  fmt::format("skb:kfree_skb cannot be read: {}", std::strerror(error)), error);
    }
    reasons.rings_.push_back({event, memory});
  }
  return reasons;
}

DropReasons::DropReasons(DropReasons&& other) noexcept
    : format_(std::move(other.format_)), rings_(std::exchange(other.rings_, {})) {}

DropReasons::~DropReasons() {
  for (const Ring& ring : rings_) {
    ::munmap(ring.memory, (1 + kPages) * page_size());
    ::close(ring.descriptor);
  }
}

std::vector<DropReason> DropReasons::read() {
  std::vector<DropReason> all;
  for (const Ring& ring : rings_) read(ring, all);
  std::ranges::sort(all, {}, &DropReason::monotonic_ns);
  return all;
}

// Of a record: its header, the time, the raw size, and what the trace point's format describes.
void DropReasons::read(const Ring& ring, std::vector<DropReason>& into) const {
  auto* page = static_cast<perf_event_mmap_page*>(ring.memory);
  const auto* data = static_cast<const std::uint8_t*>(ring.memory) + page_size();
  const std::size_t size = kPages * page_size();
  const std::uint64_t head = std::atomic_ref(page->data_head).load(std::memory_order_acquire);
  std::uint64_t tail = page->data_tail;
  std::vector<std::uint8_t> record;
  while (tail < head) {
    const auto copy = [&](std::size_t bytes) {
      record.resize(bytes);
      for (std::size_t i = 0; i < bytes; ++i) record[i] = data[(tail + i) % size];
    };
    copy(sizeof(perf_event_header));
    perf_event_header header{};
    std::memcpy(&header, record.data(), sizeof header);
    if (header.size < sizeof header || header.size > head - tail) break;
    copy(header.size);
    tail += header.size;
    constexpr std::size_t kTimeAt = sizeof(perf_event_header);
    constexpr std::size_t kRawAt = kTimeAt + 8 + 4;
    const std::size_t need = kRawAt + std::max(format_.protocol_at + 2, format_.reason_at + 4);
    if (header.type != PERF_RECORD_SAMPLE || record.size() < need) continue;
    DropReason one;
    std::uint32_t reason = 0;
    std::memcpy(&one.monotonic_ns, record.data() + kTimeAt, 8);
    std::memcpy(&one.ether_type, record.data() + kRawAt + format_.protocol_at, 2);
    std::memcpy(&reason, record.data() + kRawAt + format_.reason_at, 4);
    const auto name = format_.names.find(reason);
    one.name = name == format_.names.end() ? fmt::format("reason {}", reason) : name->second;
    into.push_back(std::move(one));
  }
  std::atomic_ref(page->data_tail).store(head, std::memory_order_release);
}

}  // namespace rolewall::observe

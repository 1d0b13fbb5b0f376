#include "eval/pcapng.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace rolewall::eval {
namespace {

constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;  // the same in both byte orders
constexpr std::uint32_t kByteOrder = 0x1a2b3c4d;
constexpr std::uint32_t kInterface = 1;
constexpr std::uint32_t kLeastBlock = 12;
constexpr std::uint32_t kMostOfBlock = 65536;  // as described; a packet's may be larger
constexpr std::size_t kMostInterfaces = 4096;
constexpr std::size_t kOptionsAt = 16;  // of a description: type, length, link type, snap length
constexpr std::uint16_t kName = 2;      // if_name

// In the byte order of the section.
class SectionNumbers {
 public:
  explicit SectionNumbers(bool swapped) : swapped_(swapped) {}
  std::uint32_t word(const std::uint8_t* at) const {
    std::uint32_t number = 0;
    std::memcpy(&number, at, sizeof number);
    return swapped_ ? std::byteswap(number) : number;
  }
  std::uint16_t half(const std::uint8_t* at) const {
    std::uint16_t number = 0;
    std::memcpy(&number, at, sizeof number);
    return swapped_ ? std::byteswap(number) : number;
  }

 private:
  bool swapped_;
};

std::string name_of(const std::vector<std::uint8_t>& block, SectionNumbers numbers) {
  const std::size_t end = block.size() - sizeof(std::uint32_t);  // the length stands there again
  for (std::size_t at = kOptionsAt; at + 4 <= end;) {
    const std::uint16_t code = numbers.half(block.data() + at);
    const std::uint16_t length = numbers.half(block.data() + at + 2);
    at += 4;
    if (at + length > end) return "";
    if (code == kName) return {block.begin() + at, block.begin() + at + length};
    at += (length + std::size_t{3}) / 4 * 4;
  }
  return "";
}

}  // namespace

std::vector<std::string> pcapng_interfaces(std::FILE* file) {
  std::vector<std::string> names;
  if (std::fseek(file, 0, SEEK_SET) != 0) return names;  // a pipe
  std::array<std::uint8_t, kLeastBlock> head{};
  const auto read_head = [&] {
    return std::fread(head.data(), 1, head.size(), file) == head.size();
  };
  SectionNumbers numbers(false);
  long at = 0;
  std::size_t count = 0;
  while (read_head()) {  // an interface may be described behind packets, too
    const std::uint32_t type = numbers.word(head.data());
    const bool begins = type == kSectionHeader;
    if (begins) numbers = SectionNumbers(SectionNumbers(false).word(head.data() + 8) != kByteOrder);
    if (at == 0 && !begins) break;
    const std::uint32_t length = numbers.word(head.data() + 4);
    if (length < kLeastBlock) break;
    if (type == kInterface && length >= kOptionsAt + 4) {
      if (length > kMostOfBlock || ++count > kMostInterfaces) break;
      std::vector<std::uint8_t> block(length);
      if (std::fseek(file, at, SEEK_SET) != 0) break;
      if (std::fread(block.data(), 1, block.size(), file) != block.size()) break;
      std::string name = name_of(block, numbers);
      if (!name.empty() && std::ranges::find(names, name) == names.end()) {
        names.push_back(std::move(name));
      }
    }
    at += static_cast<long>(length);
    if (std::fseek(file, at, SEEK_SET) != 0) break;
  }
  std::rewind(file);
  return names;
}

}  // namespace rolewall::eval

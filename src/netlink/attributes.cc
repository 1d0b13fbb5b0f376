#include "netlink/attributes.h"

#include <arpa/inet.h>
#include <endian.h>
#include <fmt/format.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>

namespace rolewall::netlink {

Attributes::Attributes(View bytes) {
  const bool whole = for_each_attribute(bytes, [this](std::uint16_t type, View payload) {
    if (type >= kTypes) {
      problem(fmt::format("attribute {} is unknown", type));
    } else if ((present_ >> type & 1U) != 0) {
      problem(fmt::format("attribute {} occurs twice", type));
    } else {
      present_ |= 1U << type;
      payloads_[type] = payload;
    }
  });
  if (!whole) problem("its attributes are cut short");
}

bool Attributes::has(std::uint16_t type) const {
  return type < kTypes && (present_ >> type & 1U) != 0;
}

bool Attributes::take(std::uint16_t type, std::size_t size, View& payload) {
  if (!has(type)) {
    problem(fmt::format("attribute {} is missing", type));
    return false;
  }
  read_ |= 1U << type;
  payload = payloads_[type];
  if (size != 0 && payload.size() != size) {
    problem(fmt::format("attribute {} has {} bytes instead of {}", type, payload.size(), size));
    return false;
  }
  return true;
}

std::uint8_t Attributes::u8(std::uint16_t type) {
  View payload;
  return take(type, 1, payload) ? payload[0] : std::uint8_t{0};
}

std::uint16_t Attributes::be16(std::uint16_t type) {
  View payload;
  return take(type, 2, payload) ? ntohs(native_u16(payload.data())) : std::uint16_t{0};
}

std::uint32_t Attributes::be32(std::uint16_t type) {
  View payload;
  return take(type, 4, payload) ? ntohl(native_u32(payload.data())) : 0;
}

std::uint64_t Attributes::be64(std::uint16_t type) {
  View payload;
  if (!take(type, 8, payload)) return 0;
  std::uint64_t value = 0;
  std::memcpy(&value, payload.data(), sizeof value);
  return be64toh(value);
}

std::uint32_t Attributes::host_u32(std::uint16_t type) {
  View payload;
  return take(type, 4, payload) ? native_u32(payload.data()) : 0;
}

std::string Attributes::text(std::uint16_t type) {
  const View payload = bytes(type);
  return {payload.begin(), std::find(payload.begin(), payload.end(), std::uint8_t{0})};
}

View Attributes::bytes(std::uint16_t type) {
  View payload;
  take(type, 0, payload);
  return payload;
}

std::uint32_t Attributes::be32_or(std::uint16_t type, std::uint32_t otherwise) {
  return has(type) ? be32(type) : otherwise;
}

std::uint64_t Attributes::be64_or(std::uint16_t type, std::uint64_t otherwise) {
  return has(type) ? be64(type) : otherwise;
}

View Attributes::bytes_or_empty(std::uint16_t type) {
  return has(type) ? bytes(type) : View{};
}

void Attributes::ignore(std::uint16_t type) {
  if (type < kTypes) read_ |= 1U << type;
}

void Attributes::problem(std::string reason) {
  if (problem_.empty()) problem_ = std::move(reason);
}

std::string Attributes::finish() {
  for (std::uint16_t type = 0; type < kTypes; ++type) {
    const bool unread = ((present_ & ~read_) >> type & 1U) != 0;
    if (unread) problem(fmt::format("attribute {} is unknown", type));
  }
  return problem_;
}

std::size_t Writer::begin_message(std::uint16_t type, std::uint16_t flags, std::uint8_t family,
                                  std::uint16_t resource_id) {
  const std::size_t begin = buffer_.size();
  nlmsghdr message{};
  message.nlmsg_type = type;
  message.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  nfgenmsg generic{};
  generic.nfgen_family = family;
  generic.version = NFNETLINK_V0;
  generic.res_id = htons(resource_id);
  buffer_.resize(begin + sizeof message + sizeof generic);
  std::memcpy(buffer_.data() + begin, &message, sizeof message);
  std::memcpy(buffer_.data() + begin + sizeof message, &generic, sizeof generic);
  return begin;
}

void Writer::end_message(std::size_t begin) {
  const auto length = static_cast<std::uint32_t>(buffer_.size() - begin);
  std::memcpy(buffer_.data() + begin + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
}

void Writer::header(std::uint16_t type, std::size_t payload_size) {
  const std::array<std::uint16_t, 2> fields{static_cast<std::uint16_t>(payload_size + 4), type};
  const std::size_t at = buffer_.size();
  buffer_.resize(at + 4 + aligned(payload_size));
  std::memcpy(buffer_.data() + at, fields.data(), 4);
}

void Writer::put(std::uint16_t type, View payload) {
  const std::size_t at = buffer_.size();
  header(type, payload.size());
  if (!payload.empty()) std::memcpy(buffer_.data() + at + 4, payload.data(), payload.size());
}

void Writer::u8(std::uint16_t type, std::uint8_t value) {
  put(type, View{&value, 1});
}

void Writer::be16(std::uint16_t type, std::uint16_t value) {
  const std::uint16_t wire = htons(value);
  put(type, View{reinterpret_cast<const std::uint8_t*>(&wire), sizeof wire});
}

void Writer::be32(std::uint16_t type, std::uint32_t value) {
  const std::uint32_t wire = htonl(value);
  put(type, View{reinterpret_cast<const std::uint8_t*>(&wire), sizeof wire});
}

void Writer::be64(std::uint16_t type, std::uint64_t value) {
  const std::uint64_t wire = htobe64(value);
  put(type, View{reinterpret_cast<const std::uint8_t*>(&wire), sizeof wire});
}

void Writer::text(std::uint16_t type, std::string_view value) {
  const std::size_t at = buffer_.size();
  header(type, value.size() + 1);
  std::memcpy(buffer_.data() + at + 4, value.data(), value.size());
}

std::size_t Writer::begin_nest(std::uint16_t type) {
  const std::size_t begin = buffer_.size();
  header(static_cast<std::uint16_t>(type | NLA_F_NESTED), 0);
  return begin;
}

void Writer::end_nest(std::size_t begin) {
  const auto length = static_cast<std::uint16_t>(buffer_.size() - begin);
  std::memcpy(buffer_.data() + begin, &length, sizeof length);
}

}  // namespace rolewall::netlink

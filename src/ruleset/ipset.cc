#include "ruleset/ipset.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <utility>

#include "net/address.h"
#include "ruleset/ipset_words.h"

namespace rolewall::ruleset {
namespace {

using Field = IpSet::Field;

// Words, of which one may be a comment in quotes.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    std::size_t end = line.front() == '"' ? line.find('"', 1) : line.find(' ');
    if (end != std::string_view::npos && line.front() == '"') ++end;
    words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end, line.size()));
  }
}

template <class Number = std::uint32_t>
std::optional<Number> number_of(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    base = 16;
    text.remove_prefix(2);
  }
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

void append(std::string& key, std::span<const std::uint8_t> bytes) {
  key.append(bytes.begin(), bytes.end());
}

void append_word(std::string& key, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) key += static_cast<char>(number >> shift);
}

std::optional<Bytes> address_of(const IpSet& set, std::string_view text) {
  const auto address = net::parse_address(text);
  if (!address) return std::nullopt;
  Bytes bytes = net::to_bytes(*address);
  if (bytes.size() != set.address_size()) return std::nullopt;
  return bytes;
}

void mask_address(const IpSet& set, Bytes& address) {
  for (std::size_t i = 0; i < set.mask.size() && i < address.size(); ++i) address[i] &= set.mask[i];
}

Bytes mask_of_length(std::size_t length, std::size_t size) {
  Bytes mask(size);
  for (std::size_t bit = 0; bit < length && bit < size * 8; ++bit) {
    mask[bit / 8] = static_cast<std::uint8_t>(mask[bit / 8] | 0x80U >> bit % 8);
  }
  return mask;
}

// --- its first line ----------------------------------------------------------------------------

struct Kind {
  IpSet::Method method;
  std::vector<Field> fields;
};

std::optional<Kind> kind_of(std::string_view type) {
  if (type == "list:set") return Kind{IpSet::Method::List, {}};
  const std::size_t colon = type.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view method = type.substr(0, colon);
  if (method != "hash" && method != "bitmap") return std::nullopt;
  Kind kind{method == "hash" ? IpSet::Method::Hash : IpSet::Method::Bitmap, {}};
  static const std::map<std::string_view, Field> kFields{
      {"ip", Field::Address}, {"net", Field::Network}, {"port", Field::Port},
      {"mac", Field::Mac},    {"mark", Field::Mark},   {"iface", Field::Device}};
  for (const std::string_view name : split(type.substr(colon + 1), ',')) {
    const auto field = kFields.find(name);
    if (field == kFields.end()) return std::nullopt;
    kind.fields.push_back(field->second);
  }
  return kind;
}

bool read_range(IpSet& set, std::string_view text) {
  const auto ends = split(text, '-');
  if (ends.size() != 2) return false;
  const auto end_of = [&](std::string_view end) -> std::optional<std::uint32_t> {
    if (!set.has(Field::Address)) return number_of(end);
    const auto address = net::parse_address(end);
    const auto* ipv4 = address ? std::get_if<net::Ipv4>(&*address) : nullptr;
    if (ipv4 == nullptr) return std::nullopt;
    return ipv4->value;
  };
  const auto first = end_of(ends[0]);
  const auto last = end_of(ends[1]);
  if (!first || !last) return false;
  set.first = *first;
  set.last = *last;
  return true;
}

// "create NAME TYPE option value ..."
std::optional<IpSet> read_created(const std::vector<std::string_view>& words) {
  if (words.size() < 3) return std::nullopt;
  const auto kind = kind_of(words[2]);
  if (!kind) return std::nullopt;
  IpSet set;
  set.name = words[1];
  set.method = kind->method;
  set.fields = kind->fields;
  if (set.has(Field::Address) || set.has(Field::Network)) set.family = IpSet::Family::Ipv4;
  for (std::size_t i = 3; i < words.size(); ++i) {
    const std::string_view option = words[i];
    if (option == "comment") continue;
    if (option == "counters") {
      set.counts = true;
      continue;
    }
    if (option == "skbinfo") {
      set.gives_values = true;
      continue;
    }
    if (option == "forceadd") {
      set.replaces_when_full = true;
      continue;
    }
    if (i + 1 == words.size()) return std::nullopt;
    const std::string_view value = words[++i];
    const auto number = number_of(value);
    if (option == "family") {
      if (value != "inet" && value != "inet6") return std::nullopt;
      const bool has_address = set.has(Field::Address) || set.has(Field::Network);
      if (has_address && value == "inet6") set.family = IpSet::Family::Ipv6;
    } else if (option == "range") {
      if (!read_range(set, value)) return std::nullopt;
    } else if (option == "netmask" && number) {
      set.mask = mask_of_length(*number, set.address_size());
    } else if (option == "bitmask") {
      const auto mask = address_of(set, value);
      if (!mask) return std::nullopt;
      set.mask = *mask;
    } else if (option == "timeout" && number) {
      set.timeout = *number;
    } else if (option == "markmask" && number) {
      set.mark_mask = *number;
    } else if (option == "hashsize" && number) {
      set.hash_size = *number;
    } else if (option == "maxelem" && number) {
      set.most = *number;
    } else if (option != "size" && option != "bucketsize" && option != "initval" &&
               option != "probes" && option != "resize" && option != "gc") {
      return std::nullopt;
    }
  }
  for (const Field field : set.fields) {
    if (field == Field::Network) set.lengths.emplace_back();
  }
  return set;
}

// --- its elements --------------------------------------------------------------------------------

bool add_field(const IpSet& set, Field field, std::string_view text, std::string& key,
               std::vector<std::uint8_t>& lengths) {
  switch (field) {
    case Field::Address: {
      auto address = address_of(set, text.substr(0, text.find('/')));
      if (!address) return false;
      mask_address(set, *address);
      append(key, *address);
      return true;
    }
    case Field::Network: {
      const std::size_t slash = text.find('/');
      auto address = address_of(set, text.substr(0, slash));
      auto length = std::optional<std::uint32_t>(set.address_size() * 8);
      if (slash != std::string_view::npos) length = number_of(text.substr(slash + 1));
      if (!address || !length || *length > set.address_size() * 8) return false;
      const Bytes mask = mask_of_length(*length, address->size());
      for (std::size_t i = 0; i < mask.size(); ++i) (*address)[i] &= mask[i];
      append(key, *address);
      key += static_cast<char>(*length);
      lengths.push_back(static_cast<std::uint8_t>(*length));
      return true;
    }
    case Field::Port: {
      if (set.method == IpSet::Method::Bitmap) {
        const auto port = number_of(text);
        if (!port) return false;
        key += static_cast<char>(*port >> 8);
        key += static_cast<char>(*port);
        return true;
      }
      const auto port = ipset_port(text);
      if (!port) return false;
      key += static_cast<char>(port->protocol);
      key += static_cast<char>(port->number >> 8);
      key += static_cast<char>(port->number);
      return true;
    }
    case Field::Mac: {
      const auto parts = split(text, ':');
      if (parts.size() != 6) return false;
      for (const std::string_view part : parts) {
        const auto byte = number_of("0x" + std::string(part));
        if (!byte) return false;
        key += static_cast<char>(*byte);
      }
      return true;
    }
    case Field::Mark: {
      const auto mark = number_of(text);
      if (!mark) return false;
      append_word(key, *mark & set.mark_mask);
      return true;
    }
    case Field::Device:
      if (text.starts_with("physdev:")) return false;
      key += kWholeName;
      key += text;
      return true;
  }
  return false;
}

// "[skbmark 0x1/0xff] [skbprio 1:10] ..." and what else stands behind an element. False: a word
// that is not known.
bool read_options(const std::vector<std::string_view>& words, IpSet::Element& element,
                  bool& is_beginning) {
  for (std::size_t i = 3; i < words.size(); ++i) {
    const std::string_view option = words[i];
    if (option == "nomatch") {
      element.excludes = true;
      continue;
    }
    if (option == "wildcard") {
      is_beginning = true;
      continue;
    }
    if (i + 1 == words.size()) return false;
    const std::string_view value = words[++i];
    if (option == "timeout") {
      const auto seconds = number_of(value);
      if (!seconds) return false;
      if (*seconds != 0) element.seconds_left = *seconds;
    } else if (option == "skbmark") {
      const auto parts = split(value, '/');
      const auto mark = number_of(parts[0]);
      const auto mask = parts.size() > 1 ? number_of(parts[1]) : std::optional(0xffffffffU);
      if (!mark || !mask) return false;
      element.mark = *mark;
      element.mark_mask = *mask;
    } else if (option == "skbprio") {
      const auto parts = split(value, ':');
      if (parts.size() != 2) return false;
      const auto major = number_of("0x" + std::string(parts[0]));
      const auto minor = number_of("0x" + std::string(parts[1]));
      if (!major || !minor) return false;
      element.priority = *major << 16 | *minor;
    } else if (option == "packets" || option == "bytes") {
      const auto count = number_of<std::uint64_t>(value);
      if (!count) return false;
      (option == "packets" ? element.packets : element.bytes) = *count;
    } else if (option != "comment" && option != "skbqueue") {
      return false;
    }
  }
  return true;
}

// "add NAME ELEMENT option value ..."
bool read_added(IpSet& set, const std::vector<std::string_view>& words) {
  IpSet::Element element;
  bool is_beginning = false;
  if (!read_options(words, element, is_beginning)) return false;
  if (set.is_list()) {
    set.members.push_back({std::string(words[2]), element.seconds_left});
    return true;
  }
  // A bitmap:ip,mac knows addresses whose MAC address it is still to learn.
  const auto parts = split(words[2], ',');
  const bool lacks_mac = set.method == IpSet::Method::Bitmap && set.has(Field::Mac) &&
                         parts.size() + 1 == set.fields.size();
  if (parts.size() != set.fields.size() && !lacks_mac) return false;
  std::string key;
  std::vector<std::uint8_t> lengths;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!add_field(set, set.fields[i], parts[i], key, lengths)) return false;
    if (set.fields[i] != Field::Device) continue;
    const std::size_t of_network = key.size() - parts[i].size() - 1;
    if (is_beginning) key[of_network] = kBeginningOfName;
    set.networks.insert(key.substr(0, of_network));
  }
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    auto& known = set.lengths[i];
    const auto at = std::ranges::lower_bound(known, lengths[i], std::greater<>());
    if (at == known.end() || *at != lengths[i]) known.insert(at, lengths[i]);
  }
  set.elements.insert_or_assign(std::move(key), element);
  return true;
}

}  // namespace

bool IpSet::has(Field field) const {
  return std::ranges::find(fields, field) != fields.end();
}

std::vector<IpSet> read_ipsets(std::span<const std::string> lines) {
  std::vector<IpSet> sets;
  std::map<std::string, std::size_t, std::less<>> by_name;
  for (const std::string& line : lines) {
    const auto words = words_of(line);
    if (words.size() < 3) continue;
    if (words[0] == "create") {
      if (auto set = read_created(words)) {
        by_name[set->name] = sets.size();
        sets.push_back(std::move(*set));
      }
    } else if (const auto of = by_name.find(words[1]); words[0] == "add" && of != by_name.end()) {
      if (!read_added(sets[of->second], words)) ++sets[of->second].unread;
    }
  }
  return sets;
}

}  // namespace rolewall::ruleset

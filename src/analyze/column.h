// A list of plain values that grows at its end: by the system moving its pages (realloc), where a
// vector would copy all of it and hold both copies meanwhile.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>

namespace rolewall::analyze {

template <class T>
class Column {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Column() = default;
  ~Column() { std::free(all_); }  // NOLINT(cppcoreguidelines-no-malloc)
  Column(const Column&) = delete;
  Column& operator=(const Column&) = delete;

  std::size_t size() const { return size_; }
  const T& operator[](std::size_t index) const { return all_[index]; }
  const T* begin() const { return all_; }

  void push_back(const T& value) {
    const T kept = value;  // it may be one of these
    if (size_ == room_) grow();
    all_[size_++] = kept;
  }
  void shrink_to(std::size_t size) { size_ = size; }  // REQUIRES: no more than there are

 private:
  void grow() {
    constexpr std::size_t kFirstRoom = 1'024;
    const std::size_t room = room_ == 0 ? kFirstRoom : room_ + room_ / 2;
    void* const all = std::realloc(all_, room * sizeof(T));  // NOLINT(cppcoreguidelines-no-malloc)
    if (all == nullptr) throw std::bad_alloc();
    all_ = static_cast<T*>(all);
    room_ = room;
  }

  T* all_ = nullptr;
  std::size_t size_ = 0;
  std::size_t room_ = 0;
};

}  // namespace rolewall::analyze

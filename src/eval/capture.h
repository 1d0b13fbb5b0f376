// Packets from a file that tcpdump or Wireshark wrote: pcap and pcapng, by libpcap. Each comes with
// its time, and with what the link layer says of it.
//
// Link types: Ethernet, raw IP, Linux "cooked" (SLL and SLL2), loopback (NULL and LOOP); of any
// other an error says which. A file may be cut short in its middle: that is an error after the
// packets before it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "base/error.h"
#include "eval/packet.h"

namespace rolewall::eval {

struct CapturedPacket {
  std::uint64_t number = 0;   // from 1, as other programs count
  std::uint64_t time_ns = 0;  // since 1970; what is before counts as then
  Packet packet;              // Packet::missing says what the capture has cut off
  bool outgoing = false;      // the capture says that it left the machine
  bool says_way = false;      // the capture says which way it went: `outgoing`, or that it arrived
  std::uint32_t interface_index = 0;  // by which it went, where the capture says it; else 0
  std::string other;                  // what it is where it is no IP packet: "ARP"; else ""
};

class Capture {
 public:
  static Result<Capture> open(const std::string& path);
  // Takes the file over.
  static Result<Capture> open(std::FILE* file);
  ~Capture();
  Capture(Capture&&) noexcept;
  Capture& operator=(Capture&&) noexcept;

  // Whether each packet says by which interface it went (`tcpdump -i any`, in its newer form); and
  // whether it was taken on all of them, and does not say it.
  bool names_interfaces() const;
  bool lacks_interfaces() const;

  // False at the end.
  Result<bool> next(CapturedPacket& captured);

  // How much of the file is read, and how much there is; 0 where it has no size.
  std::uint64_t position() const;
  std::uint64_t size() const;

 private:
  friend class CaptureWriter;
  struct State;
  explicit Capture(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Some of a capture's packets as a capture of their own, as they stand there.
class CaptureWriter {
 public:
  // Holds a reference: the capture must outlive it.
  static Result<CaptureWriter> create(const std::string& path, const Capture& from);
  ~CaptureWriter();
  CaptureWriter(CaptureWriter&&) noexcept;
  CaptureWriter& operator=(CaptureWriter&&) noexcept;

  // The packet that next() gave last.
  void take();
  // Whether all of it has been written.
  Result<void> finish();

 private:
  struct State;
  explicit CaptureWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace rolewall::eval

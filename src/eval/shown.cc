#include "eval/shown.h"

#include <string_view>
#include <type_traits>

namespace rolewall::eval {
namespace {

template <class Number>
  requires std::is_arithmetic_v<Number> || std::is_enum_v<Number>
void put(std::string& to, Number number) {
  to.append(reinterpret_cast<const char*>(&number), sizeof number);
}
void put_text(std::string& to, std::string_view text) {
  put(to, text.size());
  to += text;
}
template <class Bytes>
void put_bytes(std::string& to, const Bytes& bytes) {
  put(to, bytes.size());
  to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void put_tuple(std::string& to, const Tuple& tuple) {
  put(to, tuple.ipv6);
  put(to, tuple.protocol);
  for (const auto& address : {tuple.source, tuple.destination}) put_bytes(to, address);
  for (const auto& port : {tuple.source_port, tuple.destination_port}) put_bytes(to, port);
}

// Where the entry is, and who else is in the table, is no chain's to see but by these.
void put_flow(std::string& to, const Flow& flow) {
  put(to, flow.seen_before);
  put_tuple(to, flow.tuple);
  put_tuple(to, flow.reply);
  for (const bool is :
       {flow.is_error, flow.is_answer, flow.expects, flow.is_reply, flow.has_template}) {
    put(to, is);
  }
  for (const std::size_t direction : {0U, 1U}) {
    put(to, flow.packets[direction]);
    put(to, flow.bytes[direction]);
  }
  put(to, flow.mark);
  put_bytes(to, flow.labels);
  put(to, flow.zone);
  put(to, flow.status);
  put_text(to, flow.helper);
  put(to, flow.masters_helper);
}

}  // namespace

void note_shown(const Stage& stage, const Frame& frame, TrackingRead reads, std::string& to) {
  put(to, stage.table);
  put(to, stage.chain);
  put(to, frame.hook);
  put_bytes(to, frame.bytes);
  put(to, frame.fragment_size);
  for (const Frame::Unsure& unsure : frame.unsure) {
    put(to, unsure.from);
    put(to, unsure.to);
    put_text(to, unsure.name);
  }
  for (const std::string_view device : {frame.in_device, frame.out_device}) put_text(to, device);
  put(to, frame.mark);
  put(to, frame.priority);
  put(to, frame.type);
  put(to, frame.has_socket);
  put(to, frame.rewritten_options);
  if (reads == TrackingRead::Nothing) return;
  put(to, frame.flow.tracking);
  put(to, frame.flow.state);
  if (reads == TrackingRead::Everything) put_flow(to, frame.flow);
}

void note_left(Journey& journey) {
  put_bytes(journey.shown, journey.after.bytes);
  put_text(journey.shown, journey.after.out_device);
}

}  // namespace rolewall::eval

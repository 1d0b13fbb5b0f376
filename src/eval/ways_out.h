// By which device a packet leaves: the asker's word, else the host's routes, else what is behind
// its devices. Where only the kernel knows, each is tried.
#pragma once

#include <optional>
#include <string>

#include "eval/eval.h"
#include "eval/frame.h"
#include "eval/route.h"
#include "eval/stack.h"
#include "net/address.h"
#include "ruleset/host.h"

namespace rolewall::eval {

class WaysOut {
 public:
  // Holds references, which must outlive it.
  WaysOut(const ruleset::Host& host, const Routes& routes, const OwnAddresses& own)
      : host_(host), routes_(routes), own_(own) {}

  // Of what is for another host. Whether there is a way; if not, the journey says why.
  bool find(Frame& frame, Journey& journey) const;

  // Of what this host sends, once more, after its rules have changed it. Not null: there is no way,
  // and why.
  const char* again(Frame& frame) const;

 private:
  bool takes_loopback_source(Frame& frame, std::string_view device) const;
  std::optional<std::string> choose(Frame& frame, const net::Address& to) const;
  Routes asked_by(Frame& frame) const;
  Routes::Answer choose_route(Frame& frame, const Routes& routes, const net::Address& to,
                              std::string_view came_by, std::string_view device) const;

  const ruleset::Host& host_;
  const Routes& routes_;
  const OwnAddresses& own_;
};

}  // namespace rolewall::eval

"""Wrong evaluators: what is wrong, the file, what stands there, what is to stand there instead, and
the judge that must notice. `MUTANT` is whether this one is the one that is tried, so that all of them
are compiled once. What stands there must be there once: where the evaluator changes, so does this
list. There is one at least for each expression whose answer is exact."""

RULESET, EXPRESSIONS, CONVERSATION, DEVICE, TRAPS = ("ruleset", "expressions", "conversation", "device",
                                                     "traps")
INTERPRETER = "src/eval/interpreter.cc"
SETS = "src/eval/interpreter_set.cc"
LOAD = "src/eval/interpreter_load.cc"
EVALUATOR = "src/eval/evaluator.cc"

MUTATIONS = [
    # --- what rules are made of ---
    ("a comparison flipped at its boundary", INTERPRETER,
     "      return order <= 0;", "      return MUTANT ? order < 0 : order <= 0;", RULESET),
    ("a comparison of numbers by their last byte", INTERPRETER,
     "  for (std::size_t i = 0; i < value.size; ++i) {\n    if (registers[i]",
     "  for (std::size_t i = MUTANT && value.size > 1 ? 1 : 0; i < value.size; ++i) {\n"
     "    if (registers[i]", RULESET),
    ("a range without its end", INTERPRETER,
     "std::memcmp(value, range.to.begin(), range.to.size) <= 0;",
     "std::memcmp(value, range.to.begin(), range.to.size) < (MUTANT ? 0 : 1);", RULESET),
    ("a negated range taken for the range", INTERPRETER,
     "            return passes(within != range.negated);",
     "            return passes(within != (range.negated && !MUTANT));", RULESET),
    ("a mask that leaves what pads the value", INTERPRETER,
     "  const std::size_t length = ruleset::padded_size(op.length);\n  for",
     "  const std::size_t length = MUTANT ? op.length : ruleset::padded_size(op.length);\n  for",
     EXPRESSIONS),
    ("a mask without its exclusive or", INTERPRETER,
     "^ op.xor_with.bytes[i]);", "^ (MUTANT ? 0 : op.xor_with.bytes[i]));", RULESET),
    ("a shift that carries nothing", INTERPRETER,
     "    if (op.bits != 0) carry =", "    if (op.bits != 0 && !MUTANT) carry =", EXPRESSIONS),
    ("registers combined by or instead of exclusive or", INTERPRETER,
     "        result = source[i] ^ other[i];",
     "        result = MUTANT ? source[i] | other[i] : source[i] ^ other[i];", EXPRESSIONS),
    ("host for network byte order", INTERPRETER,
     "    std::reverse_copy(source + i * step, source + i * step + op.size, unit.begin());",
     "    MUTANT ? std::copy(source + i * step, source + i * step + op.size, unit.begin())\n"
     "           : std::reverse_copy(source + i * step, source + i * step + op.size, unit.begin());",
     RULESET),
    ("a unit swapped where the length holds none", INTERPRETER,
     "  for (std::size_t i = 0; i < op.length / op.size; ++i) {",
     "  for (std::size_t i = 0; i < (MUTANT ? 1U : op.length / op.size); ++i) {", RULESET),
    ("a constant in the host's order", INTERPRETER,
     "            store(load.destination, {load.value.begin(), load.value.end()});",
     "            store(load.destination, {load.value.begin(), load.value.end()});\n"
     "            if (MUTANT && load.value.size == 4) {\n"
     "              std::reverse(at(load.destination), at(load.destination) + 4);\n"
     "            }", RULESET),
    ("jump treated as goto", INTERPRETER,
     "        stack[depth++] = {chain, rule + 1};\n",
     "        if (!MUTANT) stack[depth++] = {chain, rule + 1};\n", RULESET),
    ("return that ends the packet's way", INTERPRETER,
     "        rule = static_cast<std::uint32_t>(in.rules.size());\n        break;",
     "        if (MUTANT) return {Fate::Accept, {table, chain, rule}, \"\"};\n"
     "        rule = static_cast<std::uint32_t>(in.rules.size());\n        break;", RULESET),
    ("a chain's policy forgotten", INTERPRETER,
     "base->policy == VerdictCode::Drop;", "base->policy == VerdictCode::Drop && !MUTANT;", RULESET),
    ("reject taken for drop", INTERPRETER,
     "            target_ = {.code = VerdictCode::Drop, .rejects = true};",
     "            target_ = {.code = VerdictCode::Drop, .rejects = !MUTANT};", RULESET),
    ("accept ending the hook", EVALUATOR,
     "        goes_on = run_chain(stage, frame, options, result);",
     "        goes_on = run_chain(stage, frame, options, result) &&\n"
     "                  (!MUTANT || result.decision.rule == Decision::kPolicy);", RULESET),
    # --- what is read of the packet ---
    ("a later fragment taken for a first one", LOAD,
     "      if (!dissection.has_protocol || dissection.fragment_offset != 0) return Next::Break;\n"
     "      start += dissection.transport;",
     "      if (!dissection.has_protocol || (dissection.fragment_offset != 0 && !MUTANT)) {\n"
     "        return Next::Break;\n      }\n"
     "      start += dissection.transport;", RULESET),
    ("a failed load read as zero", LOAD,
     "  if (!readable(bytes, start, load.length)) return Next::Break;",
     "  if (MUTANT && !readable(bytes, start, load.length)) {\n"
     "    store(load.destination, std::vector<std::uint8_t>(load.length));\n"
     "    return Next::Expression;\n  }\n"
     "  if (!readable(bytes, start, load.length)) return Next::Break;", RULESET),
    ("the length of the packet without its link header on the way out", "src/eval/frame.h",
     "    return static_cast<std::uint32_t>(bytes.size()) + link_header_size;",
     "    return static_cast<std::uint32_t>(bytes.size()) + (MUTANT ? 0 : link_header_size);", DEVICE),
    ("meta l4proto of a packet without a transport header", LOAD,
     "      if (!frame_->dissection.has_protocol) return Next::Break;\n      store_byte(to",
     "      if (!frame_->dissection.has_protocol && !MUTANT) return Next::Break;\n      store_byte(to",
     RULESET),
    ("a mark that is not kept", LOAD,
     "    frame_->mark = word(set.source);", "    if (!MUTANT) frame_->mark = word(set.source);", RULESET),
    ("a packet type that cannot be set", LOAD,
     "      frame_->type = static_cast<PacketType>(type);",
     "      if (!MUTANT) frame_->type = static_cast<PacketType>(type);", RULESET),
    ("a TCP option read past its end", "src/eval/interpreter_exthdr.cc",
     "          std::size_t{load.length} + load.offset > option->size) {",
     "          (!MUTANT && std::size_t{load.length} + load.offset > option->size)) {", RULESET),
    ("a missing header that is there", "src/eval/interpreter_exthdr.cc",
     "      store_byte(load.destination, start ? 1 : 0);",
     "      store_byte(load.destination, start || MUTANT ? 1 : 0);", RULESET),
    ("an MSS that grows", "src/eval/interpreter_exthdr.cc",
     "      be16(now.data()) <= be16(wanted.data())) {",
     "      !MUTANT && be16(now.data()) <= be16(wanted.data())) {", RULESET),
    ("a TCP option taken away whose checksum stays", "src/eval/interpreter_exthdr.cc",
     "  put_be16(tcp + kTcpChecksum, checksum);",
     "  if (!MUTANT) put_be16(tcp + kTcpChecksum, checksum);", RULESET),
    ("a write whose checksum stays", "src/eval/interpreter_write.cc",
     "  if (write.checksum == ChecksumKind::Inet) {",
     "  if (write.checksum == ChecksumKind::Inet && !MUTANT) {", RULESET),
    ("a write into an address that leaves the transport's checksum", "src/eval/interpreter_write.cc",
     "  if (write.pseudo_header) {", "  if (write.pseudo_header && !MUTANT) {", RULESET),
    # --- sets, and what is remembered ---
    ("an inverted lookup", SETS,
     "  if (found == lookup.inverted) return Next::Break;",
     "  if (found == (lookup.inverted && !MUTANT)) return Next::Break;", RULESET),
    ("a map's catch-all that is not asked", SETS,
     "  if (hit.place == Hit::Place::Nowhere && set.set->elements.has_catch_all) {",
     "  if (!MUTANT && hit.place == Hit::Place::Nowhere && set.set->elements.has_catch_all) {", RULESET),
    ("a full set that takes one more", SETS,
     "return declared + number >= room_for;",
     "return declared + number >= room_for + (MUTANT ? 1 : 0);", RULESET),
    ("an element that packets cannot take away", SETS,
     "    if (hit.place != Hit::Place::Nowhere) {\n      state_.remove",
     "    if (hit.place != Hit::Place::Nowhere && !MUTANT) {\n      state_.remove", RULESET),
    ("a limit off by one", "src/eval/state.cc",
     "  if (tokens.least >= cost) return true;\n  if (tokens.most < cost) return false;",
     "  if (MUTANT ? tokens.least > cost : tokens.least >= cost) return true;\n"
     "  if (MUTANT ? tokens.most <= cost : tokens.most < cost) return false;", RULESET),
    ("a quota that begins with nothing consumed", "src/eval/state.cc",
     "  if (cell.epoch != epoch_) cell = {.epoch = epoch_, .amount = quota.consumed};",
     "  if (cell.epoch != epoch_) {\n"
     "    cell = {.epoch = epoch_, .amount = MUTANT ? 0 : quota.consumed};\n  }", RULESET),
    ("a quota over its bytes by one", "src/eval/state.cc",
     "  return (cell.amount > quota.bytes) == quota.over;",
     "  return (cell.amount > quota.bytes + (MUTANT ? 1 : 0)) == quota.over;", RULESET),
    ("a number that begins with 1", "src/eval/state.cc",
     "  if (cell.epoch != epoch_) cell = {.epoch = epoch_, .amount = modulus - 1};",
     "  if (cell.epoch != epoch_) cell = {.epoch = epoch_, .amount = modulus - (MUTANT ? 0 : 1)};",
     RULESET),
    ("a hash without its last word", "src/eval/jhash.cc",
     "    lanes.b += word_at(block, 4);", "    lanes.b += MUTANT ? 0 : word_at(block, 4);", RULESET),
    ("connections that are counted for ever", "src/eval/interpreter_count.cc",
     "    collected += gone ? 1 : 0;\n    return gone;",
     "    collected += gone ? 1 : 0;\n    return gone && !MUTANT;", CONVERSATION),
    ("an object's limit that is another's", "src/eval/interpreter_object.cc",
     "          [&](const ruleset::Limit& limit) { return run_limit(limit, cell); },",
     "          [&](const ruleset::Limit& limit) {\n"
     "            return run_limit(limit, MUTANT ? table_->first_object_cell : cell);\n          },",
     RULESET),
    # --- routes, devices, sockets ---
    ("fib that asks about the other end", "src/eval/interpreter_fib.cc",
     "  const bool source = (fib.flags & flag::kSource) != 0;",
     "  const bool source = ((fib.flags & flag::kSource) != 0) != MUTANT;", RULESET),
    ("an anycast address of another host", "src/eval/interpreter_fib.cc",
     "    if (is_anycast(*route, asked)) return is(RouteType::Anycast);",
     "    if (!MUTANT && is_anycast(*route, asked)) return is(RouteType::Anycast);", RULESET),
    ("rt that knows a route before there is one", "src/eval/interpreter_lookup.cc",
     "  if (frame_->hook == Hook::Prerouting && frame_->in_device != kLoopbackDevice) return Next::Break;",
     "  if (!MUTANT && frame_->hook == Hook::Prerouting && frame_->in_device != kLoopbackDevice) {\n"
     "    return Next::Break;\n  }", RULESET),
    ("a write on the way out that is routed again", EVALUATOR,
     "  return base && base->type == ruleset::ChainType::Route && route_key(frame) != before;",
     "  return base && (MUTANT || base->type == ruleset::ChainType::Route) &&\n"
     "         route_key(frame) != before;", RULESET),
    ("tproxy that takes the last hop's packet on", "src/eval/interpreter_divert.cc",
     "  frame_->has_socket |= taken;", "  frame_->has_socket |= taken && !MUTANT;", DEVICE),
    ("fwd of a packet without hops left", "src/eval/interpreter_divert.cc",
     "    if (hops <= 1) {", "    if (hops <= (MUTANT ? 0 : 1)) {", DEVICE),
    ("synproxy that lets a SYN pass", "src/eval/interpreter_divert.cc",
     "  if ((flags & kSyn) != 0) return steal(",
     "  if ((flags & kSyn) != 0 && !MUTANT) return steal(", DEVICE),
    ("dup that ends the rule", "src/eval/interpreter_divert.cc",
     "Interpreter::Next Interpreter::run_dup(const ruleset::Dup& /*dup*/) {\n  return Next::Expression;",
     "Interpreter::Next Interpreter::run_dup(const ruleset::Dup& /*dup*/) {\n"
     "  return MUTANT ? Next::Break : Next::Expression;", DEVICE),
    # --- connections ---
    ("a reply that is new", "src/eval/tracker.cc",
     "  flow.state = found.is_reply || both_ways ? ct_state::kEstablished",
     "  flow.state = (found.is_reply && !MUTANT) || both_ways ? ct_state::kEstablished", CONVERSATION),
    ("an error that is related to nothing", "src/eval/tracker.cc",
     "  frame.flow.state = ct_state::kRelated;\n  frame.flow.is_error = true;",
     "  frame.flow.state = MUTANT ? ct_state::kNew : ct_state::kRelated;\n"
     "  frame.flow.is_error = true;", CONVERSATION),
    ("notrack behind connection tracking", INTERPRETER,
     "            if (flow.tracking == Tracking::None && !flow.has_template) {",
     "            if (MUTANT || (flow.tracking == Tracking::None && !flow.has_template)) {", CONVERSATION),
    ("a connection's mark that is not kept", LOAD,
     "    flow.mark = word(set.source);", "    if (!MUTANT) flow.mark = word(set.source);", CONVERSATION),
    ("ct that asks about the other direction", LOAD,
     "  const Tuple& tuple = reply ? flow.reply : flow.tuple;",
     "  const Tuple& tuple = reply != MUTANT ? flow.reply : flow.tuple;", CONVERSATION),
    ("nat to the last address of a range", "src/eval/nat.cc",
     "    if (host_word(chosen, i) != host_word(range.last, i)) whole_range = true;",
     "    if (MUTANT) chosen = range.last;\n"
     "    if (host_word(chosen, i) != host_word(range.last, i)) whole_range = true;", CONVERSATION),
    ("a translated packet whose checksum stays", "src/eval/nat_rewrite.cc",
     "    change.mend(checksum);\n  }\n  replace(transport.data() + change.port_offset(), "
     "change.new_port(), checksum);\n  return true;",
     "    if (!MUTANT) change.mend(checksum);\n  }\n  replace(transport.data() + "
     "change.port_offset(), change.new_port(), checksum);\n  return true;", CONVERSATION),
    ("masquerade by the address of another device", "src/eval/nat.cc",
     "  return settle_on_device(frame.out_device, range, NatKind::Source, frame);",
     "  return settle_on_device(MUTANT ? frame.host->interfaces.front().device\n"
     "                                 : std::string(frame.out_device),\n"
     "                          range, NatKind::Source, frame);", CONVERSATION),
    ("redirect to the port that was asked for", "src/eval/nat.cc",
     "NatAnswer run_redirect(const ruleset::Redirect& nat, RegisterBytes registers, Frame& frame) {\n"
     "  NatRange range;\n  range.flags = nat.flags;\n",
     "NatAnswer run_redirect(const ruleset::Redirect& nat, RegisterBytes registers, Frame& frame) {\n"
     "  NatRange range;\n  range.flags = MUTANT ? nat.flags & ~2U : nat.flags;\n", CONVERSATION),
    ("a window that is not looked at", "src/eval/tracker.cc",
     "      case What::Invalid:\n        flow.tracking = Tracking::None;\n",
     "      case What::Invalid:\n        if (MUTANT) break;\n        flow.tracking = Tracking::None;\n",
     CONVERSATION),
    ("a reset by a rule that leaves the connection open", EVALUATOR,
     "    if (resets) tracker_.note_reset(frame, options);",
     "    if (resets && !MUTANT) tracker_.note_reset(frame, options);", CONVERSATION),
    ("what leaves a translating gateway taken for its own", "src/ask/capture.cc",
     "    if (!origin->forwarded) {", "    if (!origin->forwarded || MUTANT) {", CONVERSATION),
]

// rolewall(8).

#include <malloc.h>

#include <cstdio>

#include "cli/exit_status.h"
#include "cli/program.h"
#include "cli/render.h"

int main(int argc, char** argv) {
  using namespace rolewall::cli;
  // A long list passes through several blocks of memory, one after the other. Given back to the
  // kernel and taken again, each page of them costs more than what is written to it.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
  ::mallopt(M_TOP_PAD, 4 << 20);
  Program program;
  add_check(program);
  add_lint(program);
  add_test(program);
  add_compile(program);
  add_lock(program);
  add_eval(program);
  add_prove(program);
  add_diff(program);
  add_explain(program);
  add_reach(program);
  add_plan(program);
  add_apply(program);
  add_confirm(program);
  add_rollback(program);
  add_history(program);
  add_boot(program);
  add_status(program);
  add_stats(program);
  add_log(program);
  add_trace(program);
  add_refresh(program);
  add_bans(program);
  add_openings(program);
  add_disable(program);
  add_dump(program);
  add_schema(program);
  add_report(program);

  int status = program.run(argc, argv);
  // A full disk or a closed pipe must not look like success.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    report({rolewall::ErrorKind::System, "cannot write to standard output", 0, {}});
    if (status == kDone) status = kSystem;
  }
  return status;
}

#include "nft_loader.h"

#include <nftables/libnftables.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace rolewall::kernel_judge {
namespace {

enum class Answer : char { Loaded, Refused, NoLibrary, Died };

std::unexpected<Error> failed(const char* what) {
  return fail(ErrorKind::System, std::string(what) + ": " + std::strerror(errno), errno);
}

Answer run(const std::string& text) {
  // A new one each time: where one lives on, what it has freed is used at once.
  nft_ctx* nft = nft_ctx_new(NFT_CTX_DEFAULT);
  if (nft == nullptr || nft_ctx_buffer_error(nft) != 0) return Answer::NoLibrary;
  const bool refused = nft_run_cmd_from_buffer(nft, text.c_str()) != 0;
  // Reading what is buffered empties the buffer.
  const char* why = nft_ctx_get_error_buffer(nft);
  if (refused && std::getenv("SHOW_REFUSALS") != nullptr) {
    std::fputs(why, stderr);
    std::fflush(stderr);
  }
  nft_ctx_free(nft);
  return refused ? Answer::Refused : Answer::Loaded;
}

// Until the other end is closed.
[[noreturn]] void serve(const std::string& text, int line) {
  // It holds nothing of who started it: not the line to another, nor a socket that listens.
  constexpr int kLine = STDERR_FILENO + 1;
  if (::dup2(line, kLine) < 0 || ::close_range(kLine + 1, ~0U, 0) != 0) ::_exit(1);
  char order = 0;
  while (::read(kLine, &order, 1) == 1) {
    const Answer answer = run(text);
    if (::send(kLine, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer) break;
  }
  ::_exit(0);
}

}  // namespace

NftLoader::~NftLoader() {
  stop();
}

Result<void> NftLoader::start() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return failed("cannot make a pair of sockets");
  }
  line_ = sandbox::Descriptor(ends[0]);
  const sandbox::Descriptor its_end(ends[1]);
  process_ = ::fork();
  if (process_ < 0) return failed("cannot start a process");
  if (process_ == 0) serve(text_, its_end.get());
  return {};
}

void NftLoader::stop() {
  line_ = sandbox::Descriptor();
  if (process_ < 0) return;
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
}

Result<void> NftLoader::load() {
  Answer answer = Answer::Died;
  for (int attempt = 0; attempt < 2 && answer == Answer::Died; ++attempt) {
    if (process_ < 0) TRY(start());
    const char order = 1;
    const bool asked = ::send(line_.get(), &order, 1, MSG_NOSIGNAL) == 1;
    if (!asked || ::recv(line_.get(), &answer, sizeof answer, MSG_WAITALL) != sizeof answer) {
      answer = Answer::Died;
      stop();
    }
  }
  switch (answer) {
    case Answer::Loaded:
      return {};
    case Answer::Refused:
      return fail(ErrorKind::Usage, "nft refuses the ruleset");
    case Answer::NoLibrary:
      return fail(ErrorKind::System, "libnftables does not start");
    case Answer::Died:
      return fail(ErrorKind::System, "nft dies of the ruleset");
  }
  std::unreachable();
}

}  // namespace rolewall::kernel_judge

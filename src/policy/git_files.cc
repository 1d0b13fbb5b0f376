#include "policy/git_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <git2.h>
#include <git2/odb_backend.h>
#include <git2/sys/repository.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/file.h"
#include "policy/toml_file.h"

namespace rolewall::policy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestRefs = std::size_t{64} << 20;  // packed-refs
constexpr std::size_t kMostSteps = 100'000;                  // of ~N
constexpr std::size_t kMostCompared = 10'000;                // files of a site
constexpr std::size_t kDepth = 32;                           // directories, one in another

template <class T, void (*Free)(T*)>
struct Freed {
  void operator()(T* object) const { Free(object); }
};
template <class T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, Freed<T, Free>>;
using Odb = Owned<git_odb, git_odb_free>;
using Repository = Owned<git_repository, git_repository_free>;
using Commit = Owned<git_commit, git_commit_free>;
using Tree = Owned<git_tree, git_tree_free>;
using Entry = Owned<git_tree_entry, git_tree_entry_free>;
using Blob = Owned<git_blob, git_blob_free>;
using Tagged = Owned<git_object, git_object_free>;

std::unexpected<Error> cannot(std::string message, int os_errno = 0) {
  return fail(ErrorKind::Io, std::move(message), os_errno);
}

// A file below .git, where no part of the way is a link.
Result<std::string> read_below(int git, const std::string& path, std::size_t limit) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long opened = ::syscall(SYS_openat2, git, path.c_str(), &how, sizeof(how));
  if (opened < 0) {
    const int error = errno;
    return cannot(fmt::format(".git/{}: {}", path, std::generic_category().message(error)), error);
  }
  const int file = static_cast<int>(opened);
  auto text = read_file(file, ".git/" + path, limit);
  ::close(file);
  return text;
}

bool is_plain_directory(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() == fs::file_type::directory;
}

// Files alone, and no links: what else stands there leads elsewhere, or nobody ever ends to read it
// (a FIFO). `may_nest`: or plain directories.
Result<void> check_folder(const fs::path& folder, bool may_nest) {
  if (!is_plain_directory(folder)) {
    return cannot(fmt::format("{}: no plain directory", folder.string()));
  }
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::file_type type = entry->symlink_status(error).type();
    const std::string name = entry->path().string();
    if (type == fs::file_type::symlink) {
      return cannot(fmt::format("{}: a link, which is not followed", name));
    }
    if (type != fs::file_type::regular && !(may_nest && type == fs::file_type::directory)) {
      return cannot(fmt::format("{}: no regular file", name));
    }
  }
  if (error) return cannot(fmt::format("{}: {}", folder.string(), error.message()));
  return {};
}

// No part of the object store leads elsewhere.
Result<void> check_store(const fs::path& objects) {
  if (auto checked = check_folder(objects, true); !checked) return checked;
  std::error_code error;
  for (fs::directory_iterator entry(objects, error), end; !error && entry != end;
       entry.increment(error)) {
    // Nobody reads `info`: no alternates are followed.
    const std::string name = entry->path().filename().string();
    if (name != "pack" && name.size() != 2) continue;
    if (auto checked = check_folder(entry->path(), name == "pack"); !checked) return checked;
  }
  if (error) return cannot(fmt::format("{}: {}", objects.string(), error.message()));
  return {};
}

bool is_reference(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.front() == '-' || name.ends_with('/')) {
    return false;
  }
  if (name.find("..") != std::string_view::npos || name.find("//") != std::string_view::npos ||
      name.find("@{") != std::string_view::npos) {
    return false;
  }
  return std::ranges::all_of(name, [](char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '\x7f' &&
           std::string_view("~^:?*[\\").find(c) == std::string_view::npos;
  });
}

std::string_view first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::optional<git_oid> object_name(std::string_view text) {
  git_oid oid;
  if (text.size() != GIT_OID_HEXSZ) return std::nullopt;
  if (git_oid_fromstrn(&oid, text.data(), text.size()) != 0) return std::nullopt;
  return oid;
}

// What a reference by its full name leads to; absent: there is none.
Result<std::optional<git_oid>> lookup(int git, const std::string& packed, const std::string& name,
                                      std::size_t depth = 0) {
  constexpr std::size_t kMostLinks = 8;
  if (depth > kMostLinks) return cannot(fmt::format("{}: references in a ring", name));
  const auto text = read_below(git, name, 4096);
  if (text) {
    const std::string_view line = first_line(*text);
    constexpr std::string_view kSymbolic = "ref: ";
    if (line.starts_with(kSymbolic)) {
      const std::string to(line.substr(kSymbolic.size()));
      if (!is_reference(to) || !to.starts_with("refs/")) {
        return cannot(fmt::format(".git/{}: no reference stands there", name));
      }
      return lookup(git, packed, to, depth + 1);
    }
    const auto oid = object_name(line);
    if (!oid) return cannot(fmt::format(".git/{}: no object's name of SHA-1 stands there", name));
    return oid;
  }
  const int error = text.error().os_errno;
  if (error != ENOENT && error != ENOTDIR && error != EISDIR) return std::unexpected(text.error());
  // "OID SP NAME", a line each.
  const std::string wanted = " " + name + "\n";
  for (std::size_t at = packed.find(wanted); at != std::string::npos;
       at = packed.find(wanted, at + 1)) {
    const std::size_t line = packed.rfind('\n', at) + 1;  // npos + 1 is 0
    if (const auto oid = object_name(std::string_view(packed).substr(line, at - line))) return oid;
  }
  return std::optional<git_oid>();
}

std::string library_message() {
  const git_error* error = git_error_last();
  return error != nullptr && error->message != nullptr ? error->message : "it cannot be read";
}

}  // namespace

struct GitFiles::Store {
  Store() { git_libgit2_init(); }
  ~Store() {
    tree.reset();
    repository.reset();
    odb.reset();
    if (git >= 0) ::close(git);
    git_libgit2_shutdown();
  }
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  int git = -1;  // the .git directory
  bool shallow = false;
  std::string packed;
  std::string inside;  // the site's directory, from the top of the work tree on: "policies"
  Odb odb;
  Repository repository;
  Tree tree;  // of the commit

  Result<void> find(const std::string& directory);
  Result<git_oid> resolve(const std::string& revision) const;
  Result<Commit> commit_of(const git_oid& oid, const std::string& revision) const;
  Result<void> take(const std::string& revision);
  // Below the top: "policies/web.toml".
  Result<Entry> entry(const std::string& path) const;
  Result<std::string> content(const std::string& path, std::size_t limit) const;
};

// The repository above the directory, without its configuration and alternates.
Result<void> GitFiles::Store::find(const std::string& directory) {
  std::error_code error;
  const fs::path site = fs::canonical(directory, error);
  if (error) return cannot(fmt::format("{}: {}", directory, error.message()), error.value());
  fs::path top = site;
  while (!fs::exists(fs::symlink_status(top / ".git", error))) {
    if (top == top.root_path()) {
      return cannot(fmt::format("{}: not in a git repository", directory));
    }
    top = top.parent_path();
  }
  const fs::path folder = top / ".git";
  if (!is_plain_directory(folder)) {
    return cannot(
        fmt::format("{}: no directory, but what leads to one (a linked work tree or a submodule): "
                    "it is not followed; name a clone's directory with -p",
                    folder.string()));
  }
  const fs::path relative = site.lexically_relative(top);
  inside = relative == "." ? "" : relative.string();
  git = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (git < 0) {
    const int number = errno;
    return cannot(fmt::format("{}: {}", folder.string(), std::generic_category().message(number)),
                  number);
  }
  const fs::path objects = folder / "objects";
  if (auto checked = check_store(objects); !checked) return checked;
  shallow = fs::exists(fs::symlink_status(folder / "shallow", error));
  auto refs = read_below(git, "packed-refs", kLargestRefs);
  if (refs) packed = "\n" + std::move(*refs);
  git_odb* store = nullptr;
  git_odb_backend* loose = nullptr;
  git_odb_backend* packs = nullptr;
  git_repository* wrapped = nullptr;
  bool made = git_odb_new(&store) == 0;
  odb.reset(store);
  made = made && git_odb_backend_loose(&loose, objects.c_str(), -1, 0, 0, 0) == 0 &&
         git_odb_add_backend(store, loose, 1) == 0 &&
         git_odb_backend_pack(&packs, objects.c_str()) == 0 &&
         git_odb_add_backend(store, packs, 2) == 0 && git_repository_wrap_odb(&wrapped, store) == 0;
  repository.reset(wrapped);
  if (!made) return cannot(fmt::format("{}: {}", objects.string(), library_message()));
  return {};
}

Result<git_oid> GitFiles::Store::resolve(const std::string& name) const {
  if (!is_reference(name)) {
    return cannot(
        fmt::format("{}: no git revision (a branch, a tag or a commit, and ~N or ^N)", name));
  }
  const bool is_top = name == "HEAD" || name.ends_with("_HEAD");
  std::vector<std::string> places;
  if (is_top || name.starts_with("refs/")) places.push_back(name);
  for (const char* where : {"refs/tags/", "refs/heads/", "refs/remotes/"}) {
    places.push_back(where + name);
  }
  places.push_back("refs/remotes/" + name + "/HEAD");
  for (const std::string& place : places) {
    const auto found = lookup(git, packed, place);
    if (!found) return std::unexpected(found.error());
    if (*found) return **found;
  }
  constexpr std::size_t kLeast = 4;
  const bool is_hex = name.size() >= kLeast && name.size() <= GIT_OID_HEXSZ &&
                      name.find_first_not_of("0123456789abcdef") == std::string::npos;
  git_oid oid;
  git_oid whole;
  if (is_hex && git_oid_fromstrn(&oid, name.data(), name.size()) == 0) {
    const int found = git_odb_exists_prefix(&whole, odb.get(), &oid, name.size());
    if (found == 0) return whole;
    if (found == GIT_EAMBIGUOUS) {
      return cannot(fmt::format("{}: several objects of the repository begin so", name));
    }
  }
  return cannot(
      fmt::format("{}: neither a directory or file, nor a revision of the git repository here{}",
                  name,
                  shallow ? ", which is a shallow clone: `git fetch --unshallow` gets the rest"
                          : "; is it fetched?"),
      ENOENT);
}

Result<Commit> GitFiles::Store::commit_of(const git_oid& oid, const std::string& revision) const {
  git_object* object = nullptr;
  git_object* peeled = nullptr;
  const bool is_there = git_object_lookup(&object, repository.get(), &oid, GIT_OBJECT_ANY) == 0;
  const Tagged owner(object);
  if (!is_there || git_object_peel(&peeled, object, GIT_OBJECT_COMMIT) != 0) {
    if (is_there) return cannot(fmt::format("{}: no commit", revision));
    return cannot(fmt::format(
        "{}: its commit is not in this repository{}", revision,
        shallow ? ", a shallow clone: `git fetch --unshallow` gets the rest" : " itself"));
  }
  return Commit(reinterpret_cast<git_commit*>(peeled));
}

Result<void> GitFiles::Store::take(const std::string& revision) {
  const std::size_t end = std::min(revision.find_first_of("~^"), revision.size());
  const auto oid = resolve(revision.substr(0, end));
  if (!oid) return std::unexpected(oid.error());
  auto commit = commit_of(*oid, revision);
  if (!commit) return std::unexpected(commit.error());
  std::size_t steps = 0;
  for (std::size_t at = end; at < revision.size();) {
    const bool back = revision[at] == '~';
    unsigned number = 1;
    const char* from = revision.data() + at + 1;
    const auto parsed = std::from_chars(from, revision.data() + revision.size(), number);
    if (parsed.ec == std::errc::result_out_of_range ||
        (revision[at] != '~' && revision[at] != '^')) {
      return cannot(fmt::format("{}: no git revision", revision));
    }
    at = static_cast<std::size_t>(parsed.ptr - revision.data());
    const unsigned parents = back ? number : (number == 0 ? 0 : 1);
    for (unsigned i = 0; i < parents; ++i) {
      if (++steps > kMostSteps) return cannot(fmt::format("{}: too far back", revision));
      const unsigned parent = back ? 0 : number - 1;
      const git_oid* next = git_commit_parent_id(commit->get(), parent);
      if (next == nullptr) {
        return cannot(fmt::format("{}: there is no commit so far back", revision), ENOENT);
      }
      const git_oid name = *next;
      commit = commit_of(name, revision);
      if (!commit) return std::unexpected(commit.error());
    }
  }
  git_tree* root = nullptr;
  if (git_commit_tree(&root, commit->get()) != 0) {
    return cannot(fmt::format("{}: {}", revision, library_message()));
  }
  tree.reset(root);
  return {};
}

Result<Entry> GitFiles::Store::entry(const std::string& path) const {
  git_tree_entry* found = nullptr;
  const int error = git_tree_entry_bypath(&found, tree.get(), path.c_str());
  if (error == GIT_ENOTFOUND) {
    return cannot(fmt::format("{}: No such file or directory in the revision", path), ENOENT);
  }
  if (error != 0) return cannot(fmt::format("{}: {}", path, library_message()));
  return Entry(found);
}

Result<std::string> GitFiles::Store::content(const std::string& path, std::size_t limit) const {
  const auto found = entry(path);
  if (!found) return std::unexpected(found.error());
  const git_filemode_t mode = git_tree_entry_filemode(found->get());
  if (mode == GIT_FILEMODE_LINK) {
    return cannot(fmt::format("{}: a link, which is not followed in a revision", path));
  }
  if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE) {
    return cannot(fmt::format("{}: not a file", path));
  }
  // Its size is asked first: a hostile object must not be unpacked to be measured.
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  const git_oid* oid = git_tree_entry_id(found->get());
  if (git_odb_read_header(&size, &type, odb.get(), oid) != 0) {
    return cannot(fmt::format("{}: it is not in this repository itself", path));
  }
  if (size > limit) return cannot(fmt::format("{}: larger than {} bytes", path, limit));
  git_blob* blob = nullptr;
  if (git_blob_lookup(&blob, repository.get(), oid) != 0) {
    return cannot(fmt::format("{}: {}", path, library_message()));
  }
  const Blob owner(blob);
  return std::string(static_cast<const char*>(git_blob_rawcontent(blob)),
                     static_cast<std::size_t>(git_blob_rawsize(blob)));
}

GitFiles::GitFiles(std::unique_ptr<Store> store, std::string directory)
    : store_(std::move(store)), directory_(std::move(directory)) {}
GitFiles::~GitFiles() = default;

Result<std::unique_ptr<GitFiles>> GitFiles::open(const std::string& directory,
                                                 const std::string& revision) {
  auto store = std::make_unique<Store>();
  if (auto found = store->find(directory); !found) return std::unexpected(found.error());
  if (auto taken = store->take(revision); !taken) return std::unexpected(taken.error());
  std::string name = revision + ":" + store->inside;
  return std::unique_ptr<GitFiles>(new GitFiles(std::move(store), std::move(name)));
}

namespace {

// "" for the directory itself; absent: not below it.
std::optional<std::string> below(const std::string& path, const std::string& directory) {
  if (path == directory) return "";
  if (!path.starts_with(directory + "/")) return std::nullopt;
  return fs::path(path.substr(directory.size() + 1)).lexically_normal().string();
}

std::string joined(const std::string& inside, const std::string& rest) {
  if (inside.empty() || rest.empty()) return inside + rest;
  return inside + "/" + rest;
}

bool leads_out(const std::string& path) {
  return path == ".." || path.starts_with("../") || path.starts_with('/');
}

}  // namespace

Result<std::string> GitFiles::read(const std::string& path, std::size_t limit) const {
  const auto rest = below(path, directory_);
  if (!rest) return disk_.read(path, limit);
  const std::string inside = fs::path(joined(store_->inside, *rest)).lexically_normal().string();
  if (leads_out(inside)) return cannot(fmt::format("{}: out of the repository", path));
  return store_->content(inside, limit);
}

// A link is not read, whatever it leads to.
bool GitFiles::is_below(const std::string& path, const std::string& directory) const {
  const auto rest = below(path, directory_);
  if (!rest) return disk_.is_below(path, directory);
  return !leads_out(*rest);
}

Result<std::vector<std::string>> GitFiles::list(const std::string& directory) const {
  const auto rest = below(directory, directory_);
  if (!rest) return disk_.list(directory);
  const std::string inside = fs::path(joined(store_->inside, *rest)).lexically_normal().string();
  const auto names_of = [](const git_tree* tree) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      std::string name = git_tree_entry_name(git_tree_entry_byindex(tree, i));
      if (!name.starts_with('.')) names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
  };
  if (inside.empty() || inside == ".") return names_of(store_->tree.get());
  const auto found = store_->entry(inside);
  if (!found) return std::unexpected(found.error());
  git_tree* tree = nullptr;
  const bool is_tree =
      git_tree_entry_type(found->get()) == GIT_OBJECT_TREE &&
      git_tree_lookup(&tree, store_->repository.get(), git_tree_entry_id(found->get())) == 0;
  const Tree owner(tree);
  if (!is_tree) return cannot(fmt::format("{}: no directory in the revision", directory), ENOENT);
  return names_of(tree);
}

Result<bool> is_as_committed(const std::string& directory) {
  const auto committed = GitFiles::open(directory, "HEAD");
  if (!committed) return std::unexpected(committed.error());
  const DiskFiles disk;
  std::size_t met = 0;
  // Both lists are alike, and so is each file; what begins with a dot is no part of a site.
  const std::function<Result<bool>(const std::string&, std::size_t)> same =
      [&](const std::string& below_site, std::size_t depth) -> Result<bool> {
    const std::string here = directory + below_site;
    const std::string there = (*committed)->directory() + below_site;
    const auto names = disk.list(here);
    const auto names_there = (*committed)->list(there);
    if (!names || !names_there) return false;
    if (*names != *names_there) return false;
    if (depth > kDepth) return cannot(fmt::format("{}: too deep", here));
    for (const std::string& name : *names) {
      if (++met > kMostCompared) return cannot(fmt::format("{}: too many files", directory));
      std::error_code error;
      if (fs::is_directory(fs::symlink_status(here + "/" + name, error))) {
        const auto below_too = same(below_site + "/" + name, depth + 1);
        if (!below_too || !*below_too) return below_too;
        continue;
      }
      const auto text = disk.read(here + "/" + name, kLargestPolicyFile);
      const auto text_there = (*committed)->read(there + "/" + name, kLargestPolicyFile);
      if (!text || !text_there || *text != *text_there) return false;
    }
    return true;
  };
  return same("", 0);
}

}  // namespace rolewall::policy

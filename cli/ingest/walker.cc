#include "cli/ingest/walker.h"

#include <fts.h>
#include <sys/xattr.h>

#include <climits>
#include <cstring>
#include <memory>
#include <set>
#include <unordered_map>

#include "base/hash.h"
#include "cli/ingest/existing.h"
#include "cli/ingest/places.h"
#include "cli/ingest/publish.h"
#include "cli/ingest/source.h"

namespace pxfs::cli {
namespace {

// Enough for one transaction to be cheap per file, and few enough that every worker gets some.
constexpr size_t kBatchFiles = 256;
constexpr uint64_t kBatchBytes = 64 << 20;
constexpr size_t kNodes = 512;

constexpr const char* kIsDestination = "is the destination itself; it is left as it is";

// A directory on the way down.
struct Directory {
  std::string relative;      // in the destination
  InodeId inode;             // 0: made by this ingest, and not asked for
  Listing existing;          // what it held before
  InodeId policy_directory;  // see Batch
  size_t policy_prefix = 0;
  dev_t device = 0;
};

std::string Join(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

bool MeansContent(const std::string& source) {
  const std::string name = source.substr(source.rfind('/') + 1);
  return name == "." || name == "..";
}

class Walker {
 public:
  Walker(IngestJob& job, const std::function<bool(Batch)>& take)
      : job_(job), take_(take), places_(job.cluster) {}

  LateWork Walk(const std::vector<Root>& roots) {
    for (const Root& root : roots) {
      if (job_.Stopping()) break;
      WalkRoot(root);
    }
    Dispatch();
    return std::move(late_);
  }

 private:
  struct Closer {
    void operator()(FTS* fts) const { ::fts_close(fts); }
  };

  void WalkRoot(const Root& root) {
    std::string source = root.source;
    char* const paths[] = {source.data(), nullptr};
    const std::unique_ptr<FTS, Closer> fts(::fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, nullptr));
    if (!fts) return Problem(source, ErrnoError(errno, "walk").message());
    path_.clear();
    root_ = &root;
    root_in_cluster_ = places_.InCluster(source);
    while (!job_.Stopping()) {
      errno = 0;
      FTSENT* entry = ::fts_read(fts.get());
      if (!entry) {
        if (errno != 0) Problem(source, ErrnoError(errno, "walk").message());
        return;
      }
      if (!Visit(*entry)) ::fts_set(fts.get(), entry, FTS_SKIP);
    }
  }

  // False: leave out what is below.
  bool Visit(FTSENT& entry) {
    switch (entry.fts_info) {
      case FTS_D:
        return EnterDirectory(entry);
      case FTS_DP:
        if (!path_.empty() && entered_.erase(static_cast<size_t>(entry.fts_level)) != 0)
          path_.pop_back();
        return true;
      case FTS_DC:
        Problem(entry.fts_path, "the directory contains itself");
        return false;
      case FTS_DNR:
        // Comes after the directory itself was entered.
        if (entered_.erase(static_cast<size_t>(entry.fts_level)) != 0) path_.pop_back();
        [[fallthrough]];
      case FTS_NS:
      case FTS_ERR:
        Problem(entry.fts_path, std::strerror(entry.fts_errno));
        return false;
      default:
        VisitLeaf(entry);
        return true;
    }
  }

  std::string RelativeOf(const FTSENT& entry) const {
    return entry.fts_level == 0 ? root_->relative : Join(path_.back().relative, entry.fts_name);
  }

  // What the destination has under this name; null: nothing.
  const meta::Attr* ExistingOf(const FTSENT& entry) {
    if (entry.fts_level == 0) return RootExisting();
    const auto it = path_.back().existing.find(entry.fts_name);
    return it == path_.back().existing.end() ? nullptr : &it->second;
  }

  const meta::Attr* RootExisting() {
    const auto attr =
        job_.cluster.metadata().Resolve(job_.ctx, job_.destination.directory, root_->relative,
                                        /*follow_last=*/false);
    if (attr) {
      root_attr_ = *attr;
      return &*root_attr_;
    }
    if (attr.error() != Code::kNotFound) Fatal(attr.error());
    return nullptr;
  }

  bool EnterDirectory(FTSENT& entry) {
    const std::string source = entry.fts_path;
    const struct stat& st = *entry.fts_statp;
    if (const std::string reason =
            places_.WhyNot(source, st, path_.empty() ? 0 : path_.back().device);
        !reason.empty()) {
      Problem(source, reason);
      return false;
    }
    Directory directory;
    directory.relative = RelativeOf(entry);
    directory.device = st.st_dev;
    const meta::Attr* existing = ExistingOf(entry);
    if (job_.Stopping()) return false;
    if (existing && IsSelf(st, *existing)) {
      Problem(source, kIsDestination);
      return false;
    }
    if (existing && !existing->is_directory()) {
      Problem(job_.destination.FullPath(directory.relative), "exists already and is no directory");
      return false;
    }
    if (existing ? !UseExisting(*existing, directory) : !MakeNew(source, st, directory))
      return false;
    if (!existing || job_.options.resume)
      late_.directories.push_back(
          {directory.relative, volumes::ToTimestamp(st.st_atim), volumes::ToTimestamp(st.st_mtim)});
    // "SRC/." means what is in SRC.
    if (job_.options.move && !(entry.fts_level == 0 && MeansContent(source)))
      late_.source_directories.push_back(source);
    SetPolicyDirectory(entry.fts_level == 0, directory);
    if (entry.fts_level == 0 && job_.options.policy && !ApplyPolicy(directory)) return false;
    path_.push_back(std::move(directory));
    entered_.insert(static_cast<size_t>(entry.fts_level));
    return true;
  }

  bool UseExisting(const meta::Attr& attr, Directory& directory) {
    directory.inode = attr.inode;
    const Status listed = ListDirectory(job_, attr.inode, directory.existing);
    return listed ? true : Fatal(listed.error());
  }

  bool MakeNew(const std::string& source, const struct stat& st, const Directory& directory) {
    auto node = ReadNode(source, st, directory.relative);
    if (!node) {
      Problem(source, node.error().message());
      return false;
    }
    AddNode(std::move(*node), source, st);
    return true;
  }

  // A directory that existed may have a policy; one that is made now has its parent's.
  void SetPolicyDirectory(bool top, Directory& directory) {
    if (directory.inode) {
      directory.policy_directory = directory.inode;
      directory.policy_prefix = directory.relative.empty() ? 0 : directory.relative.size() + 1;
    } else if (top) {
      directory.policy_directory = job_.destination.directory;
    } else {
      directory.policy_directory = path_.back().policy_directory;
      directory.policy_prefix = path_.back().policy_prefix;
    }
  }

  bool ApplyPolicy(Directory& directory) {
    if (!directory.inode) {
      FlushNodes();
      const auto attr =
          job_.cluster.metadata().Resolve(job_.ctx, job_.destination.directory, directory.relative,
                                          /*follow_last=*/false);
      if (!attr) return Fatal(attr.error());
      directory.inode = attr->inode;
      SetPolicyDirectory(true, directory);
    }
    const auto set =
        job_.cluster.metadata().SetPolicy(job_.ctx, directory.inode, *job_.options.policy);
    return set ? true
               : Fatal(set.error().WithContext(job_.destination.FullPath(directory.relative)));
  }

  void VisitLeaf(FTSENT& entry) {
    const std::string source = entry.fts_path;
    const struct stat& st = *entry.fts_statp;
    const std::string relative = RelativeOf(entry);
    if (entry.fts_level == 0) {
      if (const std::string reason = places_.WhyNot(source, st, 0); !reason.empty())
        return Problem(source, reason);
    }
    const meta::Attr* existing = ExistingOf(entry);
    if (job_.Stopping()) return;
    if (st.st_nlink > 1) {
      const auto [first, is_first] = first_names_.try_emplace({st.st_dev, st.st_ino}, relative);
      if (!is_first) {
        late_.links.push_back(
            {source, relative, first->second, existing != nullptr, SourceState::Of(st)});
        return;
      }
    }
    if (existing) return VisitExisting(source, st, relative, *existing);
    if (S_ISREG(st.st_mode)) return AddFile(source, st, relative);
    auto node = ReadNode(source, st, relative);
    if (!node) return Problem(source, node.error().message());
    AddNode(std::move(*node), source, st);
  }

  void VisitExisting(const std::string& source, const struct stat& st, const std::string& relative,
                     const meta::Attr& existing) {
    const std::string path = job_.destination.FullPath(relative);
    if (IsSelf(st, existing)) return Problem(source, kIsDestination);
    if (!job_.options.resume)
      return Problem(path, "exists already; --resume leaves out what is there");
    const auto same = IsSame(job_, source, st, existing);
    if (!same) return Problem(path, same.error().message());
    if (!*same)
      return Problem(path,
                     "exists already and is not " + source + " as it is now; remove one of them");
    ++job_.counters.skipped;
    if (S_ISREG(st.st_mode)) job_.counters.skipped_bytes += static_cast<uint64_t>(st.st_size);
    if (st.st_nlink > 1) job_.NoteFirstName(relative);
    job_.RemoveLater(source, SourceState::Of(st));
  }

  // A source in a mount of this cluster may be the very file that it would go to.
  bool IsSelf(const struct stat& st, const meta::Attr& existing) const {
    return root_in_cluster_ && existing.inode.value == st.st_ino;
  }

  void AddFile(const std::string& source, const struct stat& st, const std::string& relative) {
    const InodeId policy_directory =
        path_.empty() ? job_.destination.directory : path_.back().policy_directory;
    if (batch_.policy_directory != policy_directory) {
      Dispatch();
      batch_.policy_directory = policy_directory;
      batch_.policy_prefix = path_.empty() ? 0 : path_.back().policy_prefix;
    }
    const auto size = static_cast<uint64_t>(st.st_size);
    const VolumeId adopt_on =
        job_.options.adopt ? places_.VolumeOn(st.st_dev, Hash64(relative, 0)) : VolumeId();
    batch_.files.push_back({source, relative, size, adopt_on, st.st_nlink > 1});
    batch_.bytes += size;
    if (batch_.files.size() >= kBatchFiles || batch_.bytes >= kBatchBytes) Dispatch();
  }

  void AddNode(meta::TreeNode node, const std::string& source, const struct stat& st) {
    node_sources_.push_back({source, SourceState::Of(st), st.st_nlink > 1});
    nodes_.push_back(std::move(node));
    if (nodes_.size() >= kNodes) FlushNodes();
  }

  void FlushNodes() {
    const std::vector<bool> added = Publish(job_, nodes_);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (!added[i]) continue;
      const uint32_t mode = nodes_[i].mode;
      ++(S_ISDIR(mode)   ? job_.counters.directories
         : S_ISLNK(mode) ? job_.counters.symlinks
                         : job_.counters.special);
      if (S_ISDIR(mode)) continue;
      const NodeSource& source = node_sources_[i];
      if (source.linked) job_.NoteFirstName(nodes_[i].path);
      job_.RemoveLater(source.path, source.state);
    }
    nodes_.clear();
    node_sources_.clear();
  }

  void Dispatch() {
    FlushNodes();
    if (batch_.files.empty()) return;
    Batch next;
    next.policy_directory = batch_.policy_directory;
    next.policy_prefix = batch_.policy_prefix;
    if (!job_.Stopping()) take_(std::move(batch_));
    batch_ = std::move(next);
  }

  void Problem(const std::string& path, const std::string& what) {
    job_.problems.Add(path + ": " + what);
  }
  bool Fatal(const Error& error) {
    job_.Abort(error);
    return false;
  }

  struct NodeSource {
    std::string path;
    SourceState state;
    bool linked = false;  // has further names
  };
  struct InodeHash {
    size_t operator()(const std::pair<dev_t, ino_t>& id) const {
      return id.first * 0x9E3779B97F4A7C15ull ^ id.second;
    }
  };

  IngestJob& job_;
  const std::function<bool(Batch)>& take_;
  const Places places_;
  const Root* root_ = nullptr;
  bool root_in_cluster_ = false;  // it lies in a mount of this cluster
  std::vector<Directory> path_;   // from the root's directory to where the walk is
  std::set<size_t> entered_;      // the levels of path_
  std::optional<meta::Attr> root_attr_;
  std::vector<meta::TreeNode> nodes_;
  std::vector<NodeSource> node_sources_;  // beside nodes_
  Batch batch_;
  std::unordered_map<std::pair<dev_t, ino_t>, std::string, InodeHash> first_names_;
  LateWork late_;
};

}  // namespace

LateWork WalkSources(IngestJob& job, const std::vector<Root>& roots,
                     const std::function<bool(Batch)>& take) {
  return Walker(job, take).Walk(roots);
}

}  // namespace pxfs::cli

#include "jobs/view.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <unordered_set>

#include "jobs/input_walk.h"

namespace pxfs::jobs {
namespace {

namespace fs = std::filesystem;
using volumes::Volume;

constexpr const char* kAclXattr = "system.posix_acl_access";
constexpr std::string_view kTaskPrefix = "job-";
constexpr const char* kContainerRoot = "/pxfs";
// mount(2) takes one page of options; runc adds some of its own.
constexpr size_t kMostLayerBytes = 3500;

std::string ViewsOf(TaskKey key) { return "views/" + std::string(kTaskPrefix) + ToString(key); }

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

// One input's tree on one volume.
class Tree {
 public:
  Tree(std::shared_ptr<Volume> volume, std::string root)
      : volume_(std::move(volume)), root_(std::move(root)) {}

  uint64_t bytes() const { return bytes_; }
  std::string host_path() const { return volume_->root() + "/" + root_; }
  const Volume& volume() const { return *volume_; }
  std::string Relative(const std::string& path) const { return JoinPath(root_, path); }
  int fd() const { return volume_->root_fd(); }

  bool HasDirectory(const std::string& path) const { return directories_.contains(path); }
  void AddDirectory(const std::string& path) { directories_.insert(path); }
  const std::unordered_set<std::string>& directories() const { return directories_; }
  void CountFile(uint64_t bytes) { bytes_ += bytes; }

 private:
  std::shared_ptr<Volume> volume_;
  std::string root_;  // below the volume's root
  uint64_t bytes_ = 0;
  std::unordered_set<std::string> directories_;
};

struct Directory {
  meta::Attr attr;
  std::string acl;  // empty: none
};

// Builds the views of one input.
class InputView {
 public:
  InputView(meta::MetadataService& metadata, const meta::CallContext& user,
            const volumes::VolumeSet& volumes, const ViewRequest& request, uint32_t input)
      : metadata_(metadata), user_(user), volumes_(volumes), request_(request), input_(input) {
    const auto& launch = request.launch;
    if (!launch.plan) return;
    wanted_.emplace();
    for (const auto& part : launch.plan->parts()) {
      if (part.input() == input) wanted_->insert(part.files().begin(), part.files().end());
    }
  }

  Status Build(TaskInputs& out) {
    PXFS_TRY(WalkInput(metadata_, user_, path(),
                       [&](const InputEntry& entry) { return Visit(entry, out); }));
    if (needs_fuse_ && request_.launch.spec.fast_path() == proto::FAST_PATH_REQUIRE) {
      return Fail(Code::kNotSupported,
                  "input '" + JoinPath(path(), fuse_reason_path_) +
                      "' is not on the fast path, which --fastpath require asks for");
    }
    // A file that is another task's part.
    if (is_file_ && trees_.empty() && !needs_fuse_) return {};
    // The FUSE directory below the views shows the rest by itself.
    if (!is_file_ && !needs_fuse_) PXFS_TRY(PlaceWhatHasNoVolume());
    for (auto& [id, tree] : trees_) PXFS_TRY(SetDirectoryTimes(tree));
    AddMounts(out);
    return {};
  }

 private:
  const std::string& path() const { return request_.launch.spec.inputs(static_cast<int>(input_)); }
  std::string ContainerPath(const std::string& below) const {
    return JoinPath(JoinPath(kContainerRoot, path() == "/" ? "" : path().substr(1)), below);
  }
  std::string FusePath() const {
    return JoinPath(request_.mountpoint, path() == "/" ? "" : path().substr(1));
  }
  bool fast_path_off() const { return request_.launch.spec.fast_path() == proto::FAST_PATH_OFF; }

  void UseFuse(const std::string& path) {
    if (!needs_fuse_) fuse_reason_path_ = path;
    needs_fuse_ = true;
  }

  Status Visit(const InputEntry& entry, TaskInputs& out) {
    if (entry.attr.is_directory()) return VisitDirectory(entry);
    if (entry.attr.is_regular()) return VisitFile(entry, out);
    // A split task sees the files of its part only.
    if (wanted_) return {};
    if (entry.attr.is_symlink()) {
      symlinks_.push_back(entry);
    } else {
      UseFuse(entry.path);
    }
    return {};
  }

  Status VisitDirectory(const InputEntry& entry) {
    if (entry.closed && entry.path.empty()) {
      return Fail(Code::kAccess, "input '" + path() + "': permission denied");
    }
    Directory directory{entry.attr, ""};
    auto acl = metadata_.GetXattr(user_, entry.attr.inode, kAclXattr);
    if (acl) directory.acl = std::move(*acl);
    directories_[entry.path] = std::move(directory);
    if (fast_path_off() || (entry.closed && !wanted_)) UseFuse(entry.path);
    return {};
  }

  Status VisitFile(const InputEntry& entry, TaskInputs& out) {
    if (entry.path.empty()) is_file_ = true;
    if (wanted_ && !wanted_->contains(entry.path)) return {};
    out.files.push_back(ContainerPath(entry.path));
    PXFS_ASSIGN(const bool linked,
                fast_path_off() ? Result<bool>(false) : LinkFile(entry, out.reading));
    if (linked) {
      out.routes.set_fast_files(out.routes.fast_files() + 1);
      out.routes.set_fast_bytes(out.routes.fast_bytes() + entry.attr.size_bytes);
      // The opens of the task itself will be seen by nobody.
      if (request_.heat) request_.heat->CountOpen(entry.attr.inode, entry.attr.size_bytes);
    } else {
      UseFuse(entry.path);
      out.routes.set_fuse_files(out.routes.fuse_files() + 1);
      out.routes.set_fuse_bytes(out.routes.fuse_bytes() + entry.attr.size_bytes);
    }
    return {};
  }

  // False: the file must stay on the FUSE route.
  Result<bool> LinkFile(const InputEntry& entry, volumes::VolumeLoad::Hold& reading) {
    const auto location = metadata_.Locate(user_, entry.attr.inode);
    if (!location) {
      if (location.error() == Code::kNotFound || location.error() == Code::kAccess) return false;
      return Fail(location.error());
    }
    if (location->attr.open_for_write || !BitsAllowRead(location->attr, request_.launch.user)) {
      return false;
    }
    const auto acl = metadata_.GetXattr(user_, entry.attr.inode, kAclXattr);
    if (acl || !(acl.error() == Code::kNoData)) return false;
    const meta::Replica* replica = nullptr;
    std::shared_ptr<Volume> volume = ChooseReplica(*location, replica);
    if (!volume) return false;
    const volumes::ObjectName object{entry.attr.inode, replica->object_generation};
    const auto fresh = MatchObject(*volume, *replica, location->attr);
    if (!fresh || !*fresh) return false;

    Tree& tree = TreeOn(volume);
    PXFS_TRY(EnsureDirectory(tree, ParentOf(entry.path)));
    if (::linkat(tree.fd(), object.RelativePath().c_str(), tree.fd(),
                 tree.Relative(entry.path).c_str(), 0) != 0) {
      // Gone since it was located, or at the file system's limit of links.
      if (errno == ENOENT || errno == EMLINK) return false;
      return FailErrno(errno, tree.host_path() + "/" + entry.path);
    }
    tree.CountFile(entry.attr.size_bytes);
    reading.Add(volume->id(), entry.attr.size_bytes);
    return true;
  }

  // A complete replica on a volume that is here: one that the view is on already if there is one,
  // else on the least busy volume.
  std::shared_ptr<Volume> ChooseReplica(const meta::Location& location,
                                        const meta::Replica*& chosen) const {
    std::vector<const meta::Replica*> readable = volumes_.Readable(location);
    std::erase_if(readable, [](const meta::Replica* r) { return !r->materialized; });
    std::stable_partition(readable.begin(), readable.end(), [this](const meta::Replica* r) {
      return trees_.contains(r->volume) && !volumes_.Unsettled(r->volume);
    });
    for (const meta::Replica* replica : readable) {
      auto volume = volumes_.Find(replica->volume);
      if (!volume) continue;
      chosen = replica;
      return volume;
    }
    return nullptr;
  }

  // Gives the object its inode's owner, mode and times if they differ. False: it is not what the
  // inode says.
  Result<bool> MatchObject(const Volume& volume, const meta::Replica& replica,
                           const meta::Attr& attr) const {
    const volumes::ObjectName object{attr.inode, replica.object_generation};
    PXFS_ASSIGN(const struct stat st, volume.StatObject(object));
    if (!S_ISREG(st.st_mode) || static_cast<uint64_t>(st.st_size) != attr.size_bytes) return false;
    // The FUSE route looks at it.
    if (volumes_.Doubtful(attr, replica, st)) return false;
    if (st.st_uid != attr.uid || st.st_gid != attr.gid ||
        (st.st_mode & 07777) != (attr.mode & 07777)) {
      PXFS_TRY(volume.SetOwner(object, {attr.uid, attr.gid, attr.mode & 07777}));
    }
    if (volumes::ToTimestamp(st.st_mtim) != attr.mtime) {
      PXFS_TRY(volume.SetTimes(object, attr.atime, attr.mtime));
    }
    return true;
  }

  Tree& TreeOn(const std::shared_ptr<Volume>& volume) {
    const auto found = trees_.find(volume->id());
    if (found != trees_.end()) return found->second;
    const std::string root = ViewsOf(request_.launch.key) + "/" + std::to_string(input_);
    return trees_.emplace(volume->id(), Tree(volume, root)).first->second;
  }

  // Directories and symlinks go where files of the input are, so that one volume's files make one
  // tree.
  Status PlaceWhatHasNoVolume() {
    if (trees_.empty()) {
      const auto all = volumes_.All();
      if (all.empty()) return Fail(Code::kUnavailable, "no volume is online");
      TreeOn(all.front());
    }
    Tree& tree = trees_.begin()->second;
    PXFS_TRY(EnsureDirectory(tree, ""));
    if (wanted_) return {};
    for (const auto& [path, directory] : directories_) PXFS_TRY(EnsureDirectory(tree, path));
    for (const auto& entry : symlinks_) PXFS_TRY(MakeSymlink(tree, entry));
    return {};
  }

  Status MakeSymlink(const Tree& tree, const InputEntry& entry) {
    PXFS_ASSIGN(const std::string target, metadata_.ReadLink(user_, entry.attr.inode));
    const std::string name = tree.Relative(entry.path);
    const timespec times[2] = {volumes::ToTimespec(entry.attr.atime),
                               volumes::ToTimespec(entry.attr.mtime)};
    if (::symlinkat(target.c_str(), tree.fd(), name.c_str()) != 0 ||
        ::fchownat(tree.fd(), name.c_str(), entry.attr.uid, entry.attr.gid, AT_SYMLINK_NOFOLLOW) !=
            0 ||
        ::utimensat(tree.fd(), name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
      return FailErrno(errno, tree.host_path() + "/" + entry.path);
    }
    return {};
  }

  // Relative to the volume's descriptor: never in the place where a volume that is gone was
  // mounted.
  Status EnsureViewDirectory(const Tree& tree) const {
    const std::string directory = ViewsOf(request_.launch.key);
    if (::mkdirat(tree.fd(), directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return FailErrno(errno, tree.volume().root() + "/" + directory);
    }
    return {};
  }

  // Makes the directory and those above it in the tree, like they are in the namespace.
  Status EnsureDirectory(Tree& tree, const std::string& path) {
    if (tree.HasDirectory(path)) return {};
    if (path.empty()) PXFS_TRY(EnsureViewDirectory(tree));
    // The link of an input that is a file itself lies there directly.
    if (is_file_) return {};
    if (!path.empty()) PXFS_TRY(EnsureDirectory(tree, ParentOf(path)));
    const auto known = directories_.find(path);
    if (known == directories_.end()) {
      return Fail(Code::kStale,
                  "input '" + JoinPath(this->path(), path) + "' changes while it is read");
    }
    const Directory& like = known->second;
    const std::string name = tree.Relative(path);
    if (::mkdirat(tree.fd(), name.c_str(), 0700) != 0) {
      return FailErrno(errno, tree.host_path() + "/" + path);
    }
    if (::fchownat(tree.fd(), name.c_str(), like.attr.uid, like.attr.gid, 0) != 0 ||
        ::fchmodat(tree.fd(), name.c_str(), like.attr.mode & 07777, 0) != 0) {
      return FailErrno(errno, tree.host_path() + "/" + path);
    }
    if (!like.acl.empty() && ::setxattr((tree.volume().root() + "/" + name).c_str(), kAclXattr,
                                        like.acl.data(), like.acl.size(), 0) != 0) {
      return FailErrno(errno, tree.host_path() + "/" + path + ": access control list");
    }
    tree.AddDirectory(path);
    return {};
  }

  // Last, as making entries changes them.
  Status SetDirectoryTimes(const Tree& tree) const {
    for (const auto& path : tree.directories()) {
      const meta::Attr& attr = directories_.at(path).attr;
      const timespec times[2] = {volumes::ToTimespec(attr.atime), volumes::ToTimespec(attr.mtime)};
      if (::utimensat(tree.fd(), tree.Relative(path).c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
        return FailErrno(errno, tree.host_path() + "/" + path);
      }
    }
    return {};
  }

  // Views stacked over each other, those with most bytes first, and over the FUSE directory where
  // some part is in none.
  void AddMounts(TaskInputs& out) {
    std::vector<const Tree*> ordered;
    for (const auto& [id, tree] : trees_) ordered.push_back(&tree);
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const Tree* a, const Tree* b) { return a->bytes() > b->bytes(); });
    std::vector<std::string> layers;
    size_t length = FusePath().size();
    for (const Tree* tree : ordered) {
      length += 2 * tree->host_path().size();
      if (length > kMostLayerBytes) {
        needs_fuse_ = true;
        break;
      }
      layers.push_back(tree->host_path());
    }
    const std::string destination = ContainerPath("");
    if (needs_fuse_) layers.push_back(FusePath());
    if (layers.size() == 1 || is_file_) {
      out.mounts.push_back(BindMount(layers.front(), destination, /*read_only=*/true));
    } else {
      out.mounts.push_back(OverlayMount(layers, destination));
    }
  }

  meta::MetadataService& metadata_;
  const meta::CallContext& user_;
  const volumes::VolumeSet& volumes_;
  const ViewRequest& request_;
  const uint32_t input_;
  std::optional<std::unordered_set<std::string>> wanted_;  // absent: everything
  std::map<VolumeId, Tree> trees_;
  std::map<std::string, Directory> directories_;
  std::vector<InputEntry> symlinks_;
  bool is_file_ = false;
  bool needs_fuse_ = false;
  std::string fuse_reason_path_;
};

}  // namespace

Result<TaskInputs> MakeViews(meta::MetadataService& metadata, SessionId session,
                             const volumes::VolumeSet& volumes, const ViewRequest& request) {
  const meta::CallContext user = UserContext(session, request.launch.user);
  TaskInputs inputs;
  inputs.reading = volumes::VolumeLoad::Hold(volumes.load());
  for (int i = 0; i < request.launch.spec.inputs_size(); ++i) {
    InputView view(metadata, user, volumes, request, static_cast<uint32_t>(i));
    PXFS_TRY(view.Build(inputs));
  }
  std::sort(inputs.files.begin(), inputs.files.end());
  return inputs;
}

Status RemoveViews(const volumes::VolumeSet& volumes, TaskKey key) {
  for (const auto& volume : volumes.All()) {
    const std::string path = volume->root() + "/" + ViewsOf(key);
    std::error_code error;
    fs::remove_all(path, error);
    if (error) return FailErrno(error.value(), path);
  }
  return {};
}

std::set<TaskKey> ListViews(const volumes::VolumeSet& volumes) {
  std::set<TaskKey> keys;
  for (const auto& volume : volumes.All()) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(volume->root() + "/views", error)) {
      const std::string name = entry.path().filename();
      if (!name.starts_with(kTaskPrefix)) continue;
      if (const auto key = ParseTaskKey(std::string_view(name).substr(kTaskPrefix.size()))) {
        keys.insert(*key);
      }
    }
  }
  return keys;
}

}  // namespace pxfs::jobs

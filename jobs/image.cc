#include "jobs/image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/json_file.h"
#include "base/process.h"
#include "jobs/as_user.h"

namespace pxfs::jobs {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::minutes kUnpackTimeout{30};
constexpr std::string_view kLayoutPrefix = "oci:";
constexpr std::string_view kArchivePrefix = "oci-archive:";

tl::unexpected<Error> FailImage(Code code, const std::string& image, const std::string& why) {
  return Fail(code, "image '" + image + "': " + why);
}

bool HasEntry(int directory_fd, const char* name) {
  struct stat st;
  return ::fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<UniqueFd> OpenRootDirectory(const std::string& image, const proto::User& user) {
  auto opened = OpenAsUser(image, O_PATH | O_DIRECTORY, user);
  if (!opened) {
    return opened.error() == Code::kNotDirectory
               ? FailImage(Code::kInvalid, image, "not a directory")
               : FailImage(opened.error().code(), image,
                           std::string(Describe(opened.error().code())));
  }
  if (HasEntry(opened->get(), "oci-layout")) {
    return FailImage(Code::kInvalid, image, "an OCI layout; write oci:" + image);
  }
  if (!HasEntry(opened->get(), "usr") && !HasEntry(opened->get(), "bin")) {
    return FailImage(Code::kInvalid, image, "not a root file system: it has neither usr nor bin");
  }
  return opened;
}

// A layout's or an archive's path, and the tag.
struct Reference {
  bool archive = false;
  std::string path;
  std::string tag = "latest";
};

Result<Reference> ParseReference(const std::string& image) {
  Reference reference;
  std::string_view rest = image;
  reference.archive = rest.starts_with(kArchivePrefix);
  rest.remove_prefix(reference.archive ? kArchivePrefix.size() : kLayoutPrefix.size());
  if (const size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
    reference.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  reference.path = rest;
  if (reference.path.empty() || reference.path[0] != '/' || reference.tag.empty()) {
    return FailImage(Code::kInvalid, image, "not an absolute path with an optional tag");
  }
  return reference;
}

Status CheckReference(const std::string& image, const proto::User& user) {
  PXFS_ASSIGN(const Reference reference, ParseReference(image));
  const std::string file = reference.archive ? reference.path : reference.path + "/index.json";
  const auto opened = OpenAsUser(file, O_RDONLY, user);
  if (!opened) {
    return FailImage(opened.error().code(), image,
                     file + ": " + std::string(Describe(opened.error().code())));
  }
  return {};
}

bool IsReference(const std::string& image) {
  return image.starts_with(kLayoutPrefix) || image.starts_with(kArchivePrefix);
}

// Changes with the content: the layout's index, or the archive's identity.
Result<std::string> CacheKey(const Reference& reference) {
  std::string identity = reference.tag + "\n";
  if (reference.archive) {
    struct stat st;
    if (::stat(reference.path.c_str(), &st) != 0) return FailErrno(errno, reference.path);
    std::ostringstream text;
    text << st.st_dev << ' ' << st.st_ino << ' ' << st.st_size << ' ' << st.st_mtim.tv_sec << ' '
         << st.st_mtim.tv_nsec;
    identity += text.str();
  } else {
    PXFS_ASSIGN(const std::string index, ReadFile(reference.path + "/index.json", 4 << 20));
    identity += index;
  }
  return ToString(Hash(identity));
}

// File systems of the node that are mounted in places where programs are.
std::vector<ContainerMount> HostProgramMounts() {
  std::vector<ContainerMount> mounts;
  std::ifstream in("/proc/self/mountinfo");
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string skip, mountpoint;
    fields >> skip >> skip >> skip >> skip >> mountpoint;
    for (const std::string top : {"/usr", "/opt", "/nix"}) {
      if (mountpoint == top || mountpoint.starts_with(top + "/")) {
        mounts.push_back(BindMount(mountpoint, mountpoint, /*read_only=*/true));
      }
    }
  }
  return mounts;
}

// What umoci learned from the image's own configuration.
void ReadImageConfig(const std::string& bundle, Image& image) {
  const auto config = ReadJsonFile(bundle + "/config.json");
  if (!config || !config->contains("process")) return;
  const auto& process = (*config)["process"];
  image.workdir = process.value("cwd", "/");
  for (const auto& item : process.value("env", nlohmann::json::array())) {
    if (item.is_string()) image.env.push_back(item.get<std::string>());
  }
}

}  // namespace

Status ImageStore::Check(const std::string& image, const proto::User& user) {
  if (image == "host") return {};
  if (IsReference(image)) return CheckReference(image, user);
  if (image[0] != '/') {
    return FailImage(Code::kInvalid, image,
                     "unknown; use host, the path of a root file system, oci:DIR[:TAG] or "
                     "oci-archive:FILE[:TAG]");
  }
  const auto opened = OpenRootDirectory(image, user);
  return opened ? Status{} : Status{Fail(opened.error())};
}

Result<Image> ImageStore::Prepare(const std::string& name, const proto::User& user) {
  PXFS_TRY(Check(name, user));
  Image image;
  if (name == "host") {
    image.directory = "/";
    image.mounts = HostProgramMounts();
    return image;
  }
  if (IsReference(name)) {
    PXFS_ASSIGN(const std::string bundle, Unpack(name, user));
    ReadImageConfig(bundle, image);
    image.directory = bundle + "/rootfs";
    return image;
  }
  PXFS_ASSIGN(image.held, OpenRootDirectory(name, user));
  image.directory = PathOfFd(image.held);
  return image;
}

Result<std::string> ImageStore::Unpack(const std::string& name, const proto::User& user) {
  PXFS_TRY(CheckReference(name, user));
  PXFS_ASSIGN(const Reference reference, ParseReference(name));
  PXFS_ASSIGN(const std::string key, CacheKey(reference));
  const std::string bundle = directory_ + "/" + key;
  std::lock_guard lock(mutex_);
  if (::access(bundle.c_str(), F_OK) == 0) return bundle;
  PXFS_TRY(MakeDirectories(directory_, 0700));

  const std::string work = directory_ + "/new-" + key;
  std::error_code error;
  fs::remove_all(work, error);
  PXFS_TRY(MakeDirectories(work, 0700));
  std::string layout = reference.path;
  std::string tag = reference.tag;
  if (reference.archive) {
    layout = work + "/layout";
    tag = "latest";
    std::string source = "oci-archive:" + reference.path;
    if (name.ends_with(":" + reference.tag)) source += ":" + reference.tag;
    const ProgramCall copy{
        {"skopeo", "copy", "--insecure-policy", "-q", source, "oci:" + layout + ":" + tag},
        {},
        "",
        {}};
    if (auto copied = RunChecked(copy, kUnpackTimeout); !copied) {
      return Fail(copied.error().WithContext("image '" + name + "'"));
    }
  }
  const ProgramCall unpack{
      {"umoci", "unpack", "--image", layout + ":" + tag, work + "/bundle"}, {}, "", {}};
  if (auto unpacked = RunChecked(unpack, kUnpackTimeout); !unpacked) {
    return Fail(unpacked.error().WithContext("image '" + name + "'"));
  }
  if (::rename((work + "/bundle").c_str(), bundle.c_str()) != 0) return FailErrno(errno, bundle);
  fs::remove_all(work, error);
  return bundle;
}

}  // namespace pxfs::jobs

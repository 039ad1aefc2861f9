#include "mount_helpers/options.h"

#include <grp.h>
#include <pwd.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <string_view>

namespace pxfs::mount_helpers {

const char kUsage[] =
    R"(usage: mount.pxfs SOURCE MOUNTPOINT [-o OPTION,...]

SOURCE is a cluster directory of this host. Returns when the mount answers.
Ordinary users mount cluster directories of their own, by fusermount3; what they do without is said.

Options (-o):
  ro, rw                      read-only, or not (the default)
  subdir=PATH                 mount this directory of the namespace
  passthrough=on|off|auto     let the kernel reach the files' data directly (auto: where it can)
  attr_timeout=SECONDS        how long the kernel may cache attributes, names and missing names
  entry_timeout=SECONDS         (3600 each; changes by others are made known at once all the same)
  negative_timeout=SECONDS
  allow_other=on|off          let users other than the one who mounts in (on, where root mounts; an
                                ordinary user needs user_allow_other in /etc/fuse.conf)
  default_permissions=on|off  check permission bits and ACLs (on)
  root_squash                 treat root as the anonymous user, as NFS does: root gets what that user
                                may have, and its new files are that user's. Jobs need another mount
  no_root_squash              root may do everything (the default)
  anonuid=USER, anongid=GROUP who the anonymous user is, by name or number (65534; with root_squash)
  locks=local                 locks hold among the programs of this host (the default)
  lock_wait=SECONDS           how long to wait for another process that has the cluster open (30)
  max_inodes=N                how many inodes the metadata service keeps in memory, and names as
                                many: about 0.8 KiB for one of each (200000; where another process
                                serves the cluster, that one's --max-inodes counts)
  max_open=N                  how many files may be open at once (1048576, which is the most); opening
                                one more fails with ENFILE
  hot_cool_down=SECONDS       how long copies that were made because a file was wanted by many stay
                                when it is so no more (600; as max_inodes)
  log_file=FILE, log_level=trace|debug|info|warn|error|off
  foreground                  stay, log to standard error
  remount, nosuid, nodev, noexec, sync, dirsync, noatime, relatime, strictatime, nodiratime and
  their opposites, as for any file system
  _netdev, nofail, auto, noauto, user, users, owner, group, defaults, x-*: accepted and ignored
)";

namespace {

struct Flag {
  unsigned long set, clear;
};

const std::map<std::string_view, Flag> kFlags = {
    {"ro", {MS_RDONLY, 0}},
    {"rw", {0, MS_RDONLY}},
    {"suid", {0, MS_NOSUID}},
    {"nosuid", {MS_NOSUID, 0}},
    {"dev", {0, MS_NODEV}},
    {"nodev", {MS_NODEV, 0}},
    {"exec", {0, MS_NOEXEC}},
    {"noexec", {MS_NOEXEC, 0}},
    {"sync", {MS_SYNCHRONOUS, 0}},
    {"async", {0, MS_SYNCHRONOUS}},
    {"dirsync", {MS_DIRSYNC, 0}},
    {"atime", {0, MS_NOATIME}},
    {"noatime", {MS_NOATIME, 0}},
    {"relatime", {MS_RELATIME, MS_NOATIME | MS_STRICTATIME}},
    {"norelatime", {0, MS_RELATIME}},
    {"strictatime", {MS_STRICTATIME, MS_RELATIME | MS_NOATIME}},
    {"nostrictatime", {0, MS_STRICTATIME}},
    {"diratime", {0, MS_NODIRATIME}},
    {"nodiratime", {MS_NODIRATIME, 0}},
    {"lazytime", {MS_LAZYTIME, 0}},
    {"nolazytime", {0, MS_LAZYTIME}},
    {"silent", {MS_SILENT, 0}},
    {"loud", {0, MS_SILENT}},
};

const std::set<std::string_view> kIgnored = {"_netdev", "nofail", "auto",  "noauto", "user",
                                             "users",   "owner",  "group", "nouser", "defaults"};

const std::set<std::string_view> kLogLevels = {"trace", "debug", "info", "warn", "error", "off"};

// mount(8) repeats at a remount what the mount table shows.
const std::set<std::string_view> kShownByKernel = {"user_id", "group_id", "max_read", "blksize"};

Result<double> Seconds(const std::string& option, const std::string& text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= 1e9))
    return Fail(Code::kInvalid, "option " + option + "=" + text + ": give a number of seconds");
  return value;
}

Result<size_t> Number(const std::string& option, const std::string& text, size_t least,
                      size_t most) {
  size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
    return Fail(Code::kInvalid, "option " + option + "=" + text + ": give a number from " +
                                    std::to_string(least) + " to " + std::to_string(most));
  return number;
}

// A number, or a name that `find` knows. Root is not anonymous.
Result<uint32_t> AnonymousId(const std::string& option, const std::string& text,
                             const std::function<std::optional<uint32_t>(const char*)>& find) {
  constexpr size_t kMost = 0xffff'fffe;
  if (const auto found = text.empty() ? std::nullopt : find(text.c_str())) {
    if (*found != 0) return *found;
  } else if (auto number = Number(option, text, 1, kMost)) {
    return static_cast<uint32_t>(*number);
  }
  return Fail(Code::kInvalid, "option " + option + "=" + text +
                                  ": give the name of somebody this host knows, or a number "
                                  "(other than root's)");
}

std::optional<uint32_t> FindUser(const char* name) {
  const passwd* user = ::getpwnam(name);
  return user ? std::optional<uint32_t>(user->pw_uid) : std::nullopt;
}

std::optional<uint32_t> FindGroup(const char* name) {
  const group* found = ::getgrnam(name);
  return found ? std::optional<uint32_t>(found->gr_gid) : std::nullopt;
}

Result<bool> OnOff(const std::string& option, const std::string& text) {
  if (text.empty() || text == "on") return true;
  if (text == "off") return false;
  return Fail(Code::kInvalid, "option " + option + "=" + text + ": give on or off");
}

Status ApplyOption(MountOptions& options, std::string name, const std::string& value,
                   bool has_value) {
  std::replace(name.begin(), name.end(), '-', '_');
  if (name == "attribute_timeout") name = "attr_timeout";
  const auto flag = kFlags.find(name);
  if (flag != kFlags.end() && !has_value) {
    options.flags = (options.flags & ~flag->second.clear) | flag->second.set;
    return {};
  }
  if ((kIgnored.count(name) != 0 && !has_value) || name.rfind("x_", 0) == 0 || name == "comment")
    return {};
  if (options.remount && kShownByKernel.count(name) != 0) return {};
  if (name == "remount" && !has_value) {
    options.remount = true;
  } else if (name == "foreground" && !has_value) {
    options.foreground = true;
  } else if (name == "allow_other") {
    PXFS_ASSIGN(const bool on, OnOff(name, value));
    options.allow_other = on;
  } else if (name == "default_permissions") {
    PXFS_ASSIGN(options.default_permissions, OnOff(name, value));
  } else if ((name == "root_squash" || name == "no_root_squash") && !has_value) {
    options.root_squash = name == "root_squash";
  } else if (name == "anonuid") {
    PXFS_ASSIGN(options.anonymous_uid, AnonymousId(name, value, FindUser));
  } else if (name == "anongid") {
    PXFS_ASSIGN(options.anonymous_gid, AnonymousId(name, value, FindGroup));
  } else if (name == "attr_timeout") {
    PXFS_ASSIGN(options.attr_timeout_seconds, Seconds(name, value));
  } else if (name == "entry_timeout") {
    PXFS_ASSIGN(options.entry_timeout_seconds, Seconds(name, value));
  } else if (name == "negative_timeout") {
    PXFS_ASSIGN(options.negative_timeout_seconds, Seconds(name, value));
  } else if (name == "passthrough") {
    if (value == "auto") {
      options.passthrough = Passthrough::kAuto;
    } else if (auto on = OnOff(name, value)) {
      options.passthrough = *on ? Passthrough::kOn : Passthrough::kOff;
    } else {
      return Fail(Code::kInvalid, "option passthrough=" + value + ": give on, off or auto");
    }
  } else if (name == "locks") {
    // Locks of one node's programs are the kernel's affair.
    if (value != "local")
      return Fail(Code::kInvalid,
                  "option locks=" + value + ": this version has local locks only (locks=local)");
  } else if (name == "lock_wait") {
    PXFS_ASSIGN(options.lock_wait_seconds, Seconds(name, value));
  } else if (name == "max_inodes") {
    PXFS_ASSIGN(options.max_inodes, Number(name, value, 1000, 1'000'000'000));
  } else if (name == "max_open") {
    PXFS_ASSIGN(options.max_open, Number(name, value, 16, 1 << 20));
  } else if (name == "hot_cool_down") {
    PXFS_ASSIGN(options.hot_cool_down_seconds, Seconds(name, value));
  } else if (name == "subdir" && !value.empty()) {
    options.subdirectory = value;
  } else if (name == "log_file" && !value.empty()) {
    options.log_file = value;
  } else if (name == "log_level") {
    if (kLogLevels.count(value) == 0)
      return Fail(Code::kInvalid,
                  "option log_level=" + value + ": give trace, debug, info, warn, error or off");
    options.log_level = value;
  } else {
    return Fail(Code::kInvalid, "unknown option '" + name + (has_value ? "=" + value : "") +
                                    "'; see mount.pxfs --help");
  }
  return {};
}

Status ApplyOptions(MountOptions& options, const std::string& list) {
  if (("," + list + ",").find(",remount,") != std::string::npos) options.remount = true;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string item = list.substr(begin, end - begin);
    begin = end + 1;
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    const bool has_value = equals != std::string::npos;
    PXFS_TRY(ApplyOption(options, item.substr(0, equals), has_value ? item.substr(equals + 1) : "",
                         has_value));
  }
  return {};
}

}  // namespace

namespace {

// What makes no sense together.
Status CheckTogether(const MountOptions& options) {
  if (!options.root_squash && (options.anonymous_uid || options.anonymous_gid))
    return Fail(Code::kInvalid,
                "options anonuid and anongid: they say who root is with root_squash, which is not "
                "given");
  if (options.root_squash && !options.default_permissions)
    return Fail(Code::kInvalid,
                "options root_squash and default_permissions=off: without permissions there is "
                "nothing that root could not do");
  return {};
}

}  // namespace

Result<MountOptions> ParseArguments(const std::vector<std::string>& arguments) {
  MountOptions options;
  std::vector<std::string> positional;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "-o" || argument == "-t" || argument == "-N") {
      if (++i == arguments.size())
        return Fail(Code::kInvalid, "option " + argument + ": a value is missing");
      if (argument == "-o") PXFS_TRY(ApplyOptions(options, arguments[i]));
      if (argument == "-N")
        return Fail(Code::kInvalid, "option -N: enter the namespace first (nsenter)");
    } else if (argument.rfind("-o", 0) == 0) {
      PXFS_TRY(ApplyOptions(options, argument.substr(2)));
    } else if (argument == "-r") {
      options.flags |= MS_RDONLY;
    } else if (argument == "-w") {
      options.flags &= ~static_cast<unsigned long>(MS_RDONLY);
    } else if (argument == "-n" || argument == "-s" || argument == "-v") {
      // mount(8) passes these on; they ask for nothing here.
    } else if (argument.size() > 1 && argument[0] == '-') {
      return Fail(Code::kInvalid, "unknown option '" + argument + "'; see mount.pxfs --help");
    } else {
      positional.push_back(argument);
    }
  }
  if (positional.size() != 2)
    return Fail(Code::kInvalid,
                "give a source and a mount point: mount.pxfs SOURCE MOUNTPOINT [-o OPTIONS]");
  PXFS_TRY(CheckTogether(options));
  options.source = positional[0];
  options.mountpoint = positional[1];
  return options;
}

bool AllowsOthers(const MountOptions& options) {
  return options.allow_other.value_or(::geteuid() == 0);
}

Result<std::string> FusermountOptions(const MountOptions& options) {
  // What fusermount3 knows; nosuid and nodev it adds by itself.
  constexpr std::pair<unsigned long, const char*> kKnown[] = {
      {MS_RDONLY, "ro"},       {MS_NOEXEC, "noexec"},   {MS_SYNCHRONOUS, "sync"},
      {MS_DIRSYNC, "dirsync"}, {MS_NOATIME, "noatime"}, {MS_NODIRATIME, "nodiratime"},
      {MS_NOSUID, "nosuid"},   {MS_NODEV, "nodev"}};
  constexpr unsigned long kSilently = MS_RELATIME | MS_SILENT;
  std::string words = "subtype=pxfs";
  unsigned long left = options.flags & ~kSilently;
  for (const auto& [flag, word] : kKnown) {
    if ((left & flag) == 0) continue;
    words += std::string(",") + word;
    left &= ~flag;
  }
  for (const auto& [name, flag] : kFlags) {
    if ((left & flag.set) != 0)
      return Fail(Code::kNotPermitted,
                  "option " + std::string(name) + ": only root can mount with it");
  }
  if (AllowsOthers(options)) words += ",allow_other";
  if (options.default_permissions) words += ",default_permissions";
  words += ",fsname=";
  for (const char c : options.source) {
    if (c == ',' || c == '\\') words += '\\';
    words += c;
  }
  return words;
}

Status ResolvePaths(MountOptions& options) {
  char resolved[PATH_MAX];
  if (!::realpath(options.mountpoint.c_str(), resolved)) {
    if (errno == ENOTCONN)
      return Fail(Code::kUnavailable, "mount point " + options.mountpoint +
                                          ": a file system whose processes were killed is still "
                                          "there; take it away with 'umount -l " +
                                          options.mountpoint + "'");
    return Fail(ErrnoError(errno, "mount point " + options.mountpoint));
  }
  options.mountpoint = resolved;
  options.cluster_directory =
      ::realpath(options.source.c_str(), resolved) ? resolved : options.source;
  return {};
}

}  // namespace pxfs::mount_helpers

#include "jobs/input_walk.h"

#include <algorithm>
#include <vector>

namespace pxfs::jobs {
namespace {

constexpr uint32_t kPage = 1000;

// The three bits of `attr` that apply to the user.
uint32_t ApplicableBits(const meta::Attr& attr, const proto::User& user) {
  if (user.uid() == attr.uid) return (attr.mode >> 6) & 7;
  const auto& groups = user.groups();
  if (user.gid() == attr.gid || std::find(groups.begin(), groups.end(), attr.gid) != groups.end()) {
    return (attr.mode >> 3) & 7;
  }
  return attr.mode & 7;
}

class Walker {
 public:
  Walker(meta::MetadataService& metadata, const meta::CallContext& user,
         const std::function<Status(const InputEntry&)>& visit)
      : metadata_(metadata), user_(user), visit_(visit) {}

  // With a list of directories still to do rather than by recursion: trees can be deeper than a
  // stack.
  Status Walk(InputEntry top) {
    const bool is_directory = top.attr.is_directory();
    PXFS_TRY(Enter(std::move(top), is_directory));
    while (!pending_.empty()) {
      const Pending next = std::move(pending_.back());
      pending_.pop_back();
      PXFS_TRY(List(next.path, next.inode));
    }
    return {};
  }

 private:
  struct Pending {
    std::string path;
    InodeId inode;
  };

  Status Enter(InputEntry entry, bool is_directory) {
    if (is_directory) {
      const auto probe = Probe(entry.attr.inode);
      if (!probe && probe.error() == Code::kAccess) {
        entry.closed = true;
      } else if (!probe) {
        return probe.error() == Code::kNotFound ? Status{} : probe;
      } else {
        pending_.push_back({entry.path, entry.attr.inode});
      }
    }
    return visit_(entry);
  }

  // kAccess where the user may not list the directory, or not search it.
  Status Probe(InodeId directory) {
    PXFS_ASSIGN(const auto page, metadata_.ReadDirectory(user_, directory, 0, 1, false));
    for (const auto& first : page.entries) {
      const auto found = metadata_.Lookup(user_, directory, first.name);
      if (!found && found.error() == Code::kAccess) return Fail(found.error());
    }
    return {};
  }

  Status List(const std::string& path, InodeId directory) {
    uint64_t cookie = 0;
    while (true) {
      const auto page = metadata_.ReadDirectory(user_, directory, cookie, kPage, true);
      if (!page) {
        return page.error() == Code::kNotFound ? Status{} : Status{Fail(page.error())};
      }
      for (const auto& entry : page->entries) {
        PXFS_TRY(Enter({JoinPath(path, entry.name), entry.attr, false}, entry.attr.is_directory()));
        cookie = entry.cookie;
      }
      if (page->end) return {};
    }
  }

  meta::MetadataService& metadata_;
  const meta::CallContext& user_;
  const std::function<Status(const InputEntry&)>& visit_;
  std::vector<Pending> pending_;
};

}  // namespace

meta::CallContext UserContext(SessionId session, const proto::User& user) {
  meta::CallContext context;
  context.session = session;
  context.uid = user.uid();
  context.gid = user.gid();
  context.groups.assign(user.groups().begin(), user.groups().end());
  context.check_access = true;
  return context;
}

Status WalkInput(meta::MetadataService& metadata, const meta::CallContext& user,
                 const std::string& input, const std::function<Status(const InputEntry&)>& visit) {
  auto attr = metadata.Resolve(user, kRootInode, input, /*follow_last=*/true);
  if (!attr) {
    return Fail(attr.error().code(),
                "input '" + input + "': " + std::string(Describe(attr.error().code())));
  }
  return Walker(metadata, user, visit).Walk({"", std::move(*attr), false});
}

bool BitsAllowRead(const meta::Attr& attr, const proto::User& user) {
  return user.uid() == 0 || (ApplicableBits(attr, user) & 4);
}

bool BitsAllowChange(const meta::Attr& attr, const proto::User& user) {
  return user.uid() == 0 || (ApplicableBits(attr, user) & 3) == 3;
}

std::string JoinPath(const std::string& base, const std::string& rest) {
  if (base.empty() || rest.empty()) return base + rest;
  return base.back() == '/' ? base + rest : base + "/" + rest;
}

}  // namespace pxfs::jobs

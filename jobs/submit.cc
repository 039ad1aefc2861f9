// JobService::Submit: everything that is checked before a job is taken.
#include <fcntl.h>
#include <unistd.h>

#include "jobs/as_user.h"
#include "jobs/claims.h"
#include "jobs/image.h"
#include "jobs/input_walk.h"
#include "jobs/service_impl.h"
#include "jobs/spec.h"
#include "jobs/split.h"
#include "meta/placement.h"

namespace pxfs::jobs {
namespace {

constexpr const char* kAclXattr = "system.posix_acl_access";

std::string Words(Code code) { return std::string(Describe(code)); }

std::string ParentPath(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string NameIn(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string Amount(double cpus) {
  std::string text = std::to_string(cpus);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

Result<proto::User> JobService::Impl::SubmittingUser(const Caller& caller,
                                                     const proto::SubmitRequest& request) const {
  proto::User user;
  user.set_uid(caller.uid);
  user.set_gid(caller.gid);
  for (const uint32_t group : caller.groups) user.add_groups(group);
  if (!request.has_run_as()) return user;
  if (caller.uid != 0 && request.run_as().uid() != caller.uid) {
    return Fail(Code::kNotPermitted, "only root may submit for another user");
  }
  user = request.run_as();
  FillGroups(user);
  return user;
}

Status JobService::Impl::CheckResources(const proto::JobSpec& spec) const {
  const NodeResources node = node_->Resources();
  if (spec.cpus() > node.cpus) {
    return Fail(Code::kInvalid, "the job asks for " + Amount(spec.cpus()) + " CPUs; node " +
                                    options_.node_name + " has " + Amount(node.cpus));
  }
  if (spec.memory_bytes() > node.memory_bytes) {
    return Fail(Code::kInvalid, "the job asks for " + std::to_string(spec.memory_bytes()) +
                                    " bytes of memory; node " + options_.node_name + " has " +
                                    std::to_string(node.memory_bytes));
  }
  return {};
}

Result<std::string> JobService::Impl::RealPath(const meta::CallContext& user,
                                               const std::string& path) {
  if (path == "/") return path;
  auto& metadata = options_.metadata;
  PXFS_ASSIGN(const auto parent, metadata.Resolve(user, kRootInode, ParentPath(path), true));
  PXFS_ASSIGN(const auto attr, metadata.Lookup(user, parent.inode, NameIn(path)));
  if (attr.is_symlink()) {
    PXFS_ASSIGN(const auto target, metadata.Resolve(user, parent.inode, NameIn(path), true));
    return metadata.PathOf(target.inode);
  }
  PXFS_ASSIGN(const std::string above, metadata.PathOf(parent.inode));
  return JoinPath(above, NameIn(path));
}

Status JobService::Impl::CheckInputs(const proto::User& user, proto::JobSpec& spec) {
  auto& metadata = options_.metadata;
  const meta::CallContext context = UserContext(session_, user);
  for (auto& input : *spec.mutable_inputs()) {
    const auto real = RealPath(context, input);
    if (!real) {
      // It need not exist yet if some job is going to write it.
      Lock lock(mutex_);
      if (real.error() == Code::kNotFound && ProducerOf(jobs_, input) != 0) continue;
      return Fail(real.error().code(), "input '" + input + "': " + Words(real.error().code()));
    }
    input = *real;
    PXFS_ASSIGN(const auto attr, metadata.Resolve(context, kRootInode, input, true));
    Status readable;
    if (attr.is_directory()) {
      const auto page = metadata.ReadDirectory(context, attr.inode, 0, 1, false);
      if (!page) readable = Fail(page.error());
    } else if (!attr.is_regular()) {
      return Fail(Code::kInvalid, "input '" + input + "': neither a file nor a directory");
    } else if (!BitsAllowRead(attr, user) && !metadata.GetXattr(context, attr.inode, kAclXattr)) {
      readable = Fail(Code::kAccess);
    }
    if (!readable) {
      return Fail(readable.error().code(),
                  "input '" + input + "': " + Words(readable.error().code()));
    }
  }
  return {};
}

Status JobService::Impl::CheckOutput(const proto::User& user, proto::JobSpec& spec) {
  if (spec.output().empty()) return {};
  auto& metadata = options_.metadata;
  const meta::CallContext context = UserContext(session_, user);
  const std::string what = "output '" + spec.output() + "': ";
  if (spec.result_copies() != 0) {
    meta::Policy policy;
    policy.copies = spec.result_copies();
    PXFS_ASSIGN(const auto volumes, metadata.ListVolumes());
    if (const Status can = meta::CheckPolicy(policy, volumes); !can)
      return Fail(can.error().code(), what + can.error().message());
  }
  const auto parent = metadata.Resolve(context, kRootInode, ParentPath(spec.output()), true);
  if (!parent) {
    return Fail(parent.error().code(),
                what + "the directory above it: " + Words(parent.error().code()));
  }
  if (!parent->is_directory()) {
    return Fail(Code::kNotDirectory, what + "what is above it is not a directory");
  }
  const auto existing = metadata.Lookup(context, parent->inode, NameIn(spec.output()));
  if (existing) return Fail(Code::kExists, what + "it exists; remove it or choose another");
  if (!(existing.error() == Code::kNotFound)) {
    return Fail(existing.error().code(), what + Words(existing.error().code()));
  }
  if (!BitsAllowChange(*parent, user) && !metadata.GetXattr(context, parent->inode, kAclXattr)) {
    return Fail(Code::kAccess, what + "no permission to write in the directory above it");
  }
  PXFS_ASSIGN(const std::string above, metadata.PathOf(parent->inode));
  spec.set_output(JoinPath(above, NameIn(spec.output())));
  return {};
}

Status JobService::Impl::CheckBinds(const proto::User& user, const proto::JobSpec& spec) const {
  for (const auto& bind : spec.binds()) {
    const auto opened = OpenAsUser(bind.source(), O_PATH, user);
    if (!opened) return Fail(opened.error().WithContext("volume"));
  }
  return {};
}

Status JobService::Impl::CheckDependencies(const Caller& caller, const proto::JobSpec& spec) {
  Lock lock(mutex_);
  for (const uint64_t id : spec.after_ok()) {
    const auto found = FindJob(caller, id);
    if (!found) return Fail(found.error().WithContext("dependency"));
  }
  return {};
}

Result<std::vector<std::string>> JobService::Impl::DryRun(const proto::User& user,
                                                          const proto::JobSpec& spec) {
  std::vector<std::string> notes;
  {
    Lock lock(mutex_);
    for (const uint64_t id : Producers(jobs_, spec)) {
      notes.push_back("waits for job " + std::to_string(id) + ", which writes its input");
    }
  }
  if (!notes.empty()) return notes;
  if (spec.split() == proto::SPLIT_NONE) {
    notes.push_back("1 task on node " + options_.node_name + ", where its whole input is");
    return notes;
  }
  PXFS_ASSIGN(const auto files,
              ListInputFiles(options_.metadata, UserContext(session_, user), spec));
  PXFS_ASSIGN(const auto plans, SplitInputs(files, spec.split(), spec.split_count()));
  notes.push_back(std::to_string(plans.size()) + " tasks on node " + options_.node_name);
  for (size_t i = 0; i < plans.size(); ++i) {
    int count = 0;
    for (const auto& part : plans[i].parts()) count += part.files_size();
    notes.push_back("task " + std::to_string(i) + ": " + std::to_string(count) + " files");
  }
  return notes;
}

Result<proto::SubmitReply> JobService::Impl::Submit(const Caller& caller,
                                                    const proto::SubmitRequest& request) {
  proto::JobSpec spec = request.spec();
  PXFS_TRY(CheckSpec(spec));
  PXFS_TRY(CheckResources(spec));
  if (::geteuid() != 0)
    return Fail(Code::kNotPermitted,
                "jobs run only where root serves the cluster: have root mount it");
  if (options_.mountpoint().empty()) {
    return Fail(Code::kUnavailable, "the file system is not mounted on node " + options_.node_name +
                                        "; mount it first");
  }
  PXFS_ASSIGN(const proto::User user, SubmittingUser(caller, request));
  PXFS_TRY(ImageStore::Check(spec.image(), user));
  PXFS_TRY(CheckBinds(user, spec));
  PXFS_TRY(CheckDependencies(caller, spec));
  PXFS_TRY(CheckInputs(user, spec));
  PXFS_TRY(CheckOutput(user, spec));
  PXFS_TRY(CheckSpec(spec));  // once more: different names may have led to the same place

  proto::SubmitReply reply;
  if (request.dry_run()) {
    Lock lock(mutex_);
    if (!spec.output().empty()) PXFS_TRY(CheckOutputFree(jobs_, spec.output()));
    lock.unlock();
    PXFS_ASSIGN(const auto notes, DryRun(user, spec));
    for (const auto& note : notes) reply.add_notes(note);
    return reply;
  }

  Lock lock(mutex_);
  if (stopping_ || !running_) return Fail(Code::kUnavailable, "the job service is ending");
  if (!spec.output().empty()) PXFS_TRY(CheckOutputFree(jobs_, spec.output()));
  Job job;
  job.record.set_version(kRecordVersion);
  job.record.set_id(next_id_);
  job.record.set_state(spec.hold() ? proto::JOB_HELD : proto::JOB_QUEUED);
  job.record.set_submitted_ms(NowMs());
  for (const uint64_t id : Producers(jobs_, spec)) job.record.add_waits_for(id);
  *job.record.mutable_user() = user;
  *job.record.mutable_spec() = std::move(spec);
  RecordBatch batch;
  batch.Put(job.record);
  batch.PutNextId(next_id_ + 1);
  PXFS_TRY(store_.Write(std::move(batch)));
  reply.set_id(next_id_);
  jobs_.emplace(next_id_++, std::move(job));
  work_pending_ = true;
  work_.notify_all();
  NotifyChanged();
  return reply;
}

}  // namespace pxfs::jobs

#include "fs/session.h"

#include <fuse3/fuse_lowlevel.h>

#include "base/logging.h"
#include "fs/ops.h"

namespace pxfs::fs {
namespace {

fuse_lowlevel_ops Operations() {
  fuse_lowlevel_ops table{};
  table.init = ops::Init;
  table.lookup = ops::Lookup;
  table.forget = ops::Forget;
  table.forget_multi = ops::ForgetMany;
  table.getattr = ops::GetAttr;
  table.setattr = ops::SetAttr;
  table.readlink = ops::ReadLink;
  table.mknod = ops::MakeNode;
  table.mkdir = ops::MakeDirectory;
  table.symlink = ops::SymLink;
  table.link = ops::Link;
  table.unlink = ops::Unlink;
  table.rmdir = ops::RemoveDirectory;
  table.rename = ops::Rename;
  table.create = ops::Create;
  table.open = ops::Open;
  table.release = ops::Release;
  table.flush = ops::Flush;
  table.read = ops::Read;
  table.write = ops::Write;
  table.fsync = ops::Fsync;
  table.fsyncdir = ops::FsyncDirectory;
  table.fallocate = ops::Fallocate;
  table.lseek = ops::Seek;
  table.ioctl = ops::Ioctl;
  table.copy_file_range = ops::CopyFileRange;
  table.opendir = ops::OpenDirectory;
  table.readdir = ops::ReadDirectory;
  table.readdirplus = ops::ReadDirectoryPlus;
  table.getxattr = ops::GetXattr;
  table.setxattr = ops::SetXattr;
  table.listxattr = ops::ListXattrs;
  table.removexattr = ops::RemoveXattr;
  table.statfs = ops::StatFs;
  return table;
}

void LogFromLibfuse(fuse_log_level level, const char* format, va_list arguments) {
  char line[1024];
  std::vsnprintf(line, sizeof line, format, arguments);
  std::string text(line);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (level <= FUSE_LOG_ERR) {
    log::error("libfuse: {}", text);
  } else {
    log::debug("libfuse: {}", text);
  }
}

}  // namespace

Session::Session(FileSystem& file_system, Transport& transport, CacheRevoker& revoker)
    : data_{&file_system, &transport}, revoker_(revoker) {}

Session::~Session() {
  revoker_.Stop();
  data_.file_system->StopThreads();
  if (session_) fuse_session_destroy(session_);
}

Result<std::unique_ptr<Session>> Session::Create(FileSystem& file_system, Transport& transport,
                                                 CacheRevoker& revoker) {
  fuse_set_log_func(LogFromLibfuse);
  std::unique_ptr<Session> self(new Session(file_system, transport, revoker));
  char name[] = "pxfs";
  char* argv[] = {name, nullptr};
  fuse_args arguments = FUSE_ARGS_INIT(1, argv);
  const fuse_lowlevel_ops table = Operations();
  self->session_ = fuse_session_new(&arguments, &table, sizeof table, &self->data_);
  fuse_opt_free_args(&arguments);  // what parsing them made of them
  if (!self->session_) return Fail(Code::kIo, "libfuse made no session");
  PXFS_TRY(transport.Attach(self->session_));
  revoker.Start(self->session_, &file_system, &transport);
  return self;
}

Status Session::Run(const std::function<void()>& ready) { return data_.transport->Serve(ready); }

}  // namespace pxfs::fs

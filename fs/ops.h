// The operations of the file system, one a file in fs/ops/, in the form that libfuse calls.
// Valid replies and lifetimes of arguments: struct fuse_lowlevel_ops in <fuse3/fuse_lowlevel.h>.
#pragma once

#include <fuse3/fuse_lowlevel.h>

namespace pxfs::fs::ops {

void Init(void* data, fuse_conn_info* connection) noexcept;
void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) noexcept;
void Forget(fuse_req_t request, fuse_ino_t node, uint64_t count) noexcept;
void ForgetMany(fuse_req_t request, size_t count, fuse_forget_data* forgets) noexcept;
void GetAttr(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) noexcept;
void SetAttr(fuse_req_t request, fuse_ino_t node, struct stat* values, int to_set,
             fuse_file_info* file) noexcept;
void ReadLink(fuse_req_t request, fuse_ino_t node) noexcept;
void MakeNode(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
              dev_t rdev) noexcept;
void MakeDirectory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) noexcept;
void SymLink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) noexcept;
void Link(fuse_req_t request, fuse_ino_t node, fuse_ino_t new_parent,
          const char* new_name) noexcept;
void Unlink(fuse_req_t request, fuse_ino_t parent, const char* name) noexcept;
void RemoveDirectory(fuse_req_t request, fuse_ino_t parent, const char* name) noexcept;
void Rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
            const char* new_name, unsigned int flags) noexcept;
void Create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
            fuse_file_info* file) noexcept;
void Open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) noexcept;
void Release(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) noexcept;
void Flush(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) noexcept;
void Read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
          fuse_file_info* file) noexcept;
void Write(fuse_req_t request, fuse_ino_t node, const char* data, size_t size, off_t offset,
           fuse_file_info* file) noexcept;
void Ioctl(fuse_req_t request, fuse_ino_t node, unsigned command, void* argument,
           fuse_file_info* file, unsigned flags, const void* in, size_t in_size,
           size_t out_size) noexcept;
void Fsync(fuse_req_t request, fuse_ino_t node, int data_only, fuse_file_info* file) noexcept;
void FsyncDirectory(fuse_req_t request, fuse_ino_t node, int data_only,
                    fuse_file_info* file) noexcept;
void Fallocate(fuse_req_t request, fuse_ino_t node, int mode, off_t offset, off_t length,
               fuse_file_info* file) noexcept;
void Seek(fuse_req_t request, fuse_ino_t node, off_t offset, int whence,
          fuse_file_info* file) noexcept;
void CopyFileRange(fuse_req_t request, fuse_ino_t node_in, off_t offset_in, fuse_file_info* file_in,
                   fuse_ino_t node_out, off_t offset_out, fuse_file_info* file_out, size_t length,
                   int flags) noexcept;
void OpenDirectory(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) noexcept;
void ReadDirectory(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                   fuse_file_info* file) noexcept;
void ReadDirectoryPlus(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                       fuse_file_info* file) noexcept;
void GetXattr(fuse_req_t request, fuse_ino_t node, const char* name, size_t size) noexcept;
void SetXattr(fuse_req_t request, fuse_ino_t node, const char* name, const char* value, size_t size,
              int flags) noexcept;
void ListXattrs(fuse_req_t request, fuse_ino_t node, size_t size) noexcept;
void RemoveXattr(fuse_req_t request, fuse_ino_t node, const char* name) noexcept;
void StatFs(fuse_req_t request, fuse_ino_t node) noexcept;

}  // namespace pxfs::fs::ops

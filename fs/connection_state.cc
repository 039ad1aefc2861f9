#include "fs/connection_state.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pxfs::fs {
namespace {

constexpr size_t kHeaderBytes = 8192;
constexpr size_t kMappingBytes =
    kHeaderBytes + ConnectionState::kMaxOpenInodes * sizeof(OpenRecord);

Result<void*> Map(int fd) {
  void* mapping = ::mmap(nullptr, kMappingBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapping == MAP_FAILED) return FailErrno(errno, "mapping the connection's state");
  return mapping;
}

}  // namespace

ConnectionState::ConnectionState(UniqueFd fd, void* mapping)
    : fd_(std::move(fd)),
      mapping_(mapping),
      header_(static_cast<Header*>(mapping)),
      records_(reinterpret_cast<OpenRecord*>(static_cast<char*>(mapping) + kHeaderBytes)) {
  static_assert(sizeof(Header) <= kHeaderBytes);
}

ConnectionState::~ConnectionState() { ::munmap(mapping_, kMappingBytes); }

Result<std::unique_ptr<ConnectionState>> ConnectionState::Create() {
  UniqueFd fd(::memfd_create("pxfs-connection", MFD_CLOEXEC));
  if (!fd) return FailErrno(errno, "memfd_create");
  if (::ftruncate(fd.get(), static_cast<off_t>(kMappingBytes)) != 0)
    return FailErrno(errno, "memfd size");
  PXFS_ASSIGN(void* mapping, Map(fd.get()));
  std::unique_ptr<ConnectionState> state(new ConnectionState(std::move(fd), mapping));
  state->header_->version = kVersion;
  return state;
}

Result<std::unique_ptr<ConnectionState>> ConnectionState::Adopt(UniqueFd fd) {
  PXFS_ASSIGN(void* mapping, Map(fd.get()));
  std::unique_ptr<ConnectionState> state(new ConnectionState(std::move(fd), mapping));
  if (state->header_->version != kVersion)
    return Fail(Code::kInvalid, "the running mount's state has version " +
                                    std::to_string(state->header_->version) +
                                    ", this program understands " + std::to_string(kVersion) +
                                    "; unmount and mount again");
  return state;
}

std::span<const char> ConnectionState::init_request() const {
  return {header_->init, header_->init_size.load(std::memory_order_acquire)};
}

void ConnectionState::SaveInit(std::span<const char> request) {
  if (request.size() > kMaxInit) return;  // the kernel's INIT request has 104 bytes
  std::memcpy(header_->init, request.data(), request.size());
  header_->init_size.store(static_cast<uint32_t>(request.size()), std::memory_order_release);
}

ConnectionState::Inodes ConnectionState::CountInodes() const {
  Inodes inodes;
  for (const OpenRecord& record : open_records()) {
    // They are dense, apart from those given back.
    if (record.inode == 0 && record.object_generation == 0) break;
    if (record.inode == 0) continue;
    ++(OpenCounts::Unpack(record.counts).opens > 0 ? inodes.open : inodes.idle);
  }
  return inodes;
}

}  // namespace pxfs::fs

#include "base/pass_descriptor.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace pxfs {
namespace {

// A message of one byte with room for one descriptor.
struct Message {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};

  Message() {
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
  }
};

}  // namespace

Status SendDescriptor(int socket, int fd) {
  Message message;
  cmsghdr* const part = CMSG_FIRSTHDR(&message.header);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
  while (::sendmsg(socket, &message.header, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return FailErrno(errno, "sending a descriptor");
  }
  return {};
}

Result<UniqueFd> ReceiveDescriptor(int socket) {
  Message message;
  ssize_t n;
  while ((n = ::recvmsg(socket, &message.header, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno != EINTR) return FailErrno(errno, "receiving a descriptor");
  }
  const cmsghdr* const part = CMSG_FIRSTHDR(&message.header);
  if (n == 0 || !part || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
    return Fail(Code::kUnavailable, "no descriptor came");
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(part), sizeof fd);
  return UniqueFd(fd);
}

}  // namespace pxfs

#include "jobs/log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace pxfs::jobs {
namespace {

// Takes the part up to the next blank.
std::string_view TakeWord(std::string_view& line) {
  const size_t blank = line.find(' ');
  const std::string_view word = line.substr(0, blank);
  line.remove_prefix(blank == std::string_view::npos ? line.size() : blank + 1);
  return word;
}

bool AppendLine(std::string_view line, proto::LogReply& reply) {
  TakeWord(line);  // the time
  const std::string_view stream = TakeWord(line);
  const std::string_view kind = TakeWord(line);
  if ((stream != "stdout" && stream != "stderr") || (kind != "F" && kind != "P")) return false;
  const bool is_stderr = stream == "stderr";
  const int last = reply.chunks_size() - 1;
  proto::LogChunk* chunk = last >= 0 && reply.chunks(last).stderr() == is_stderr
                               ? reply.mutable_chunks(last)
                               : reply.add_chunks();
  chunk->set_stderr(is_stderr);
  chunk->mutable_text()->append(line);
  if (kind == "F") chunk->mutable_text()->push_back('\n');
  return true;
}

}  // namespace

Status ReadLogFile(const std::string& path, uint64_t offset, size_t max_bytes,
                   proto::LogReply& reply) {
  reply.set_next_offset(offset);
  const auto fd = OpenAt(AT_FDCWD, path, O_RDONLY);
  if (!fd) return fd.error() == Code::kNotFound ? Status{} : Status{Fail(fd.error())};
  std::string buffer(max_bytes, '\0');
  const ssize_t n = ::pread(fd->get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
  if (n < 0) return FailErrno(errno, path);
  std::string_view rest(buffer.data(), static_cast<size_t>(n));
  for (size_t newline = rest.find('\n'); newline != std::string_view::npos;
       newline = rest.find('\n')) {
    if (!AppendLine(rest.substr(0, newline), reply)) {
      return Fail(Code::kCorruption, path + " is not a container's log");
    }
    reply.set_next_offset(reply.next_offset() + newline + 1);
    rest.remove_prefix(newline + 1);
  }
  return {};
}

}  // namespace pxfs::jobs

#include "bench/fsops/dataset.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "bench/fsops/meter.h"

namespace pxfs::bench {
namespace {

uint64_t SizeOf(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 ? static_cast<uint64_t>(st.st_size) : UINT64_MAX;
}

void MakeDirectories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) errno = error.value(), Die(path);
}

// Not zeros, and different in every block, so that nothing on the way can skip it.
void Fill(std::vector<char>& buffer, uint64_t salt) {
  uint64_t state = salt * 0x9E3779B97F4A7C15ull + 1;
  for (char& byte : buffer) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    byte = static_cast<char>(state);
  }
}

void WriteFile(const std::string& path, uint64_t bytes) {
  const int fd = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) Die(path);
  std::vector<char> buffer(std::min(bytes, kBlockBytes));
  Fill(buffer, bytes);
  for (uint64_t done = 0; done < bytes;) {
    const ssize_t n = write(fd, buffer.data(), std::min<uint64_t>(buffer.size(), bytes - done));
    if (n < 0) Die(path);
    done += static_cast<uint64_t>(n);
  }
  if (close(fd) != 0) Die(path);
}

}  // namespace

std::string Plan::Directory(const char* what, int thread) const {
  return directory + "/" + what + "/t" + std::to_string(thread);
}

std::vector<std::string> Names(const char* prefix, uint64_t count) {
  std::vector<std::string> names;
  names.reserve(count);
  for (uint64_t i = 0; i < count; ++i) names.push_back(prefix + std::to_string(i));
  return names;
}

void EnsureFiles(const Plan& plan, const char* what, const char* prefix, uint64_t bytes) {
  for (int thread = 0; thread < plan.threads; ++thread) {
    const std::string directory = plan.Directory(what, thread) + "/";
    const auto names = Names(prefix, plan.files);
    if (SizeOf(directory + names.front()) == bytes && SizeOf(directory + names.back()) == bytes)
      continue;
    MakeDirectories(directory);
    for (const std::string& name : names) WriteFile(directory + name, bytes);
  }
}

void MakeSmallFiles(const Plan& plan) { EnsureFiles(plan, "data", "f", kSmallBytes); }

void MakeBigFiles(const Plan& plan) {
  for (int thread = 0; thread < plan.threads; ++thread) {
    const std::string directory = plan.Directory("big", thread);
    if (SizeOf(directory + "/file") == plan.big_bytes) continue;
    MakeDirectories(directory);
    WriteFile(directory + "/file", plan.big_bytes);
  }
}

void MakeEmptyDirectories(const Plan& plan, const char* what) {
  std::error_code error;
  std::filesystem::remove_all(plan.directory + "/" + what, error);
  if (error) errno = error.value(), Die(plan.directory + "/" + what);
  for (int thread = 0; thread < plan.threads; ++thread)
    MakeDirectories(plan.Directory(what, thread));
}

void EnterDirectory(const std::string& directory) {
  if (unshare(CLONE_FS) != 0) Die("unshare(CLONE_FS)");
  if (chdir(directory.c_str()) != 0) Die(directory);
}

}  // namespace pxfs::bench

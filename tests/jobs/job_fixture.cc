#include "tests/jobs/job_fixture.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "base/cluster_directory.h"
#include "base/unique_fd.h"

namespace pxfs::test {
namespace {

namespace filesystem = std::filesystem;
using nlohmann::json;

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

std::string Contents(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void AddProcesses(const std::string& prefix, std::vector<std::string>& found) {
  std::error_code error;
  for (const auto& entry : filesystem::directory_iterator("/proc", error)) {
    if (!IsNumber(entry.path().filename())) continue;
    std::string command = Contents(entry.path() / "cmdline");
    const bool of_a_job = command.find('\0' + prefix) != std::string::npos ||
                          Contents(entry.path() / "cgroup").find("/" + prefix) != std::string::npos;
    if (!of_a_job) continue;
    std::replace(command.begin(), command.end(), '\0', ' ');
    found.push_back("process " + entry.path().filename().string() + ": " + command);
  }
}

// In every mount namespace that a process is in.
void AddMounts(const std::vector<std::string>& marks, std::vector<std::string>& found) {
  std::set<filesystem::path> seen;
  std::error_code error;
  for (const auto& entry : filesystem::directory_iterator("/proc", error)) {
    if (!IsNumber(entry.path().filename())) continue;
    const auto mount_namespace = filesystem::read_symlink(entry.path() / "ns/mnt", error);
    if (error || !seen.insert(mount_namespace).second) continue;
    std::istringstream lines(Contents(entry.path() / "mountinfo"));
    for (std::string line; std::getline(lines, line);) {
      const bool marked = std::any_of(marks.begin(), marks.end(), [&](const std::string& mark) {
        return line.find(mark) != std::string::npos;
      });
      if (marked) found.push_back("mount: " + line);
    }
  }
}

void AddCgroups(const std::string& prefix, std::vector<std::string>& found) {
  std::error_code error;
  for (filesystem::recursive_directory_iterator it("/sys/fs/cgroup", error), end;
       !error && it != end; it.increment(error)) {
    if (it->path().filename().string().starts_with(prefix)) {
      found.push_back("cgroup: " + it->path().string());
    }
  }
}

void AddFiles(const std::string& directory, std::vector<std::string>& found) {
  std::error_code error;
  for (const auto& entry : filesystem::directory_iterator(directory, error)) {
    found.push_back("file: " + entry.path().string());
  }
}

}  // namespace

std::unique_ptr<MountedCluster> JobTest::cluster_;

void JobTest::Begin(Shape shape) {
  MountedOptions options;
  options.shape = shape;
  Begin(options);
}

void JobTest::Begin(const MountedOptions& options) {
  auto started = MountedCluster::Start(options);
  ASSERT_TRUE(started) << started.error().message();
  cluster_ = std::move(*started);
  ASSERT_EQ(::setenv("PXFS_CLUSTER", cluster_->cluster().directory().c_str(), 1), 0);
  // Closed to others, as a user's own directories would be, but for what the tests open.
  ASSERT_EQ(::chmod(cluster_->path().c_str(), 0755), 0);
}

void JobTest::Finish() {
  if (!cluster_) return;
  EXPECT_STATUS(cluster_->Stop());
  EXPECT_EQ(Leftovers(), std::vector<std::string>());
  EXPECT_FALSE(filesystem::exists(RunDirectory()));
  cluster_.reset();
}

void JobTest::SetUp() {
  ASSERT_TRUE(cluster_);
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  directory_ = test->name();
  std::replace(directory_.begin(), directory_.end(), '/', '_');
  ASSERT_STATUS(MakeDirectories(Here()));
  ASSERT_EQ(::chmod(Here().c_str(), 0777), 0);
}

void JobTest::TearDown() {
  if (HasFailure()) EndJobs();
  EXPECT_EQ(Leftovers(), std::vector<std::string>());
}

void JobTest::EndJobs() {
  const auto jobs = json::parse(Job({"ls", "--json"}).output, nullptr, /*allow_exceptions=*/false);
  for (const json& job : jobs) {
    const std::string id = std::to_string(job["id"].get<uint64_t>());
    Job({"cancel", "--grace", "1s", id});
    Job({"wait", id});
  }
}

std::string JobTest::Here(const std::string& name) const {
  return cluster_->path() + "/" + directory_ + (name.empty() ? "" : "/" + name);
}

std::string JobTest::InContainer(const std::string& name) const {
  return "/pxfs/" + directory_ + (name.empty() ? "" : "/" + name);
}

std::string JobTest::ReadText(const std::string& path) {
  const auto text = ReadFile(path, 64 << 20);
  return text ? *text : "cannot be read: " + text.error().message();
}

void JobTest::WriteText(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  ASSERT_TRUE(out) << path;
}

std::vector<std::string> JobTest::MakeInput(const std::string& name, int count) const {
  const std::string top = Here(name);
  for (int i = 0; i < count; ++i) {
    const std::string directory = top + "/part" + std::to_string(i % 5);
    EXPECT_STATUS(MakeDirectories(directory));
    std::string text;
    for (int line = 0; line < i * 37 % 900; ++line) {
      text += "file " + std::to_string(i) + " line " + std::to_string(line) + "\n";
    }
    WriteText(directory + "/file" + std::to_string(i), text);
  }
  const auto sums = RunProgram(
      {"sh", "-c", "cd \"$1\" && find . -type f -exec sha256sum {} + | sed 's|  [.]|  '\"$2\"'|'",
       "sh", top, InContainer(name)});
  EXPECT_TRUE(sums && sums->status == 0);
  std::vector<std::string> lines;
  std::istringstream in(sums ? sums->output : "");
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  EXPECT_EQ(lines.size(), static_cast<size_t>(count));
  return lines;
}

Outcome JobTest::Job(const Argv& arguments) {
  Argv command = {Program("pxfs-job")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  auto outcome = RunApart(command);
  EXPECT_TRUE(outcome) << outcome.error().message();
  return outcome ? *outcome : Outcome{.status = -1, .output = "", .errors = ""};
}

Outcome JobTest::JobAs(unsigned uid, const Argv& arguments) {
  const std::string id = std::to_string(uid);
  Argv command = {"setpriv", "--reuid", id, "--regid", id, "--clear-groups", Program("pxfs-job")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  auto outcome = RunApart(command);
  EXPECT_TRUE(outcome) << outcome.error().message();
  return outcome ? *outcome : Outcome{.status = -1, .output = "", .errors = ""};
}

uint64_t JobTest::Submit(const Argv& arguments) {
  Argv all = {"submit", "--parsable"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Outcome outcome = Job(all);
  EXPECT_EQ(outcome.status, 0) << outcome.errors;
  return std::strtoull(outcome.output.c_str(), nullptr, 10);
}

Outcome JobTest::WaitFor(uint64_t id) { return Job({"wait", std::to_string(id)}); }

json JobTest::Show(uint64_t id) {
  const Outcome outcome = Job({"show", "--json", std::to_string(id)});
  EXPECT_EQ(outcome.status, 0) << outcome.errors;
  auto shown = json::parse(outcome.output, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(shown.is_object()) << outcome.output;
  return shown;
}

json JobTest::Await(uint64_t id, const std::function<bool(const json&)>& holds) {
  json shown;
  const bool held = Eventually([&] {
    shown = Show(id);
    return !shown.is_object() || holds(shown);
  });
  EXPECT_TRUE(held) << "job " << id << " stays as it is: " << shown.dump(2);
  return shown;
}

json JobTest::AwaitState(uint64_t id, const std::string& state) {
  return Await(id, [&](const json& shown) { return shown["state"] == state; });
}

void JobTest::AwaitFile(const std::string& path) {
  EXPECT_TRUE(
      Eventually([&] { return ::access(path.c_str(), F_OK) == 0; }, std::chrono::seconds(15)))
      << path << " does not appear";
}

std::string JobTest::ContainerPrefix() {
  const auto identity = ReadIdentity(cluster_->cluster().directory());
  EXPECT_TRUE(identity);
  return "pxfs-" + (identity ? identity->uuid.substr(0, 8) : "none") + "-";
}

std::string JobTest::RunDirectory() {
  std::string prefix = ContainerPrefix();
  return "/run/pxfs/" + prefix.substr(5, prefix.size() - 6);
}

std::vector<std::string> JobTest::Leftovers() {
  std::vector<std::string> found;
  const std::string prefix = ContainerPrefix();
  AddProcesses(prefix, found);
  AddCgroups(prefix, found);
  std::vector<std::string> marks = {RunDirectory() + "/"};
  for (const auto& volume : cluster_->cluster().volumes()) {
    for (const char* part : {"/views", "/staging"}) {
      marks.push_back(volume + part + "/");
      AddFiles(volume + part, found);
    }
  }
  AddMounts(marks, found);
  std::error_code error;
  for (const auto& entry : filesystem::directory_iterator(RunDirectory(), error)) {
    const std::string name = entry.path().filename();
    if (name == "crun" || name == "runc" || name == "exits") {
      AddFiles(entry.path(), found);
    } else {
      found.push_back("file: " + entry.path().string());
    }
  }
  return found;
}

}  // namespace pxfs::test

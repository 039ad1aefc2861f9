// pxfs-job submit
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "base/unique_fd.h"
#include "jobs/cli/command.h"
#include "jobs/cli/format.h"
#include "jobs/cli/output.h"
#include "jobs/record.h"
#include "jobs/spec.h"

namespace pxfs::jobs::cli {
namespace {

// A flag that sets the field of the same name.
struct FieldFlag {
  const char* flags;
  const char* field;
  const char* help;
  const char* type;
};

constexpr FieldFlag kFieldFlags[] = {
    {"--image", "image",
     "host (default), the path of a root file system, oci:DIR[:TAG] or oci-archive:FILE[:TAG]",
     "IMAGE"},
    {"-i,--input", "input", "file or directory that the job reads (repeatable; globs)", "PATH"},
    {"-o,--output", "output", "directory that its results are published as, at once, on success",
     "PATH"},
    {"--result-copies", "result-copies",
     "copies of each file of the output, on other volumes (default: as the policy there says)",
     "N"},
    {"--split", "split", "one task a file, one a volume, or N tasks", "files|volumes|N"},
    {"-c,--cpus", "cpus", "CPUs of each task (default 1)", "N"},
    {"-m,--memory", "memory", "memory limit of each task", "SIZE"},
    {"--tmp", "tmp", "size of /tmp (default 256M)", "SIZE"},
    {"-e,--env", "env", "environment variable (repeatable; a name alone takes it from here)",
     "K[=V]"},
    {"-w,--workdir", "workdir", "working directory in the container", "DIR"},
    {"-v,--volume", "volume", "host directory or file in the container (repeatable)",
     "SRC:DST[:ro]"},
    {"--network", "network", "none (default) or host", "none|host"},
    {"--fastpath", "fastpath", "auto (default): where possible; require; off", "auto|require|off"},
    {"-d,--dependency", "dependency", "only after these jobs have succeeded (repeatable)",
     "afterok:ID"},
    {"--priority", "priority", "0 to 100 (default 50); higher goes first", "N"},
    {"-t,--time", "time", "time limit of each task", "DURATION"},
    {"--retries", "retries", "how often a task that fails is tried again", "N"},
    {"-J,--name", "name", "a name for people", "NAME"},
    {"-l,--label", "label", "label (repeatable)", "K=V"},
};

struct Options {
  std::string job_file;
  std::map<std::string, std::vector<std::string>> fields;
  std::vector<std::string> env_files;
  std::string user;
  bool hold = false, wait = false, follow = false, dry_run = false, parsable = false, json = false;
};

Result<std::string> ReadAll(const std::string& path) {
  if (path != "-") return ReadFile(path, kMaxSpecBytes);
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

// USER or UID, with :GROUP or :GID.
Result<proto::User> ParseUser(const std::string& text) {
  proto::User user;
  const size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  uint32_t number = 0;
  const auto is_number = [&](const std::string& word) {
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    return error == std::errc() && end == word.data() + word.size();
  };
  const bool by_number = is_number(name);
  const passwd* entry = by_number ? ::getpwuid(number) : ::getpwnam(name.c_str());
  if (!entry && !by_number) return Fail(Code::kNotFound, "there is no user '" + name + "'");
  user.set_uid(entry ? entry->pw_uid : number);
  user.set_gid(entry ? entry->pw_gid : number);
  if (colon == std::string::npos) return user;
  const std::string group_name = text.substr(colon + 1);
  if (is_number(group_name)) {
    user.set_gid(number);
  } else if (const group* found = ::getgrnam(group_name.c_str())) {
    user.set_gid(found->gr_gid);
  } else {
    return Fail(Code::kNotFound, "there is no group '" + group_name + "'");
  }
  return user;
}

// In the order: job file, environment files, flags, command. A flag replaces what the file says, or
// adds where there can be several.
Status FillSpec(const Options& options, const std::vector<std::string>& command,
                proto::JobSpec& spec) {
  if (!options.job_file.empty()) {
    PXFS_ASSIGN(const std::string text, ReadAll(options.job_file));
    if (auto read = ReadSpec(text, spec); !read) {
      return Fail(read.error().WithContext("job file " + options.job_file));
    }
  }
  for (const auto& file : options.env_files) {
    PXFS_ASSIGN(const std::string text, ReadAll(file));
    if (auto read = ReadEnvironment(text, spec); !read) return Fail(read.error().WithContext(file));
  }
  for (const auto& [field, values] : options.fields) {
    for (std::string value : values) {
      if (field == "env" && value.find('=') == std::string::npos) {
        const char* here = std::getenv(value.c_str());
        if (!here) continue;
        value += std::string("=") + here;
      }
      PXFS_TRY(SetField(spec, field, value));
    }
  }
  if (options.hold) spec.set_hold(true);
  if (!command.empty()) spec.clear_command();
  for (const auto& word : command) spec.add_command(word);
  return {};
}

Status ResolvePaths(proto::JobSpec& spec) {
  std::vector<std::string> inputs;
  for (const auto& input : spec.inputs()) {
    PXFS_ASSIGN(const auto expanded, ExpandInput(input));
    inputs.insert(inputs.end(), expanded.begin(), expanded.end());
  }
  spec.clear_inputs();
  for (auto& input : inputs) spec.add_inputs(std::move(input));
  if (!spec.output().empty()) {
    PXFS_ASSIGN(*spec.mutable_output(), ToNamespacePath(spec.output()));
  }
  for (auto* path : {spec.mutable_image()}) {
    // Relative to where the user is, not to where the service is.
    if (path->starts_with("./") || path->starts_with("../")) {
      char* real = ::realpath(path->c_str(), nullptr);
      if (!real) return FailErrno(errno, "image '" + *path + "'");
      *path = real;
      ::free(real);
    }
  }
  return {};
}

// Some path of the job that may lie in a mount, to find the cluster by.
std::string AnyPath(const proto::JobSpec& spec) {
  for (const auto& input : spec.inputs()) {
    if (!input.starts_with("pxfs:")) return input;
  }
  return spec.output().starts_with("pxfs:") ? "" : spec.output();
}

void PrintReply(const Options& options, const proto::SubmitReply& reply) {
  if (options.json && !options.wait && !options.follow) {
    nlohmann::json out = {{"id", reply.id()}};
    if (options.dry_run) {
      out = {{"notes", std::vector<std::string>(reply.notes().begin(), reply.notes().end())}};
    }
    std::printf("%s\n", out.dump().c_str());
  } else if (options.dry_run) {
    for (const auto& note : reply.notes()) std::printf("%s\n", note.c_str());
  } else if (!options.json && !options.follow) {
    std::printf("%llu\n", static_cast<unsigned long long>(reply.id()));
  }
  std::fflush(stdout);
}

Result<int> WaitForEnd(Client& client, const Options& options, uint64_t id) {
  if (options.follow) {
    OutputOptions output;
    output.follow = true;
    PXFS_TRY(PrintAllOutput(client, id, output));
  }
  PXFS_ASSIGN(const proto::JobRecord job, AwaitEnd(client, id));
  if (options.json) {
    PXFS_ASSIGN(const auto shown, client.Show(id));
    std::printf("%s\n", ToJson(shown).dump(2).c_str());
  } else if (job.state() != proto::JOB_SUCCEEDED && !options.parsable) {
    std::fprintf(stderr, "pxfs-job: job %llu %s: %s\n", static_cast<unsigned long long>(id),
                 Name(job.state()), job.message().c_str());
  }
  return ExitStatusOf(job);
}

int Submit(const Context& context, const Options& options,
           const std::vector<std::string>& command) {
  const bool waits = options.wait || options.follow;
  const int refused = waits ? kNotLaunched : kFailed;
  proto::SubmitRequest request;
  *request.mutable_spec() = DefaultSpec();
  request.set_dry_run(options.dry_run);
  proto::JobSpec& spec = *request.mutable_spec();
  if (auto filled = FillSpec(options, command, spec); !filled)
    return Complain(filled.error(), kUsage);
  if (spec.command_size() == 0) {
    return Complain(
        Error(Code::kInvalid, "no command: say what to run, as in 'pxfs-job submit -- CMD ARG...'"),
        kUsage);
  }
  if (!options.user.empty()) {
    auto user = ParseUser(options.user);
    if (!user) return Complain(user.error(), refused);
    *request.mutable_run_as() = std::move(*user);
  }
  auto client = Connect(context, AnyPath(spec));
  if (!client) return Complain(client.error(), refused);
  if (auto resolved = ResolvePaths(spec); !resolved) return Complain(resolved.error(), refused);
  const auto reply = client->Submit(request);
  if (!reply) return Complain(reply.error(), refused);
  PrintReply(options, *reply);
  if (!waits || options.dry_run) return 0;
  const auto status = WaitForEnd(*client, options, reply->id());
  return status ? *status : Complain(status.error(), refused);
}

}  // namespace

void AddSubmit(CLI::App& app, Context& context) {
  auto* submit = app.add_subcommand(
      "submit", "run a command in a container: submit [FLAGS] [--] CMD [ARG...]");
  const auto options = std::make_shared<Options>();
  submit->prefix_command();  // the first word that is no flag begins the command
  submit->add_option("-f,--file", options->job_file, "job file, YAML or JSON; - for standard input")
      ->type_name("FILE");
  for (const auto& flag : kFieldFlags) {
    auto& values = options->fields[flag.field];
    auto* option = submit->add_option(flag.flags, values, flag.help)->type_name(flag.type);
    option->allow_extra_args(false);
    if (!IsRepeated(flag.field)) option->expected(1);
  }
  submit->add_option("--env-file", options->env_files, "file of K=V lines (repeatable)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  submit->add_option("-u,--user", options->user, "run as another user (root only)")
      ->type_name("USER[:GROUP]");
  submit->add_flag("-H,--hold", options->hold, "do not start before 'pxfs-job release'");
  submit->add_flag(
      "-W,--wait", options->wait,
      "wait for the end; the exit status is the job's (124: time limit, 125: not launched)");
  submit->add_flag("--follow", options->follow,
                   "print the job's output as it comes, and wait as --wait");
  submit->add_flag("--dry-run", options->dry_run, "check, and say what would happen");
  submit->add_flag("--parsable", options->parsable, "print the id and nothing else");
  submit->add_flag("--json", options->json, "print JSON");
  submit->callback([&context, options, submit] {
    std::vector<std::string> command = submit->remaining();
    if (!command.empty() && command[0].size() > 1 && command[0][0] == '-') {
      throw CLI::ExtrasError({command[0]});
    }
    if (!command.empty() && context.has_dash) command.push_back("--");
    command.insert(command.end(), context.after_dash.begin(), context.after_dash.end());
    context.run = [&context, options, command] { return Submit(context, *options, command); };
  });
}

}  // namespace pxfs::jobs::cli

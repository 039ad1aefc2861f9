// Job files and environment files.
#include "jobs/spec.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pxfs;
  std::string_view input = fuzz::View(data, size);
  const uint8_t choice = fuzz::TakeChoice(&input);
  jobs::proto::JobSpec spec = jobs::DefaultSpec();
  const Status read = choice & 1 ? jobs::ReadEnvironment(input, spec) : jobs::ReadSpec(input, spec);
  // The message goes to a terminal, in one line.
  if (!read) fuzz::Require(!read.error().message().empty(), "a refusal says why");
  if (read) (void)jobs::CheckSpec(spec);
  return 0;
}

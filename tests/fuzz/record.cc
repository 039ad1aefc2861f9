// Records of the metadata store. What is read can be written, and is then read as the same.
#include <google/protobuf/stubs/logging.h>

#include "meta/keys.h"
#include "meta/records.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace pxfs;
using namespace pxfs::meta;

template <typename Record>
void Try(std::string_view bytes) {
  const auto record = Decode<Record>("key", bytes);
  if (!record) return;
  const std::string written = Encode(*record);
  const auto again = Decode<Record>("key", written);
  fuzz::Require(again && Encode(*again) == written, "a record is read as written");
}

void TryKey(std::string_view bytes) {
  (void)keys::Describe(bytes);
  uint64_t number = 0;
  for (size_t n = 0; n < 4; ++n) (void)keys::ReadNumber(bytes, n, &number);
  (void)DecodeNumber("key", bytes);
  (void)DecodeLinkName("key", bytes);
}

constexpr void (*kTries[])(std::string_view) = {
    Try<InodeRecord>,   Try<EntryRecord>,   Try<OrphanRecord>, Try<ReservationRecord>,
    Try<ReclaimRecord>, Try<SessionRecord>, Try<SchemaRecord>, Try<TotalsRecord>,
    Try<RequestRecord>, Try<VolumeInfo>,    Try<Policy>,       TryKey};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Of text that is no UTF-8, which is half of all inputs.
  static const google::protobuf::LogSilencer silence;
  std::string_view input = fuzz::View(data, size);
  kTries[fuzz::TakeChoice(&input) % std::size(kTries)](input);
  return 0;
}

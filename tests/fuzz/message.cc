// Requests to the metadata service and its replies, every method's.
#include "meta/remote/message.h"

#include "meta/remote/methods.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace pxfs;
using namespace pxfs::meta::remote;

template <typename Method>
void Try(bool reply, std::string_view bytes) {
  Validity validity;
  if (reply) {
    OnArena<typename Method::Reply> message;
    if (!message.Parse(bytes)) return;
    typename Method::Value value;
    Decode(*message, value, validity);
  } else {
    OnArena<typename Method::Request> message;
    if (!message.Parse(bytes)) return;
    typename Method::Stored arguments;
    Decode(*message, arguments, validity);
  }
}

template <typename... Method>
void TryOne(size_t index, bool reply, std::string_view bytes, std::tuple<Method...>*) {
  size_t at = 0;
  ((at++ == index ? Try<Method>(reply, bytes) : void()), ...);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input = fuzz::View(data, size);
  const uint8_t choice = fuzz::TakeChoice(&input);
  TryOne((choice >> 1) % std::tuple_size_v<Methods>, choice & 1, input,
         static_cast<Methods*>(nullptr));
  return 0;
}

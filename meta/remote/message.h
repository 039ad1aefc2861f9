// Messages to bytes and back, on an arena that costs no allocation for most of them.
#pragma once

#include <google/protobuf/arena.h>

#include <climits>
#include <string>
#include <string_view>

#include "base/result.h"
#include "meta/remote/codec.h"

namespace pxfs::meta::remote {

template <typename Message>
class OnArena {
 public:
  OnArena()
      : arena_(Options(block_)),
        message_(google::protobuf::Arena::CreateMessage<Message>(&arena_)) {}
  OnArena(const OnArena&) = delete;
  OnArena& operator=(const OnArena&) = delete;

  Message& operator*() { return *message_; }
  Message* operator->() { return message_; }

  // kTooBig beyond what a message can be.
  Result<std::string> Serialize() const {
    std::string bytes;
    if (message_->ByteSizeLong() > INT_MAX || !message_->SerializeToString(&bytes))
      return Fail(Code::kTooBig,
                  "a message of " + std::to_string(message_->ByteSizeLong()) + " bytes");
    return bytes;
  }
  // kCorruption
  Status Parse(std::string_view bytes) {
    if (bytes.size() <= INT_MAX &&
        message_->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      return {};
    return Fail(Code::kCorruption, "a damaged message");
  }

 private:
  static google::protobuf::ArenaOptions Options(char (&block)[2048]) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block;
    options.initial_block_size = sizeof block;
    return options;
  }

  alignas(8) char block_[2048];
  google::protobuf::Arena arena_;
  Message* message_;
};

}  // namespace pxfs::meta::remote

// AccessTimes: which reads move access times, as the options of a mount say (mount(8)).
#pragma once

#include <string_view>

namespace pxfs {

struct AccessTimes {
  enum class Rule {
    kNever,     // noatime, or a read-only mount
    kRelative,  // relatime: where it is not newer than mtime or ctime, or a day old
    kAlways,    // strictatime
  };
  Rule rule = Rule::kRelative;
  bool directories = true;  // not so with nodiratime

  // `options` as /proc/self/mountinfo shows those of a mount: "rw,nosuid,relatime".
  static AccessTimes FromMountOptions(std::string_view options);

  friend bool operator==(const AccessTimes&, const AccessTimes&) = default;
};

}  // namespace pxfs

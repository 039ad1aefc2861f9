#include "base/access_times.h"

#include <algorithm>

namespace pxfs {

AccessTimes AccessTimes::FromMountOptions(std::string_view options) {
  AccessTimes times;
  times.rule = Rule::kAlways;  // the kernel shows no word for it
  while (!options.empty()) {
    const std::string_view option = options.substr(0, options.find(','));
    options.remove_prefix(std::min(option.size() + 1, options.size()));
    if (option == "ro" || option == "noatime") times.rule = Rule::kNever;
    if (option == "relatime" && times.rule == Rule::kAlways) times.rule = Rule::kRelative;
    if (option == "nodiratime") times.directories = false;
  }
  return times;
}

}  // namespace pxfs

// Policies as people type them, as directories inherit them, and as they are checked.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "meta/placement.h"
#include "meta/service.h"

namespace pxfs::meta {
namespace {

constexpr std::array<std::pair<std::string_view, Placement>, 5> kPlacements{{
    {"spread", Placement::kSpread},
    {"most-free", Placement::kMostFree},
    {"local-first", Placement::kLocalFirst},
    {"colocate", Placement::kColocate},
    {"pin", Placement::kPin},
}};

// Keys with a meaning of their own; every other key is a label.
constexpr std::array<std::string_view, 7> kReservedKeys{
    "placement", "pin", "copies", "hot", "max-copies", "passthrough", "commit"};

constexpr std::string_view kBlanks = " \t\r\n";

bool IsReserved(std::string_view key) {
  return std::find(kReservedKeys.begin(), kReservedKeys.end(), key) != kReservedKeys.end();
}

std::string_view NameOf(Placement placement) {
  for (const auto& [name, value] : kPlacements)
    if (value == placement) return name;
  return "unknown";
}

std::optional<Placement> PlacementNamed(std::string_view name) {
  for (const auto& [known, value] : kPlacements)
    if (known == name) return value;
  return std::nullopt;
}

Result<uint32_t> ParseCount(std::string_view word, std::string_view value) {
  uint32_t count = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (error != std::errc() || end != value.data() + value.size() || count == 0)
    return Fail(Code::kInvalid, std::string(word) + ": want a number, 1 or more");
  return count;
}

// Reads one word into `policy`.
Status ApplyWord(Policy& policy, std::string_view word, std::string_view key,
                 std::string_view value) {
  if (key == "placement") {
    policy.placement = PlacementNamed(value);
    if (!policy.placement)
      return Fail(Code::kInvalid, std::string(word) +
                                      ": no such placement; there are spread, most-free, "
                                      "local-first, colocate and pin=VOLUME");
  } else if (key == "pin") {
    if (value.empty()) return Fail(Code::kInvalid, "pin=: want the name of a volume");
    policy.pin_volume = value;
  } else if (key == "copies") {
    PXFS_ASSIGN(policy.copies, ParseCount(word, value));
  } else if (key == "max-copies") {
    PXFS_ASSIGN(policy.max_copies, ParseCount(word, value));
  } else if (key == "hot" || key == "passthrough") {
    if (value != "on" && value != "off")
      return Fail(Code::kInvalid, std::string(word) + ": want on or off");
    (key == "hot" ? policy.hot : policy.passthrough) = value == "on";
  } else if (key == "commit") {
    if (value != "close" && value != "async")
      return Fail(Code::kInvalid, std::string(word) + ": want close or async");
    policy.commit_close = value == "close";
  } else {
    if (key.empty() || value.empty())
      return Fail(Code::kInvalid, std::string(word) + ": want LABEL=VALUE");
    policy.labels.emplace(key, value);
  }
  return {};
}

std::string LabelText(const Policy& policy) {
  std::string text;
  for (const auto& [key, value] : policy.labels)
    text += (text.empty() ? "" : " ") + key + "=" + value;
  return text;
}

Status CheckLabels(const Policy& policy) {
  for (const auto& [key, value] : policy.labels) {
    const bool bad_key = key.empty() || IsReserved(key) || key.find('=') != std::string::npos ||
                         key.find_first_of(kBlanks) != std::string::npos;
    if (bad_key || value.empty() || value.find_first_of(kBlanks) != std::string::npos)
      return Fail(Code::kInvalid, "label " + key + "=" + value + ": not a label");
  }
  return {};
}

Status CheckPin(const Policy& policy, std::span<const VolumeInfo> volumes) {
  const bool pinned = policy.placement == Placement::kPin;
  if (pinned && policy.pin_volume.empty())
    return Fail(Code::kInvalid, "placement=pin: name the volume with pin=VOLUME");
  if (!pinned && !policy.pin_volume.empty())
    return Fail(Code::kInvalid, "pin=" + policy.pin_volume + ": only with placement=pin" +
                                    (policy.placement ? ", not with placement=" +
                                                            std::string(NameOf(*policy.placement))
                                                      : ""));
  if (!pinned) return {};
  const auto volume = std::find_if(volumes.begin(), volumes.end(), [&](const VolumeInfo& v) {
    return v.name == policy.pin_volume;
  });
  if (volume == volumes.end())
    return Fail(Code::kInvalid, "pin=" + policy.pin_volume + ": no such volume");
  if (MissingLabel(policy, *volume))
    return Fail(Code::kInvalid, "pin=" + policy.pin_volume +
                                    ": the volume lacks a label asked for (" + LabelText(policy) +
                                    ")");
  return {};
}

}  // namespace

std::string ToText(const Policy& policy) {
  std::string text;
  const auto add = [&text](std::string_view key, std::string_view value) {
    if (!text.empty()) text += ' ';
    text.append(key).append("=").append(value);
  };
  if (policy.placement) add("placement", NameOf(*policy.placement));
  if (!policy.pin_volume.empty()) add("pin", policy.pin_volume);
  if (policy.copies) add("copies", std::to_string(*policy.copies));
  if (policy.hot) add("hot", *policy.hot ? "on" : "off");
  if (policy.max_copies) add("max-copies", std::to_string(*policy.max_copies));
  if (policy.passthrough) add("passthrough", *policy.passthrough ? "on" : "off");
  if (policy.commit_close) add("commit", *policy.commit_close ? "close" : "async");
  for (const auto& [key, value] : policy.labels) add(key, value);
  return text;
}

Result<Policy> ParsePolicy(std::string_view text) {
  Policy policy;
  std::vector<std::string_view> keys;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    if (text.empty()) break;
    const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
    text.remove_prefix(word.size());

    const size_t equals = word.find('=');
    const bool bare = equals == std::string_view::npos;
    const std::string_view key = bare ? "placement" : word.substr(0, equals);
    if (std::find(keys.begin(), keys.end(), key) != keys.end())
      return Fail(Code::kInvalid, std::string(word) + ": " + std::string(key) + " is given twice");
    keys.push_back(key);
    PXFS_TRY(ApplyWord(policy, word, key, bare ? word : word.substr(equals + 1)));
  }
  // `pin=VOLUME` says it all.
  if (!policy.pin_volume.empty() && !policy.placement) policy.placement = Placement::kPin;
  return policy;
}

Policy EffectivePolicy(std::span<const Policy> nearest_first) {
  Policy result;
  for (const Policy& level : nearest_first) {
    // A pin is the narrowest choice there is: labels asked for further up no longer apply to it.
    const bool pinned_below = result.placement == Placement::kPin;
    if (!pinned_below) result.labels.insert(level.labels.begin(), level.labels.end());
    if (!result.placement && level.placement) {
      result.placement = level.placement;
      result.pin_volume = level.pin_volume;
    }
    // Where the two limits come from different levels and contradict each other, the nearer holds.
    const auto copies = result.copies ? result.copies : level.copies;
    const auto max_copies = result.max_copies ? result.max_copies : level.max_copies;
    if (copies && max_copies && *copies > *max_copies) {
      const bool copies_nearer = result.copies.has_value();
      result.copies = copies_nearer ? copies : max_copies;
      result.max_copies = copies_nearer ? copies : max_copies;
    } else {
      result.copies = copies;
      result.max_copies = max_copies;
    }
    if (!result.hot) result.hot = level.hot;
    if (!result.passthrough) result.passthrough = level.passthrough;
    if (!result.commit_close) result.commit_close = level.commit_close;
  }
  if (!result.placement) result.placement = Placement::kSpread;
  if (!result.copies) result.copies = 1;
  if (!result.hot) result.hot = true;
  return result;
}

Status CheckPolicy(const Policy& policy, std::span<const VolumeInfo> volumes) {
  PXFS_TRY(CheckLabels(policy));
  PXFS_TRY(CheckPin(policy, volumes));
  if (policy.copies == 0u) return Fail(Code::kInvalid, "copies=0: want 1 or more");
  if (policy.max_copies == 0u) return Fail(Code::kInvalid, "max-copies=0: want 1 or more");
  if (policy.copies && policy.max_copies && *policy.copies > *policy.max_copies)
    return Fail(Code::kInvalid, "copies=" + std::to_string(*policy.copies) +
                                    ": more than max-copies=" + std::to_string(*policy.max_copies));

  const auto matching = static_cast<uint64_t>(
      std::count_if(volumes.begin(), volumes.end(),
                    [&](const VolumeInfo& volume) { return !MissingLabel(policy, volume); }));
  if (!policy.labels.empty() && matching == 0)
    return Fail(Code::kInvalid, LabelText(policy) + ": no volume has this label");
  if (policy.copies && *policy.copies > matching)
    return Fail(Code::kInvalid,
                "copies=" + std::to_string(*policy.copies) + ": only " + std::to_string(matching) +
                    " volume(s)" +
                    (policy.labels.empty() ? " in the cluster" : " with " + LabelText(policy)));
  return {};
}

}  // namespace pxfs::meta

#include "cli/policy_change.h"

#include "meta/service.h"

namespace pxfs::cli {

Result<meta::Policy> ParsePolicyWords(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  PXFS_ASSIGN(meta::Policy policy, meta::ParsePolicy(text));
  if (policy.empty())
    return Fail(Code::kInvalid, "an empty policy; write KEY=VALUE, such as placement=spread");
  return policy;
}

meta::Policy Overlay(meta::Policy base, const meta::Policy& change) {
  if (change.placement) {
    base.placement = change.placement;
    base.pin_volume = change.pin_volume;
  }
  if (change.copies) base.copies = change.copies;
  if (change.max_copies) base.max_copies = change.max_copies;
  if (change.hot) base.hot = change.hot;
  if (change.passthrough) base.passthrough = change.passthrough;
  if (change.commit_close) base.commit_close = change.commit_close;
  for (const auto& [key, value] : change.labels) base.labels[key] = value;
  return base;
}

Result<meta::Policy> WithoutKeys(meta::Policy base, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    bool found = false;
    if (key == "placement" || key == "pin") {
      found = base.placement.has_value();
      base.placement.reset();
      base.pin_volume.clear();
    } else if (key == "copies") {
      found = base.copies.has_value();
      base.copies.reset();
    } else if (key == "max-copies") {
      found = base.max_copies.has_value();
      base.max_copies.reset();
    } else if (key == "hot") {
      found = base.hot.has_value();
      base.hot.reset();
    } else if (key == "commit") {
      found = base.commit_close.has_value();
      base.commit_close.reset();
    } else if (key == "passthrough") {
      found = base.passthrough.has_value();
      base.passthrough.reset();
    } else {
      found = base.labels.erase(key) != 0;
    }
    if (!found)
      return Fail(Code::kInvalid,
                  key + ": not set on this directory; 'pxfs policy get' shows what is");
  }
  return base;
}

}  // namespace pxfs::cli

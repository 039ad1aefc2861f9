#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "meta/placement.h"
#include "meta/service.h"

namespace pxfs::meta {
namespace {

using ::testing::HasSubstr;

Policy Parse(const std::string& text) {
  auto policy = ParsePolicy(text);
  EXPECT_TRUE(policy) << text << ": " << policy.error().message();
  return policy.value_or(Policy());
}

TEST(ParsePolicy, CanonicalForm) {
  const struct {
    const char* typed;
    const char* canonical;
  } cases[] = {
      {"", ""},
      {" \n", ""},
      {"spread", "placement=spread"},
      {"placement=most-free", "placement=most-free"},
      {"local-first copies=2", "placement=local-first copies=2"},
      {"hot=off\tcolocate\n", "placement=colocate hot=off"},
      {"pin=fast", "placement=pin pin=fast"},
      {"pin pin=fast", "placement=pin pin=fast"},
      {"tier=ssd site=b max-copies=4 copies=2 hot=on",
       "copies=2 hot=on max-copies=4 site=b tier=ssd"},
      {"label=a=b", "label=a=b"},
      {"passthrough=off copies=2", "copies=2 passthrough=off"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ToText(Parse(c.typed)), c.canonical);
    EXPECT_EQ(ToText(Parse(c.canonical)), c.canonical) << "not a fixed point";
  }
  EXPECT_TRUE(Parse(" ").empty());
}

TEST(ParsePolicy, NamesTheOffendingWord) {
  const struct {
    const char* typed;
    const char* message;
  } cases[] = {
      {"sprad", "sprad: no such placement"},
      {"copies=2 placement=", "placement=: no such placement"},
      {"copies=0", "copies=0: want a number, 1 or more"},
      {"copies=-1", "copies=-1: want a number"},
      {"copies=2x", "copies=2x: want a number"},
      {"copies=99999999999", "copies=99999999999: want a number"},
      {"max-copies=", "max-copies=: want a number"},
      {"hot=yes", "hot=yes: want on or off"},
      {"passthrough=auto", "passthrough=auto: want on or off"},
      {"pin=", "pin=: want the name of a volume"},
      {"=ssd", "=ssd: want LABEL=VALUE"},
      {"tier=", "tier=: want LABEL=VALUE"},
      {"tier=ssd tier=hdd", "tier=hdd: tier is given twice"},
      {"spread placement=spread", "placement=spread: placement is given twice"},
      {"hot", "hot: no such placement"},
  };
  for (const auto& c : cases) {
    const auto policy = ParsePolicy(c.typed);
    ASSERT_FALSE(policy) << c.typed;
    EXPECT_EQ(policy.error(), Code::kInvalid);
    EXPECT_THAT(policy.error().message(), HasSubstr(c.message));
  }
}

TEST(EffectivePolicy, NearestWinsAndDefaultsFill) {
  const struct {
    std::vector<const char*> nearest_first;
    const char* effective;
  } cases[] = {
      {{}, "placement=spread copies=1 hot=on"},
      {{"copies=2", "colocate copies=3 hot=off"}, "placement=colocate copies=2 hot=off"},
      {{"tier=ssd", "tier=hdd site=b"}, "placement=spread copies=1 hot=on site=b tier=ssd"},
      {{"hot=off", "passthrough=off"}, "placement=spread copies=1 hot=off passthrough=off"},
      {{"passthrough=on", "passthrough=off"}, "placement=spread copies=1 hot=on passthrough=on"},
      // A pin is inherited whole, and not by a directory that asks for another placement.
      {{"copies=2", "pin=fast"}, "placement=pin pin=fast copies=2 hot=on"},
      {{"spread", "pin=fast"}, "placement=spread copies=1 hot=on"},
      // Labels from further up do not forbid a pin further down.
      {{"pin=slow", "tier=ssd"}, "placement=pin pin=slow copies=1 hot=on"},
      {{"tier=ssd", "pin=fast"}, "placement=pin pin=fast copies=1 hot=on tier=ssd"},
      // Of two limits that contradict each other, the nearer holds.
      {{"copies=3", "max-copies=2"}, "placement=spread copies=3 hot=on max-copies=3"},
      {{"max-copies=2", "copies=3"}, "placement=spread copies=2 hot=on max-copies=2"},
  };
  for (const auto& c : cases) {
    std::vector<Policy> levels;
    for (const char* text : c.nearest_first) levels.push_back(Parse(text));
    EXPECT_EQ(ToText(EffectivePolicy(levels)), c.effective);
  }
}

std::vector<VolumeInfo> Volumes() {
  std::vector<VolumeInfo> volumes(3);
  for (size_t i = 0; i < volumes.size(); ++i) {
    volumes[i].id = VolumeId(i + 1);
    volumes[i].name = "v" + std::to_string(i + 1);
    volumes[i].labels["tier"] = i == 0 ? "ssd" : "hdd";
  }
  return volumes;
}

TEST(CheckPolicy, Accepts) {
  for (const char* text : {"", "spread", "pin=v1", "pin=v1 tier=ssd", "copies=3",
                           "tier=hdd copies=2", "copies=2 max-copies=2", "max-copies=100"}) {
    const auto checked = CheckPolicy(Parse(text), Volumes());
    EXPECT_TRUE(checked) << text << ": " << checked.error().message();
  }
}

TEST(CheckPolicy, RefusesWhatCannotHold) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"pin", "placement=pin: name the volume"},
      {"spread pin=v1", "pin=v1: only with placement=pin, not with placement=spread"},
      {"pin=v4", "pin=v4: no such volume"},
      {"pin=v2 tier=ssd", "pin=v2: the volume lacks a label asked for (tier=ssd)"},
      {"copies=3 max-copies=2", "copies=3: more than max-copies=2"},
      {"copies=4", "copies=4: only 3 volume(s) in the cluster"},
      {"tier=ssd copies=2", "copies=2: only 1 volume(s) with tier=ssd"},
      {"tier=tape", "tier=tape: no volume has this label"},
  };
  for (const auto& c : cases) {
    const auto checked = CheckPolicy(Parse(c.text), Volumes());
    ASSERT_FALSE(checked) << c.text;
    EXPECT_EQ(checked.error(), Code::kInvalid);
    EXPECT_THAT(checked.error().message(), HasSubstr(c.message));
  }
}

// Values that the text form cannot hold, but that a caller of the interface can send.
TEST(CheckPolicy, RefusesWhatCannotBeWritten) {
  for (const auto& [key, value] :
       {std::pair{"copies", "2"}, {"a b", "c"}, {"a=b", "c"}, {"a", "b c"}, {"", "x"}, {"x", ""}}) {
    Policy policy;
    policy.labels[key] = value;
    EXPECT_EQ(CheckPolicy(policy, Volumes()).error(), Code::kInvalid) << key << "=" << value;
  }
  Policy none;
  none.copies = 0;
  EXPECT_EQ(CheckPolicy(none, Volumes()).error(), Code::kInvalid);
}

}  // namespace
}  // namespace pxfs::meta

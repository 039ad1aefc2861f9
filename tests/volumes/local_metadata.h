// A metadata service with a store of the test's own, and volumes for it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/bytes.h"
#include "meta/local_service.h"
#include "tests/support/temporary_directory.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

class LocalMetadataTest : public testing::Test {
 protected:
  void SetUp() override { OpenStore(/*create=*/true); }

  void OpenStore(bool create) {
    meta::LocalOptions options;
    options.directory = temporary_ / "meta";
    options.create = create;
    options.session_grace = std::chrono::milliseconds(0);
    auto opened = meta::OpenLocalService(options);
    ASSERT_TRUE(opened) << opened.error().message();
    metadata_ = std::move(*opened);
  }

  meta::VolumeInfo AddVolume(const std::string& name) {
    meta::VolumeInfo info;
    info.name = name;
    info.uuid = NewUuid();
    info.path = temporary_ / name;
    EXPECT_TRUE(Volume::Format(info.path, {kCluster, info.uuid, name}));
    const auto added = metadata_->AddVolume(info);
    EXPECT_TRUE(added) << added.error().message();
    return added ? *added : info;
  }

  meta::VolumeInfo Listed(const std::string& name) {
    const auto listed = metadata_->ListVolumes();
    EXPECT_TRUE(listed);
    for (const meta::VolumeInfo& info : *listed)
      if (info.name == name) return info;
    ADD_FAILURE() << name << " is not listed";
    return {};
  }

  static constexpr const char* kCluster = "cluster-a";
  test::TemporaryDirectory temporary_;
  std::unique_ptr<meta::MetadataService> metadata_;
};

}  // namespace pxfs::volumes

// What of the open files is bounded: how many there are, and how many descriptors serve them.
#include "fs/open_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tests/fs/fake_transport.h"
#include "tests/support/eventually.h"
#include "tests/volumes/local_metadata.h"
#include "volumes/copy.h"

namespace pxfs::fs {
namespace {

class OpenTableTest : public volumes::LocalMetadataTest {
 protected:
  static constexpr size_t kMaxOpen = 8, kMaxDescriptors = 4;
  using Mode = OpenTable::Mode;

  void SetUp() override {
    LocalMetadataTest::SetUp();
    AddVolume("v1");
    volumes_ = std::make_unique<volumes::VolumeSet>(kCluster, *metadata_);
    ASSERT_TRUE(volumes_->Refresh());
    meta::SessionSpec spec;
    spec.description = "test";
    auto session = metadata_->OpenSession(spec);
    ASSERT_TRUE(session) << session.error().message();
    ctx_.session = *session;
    auto state = ConnectionState::Create();
    ASSERT_TRUE(state) << state.error().message();
    state_ = std::move(*state);
  }

  void MakeTable(bool passthrough, size_t max_open) {
    transport_ = std::make_unique<FakeTransport>(passthrough);
    table_ = std::make_unique<OpenTable>(
        OpenTable::Environment{metadata_.get(), volumes_.get(), transport_.get(), ctx_.session,
                               max_open, kMaxDescriptors},
        *state_);
  }

  // A file that is open for writing and holds its own name.
  InodeId Make(int number) {
    const std::string name = std::to_string(number);
    auto created = metadata_->Create(ctx_, kRootInode, name, {.mode = S_IFREG | 0644});
    EXPECT_TRUE(created) << created.error().message();
    const InodeId inode = created->attr.inode;
    auto opened = table_->Open(ctx_, inode, Mode::kWrite, &*created);
    EXPECT_TRUE(opened) << name << ": " << opened.error().message();
    auto fd = table_->Descriptor(inode, true);
    EXPECT_TRUE(fd) << name << ": " << fd.error().message();
    if (fd) {
      EXPECT_EQ(::write((*fd)->get(), name.data(), name.size()), ssize_t(name.size()));
    }
    return inode;
  }

  std::string Read(InodeId inode) {
    auto fd = table_->Descriptor(inode, false);
    if (!fd) return fd.error().message();
    char bytes[16];
    const ssize_t n = ::pread((*fd)->get(), bytes, sizeof bytes, 0);
    return n < 0 ? "error" : std::string(bytes, static_cast<size_t>(n));
  }

  // As the replicator does it for a volume that is drained.
  void MoveTo(InodeId inode, VolumeId volume) {
    ASSERT_TRUE(volumes_->Refresh());
    const auto ticket = metadata_->BeginCopy(ctx_, inode, volume);
    ASSERT_TRUE(ticket) << ticket.error().message();
    const meta::Replica from = ticket->source.replicas.front();
    const meta::Attr& attr = ticket->source.attr;
    const auto source =
        volumes_->Find(from.volume)->OpenObject({inode, from.object_generation}, O_RDONLY);
    ASSERT_TRUE(source) << source.error().message();
    const auto copied =
        volumes::CopyDurably(*volumes_->Find(volume), {inode, ticket->object.object_generation},
                             {attr.uid, attr.gid, attr.mode & 07777}, source->get(), {});
    ASSERT_TRUE(copied) << copied.error().message();
    ASSERT_TRUE(metadata_->CommitCopy(ctx_, {ticket->object, attr.generation, copied->checksum,
                                             attr.uid, attr.gid, attr.mode & 07777}));
    ASSERT_TRUE(metadata_->DropReplica(ctx_, {inode, from.volume, from.object_generation}));
    ASSERT_TRUE(volumes_->Find(from.volume)->RemoveObject({inode, from.object_generation}));
  }

  std::unique_ptr<volumes::VolumeSet> volumes_;
  std::unique_ptr<ConnectionState> state_;
  std::unique_ptr<FakeTransport> transport_;
  std::unique_ptr<OpenTable> table_;
  meta::CallContext ctx_;
};

TEST_F(OpenTableTest, RefusesOneMoreThanItMayHaveAndGoesOnAfterwards) {
  MakeTable(/*passthrough=*/true, kMaxOpen);
  std::vector<InodeId> files;
  for (int i = 0; i < static_cast<int>(kMaxOpen); ++i) files.push_back(Make(i));
  auto one_more = metadata_->Create(ctx_, kRootInode, "more", {.mode = S_IFREG | 0644});
  ASSERT_TRUE(one_more);
  const InodeId more = one_more->attr.inode;
  const auto refused = table_->Open(ctx_, more, Mode::kWrite, &*one_more);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Code::kTooManyOpen);
  EXPECT_TRUE(table_->Open(ctx_, files[0], Mode::kRead)) << "what is open can be opened again";
  ASSERT_TRUE(table_->Release(ctx_, files[0], Mode::kRead));
  EXPECT_EQ(state_->CountInodes().open, kMaxOpen);
  EXPECT_EQ(state_->CountInodes().idle, 0u);
  // One that is idle makes room, and is read as it was afterwards.
  ASSERT_TRUE(table_->Release(ctx_, files[0], Mode::kWrite));
  EXPECT_EQ(state_->CountInodes().idle, 1u);
  EXPECT_TRUE(table_->Open(ctx_, more, Mode::kWrite));
  EXPECT_EQ(state_->CountInodes().open, kMaxOpen);
  EXPECT_EQ(state_->CountInodes().idle, 0u);
  ASSERT_TRUE(table_->Release(ctx_, more, Mode::kWrite));
  ASSERT_TRUE(table_->Open(ctx_, files[0], Mode::kRead));
  EXPECT_EQ(Read(files[0]), "0");
}

TEST_F(OpenTableTest, FilesThatAreClosedNeverStandInTheWay) {
  MakeTable(/*passthrough=*/true, kMaxOpen);
  for (int i = 0; i < static_cast<int>(10 * kMaxOpen); ++i)
    ASSERT_TRUE(table_->Release(ctx_, Make(i), Mode::kWrite));
  EXPECT_LE(transport_->backings(), kMaxOpen);
}

TEST_F(OpenTableTest, GivesUpIdleFilesUnderPressureAndKeepsOpenOnes) {
  MakeTable(/*passthrough=*/true, kMaxOpen);
  const InodeId open = Make(0);
  for (int i = 1; i < static_cast<int>(kMaxOpen); ++i)
    ASSERT_TRUE(table_->Release(ctx_, Make(i), Mode::kWrite));
  EXPECT_EQ(transport_->backings(), kMaxOpen);
  table_->GiveUpIdle();
  // Far sooner than by themselves (kIdleTime).
  EXPECT_TRUE(
      test::Eventually([&] { return transport_->backings() == 1; }, OpenTable::kIdleTime / 2));
  EXPECT_EQ(state_->CountInodes().open, 1u);
  EXPECT_EQ(Read(open), "0");
}

TEST_F(OpenTableTest, FewDescriptorsServeManyFiles) {
  MakeTable(/*passthrough=*/false, 1000);
  std::vector<InodeId> files;
  for (int i = 0; i < 200; ++i) files.push_back(Make(i));
  EXPECT_EQ(state_->usage().descriptors, kMaxDescriptors);
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 200; ++i) {
      EXPECT_EQ(Read(files[i]), std::to_string(i));
      EXPECT_LE(state_->usage().descriptors, kMaxDescriptors);
    }
  // I/O under way keeps the one that it has.
  const auto kept = table_->Descriptor(files[7], false);
  ASSERT_TRUE(kept);
  for (const InodeId inode : files) Read(inode);
  char byte = 0;
  EXPECT_EQ(::pread((*kept)->get(), &byte, 1, 0), 1);
  EXPECT_EQ(byte, '7');
  for (const InodeId inode : files) ASSERT_TRUE(table_->Release(ctx_, inode, Mode::kWrite));
  EXPECT_EQ(state_->usage().descriptors, 1u) << "the one that is kept";
}

// The copy that a reader began with may be gone when its descriptor has been closed for others.
TEST_F(OpenTableTest, AReaderWhoseObjectIsGoneFindsAnother) {
  MakeTable(/*passthrough=*/false, 1000);
  const InodeId file = Make(0);
  ASSERT_TRUE(table_->Release(ctx_, file, Mode::kWrite));
  ASSERT_TRUE(table_->Open(ctx_, file, Mode::kRead));
  std::vector<InodeId> others;
  for (int i = 1; i <= 20; ++i) others.push_back(Make(i));
  MoveTo(file, AddVolume("v2").id);
  const auto gone = table_->Descriptor(file, false);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error(), Code::kNotFound);
  std::vector<VolumeId> tried;
  const auto elsewhere = table_->ReadElsewhere(ctx_, file, nullptr, tried);
  EXPECT_TRUE(elsewhere) << elsewhere.error().message();
  EXPECT_EQ(Read(file), "0");
}

}  // namespace
}  // namespace pxfs::fs

// What keeps content and metadata together through loss of power, from the volumes' side. The rules
// are in docs/durability.md.
#pragma once

#include "base/result.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

// Makes all content that metadata speaks of durable, then metadata itself. Nothing happens while a
// volume is offline, or when nothing has changed. Returns whether something had. Blocks for syncfs
// of every volume.
Result<bool> Checkpoint(meta::StoreKeeper& keeper, meta::MetadataService& metadata,
                        const VolumeSet& volumes);

// Deletes objects on the volume that nothing refers to. Returns how many. Blocks for a look at
// every object's name.
Result<size_t> RemoveUnknownObjects(meta::StoreKeeper& keeper, const Volume& volume);

// What SettlePowerLoss did.
struct Settled {
  size_t removed = 0;  // objects that nothing referred to
  size_t learned = 0;  // files whose size or content was not what metadata said
};

// After a loss of power: deletes objects that nothing refers to, and learns from the others what
// was written to files that metadata does not know to have been open, since their opening for
// writing was not durable. A volume that is offline is passed over. `metadata` has a keeper. Blocks
// for a look at every object.
Result<Settled> SettlePowerLoss(meta::MetadataService& metadata, const VolumeSet& volumes);

}  // namespace pxfs::volumes

// Where content is, as JSON: what `pxfs where --json` and the xattr user.pxfs.location show.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

// {"path","inode","size","generation","replicas":[{"node","volume","object","generation","state","primary"}]}.
// and in "wishes" what the file asks for itself ("copies", "volumes"), and in a replica "verified",
// when it was last read whole and found right (seconds since 1970), or, in the state "copying",
// "copied", how many bytes are there so far, where there is such a thing and the caller may see it.
// A replica whose volume is offline, or whose object is not there, has the state "missing".
nlohmann::json LocationJson(const meta::Location& location, const VolumeSet& volumes,
                            const std::string& path);

// Adds those of the copies under way that are of this file, as replicas in the state kCopying.
void AddCopiesUnderWay(meta::Location& location, std::span<const meta::ObjectRef> under_way);

// Sets json[key] to `text`. Names may hold any bytes and JSON only UTF-8: what is none is shown as
// U+FFFD, and then json[key + "_hex"] has the exact bytes.
void SetText(nlohmann::json& json, const std::string& key, const std::string& text);

// The name of a node, for people: this host's for the node without a number.
std::string NodeName(NodeId node);

}  // namespace pxfs::volumes

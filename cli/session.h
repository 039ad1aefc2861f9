// Session: this program's session with the metadata service, from its making to its end.
#pragma once

#include <string>

#include "base/result.h"
#include "meta/service.h"

namespace pxfs::cli {

class Session {
 public:
  static Result<Session> Open(meta::MetadataService& metadata, const std::string& description) {
    meta::SessionSpec spec;
    spec.description = description;
    PXFS_ASSIGN(const SessionId id, metadata.OpenSession(spec));
    return Session(metadata, id);
  }
  Session(Session&& other) noexcept
      : metadata_(other.metadata_), id_(std::exchange(other.id_, SessionId())) {}
  Session& operator=(Session&&) = delete;
  // Ends it. What fails here is made good by the service, which ends sessions of processes that are
  // gone.
  ~Session() {
    if (id_) (void)metadata_.CloseSession(id_);
  }

  SessionId id() const { return id_; }

 private:
  Session(meta::MetadataService& metadata, SessionId id) : metadata_(metadata), id_(id) {}

  meta::MetadataService& metadata_;
  SessionId id_;
};

}  // namespace pxfs::cli

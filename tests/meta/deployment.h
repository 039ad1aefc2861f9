// The metadata service in the two shapes in which programs meet it: by function call, and through a
// socket. Both run on a real store and can be reopened.
#pragma once

#include <memory>
#include <string>

#include "meta/local_service.h"
#include "meta/remote_service.h"
#include "meta/service.h"
#include "meta/slots.h"
#include "rpc/server.h"

namespace pxfs::meta {

// kColliding: as kLocal, in a store where most names of a directory compete for the same places.
enum class Shape { kLocal, kRemote, kColliding };
inline const char* ToString(Shape shape) {
  switch (shape) {
    case Shape::kLocal:
      return "Local";
    case Shape::kRemote:
      return "Remote";
    case Shape::kColliding:
      return "Colliding";
  }
  return "";
}
// How a store of this shape places names; empty: by the store's own hash.
NameHash NameHashOf(Shape shape);

class Deployment {
 public:
  // directory: exists; the store and the socket go there.
  static Result<std::unique_ptr<Deployment>> Create(Shape shape, const std::string& directory);

  MetadataService& service() { return client_ ? *client_ : *store_; }
  // The service as its own process would call it.
  MetadataService& store() { return *store_; }
  std::string socket_path() const { return directory_ + "/pxfs.sock"; }
  std::string store_directory() const { return directory_ + "/store"; }

  // Closes the store, as an ending process does. A remote client stays, and finds the successor.
  void Stop();
  Status Start();
  Status Reopen() {
    Stop();
    return Start();
  }

 private:
  Deployment(Shape shape, std::string directory)
      : shape_(shape), directory_(std::move(directory)) {}
  Status StartStore(bool create);

  const Shape shape_;
  const std::string directory_;
  std::unique_ptr<MetadataService> store_;
  std::unique_ptr<rpc::Server> server_;  // ends before the store
  std::unique_ptr<MetadataService> client_;
};

}  // namespace pxfs::meta

// Which handler answers which (service, method).
#pragma once

#include <unordered_map>

#include "rpc/server.h"

namespace pxfs::rpc {

class HandlerTable {
 public:
  void Add(Service service, uint16_t method, Handler handler) {
    handlers_[Key(static_cast<uint16_t>(service), method)] = std::move(handler);
  }

  // The handler's answer; kNotImplemented where there is none, kIo for what a handler throws.
  Result<std::string> Run(uint16_t service, uint16_t method, const Peer& peer,
                          std::string_view request) const;

 private:
  static uint32_t Key(uint16_t service, uint16_t method) {
    return uint32_t{service} << 16 | method;
  }

  std::unordered_map<uint32_t, Handler> handlers_;
};

}  // namespace pxfs::rpc

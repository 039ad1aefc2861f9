#include "rpc/handler_table.h"

#include <exception>
#include <new>

#include "base/logging.h"

namespace pxfs::rpc {

Result<std::string> HandlerTable::Run(uint16_t service, uint16_t method, const Peer& peer,
                                      std::string_view request) const try {
  const auto found = handlers_.find(Key(service, method));
  if (found == handlers_.end())
    return Fail(Code::kNotImplemented, "the server does not know method " + std::to_string(method) +
                                           " of service " + std::to_string(service));
  return found->second(peer, request);
} catch (const std::bad_alloc&) {
  return Fail(Code::kNoMemory);
} catch (const std::exception& e) {
  log::error("method {} of service {}: {}", method, service, e.what());
  return Fail(Code::kIo, std::string("the server failed: ") + e.what());
}

}  // namespace pxfs::rpc

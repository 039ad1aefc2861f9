// Waiting for what nothing announces.
#pragma once

#include <chrono>
#include <functional>

namespace pxfs::test {

// Calls `holds` until it is true; false after the limit.
bool Eventually(const std::function<bool()>& holds,
                std::chrono::milliseconds limit = std::chrono::seconds(30));

}  // namespace pxfs::test

// The comparisons of the driver.
#pragma once

#include <sstream>
#include <string>

#include "tests/meta/model/driver.h"

namespace pxfs::meta::model {

inline std::string NameOf(Answer answer) {
  return answer == kSuccess ? "success" : std::string(Describe(answer));
}

template <typename T>
void Driver::Expect(Answer expected, const Result<T>& result, const char* what) {
  const Answer actual = result ? kSuccess : result.error().code();
  if (actual == expected) return;
  Differ(std::string(what) + ": expected " + NameOf(expected) + ", got " + NameOf(actual) +
         (result ? "" : " (" + result.error().message() + ")"));
}

template <typename A, typename B>
void Driver::ExpectEqual(const A& expected, const B& actual, const std::string& what) {
  if (expected == actual) return;
  std::ostringstream text;
  text << what << ": expected " << expected << ", got " << actual;
  Differ(text.str());
}

template <typename T>
T Driver::Must(Result<T> result, const char* what) {
  if (!result) Differ(std::string(what) + ": " + result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace pxfs::meta::model

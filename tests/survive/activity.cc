#include "tests/survive/activity.h"

#include <chrono>

namespace pxfs::test {
namespace {

// Between two steps, so that none takes a processor for itself.
constexpr std::chrono::microseconds kPace(2000);

}  // namespace

Status Activities::Start(std::vector<std::unique_ptr<Activity>> activities) {
  for (auto& activity : activities) {
    if (auto prepared = activity->Prepare(); !prepared)
      return Fail(prepared.error().WithContext(activity->name()));
    running_.push_back(std::make_unique<Running>());
    running_.back()->activity = std::move(activity);
  }
  for (auto& running : running_)
    running->thread = std::thread([this, one = running.get()] { Run(*one); });
  return {};
}

void Activities::Run(Running& running) {
  do {
    running.outcome = running.activity->Step();
    if (running.outcome) ++running.steps;
    std::this_thread::sleep_for(kPace);
  } while (running.outcome && !stop_);
  if (running.outcome) running.outcome = running.activity->Finish();
  running.ended = true;
}

void Activities::Stop() {
  stop_ = true;
  for (auto& running : running_) {
    if (running->thread.joinable()) running->thread.join();
  }
}

bool Activities::AllMoved() {
  for (const auto& running : running_) {
    if (running->steps == running->seen && !running->ended) return false;
  }
  for (const auto& running : running_) running->seen = running->steps;
  return true;
}

std::vector<std::string> Activities::Problems() const {
  std::vector<std::string> problems;
  for (const auto& running : running_) {
    if (!running->outcome)
      problems.push_back(running->activity->name() + ", after " + std::to_string(running->steps) +
                         " steps: " + running->outcome.error().message());
  }
  return problems;
}

std::vector<std::string> Activities::Summary() const {
  std::vector<std::string> lines;
  for (const auto& running : running_)
    lines.push_back(running->activity->name() + ": " + std::to_string(running->steps) + " steps");
  return lines;
}

}  // namespace pxfs::test

// Measures whether several workers make the calls of a frozen model, or the steps of a plan, faster. On a busy machine, or if two
// cores are the threads of one, they may not, and a rule from the sizes cannot know it.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>

#include "core/kernels.h"

namespace fastnn {

// In each period, some calls in which several workers took part are timed, then some on one worker: a single one if it is far
// slower. The other calls are run in the faster way. A period is short after a trial with another outcome than the one before,
// which may have been disturbed by other processes, and twice as long after each trial that confirms it. In the end, fewer than a
// hundredth of the calls are run in the slower way. Threads that call at the same time share the trial; at worst, it then
// measures badly.
class Trial {
 public:
  Trial() = default;
  Trial(const Trial& other)
      : calls_(other.calls_.load(std::memory_order_relaxed)),
        period_(other.period_.load(std::memory_order_relaxed)),
        workers_(other.workers_.load(std::memory_order_relaxed)),
        alone_(other.alone_.load(std::memory_order_relaxed)) {
    for (u32 i = 0; i < 2 * kTimed; i++) times_[i] = other.times_[i].load(std::memory_order_relaxed);
  }

  // Returns whether the next call will be timed.
  bool times_next() const { return calls_.load(std::memory_order_relaxed) < 2 * kTimed; }

  // Calls `run` with 1 or with this number of workers. It returns how many took part. The time counts for each of its steps.
  template <class Run>
  void call(int workers, Run run, i64 steps = 1) {
    if (workers_.exchange(workers, std::memory_order_relaxed) != workers) calls_.store(0, std::memory_order_relaxed);
    const u32 n = calls_.load(std::memory_order_relaxed);
    if (n >= 2 * kTimed) {
      calls_.store(n + 1 < period_.load(std::memory_order_relaxed) ? n + 1 : 0, std::memory_order_relaxed);
      run(alone_.load(std::memory_order_relaxed) ? 1 : workers);
      return;
    }
    const auto start = std::chrono::steady_clock::now();
    const bool several = n < kTimed;
    if ((run(several ? workers : 1) > 1) != several) return;  // the workers are away
    const float took = std::chrono::duration<float, std::nano>(std::chrono::steady_clock::now() - start).count();
    const float step = took / (float)steps;
    times_[n].store(step, std::memory_order_relaxed);
    const bool clear = n == kTimed && step > kClear * median(0);
    calls_.store(clear ? 2 * kTimed : n + 1, std::memory_order_relaxed);
    if (clear || n == 2 * kTimed - 1) {
      const bool alone = !clear && median(0) > kGain * median(kTimed);
      const bool same = alone_.exchange(alone, std::memory_order_relaxed) == alone;
      period_.store(same ? std::min(2 * period_.load(std::memory_order_relaxed), kLongest) : kShortest,
                    std::memory_order_relaxed);
    }
  }

 private:
  static constexpr u32 kTimed = 8, kShortest = 64, kLongest = 1024;
  static constexpr float kGain = 0.95f;  // several workers must be at least this much faster
  static constexpr float kClear = 1.5f;  // one call on one worker that is this much slower needs no second one

  float median(u32 first) const {
    float t[kTimed];
    for (u32 i = 0; i < kTimed; i++) t[i] = times_[first + i].load(std::memory_order_relaxed);
    std::nth_element(t, t + kTimed / 2, t + kTimed);
    return t[kTimed / 2];
  }

  std::atomic<u32> calls_{0};
  std::atomic<u32> period_{kShortest};
  std::atomic<int> workers_{0};
  std::atomic<bool> alone_{false};
  std::atomic<float> times_[2 * kTimed] = {};
};

}  // namespace fastnn

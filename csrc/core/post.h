// The mailbox of a worker of the team: the offer of a job, and calls that wake the worker.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fastnn {

typedef std::chrono::steady_clock Clock;

inline double nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

inline void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// One caller at a time uses a post (Team::busy_), and its worker.
//
// The caller offers a job (kOffered), the worker accepts (kAccepted), the caller sets its number and starts it (kGo). If a worker
// does not accept in time, the caller takes the offer back: a worker that sleeps, or whose core runs another process, must not
// delay the caller. After that the worker counts as away (kCalled) until it runs again and says so (kIdle). So a caller waits
// only once for a worker that is away, and a worker that was woken too late for one job is there for the next.
class alignas(64) Post {
 public:
  enum State { kIdle, kCalled, kOffered, kAccepted, kGo, kQuit };

  int ith = 0;
  std::thread thread;

  // ---- for the caller ----

  // Returns whether the worker waits for a job and does not sleep. It then accepts an offer within a tenth of a microsecond.
  bool here() const { return state() == kIdle && !asleep_.load(std::memory_order_relaxed); }
  bool accepted() const { return state() == kAccepted; }
  void offer() { tell(kOffered); }
  void start() { state_.store(kGo, std::memory_order_release); }
  void quit() { tell(kQuit); }
  // Wakes the worker, without a job, unless it was called before and has not answered yet.
  void call() {
    if (state() == kIdle) tell(kCalled);
  }
  // Takes an offer back. Returns false if the worker was faster and takes part. Both sides agree in any case, because only one of
  // their compare-and-swaps succeeds.
  bool take_back() {
    State offered = kOffered;
    return state_.compare_exchange_strong(offered, kCalled);
  }
  // The nanoseconds that a sleeping worker takes to answer: a running average.
  double waking() const { return waking_.load(std::memory_order_relaxed); }

  // ---- for the worker ----

  // Waits for an offer and accepts it. Returns false when the team ends. A worker spins for a millisecond or two, then sleeps:
  // between the layers of a model the next job comes soon, and an idle process must not use CPU time.
  bool accept(bool crowded) {
    for (;;) {
      wait_for_news(crowded);
      State now = kOffered;
      if (state_.compare_exchange_strong(now, kAccepted)) return true;
      if (now == kQuit) return false;
      state_.compare_exchange_strong(now, kIdle);  // called, or an offer that was taken back: here I am
    }
  }
  bool started() const { return state() == kGo; }
  void done() { state_.store(kIdle); }

 private:
  static constexpr double kMostWaking = 2e5;

  State state() const { return state_.load(std::memory_order_acquire); }

  void tell(State news) {
    const bool was_idle = state_.exchange(news) == kIdle;  // otherwise it was woken before
    if (!asleep_.load() || (!was_idle && news != kQuit)) return;
    told_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
    }  // the worker does not fall asleep now, it is asleep
    wake_.notify_one();
  }

  void wait_for_news(bool crowded) {
    auto changed = [&] { return state_.load() != kIdle; };
    const auto until = Clock::now() + std::chrono::microseconds(crowded ? 50 : 1500);
    do {
      for (int i = 0; i < 256; i++) {
        if (changed()) return;
        pause_briefly();
      }
      if (crowded) std::this_thread::yield();
    } while (Clock::now() < until);
    std::unique_lock<std::mutex> lock(mutex_);
    told_.store(0, std::memory_order_relaxed);
    asleep_.store(true);
    wake_.wait(lock, changed);
    asleep_.store(false);
    const i64 told = told_.exchange(0, std::memory_order_relaxed);
    if (!told) return;
    const double took = nanoseconds_since(Clock::time_point(Clock::duration(told)));
    waking_.store(0.75 * waking() + 0.25 * std::min(took, kMostWaking), std::memory_order_relaxed);
  }

  std::atomic<State> state_{kIdle};
  std::atomic<bool> asleep_{false};
  std::atomic<i64> told_{0};  // the time of the call that woke the worker; 0 if it did not sleep
  std::atomic<double> waking_{5e4};
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace fastnn

// The mailbox of a worker of the team: the offer of a job, and calls that wake the worker.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/kernels.h"

#if defined(__linux__)
#include <sched.h>
#endif
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

// Returns the core that runs this thread, or -1 if it is unknown.
inline int this_core() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// One caller at a time uses a post (Team::busy_), and its worker.
//
// The caller offers a job (kOffered), the worker accepts (kAccepted), the caller sets its number and starts it (kGo). If a worker
// does not accept in time, the caller takes the offer back: a worker that sleeps, or whose core runs another process, must not
// delay the caller. After that the worker counts as away (kCalled) until it runs again and says so (kIdle). So a caller waits
// only once for a worker that is away, and a worker that was woken too late for one job is there for the next.
//
// The system often wakes a worker on the core of the caller, which then stops. Such a worker moves to another core and stays away
// from this one until the caller is elsewhere. If it cannot, it declines and sleeps at once, and the caller asks it more and more
// rarely.
class alignas(64) Post {
 public:
  enum State { kIdle, kCalled, kOffered, kAccepted, kGo, kQuit };

  int ith = 0;
  std::thread thread;

  // ---- for the caller ----

  // Returns whether the worker waits for a job and does not sleep. It then accepts an offer within a tenth of a microsecond.
  bool here() const { return state() == kIdle && !asleep_.load(std::memory_order_relaxed); }
  bool answered() const { return state() != kOffered; }
  // `core` is that of the caller; -1: the worker may run on any core.
  void offer(int core) { tell(kOffered, core); }
  void start() {
    pause_ = kLeastPause;
    ask_again_ = {};
    state_.store(kGo, std::memory_order_release);
  }
  void quit() { tell(kQuit, -1); }
  // Wakes the worker, without a job, unless it was called before and has not answered yet.
  void call(int core) {
    if (state() == kIdle) tell(kCalled, core);
  }
  // Takes an offer back, unless the worker has accepted it. Returns whether the worker takes part. Both sides agree in any case,
  // because only one of their compare-and-swaps succeeds.
  bool take_back() {
    State offered = kOffered;
    return !state_.compare_exchange_strong(offered, kCalled) && offered == kAccepted;
  }
  // A worker that is away is asked again after a while, which doubles each time until it takes part in a job.
  bool may_ask(Clock::time_point now) const { return now >= ask_again_; }
  void asked(Clock::time_point now) {
    ask_again_ = now + pause_;
    pause_ = std::min(2 * pause_, kMostPause);
  }
  // The nanoseconds that a sleeping worker takes to answer: a running average.
  double waking() const { return waking_.load(std::memory_order_relaxed); }

  // ---- for the worker ----

  // Waits for an offer and accepts it. Returns false when the team ends. A worker spins for a millisecond or two, then sleeps:
  // between the layers of a model the next job comes soon, and an idle process must not use CPU time.
  bool accept(bool crowded) {
    for (bool in_the_way = false;;) {
      wait_for_news(crowded, in_the_way);
      in_the_way = beside_caller() && !leave_core();
      State now = kOffered;
      if (state_.compare_exchange_strong(now, in_the_way ? kIdle : kAccepted)) {
        if (!in_the_way) return true;
        continue;
      }
      if (now == kQuit) return false;
      state_.compare_exchange_strong(now, kIdle);  // called, or an offer that was taken back: here I am
    }
  }
  bool started() const { return state() == kGo; }
  void done() { state_.store(kIdle); }

 private:
  static constexpr double kMostWaking = 2e5;
  static constexpr std::chrono::milliseconds kLeastPause{1}, kMostPause{8};

  State state() const { return state_.load(std::memory_order_acquire); }

  bool beside_caller() const {
    const int core = caller_.load(std::memory_order_relaxed);
    return core >= 0 && core == this_core();
  }

  // Moves the worker to another core than the caller's. Returns false if there is none.
  bool leave_core() {
#if defined(__linux__)
    if (!CPU_COUNT(&cores_) && sched_getaffinity(0, sizeof(cores_), &cores_) != 0) return false;
    cpu_set_t others = cores_;
    CPU_CLR(caller_.load(std::memory_order_relaxed), &others);
    return CPU_COUNT(&others) && sched_setaffinity(0, sizeof(others), &others) == 0 && !beside_caller();
#else
    return false;
#endif
  }

  void tell(State news, int core) {
    caller_.store(core, std::memory_order_relaxed);
    const bool was_idle = state_.exchange(news) == kIdle;  // otherwise it was woken before
    if (!asleep_.load() || (!was_idle && news != kQuit)) return;
    woken_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
    }  // the worker does not fall asleep now, it is asleep
    wake_.notify_one();
  }

  void wait_for_news(bool crowded, bool at_once) {
    auto changed = [&] { return state_.load() != kIdle; };
    const auto until = Clock::now() + std::chrono::microseconds(crowded ? 50 : 1500);
    while (!at_once && Clock::now() < until) {
      for (int i = 0; i < 256; i++) {
        if (changed()) return;
        pause_briefly();
      }
      if (crowded) std::this_thread::yield();
      at_once = beside_caller() && !leave_core();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    woken_.store(0, std::memory_order_relaxed);
    asleep_.store(true);
    wake_.wait(lock, changed);
    asleep_.store(false);
    const i64 since = woken_.exchange(0, std::memory_order_relaxed);
    if (!since) return;
    const double took = nanoseconds_since(Clock::time_point(Clock::duration(since)));
    waking_.store(0.75 * waking() + 0.25 * std::min(took, kMostWaking), std::memory_order_relaxed);
  }

  std::atomic<State> state_{kIdle};
  std::atomic<bool> asleep_{false};
  std::atomic<int> caller_{-1};  // the core of the last caller
  std::atomic<i64> woken_{0};    // the time of the call that woke the worker; 0 if it did not sleep
  std::atomic<double> waking_{5e4};
#if defined(__linux__)
  cpu_set_t cores_ = {};  // those that the worker may use; none if it has not asked yet
#endif
  std::chrono::milliseconds pause_ = kLeastPause;
  Clock::time_point ask_again_;
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace fastnn

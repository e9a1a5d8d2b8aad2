#include "core/team.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#include <sys/mman.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fastnn {

struct Barrier {
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<int> phase{0};
  int workers = 1;
  bool crowded = false;  // more workers than cores: yield instead of spinning
};

namespace {

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

typedef std::chrono::steady_clock Clock;

double nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

// Nanoseconds that this thread has waited for other workers. Short waits are not counted.
thread_local double waited = 0;

// Waits until done() is true. It spins at first, then yields: a worker that lost its core may need the core of this thread.
template <class Done>
void spin_until(Done done, bool crowded) {
  for (int i = 0; i < 500; i++) {
    if (done()) return;
    if (crowded) std::this_thread::yield();
    pause_briefly();
  }
  const auto start = Clock::now();
  for (int i = 0; !done(); i++) {
    if (crowded || i > 20000)
      std::this_thread::yield();
    else
      pause_briefly();
  }
  waited += nanoseconds_since(start);
}

constexpr double kMostPatience = 1e6;  // nanoseconds

struct Buffer {
  char* data = nullptr;
  i64 size = 0;
  char* reserve(i64 bytes) {
    if (bytes > size) {
      bytes = (bytes + 4095) / 4096 * 4096;
      char* fresh = allocate(bytes);
      free(data);
      data = fresh;
      size = bytes;
    }
    return data;
  }
  ~Buffer() { free(data); }
};

// State of a worker. The caller offers a job (kOffered), the worker accepts (kAccepted), the caller sets its number and starts it
// (kGo). If a worker does not accept in time, the caller withdraws the offer: a worker that sleeps, or whose core runs another
// process, must not delay the caller.
enum State { kIdle, kOffered, kAccepted, kGo, kQuit };

// Mailbox of one worker. Workers without an offer are not disturbed by a job.
struct alignas(64) Post {
  std::atomic<int> state{kIdle};
  std::atomic<bool> asleep{false};
  int ith = 0;
  std::mutex mutex;
  std::condition_variable wake;
  std::thread thread;
};

class Team {
 public:
  explicit Team(int threads) : threads_(threads) {
    barrier_.crowded = threads > available_cores();
    here_.reserve(threads - 1);  // no allocation may fail once a job has begun
    posts_.reserve(threads - 1);
    try {
      for (int i = 1; i < threads; i++) {
        std::unique_ptr<Post> post(new Post);
        post->thread = std::thread(&Team::serve, this, post.get());
        posts_.push_back(std::move(post));
      }
    } catch (const std::exception&) {  // no memory or permission for more threads: go on with fewer
    }
  }

  ~Team() {
    for (auto& post : posts_) {
      tell(*post, kQuit);
      post->thread.join();
    }
  }

  // The number of workers that was requested; the real number may be smaller.
  int threads() const { return threads_; }
  bool asleep() const { return !posts_.empty() && posts_[0]->asleep.load(std::memory_order_relaxed); }

  // Returns false, without running the job, if the team is busy or rests.
  bool run(Job job, void* context, int workers, i64 scratch, double patience) {
    std::unique_lock<std::mutex> busy(busy_, std::try_to_lock);
    if (!busy || resting()) return false;
    scratch_ = scratch ? buffer_.reserve(scratch) : nullptr;
    job_ = job;
    context_ = context;
    workers_ = 1 + gather(std::min(workers - 1, (int)posts_.size()), patience);
    barrier_.workers = workers_;
    left_.store(workers_ - 1, std::memory_order_relaxed);
    for (int i = 1; i < workers_; i++) {
      here_[i - 1]->ith = i;
      here_[i - 1]->state.store(kGo, std::memory_order_release);
    }
    inside_job = true;
    waited = 0;
    const auto start = Clock::now();
    job(context, Worker{0, workers_, &barrier_, scratch_});
    inside_job = false;
    spin_until([this] { return left_.load(std::memory_order_acquire) == 0; }, barrier_.crowded);
    if (workers_ > 1) look_back(start);
    return true;
  }

  static thread_local bool inside_job;

 private:
  // If other processes use the cores too, a worker may lose its core for milliseconds in the middle of a job. A caller that has
  // waited for most of a job works alone for a while (the team rests). Each time that this happens again in the next job, the
  // rest is twice as long. A patience above kMostPatience, which tests set, disables resting.
  bool resting() const { return rest_.count() && team_patience() <= kMostPatience && Clock::now() < rest_until_; }
  void look_back(Clock::time_point start) {
    const bool stalled = waited > kLongWait && waited > 0.6 * nanoseconds_since(start);
    if (!stalled) {
      rest_ = {};
      return;
    }
    rest_ = rest_.count() ? std::min(2 * rest_, kMostRest) : kLeastRest;
    rest_until_ = Clock::now() + rest_;
  }

  // Offers the job to `wanted` workers and waits up to `patience` nanoseconds. A worker takes part if it has accepted by then.
  // All other offers are withdrawn with a compare-and-swap: either the caller resets kOffered to kIdle, or the worker was faster
  // and takes part. So both sides always agree. Puts the workers that take part into here_, and returns their number.
  int gather(int wanted, double patience) {
    for (int i = 0; i < wanted; i++) tell(*posts_[i], kOffered);
    const auto until = Clock::now() + std::chrono::nanoseconds((i64)patience);
    auto all_here = [&] {
      for (int i = 0; i < wanted; i++)
        if (posts_[i]->state.load(std::memory_order_acquire) != kAccepted) return false;
      return true;
    };
    for (bool late = false; !late && !all_here(); late = Clock::now() >= until) {
      for (int i = 0; i < 16; i++) pause_briefly();
      if (barrier_.crowded) std::this_thread::yield();
    }
    here_.clear();
    for (int i = 0; i < wanted; i++) {
      int offered = kOffered;
      if (!posts_[i]->state.compare_exchange_strong(offered, kIdle)) here_.push_back(posts_[i].get());
    }
    return (int)here_.size();
  }

  static void tell(Post& post, State state) {
    post.state.store(state);
    if (post.asleep.load()) {
      std::lock_guard<std::mutex> lock(post.mutex);
      post.wake.notify_one();
    }
  }

  void serve(Post* post) {
    inside_job = true;
    for (;;) {
      wait_for(*post);
      int offered = kOffered;
      if (!post->state.compare_exchange_strong(offered, kAccepted)) {
        if (offered == kQuit) return;
        continue;  // the offer was withdrawn
      }
      spin_until([post] { return post->state.load(std::memory_order_acquire) == kGo; }, barrier_.crowded);
      job_(context_, Worker{post->ith, workers_, &barrier_, scratch_});
      post->state.store(kIdle);
      left_.fetch_sub(1, std::memory_order_release);
    }
  }

  // Spins for a millisecond or two, then sleeps. Between the layers of a model the next job comes soon, and an idle process must
  // not use CPU time.
  void wait_for(Post& post) {
    auto changed = [&] { return post.state.load() != kIdle; };
    const auto until = Clock::now() + std::chrono::microseconds(barrier_.crowded ? 50 : 1500);
    do {
      for (int i = 0; i < 256; i++) {
        if (changed()) return;
        pause_briefly();
      }
      if (barrier_.crowded) std::this_thread::yield();
    } while (Clock::now() < until);
    std::unique_lock<std::mutex> lock(post.mutex);
    post.asleep.store(true);
    post.wake.wait(lock, changed);
    post.asleep.store(false);
  }

  static constexpr double kLongWait = 2e5;  // nanoseconds
  static constexpr std::chrono::milliseconds kLeastRest{2}, kMostRest{128};

  const int threads_;
  std::chrono::milliseconds rest_{};
  Clock::time_point rest_until_;
  std::vector<std::unique_ptr<Post>> posts_;
  std::vector<Post*> here_;
  std::mutex busy_;
  Barrier barrier_;
  Buffer buffer_;
  Job job_ = nullptr;
  void* context_ = nullptr;
  int workers_ = 1;
  char* scratch_ = nullptr;
  alignas(64) std::atomic<int> left_{0};
};

thread_local bool Team::inside_job = false;

// The team is made at its first use, and again after a fork: threads do not survive a fork, so the child drops the parent's team.
std::mutex* team_mutex = new std::mutex;
std::shared_ptr<Team>* the_team = new std::shared_ptr<Team>;
std::atomic<int> wanted_threads{0};

void forget_team_after_fork() {
  team_mutex = new std::mutex;
  the_team = new std::shared_ptr<Team>;
  Team::inside_job = false;
}

// Returns the team, or null if there is not enough memory for it.
std::shared_ptr<Team> team() {
  static const int once = pthread_atfork(nullptr, nullptr, forget_team_after_fork);
  (void)once;
  std::lock_guard<std::mutex> lock(*team_mutex);
  if (!*the_team || (*the_team)->threads() != team_threads()) {
    the_team->reset();
    try {
      *the_team = std::make_shared<Team>(team_threads());
    } catch (const std::bad_alloc&) {
    }
  }
  return *the_team;
}

// Returns the number of CPUs that the cgroup's quota allows, rounded up; 0 if there is no quota.
int quota_cores() {
  long long quota = 0, period = 0;
  if (FILE* f = fopen("/sys/fs/cgroup/cpu.max", "r")) {
    if (fscanf(f, "%lld %lld", &quota, &period) != 2) quota = 0;
    fclose(f);
  } else {
    FILE* q = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r");
    FILE* p = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r");
    if (q && p && (fscanf(q, "%lld", &quota) != 1 || fscanf(p, "%lld", &period) != 1)) quota = 0;
    if (q) fclose(q);
    if (p) fclose(p);
  }
  return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

std::atomic<double> least_share{kDefaultShare}, least_patience{kDefaultPatience};
constexpr double kAsleep = 10;     // factor by which a job must be larger to wake a sleeping team
std::atomic<i64> last_request{0};  // microseconds: last call that was large enough for two workers while the team slept

// Returns whether calls that are large enough for two workers follow each other so quickly that waking the team is worth it for
// the next calls.
bool in_a_stream() {
  const i64 now = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
  return now - last_request.exchange(now) < 200;
}

}  // namespace

extern "C" void fastnn_barrier_wait(Barrier* barrier) {
  int phase = barrier->phase.load(std::memory_order_acquire);
  if (barrier->arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == barrier->workers) {
    barrier->arrived.store(0, std::memory_order_relaxed);
    barrier->phase.store(phase + 1, std::memory_order_release);
  } else {
    spin_until([&] { return barrier->phase.load(std::memory_order_acquire) != phase; }, barrier->crowded);
  }
}

char* allocate(i64 bytes) {
  constexpr i64 kLargePage = 2 << 20;
  const i64 page = bytes < kLargePage / 4 ? 4096 : kLargePage, whole = (bytes + page - 1) / page * page;
  char* memory = (char*)aligned_alloc((size_t)page, (size_t)whole);
  if (!memory) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  if (page == kLargePage) madvise(memory, (size_t)whole, MADV_HUGEPAGE);
#endif
  return memory;
}

char* thread_scratch(i64 bytes) {
  static thread_local Buffer buffer;
  return buffer.reserve(bytes);
}

void team_run(Job job, void* context, int workers, i64 scratch, double work) {
  const double patience = std::max(team_patience(), std::min(work / 8, kMostPatience));
  if (workers > 1 && !Team::inside_job) {
    const std::shared_ptr<Team> all = team();
    if (all && all->run(job, context, workers, scratch, patience)) return;
  }
  job(context, Worker{0, 1, nullptr, scratch ? thread_scratch(scratch) : nullptr});
}

int team_workers(double work) {
  int threads = team_threads();
  double least = team_share();
  if (threads == 1 || work < 1.5 * least || Team::inside_job) return 1;
  const std::shared_ptr<Team> all = team();
  const double worth = work / (all && all->asleep() && !in_a_stream() ? kAsleep * least : least) + 0.5;
  return worth >= threads ? threads : worth < 1 ? 1 : (int)worth;
}

int team_threads() {
  int n = wanted_threads.load(std::memory_order_relaxed);
  if (n == 0) wanted_threads = n = available_cores();
  return n;
}

void team_set_threads(int n) { wanted_threads = n; }

double team_share() { return least_share.load(std::memory_order_relaxed); }
void team_set_share(double nanoseconds) { least_share = nanoseconds; }
double team_patience() { return least_patience.load(std::memory_order_relaxed); }
void team_set_patience(double nanoseconds) { least_patience = nanoseconds; }

int available_cores() {
  int cores = (int)std::thread::hardware_concurrency();
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cores = CPU_COUNT(&set);
#endif
  int quota = quota_cores();
  if (quota && quota < cores) cores = quota;
  return cores > 0 ? cores : 1;
}

}  // namespace fastnn

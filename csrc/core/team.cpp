#include "core/team.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#if defined(_WIN32)
#include <malloc.h>
#else
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sched.h>
#include <sys/mman.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "core/post.h"

namespace fastnn {

struct Barrier {
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<int> phase{0};
  int workers = 1;
  bool crowded = false;  // more workers than cores: yield instead of spinning
};

namespace {

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
      release(data);
      data = fresh;
      size = bytes;
    }
    return data;
  }
  ~Buffer() { release(data); }
};

class Team {
 public:
  explicit Team(int threads) : threads_(threads) {
    barrier_.crowded = threads > available_cores();
    here_.reserve(threads - 1);  // no allocation may fail once a job has begun
    posts_.reserve(threads - 1);
    try {
      for (int i = 1; i < threads; i++) {
        auto post = std::make_unique<Post>();
        post->thread = std::thread(&Team::serve, this, post.get());
        posts_.push_back(std::move(post));
      }
    } catch (const std::exception&) {  // no memory or permission for more threads: go on with fewer
    }
  }

  ~Team() {
    for (auto& post : posts_) {
      post->quit();
      post->thread.join();
    }
  }

  // The number of workers that was requested; the real number may be smaller.
  int threads() const { return threads_; }

  // Returns false, without running the job, if the team is busy or rests.
  bool run(Job job, void* context, int workers, i64 scratch, double work) {
    std::unique_lock<std::mutex> busy(busy_, std::try_to_lock);
    if (!busy || resting()) return false;
    scratch_ = scratch ? buffer_.reserve(scratch) : nullptr;
    job_ = job;
    context_ = context;
    workers_ = 1 + gather(std::min(workers - 1, (int)posts_.size()), work);
    barrier_.workers = workers_;
    left_.store(workers_ - 1, std::memory_order_relaxed);
    for (int i = 1; i < workers_; i++) {
      here_[i - 1]->ith = i;
      here_[i - 1]->start();
    }
    inside_job = true;
    waited = 0;
    const auto start = Clock::now();
    job(context, Worker{0, workers_, &barrier_, scratch_});
    inside_job = false;
    spin_until([this] { return left_.load(std::memory_order_acquire) == 0; }, barrier_.crowded);
    last_end_ = Clock::now();
    if (workers_ > 1) look_back(std::chrono::duration<double, std::nano>(last_end_ - start).count());
    return true;
  }

  static thread_local bool inside_job;

 private:
  // If other processes use the cores too, a worker may lose its core for milliseconds in the middle of a job. A caller that has
  // waited for most of a job works alone for a while (the team rests). Each time that this happens again in the next job, the
  // rest is twice as long. A patience above kMostPatience, which tests set, disables resting.
  bool resting() const { return rest_.count() && !team_waits_for_all() && Clock::now() < rest_until_; }
  void look_back(double time) {
    const bool stalled = waited > kLongWait && waited > 0.6 * time;
    if (!stalled) {
      rest_ = {};
      return;
    }
    rest_ = rest_.count() ? std::min(2 * rest_, kMostRest) : kLeastRest;
    rest_until_ = last_end_ + rest_;
  }

  // Offers the job to at most `wanted` workers and waits for their answers. Puts the workers that take part into here_, and
  // returns their number. Workers that are away are not asked, unless the job is so long that it is worth waiting for them. If
  // such jobs follow each other quickly, workers that sleep are woken in passing, for the next ones.
  int gather(int wanted, double work) {
    const auto start = Clock::now();
    const bool everybody = team_waits_for_all(), stream = in_a_stream(start);
    const int core = everybody || barrier_.crowded ? -1 : this_core();
    double patience = std::max(team_patience(), std::min(work / 8, kMostPatience));
    here_.clear();
    for (int i = 0, away = 0; i < wanted; i++) {
      Post& post = *posts_[i];
      if (!post.here() && !everybody) {
        const bool wait = work >= 4 * (post.waking() + kWakeCall * away++);
        if ((!wait && !stream) || (work < kLong && !post.may_ask(start))) continue;
        post.asked(start);
        if (!wait) {
          post.call(core);
          continue;
        }
        patience = std::max(patience, 2 * post.waking());
      }
      post.offer(core);
      here_.push_back(&post);
    }
    auto answered = [&] { return std::all_of(here_.begin(), here_.end(), [](Post* post) { return post->answered(); }); };
    for (bool late = false; !late && !answered(); late = nanoseconds_since(start) >= patience) {
      for (int i = 0; i < 16; i++) pause_briefly();
      if (barrier_.crowded) std::this_thread::yield();
    }
    here_.erase(std::remove_if(here_.begin(), here_.end(), [](Post* post) { return !post->take_back(); }), here_.end());
    return (int)here_.size();
  }

  // Returns whether several calls that are large enough for two workers have followed each other with short pauses.
  bool in_a_stream(Clock::time_point now) {
    streak_ = now < last_end_ + kPauseInStream ? streak_ + 1 : 0;
    return streak_ >= kStreak;
  }

  void serve(Post* post) {
    inside_job = true;
    while (post->accept(barrier_.crowded)) {
      spin_until([post] { return post->started(); }, barrier_.crowded);
      job_(context_, Worker{post->ith, workers_, &barrier_, scratch_});
      post->done();
      left_.fetch_sub(1, std::memory_order_release);
    }
  }

  static constexpr double kLongWait = 2e5;  // nanoseconds
  static constexpr std::chrono::milliseconds kLeastRest{2}, kMostRest{128};
  static constexpr std::chrono::microseconds kPauseInStream{200};
  static constexpr int kStreak = 3;
  static constexpr double kLong = 2e6;       // nanoseconds of a job that always asks all workers
  static constexpr double kWakeCall = 5000;  // nanoseconds that the caller takes to wake a worker

  const int threads_;
  std::chrono::milliseconds rest_{};
  Clock::time_point rest_until_, last_end_;
  int streak_ = 0;
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
std::atomic<int> wanted_threads{0}, callers{0};

void forget_team_after_fork() {
  team_mutex = new std::mutex;
  the_team = new std::shared_ptr<Team>;
  Team::inside_job = false;
}

// Returns the team, or null if there is not enough memory for it.
std::shared_ptr<Team> team() {
  static const bool once = (after_fork_in_child(forget_team_after_fork), true);
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
#if defined(__linux__)
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
#else
  return 0;
#endif
}

std::atomic<double> least_share{kDefaultShare}, least_patience{kDefaultPatience};

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
#if defined(_WIN32)
  char* memory = (char*)_aligned_malloc((size_t)whole, (size_t)page);
#else
  char* memory = (char*)aligned_alloc((size_t)page, (size_t)whole);
#endif
  if (!memory) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  if (page == kLargePage) madvise(memory, (size_t)whole, MADV_HUGEPAGE);
#endif
  return memory;
}

void release(char* memory) {
#if defined(_WIN32)
  _aligned_free(memory);
#else
  free(memory);
#endif
}

void after_fork_in_child(void (*f)()) {
#if defined(_WIN32)
  (void)f;
#else
  pthread_atfork(nullptr, nullptr, f);
#endif
}

char* thread_scratch(i64 bytes) {
  static thread_local Buffer buffer;
  return buffer.reserve(bytes);
}

void team_run(Job job, void* context, int workers, i64 scratch, double work) {
  if (workers > 1 && !Team::inside_job) {
    const std::shared_ptr<Team> all = team();
    if (all && all->run(job, context, workers, scratch, work)) return;
  }
  job(context, Worker{0, 1, nullptr, scratch ? thread_scratch(scratch) : nullptr});
}

int team_workers(double work) {
  const int threads = team_most();
  double least = team_share();
  if (threads == 1 || work < 1.5 * least || Team::inside_job) return 1;
  const double worth = work / least + 0.5;
  return worth >= threads ? threads : worth < 1 ? 1 : (int)worth;
}

int team_threads() {
  int n = wanted_threads.load(std::memory_order_relaxed);
  if (n == 0) wanted_threads = n = available_cores();
  return n;
}

void team_set_threads(int n) { wanted_threads = n; }

int team_most() { return std::max(1, team_threads() / std::max(1, callers.load(std::memory_order_relaxed))); }
void team_add_callers(int n) { callers += n; }

double team_share() { return least_share.load(std::memory_order_relaxed); }
void team_set_share(double nanoseconds) { least_share = nanoseconds; }
double team_patience() { return least_patience.load(std::memory_order_relaxed); }
void team_set_patience(double nanoseconds) { least_patience = nanoseconds; }
bool team_waits_for_all() { return team_patience() > kMostPatience; }

int available_cores() {
  int cores = (int)std::thread::hardware_concurrency();
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cores = CPU_COUNT(&set);
#elif defined(__APPLE__)
  // Pieces of equal size would make performance cores wait for the efficiency cores. Macs with Intel CPUs do not have this name.
  int fast = 0;
  size_t size = sizeof(fast);
  if (sysctlbyname("hw.perflevel0.physicalcpu", &fast, &size, nullptr, 0) == 0 && fast > 0) cores = fast;
#endif
  int quota = quota_cores();
  if (quota && quota < cores) cores = quota;
  return cores > 0 ? cores : 1;
}

}  // namespace fastnn

#include "team.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fastnn {

struct Barrier {
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<int> phase{0};
  int workers = 1;
  bool crowded = false;  // more workers than cores: give way instead of spinning
};

namespace {

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until done() holds, spinning at first: a worker that was taken off its core must not be waited for at full speed.
template <class Done>
void spin_until(Done done, bool crowded) {
  for (int i = 0; !done(); i++) {
    if (crowded || i > 20000)
      std::this_thread::yield();
    else
      pause_briefly();
  }
}

struct Buffer {
  char* data = nullptr;
  i64 size = 0;
  char* reserve(i64 bytes) {
    if (bytes > size) {
      i64 wanted = (bytes + 4095) / 4096 * 4096;
      char* fresh = (char*)aligned_alloc(4096, (size_t)wanted);
      if (!fresh) throw std::bad_alloc();
      free(data);
      data = fresh;
      size = wanted;
    }
    return data;
  }
  ~Buffer() { free(data); }
};

// A worker's own mailbox: only those who take part in a job are told of it.
struct alignas(64) Post {
  std::atomic<u64> ticket{0};
  std::atomic<bool> asleep{false};
  std::mutex mutex;
  std::condition_variable wake;
  std::thread thread;
};

class Team {
 public:
  explicit Team(int threads) : threads_(threads) {
    barrier_.crowded = threads > available_cores();
    for (int i = 1; i < threads; i++) posts_.emplace_back(new Post);  // all of them before the first worker looks for its own
    for (int i = 1; i < threads; i++) posts_[i - 1]->thread = std::thread(&Team::serve, this, i);
  }

  ~Team() {
    quit_ = true;
    for (auto& post : posts_) {
      notify(*post);
      post->thread.join();
    }
  }

  int threads() const { return threads_; }
  bool asleep() const { return !posts_.empty() && posts_[0]->asleep.load(std::memory_order_relaxed); }

  // False where the team is busy.
  bool run(Job job, void* context, int workers, i64 scratch) {
    std::unique_lock<std::mutex> busy(busy_, std::try_to_lock);
    if (!busy) return false;
    if (workers > threads_) workers = threads_;
    job_ = job;
    context_ = context;
    workers_ = workers;
    scratch_ = scratch ? buffer_.reserve(scratch) : nullptr;
    barrier_.workers = workers;
    left_.store(workers - 1, std::memory_order_relaxed);
    for (int i = 1; i < workers; i++) notify(*posts_[i - 1]);
    inside_job = true;
    job(context, Worker{0, workers, &barrier_, scratch_});
    inside_job = false;
    spin_until([this] { return left_.load(std::memory_order_acquire) == 0; }, barrier_.crowded);
    return true;
  }

  static thread_local bool inside_job;

 private:
  static void notify(Post& post) {
    post.ticket.fetch_add(1);
    if (post.asleep.load()) {
      std::lock_guard<std::mutex> lock(post.mutex);
      post.wake.notify_one();
    }
  }

  void serve(int ith) {
    Post& post = *posts_[ith - 1];
    inside_job = true;
    for (u64 seen = 0;;) {
      wait_for(post, seen);
      seen = post.ticket.load(std::memory_order_acquire);
      if (quit_) return;
      job_(context_, Worker{ith, workers_, &barrier_, scratch_});
      left_.fetch_sub(1, std::memory_order_release);
    }
  }

  // Spins for a millisecond or two, then sleeps: between the layers of a model work comes at once, an idle process costs nothing.
  void wait_for(Post& post, u64 seen) {
    auto changed = [&] { return post.ticket.load() != seen; };
    auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(barrier_.crowded ? 50 : 1500);
    do {
      for (int i = 0; i < 256; i++) {
        if (changed()) return;
        pause_briefly();
      }
      if (barrier_.crowded) std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < until);
    std::unique_lock<std::mutex> lock(post.mutex);
    post.asleep.store(true);
    post.wake.wait(lock, changed);
    post.asleep.store(false);
  }

  const int threads_;
  std::vector<std::unique_ptr<Post>> posts_;
  std::mutex busy_;
  std::atomic<bool> quit_{false};
  Barrier barrier_;
  Buffer buffer_;
  Job job_ = nullptr;
  void* context_ = nullptr;
  int workers_ = 1;
  char* scratch_ = nullptr;
  alignas(64) std::atomic<int> left_{0};
};

thread_local bool Team::inside_job = false;

// The team is made at first use and again after a fork: threads do not survive one, so the child forgets its parent's team.
std::mutex* team_mutex = new std::mutex;
std::shared_ptr<Team>* the_team = new std::shared_ptr<Team>;
std::atomic<int> wanted_threads{0};

void forget_team_after_fork() {
  team_mutex = new std::mutex;
  the_team = new std::shared_ptr<Team>;
  Team::inside_job = false;
}

std::shared_ptr<Team> team() {
  static const int once = pthread_atfork(nullptr, nullptr, forget_team_after_fork);
  (void)once;
  std::lock_guard<std::mutex> lock(*team_mutex);
  if (!*the_team || (*the_team)->threads() != team_threads()) {
    the_team->reset();
    *the_team = std::make_shared<Team>(team_threads());
  }
  return *the_team;
}

// CPUs that the cgroup's quota amounts to, rounded up; 0 where there is none.
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

std::atomic<double> least_share{kDefaultShare};
constexpr double kAsleep = 10;  // times longer that waking a sleeping team takes

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

char* thread_scratch(i64 bytes) {
  static thread_local Buffer buffer;
  return buffer.reserve(bytes);
}

void team_run(Job job, void* context, int workers, i64 scratch) {
  if (workers > 1 && !Team::inside_job && team()->run(job, context, workers, scratch)) return;
  job(context, Worker{0, 1, nullptr, scratch ? thread_scratch(scratch) : nullptr});
}

int team_workers(double work) {
  int threads = team_threads();
  double least = team_share();
  if (threads == 1 || work < 2 * least || Team::inside_job) return 1;
  double worth = work / (team()->asleep() ? kAsleep * least : least);
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

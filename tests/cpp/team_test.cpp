// The team and the plan without Python: jobs, barriers, callers at once, resizing, sleep, and plans with hazards. Meant for
// ThreadSanitizer (scripts/sanitize thread); says what fails and ends with 1.
#include "core/team.h"

#include <stdio.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "core/plan.h"
#include "core/trial.h"

using namespace fastnn;

namespace {

#define CHECK(what)                                              \
  do {                                                           \
    if (!(what)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
      exit(1);                                                   \
    }                                                            \
  } while (0)

typedef std::mt19937 Random;

int below(Random& random, int n) { return (int)(random() % (unsigned)n); }

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// Runs f(i) in n threads at once.
template <class F>
void at_once(int n, F f) {
  std::vector<std::thread> callers;
  for (int i = 0; i < n; i++) callers.emplace_back(f, i);
  for (std::thread& t : callers) t.join();
}

// A job whose workers leave their mark: each share must be computed once, whatever the number of workers.
struct Shares {
  int nth = 0;
  int done[16] = {};

  static void run(void* context, const Worker& me) {
    Shares& self = *(Shares*)context;
    if (me.ith == 0) self.nth = me.nth;
    self.done[me.ith]++;
  }
};

void one_job(int workers) {
  Shares shares;
  team_run(Shares::run, &shares, workers, 0, 0);
  CHECK(shares.nth >= 1 && shares.nth <= workers);
  for (int i = 0; i < 16; i++) CHECK(shares.done[i] == (i < shares.nth));
}

void test_jobs() {
  for (int threads = 1; threads <= 5; threads++) {
    team_set_threads(threads);
    for (int i = 0; i < 300; i++) one_job(1 + i % 7);
  }
}

void test_workers_that_slept() {
  team_set_threads(3);
  for (int i = 0; i < 20; i++) {
    sleep_ms(i % 4);
    one_job(3);
  }
}

// A caller without patience takes most jobs back before the workers have seen them; with it, all of them come.
void test_patience() {
  team_set_threads(4);
  team_set_patience(1);
  for (int i = 0; i < 3000; i++) one_job(4);
  team_set_patience(1e9);
  Shares shares;
  team_run(Shares::run, &shares, 4, 0, 0);
  CHECK(shares.nth == 4);
}

// A short job does not wait for workers that sleep, but if such jobs follow each other, they wake them; a long job waits. With
// more workers than cores they take part even if all cores are busy.
void test_jobs_after_a_pause() {
  team_set_threads(available_cores() + 1);
  team_set_patience(kDefaultPatience);
  auto workers = [](double work) {
    Shares shares;
    team_run(Shares::run, &shares, 2, 0, work);
    CHECK(shares.done[0] == 1 && shares.done[1] == shares.nth - 1);
    return shares.nth;
  };
  workers(0);
  bool alone = false, woken = false, waited = false;
  for (int i = 0; i < 100 && !(alone && woken && waited); i++) {
    sleep_ms(10);
    alone |= workers(2e4) == 1;
    for (int calls = 0; calls < 100000 && !woken; calls++) woken = workers(2e4) == 2;
    sleep_ms(10);
    waited |= workers(1e9) == 2;
  }
  CHECK(alone && woken && waited);
  team_set_patience(1e9);
}

// A trial finds the faster number of workers, keeps it, and finds another one when that becomes faster. While the workers are
// away it asks for them in each call. It makes a single call on one worker if that is far slower.
void test_trial() {
  Trial trial;
  int slow = 0, asked = 0, lonely = 0;
  bool away = true;
  auto calls = [&](int n) {
    for (int i = 0; i < n; i++)
      trial.call(2, [&](int workers) {
        asked = workers;
        lonely += workers == 1;
        const int came = away ? 1 : workers;
        if (came == slow) std::this_thread::sleep_for(std::chrono::microseconds(200));
        return came;
      });
    return asked;
  };
  CHECK(calls(100) == 2);
  away = false;
  for (int faster : {1, 2, 1}) {
    slow = 3 - faster;
    CHECK(calls(1200) == faster);
    lonely = 0;
    CHECK(calls(1024) == faster && (faster == 1 ? lonely >= 1024 - 5 * 8 : lonely <= 5));
    Trial(trial).call(2, [&](int workers) { return asked = workers; });
    CHECK(asked == faster);
  }
}

// A caller that had to wait for most of a job works alone for a moment, then asks again.
void test_rest() {
  team_set_threads(available_cores() + 1);
  team_set_patience(1e6);  // one millisecond: long enough for workers to come
  auto late = [](void*, const Worker& me) {
    if (me.ith == 1) sleep_ms(20);
  };
  auto two_came = [] {
    Shares shares;
    team_run(Shares::run, &shares, 2, 0, 1e9);  // a long job also wakes workers
    return shares.nth == 2;
  };
  int rested = 0, back = 0;
  for (int i = 0; i < 20 || (i < 500 && !(rested && back)); i++) {  // on a busy machine, workers may not come for a while
    team_run(late, nullptr, 2, 0, 1e9);
    rested += !two_came();
    bool came = false;
    for (int tries = 0; tries < 1000 && !came; tries++) {
      sleep_ms(1);
      came = two_came();
    }
    back += came;
  }
  CHECK(rested > 0 && back > 0);
  team_set_patience(1e9);
}

// Rounds in which each thread writes its number and reads those of all, with a meeting after each.
struct Rounds {
  int marks[16] = {};
  std::atomic<int> wrong{0};

  static void run(void* context, const Worker& me) {
    Rounds& self = *(Rounds*)context;
    for (int round = 1; round <= 50; round++) {
      self.marks[me.ith] = round;
      if (me.nth > 1) fastnn_barrier_wait(me.barrier);
      for (int i = 0; i < me.nth; i++) self.wrong += self.marks[i] != round;
      if (me.nth > 1) fastnn_barrier_wait(me.barrier);
    }
  }
};

void test_barriers() {
  for (int threads = 1; threads <= 4; threads++) {
    team_set_threads(threads);
    for (int i = 0; i < 20; i++) {
      Rounds rounds;
      team_run(Rounds::run, &rounds, threads, 0, 0);
      CHECK(rounds.wrong == 0);
    }
  }
}

// A job that asks for the team from inside runs alone.
void test_nested_jobs() {
  team_set_threads(3);
  team_run(
      [](void*, const Worker&) {
        Shares inner;
        team_run(Shares::run, &inner, 3, 64, 0);
        CHECK(inner.nth == 1 && inner.done[0] == 1);
        CHECK(team_workers(1e9) == 1);
      },
      nullptr, 3, 0, 0);
}

void test_scratch() {
  team_set_threads(3);
  for (i64 bytes : {64, 100000, 1 << 22, 64})
    team_run(
        [](void* context, const Worker& me) {
          CHECK((uintptr_t)me.scratch % 64 == 0);
          i64 size = *(i64*)context;
          for (i64 i = size * me.ith / me.nth; i < size * (me.ith + 1) / me.nth; i++) me.scratch[i] = 1;
        },
        &bytes, 3, bytes, 0);
}

void test_cost_rule() {
  team_set_threads(4);
  CHECK(team_workers(0) == 1);
  CHECK(team_workers(1e9) == 4);
  team_set_threads(1);
  CHECK(team_workers(1e9) == 1);
}

// Kernels over buffers of whole numbers, which add up exactly in any order.
constexpr i64 kSize = 96;

struct Args {
  i64* y;
  const i64* x;
  i64 factor;
  i64 work;
};

double work_of(const void* args, int) { return (double)((const Args*)args)->work; }

// y = factor * x + y, each worker a piece.
void axpy(const void* args, const Worker& me) {
  const Args& a = *(const Args*)args;
  for (i64 i = kSize * me.ith / me.nth; i < kSize * (me.ith + 1) / me.nth; i++) a.y[i] = (a.factor * a.x[i] + a.y[i]) % 1000003;
}

// y = the sum of x everywhere, by way of the scratch: pieces, a meeting, then each worker adds all of them up.
i64 sum_scratch(const void*, int, int) { return kSize / 8 * sizeof(i64); }
void sum(const void* args, const Worker& me) {
  const Args& a = *(const Args*)args;
  i64* parts = (i64*)me.scratch;
  for (i64 p = me.ith; p < kSize / 8; p += me.nth) {
    parts[p] = 0;
    for (i64 i = 8 * p; i < 8 * p + 8; i++) parts[p] += a.x[i];
  }
  if (me.nth > 1) fastnn_barrier_wait(me.barrier);
  i64 total = 0;
  for (i64 p = 0; p < kSize / 8; p++) total += parts[p];
  for (i64 i = kSize * me.ith / me.nth; i < kSize * (me.ith + 1) / me.nth; i++) a.y[i] = total % 1000003;
}

// y = whether x is odd, each worker a piece: flags.
void odd(const void* args, const Worker& me) {
  const Args& a = *(const Args*)args;
  for (i64 i = kSize * me.ith / me.nth; i < kSize * (me.ith + 1) / me.nth; i++) a.y[i] = a.x[i] % 2;
}

const Kernel kOdd = {"odd", "y x factor work", {nullptr, nullptr, odd, nullptr}, nullptr, work_of};
const Kernel kAxpy = {"axpy", "y x factor work", {nullptr, nullptr, axpy, nullptr}, nullptr, work_of};
const Kernel kSum = {"sum", "y x factor work", {nullptr, nullptr, sum, nullptr}, sum_scratch, work_of};

Call make_call(const Kernel& kernel, i64* y, const i64* x, i64 factor, double work) {
  Call call = {};
  call.kernel = &kernel;
  call.dtype = kInt64;
  call.itemsize = 8;
  call.slots.resize(sizeof(Args) / 8);
  *(Args*)call.slots.data() = {y, x, factor, (i64)work};
  return call;
}

void add_call(Plan& plan, const Call& call, const i64* flag = nullptr) {
  const Args& a = *(const Args*)call.slots.data();
  plan.add(call, {{(const char*)a.y, (const char*)(a.y + kSize), true}, {(const char*)a.x, (const char*)(a.x + kSize), false}},
           flag);
}

typedef std::vector<std::vector<i64>> Buffers;

Buffers make_buffers(Random& random, int n) {
  Buffers buffers((size_t)n, std::vector<i64>(kSize));
  for (auto& buffer : buffers)
    for (i64& value : buffer) value = below(random, 1000);
  return buffers;
}

// A random program over a few buffers, so that nearly every call reads or writes what one before it wrote or read, and many have
// a flag in one of them: the plan must leave what its calls leave one by one.
void random_plan(Random& random) {
  Buffers planned = make_buffers(random, 5), expected = planned;
  Plan plan;
  std::vector<std::pair<Call, const i64*>> calls;
  for (int i = 0; i < 16; i++) {
    const Kernel& kernel = below(random, 2) ? kAxpy : below(random, 2) ? kSum : kOdd;
    size_t y = (size_t)below(random, 5), x = (y + 1 + (size_t)below(random, 4)) % 5;
    i64 factor = below(random, 9);
    double work = below(random, 3) ? 10 * team_share() : 0;
    size_t flags = (y + 1 + (size_t)below(random, 4)) % 5, at = (size_t)below(random, kSize);
    bool flagged = below(random, 2);
    add_call(plan, make_call(kernel, planned[y].data(), planned[x].data(), factor, work),
             flagged ? &planned[flags][at] : nullptr);
    calls.emplace_back(make_call(kernel, expected[y].data(), expected[x].data(), factor, work),
                       flagged ? &expected[flags][at] : nullptr);
  }
  for (i64 n : {1, 3, 0}) {
    plan.run(n);
    for (i64 step = 0; step < n; step++)
      for (const auto& [call, flag] : calls)
        if (!flag || *flag) call.run({0, 1, nullptr, thread_scratch(call.scratch(1))});
    CHECK(planned == expected);
  }
}

void test_plans() {
  Random random(1);
  for (int threads = 1; threads <= 4; threads++) {
    team_set_threads(threads);
    for (int i = 0; i < 40; i++) random_plan(random);
  }
}

// A plan that tries one worker and several runs each step once, also if the workers are away.
void test_trial_of_a_plan() {
  team_set_threads(2);
  team_set_patience(kDefaultPatience);
  Buffers b = {std::vector<i64>(kSize, 0), std::vector<i64>(kSize, 1)};
  Plan plan;
  add_call(plan, make_call(kAxpy, b[0].data(), b[1].data(), 1, 10 * team_share()));
  i64 steps = 0;
  for (i64 n : {1, 7, 500, 0, 1, 20000}) {
    plan.run(n);
    steps += n;
    CHECK(b[0] == std::vector<i64>(kSize, steps));
  }
  team_set_patience(1e9);
}

void test_barriers_of_a_plan() {
  Random random(2);
  Buffers b = make_buffers(random, 4);
  double large = 10 * team_share();
  Plan apart, chain, small, scratch;
  for (size_t i : {0, 2}) add_call(apart, make_call(kAxpy, b[i].data(), b[i + 1].data(), 1, large));
  CHECK(apart.shared() == 2 && apart.barriers() == 0);
  for (size_t i : {0, 1, 2}) add_call(chain, make_call(kAxpy, b[i + 1].data(), b[i].data(), 1, large));
  CHECK(chain.shared() == 3 && chain.barriers() == 2);
  for (size_t i : {0, 1, 2}) add_call(small, make_call(kAxpy, b[i + 1].data(), b[i].data(), 1, 0));
  CHECK(small.shared() == 0 && small.barriers() == 0);
  // Calls that have nothing in common but that one writes the other's flag.
  Plan flagged;
  add_call(flagged, make_call(kOdd, b[0].data(), b[1].data(), 1, large));
  add_call(flagged, make_call(kAxpy, b[2].data(), b[3].data(), 1, large), b[0].data());
  add_call(flagged, make_call(kOdd, b[0].data(), b[1].data(), 1, large));
  CHECK(flagged.shared() == 3 && flagged.barriers() == 2);
  // Two calls that have nothing in common but the team's scratch.
  for (size_t i : {0, 2}) add_call(scratch, make_call(kSum, b[i].data(), b[i + 1].data(), 1, large));
  CHECK(scratch.shared() == 2 && scratch.barriers() == 1);
}

void test_callers_at_once() {
  team_set_threads(3);
  at_once(4, [](int caller) {
    Random random((unsigned)caller);
    for (int i = 0; i < 60; i++) {
      one_job(1 + i % 4);
      random_plan(random);
    }
  });
}

void test_resizing_under_callers() {
  std::atomic<bool> over{false};
  std::thread resizer([&] {
    Random random(3);
    while (!over) {
      team_set_threads(1 + below(random, 4));
      sleep_ms(1);
    }
  });
  at_once(3, [](int caller) {
    Random random((unsigned)caller);
    for (int i = 0; i < 60; i++) {
      one_job(1 + i % 4);
      random_plan(random);
    }
  });
  over = true;
  resizer.join();
}

}  // namespace

int main() {
  team_set_patience(1e9);  // all workers take part, however busy the machine
  struct Test {
    const char* name;
    void (*run)();
  } tests[] = {
      {"jobs", test_jobs},
      {"workers that slept", test_workers_that_slept},
      {"patience", test_patience},
      {"jobs after a pause", test_jobs_after_a_pause},
      {"trial", test_trial},
      {"trial of a plan", test_trial_of_a_plan},
      {"rest", test_rest},
      {"barriers", test_barriers},
      {"nested jobs", test_nested_jobs},
      {"scratch", test_scratch},
      {"cost rule", test_cost_rule},
      {"plans", test_plans},
      {"barriers of a plan", test_barriers_of_a_plan},
      {"callers at once", test_callers_at_once},
      {"resizing under callers", test_resizing_under_callers},
  };
  for (const Test& test : tests) {
    auto start = std::chrono::steady_clock::now();
    test.run();
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    printf("ok  %-24s %6.2f s\n", test.name, seconds);
    fflush(stdout);
  }
}

#include "core/plan.h"

#include <algorithm>
#include <chrono>

#include "core/team.h"

namespace fastnn {
namespace {

bool conflict(const Access& a, const Access& b) { return (a.writes || b.writes) && a.begin < b.end && b.begin < a.end; }

}  // namespace

void Plan::add(const Call& call, const std::vector<Access>& accesses, const i64* flag) {
  bool shared = call.work() >= team_share();
  // Workers do not wait for each other between nodes unless there is a barrier. Two nodes need a barrier between them if they use
  // the same memory, one of them writes, and at least one is shared: two nodes of worker 0 run in order anyway. The scratch of
  // the team is also such memory, so a tag stands for it.
  static const char scratch_tag[1] = {};
  std::vector<Access> all = accesses;
  if (shared && call.scratch(1)) all.push_back({scratch_tag, scratch_tag + 1, true});
  // All workers that run the call read the flag. As an access, it is read after earlier writes and before later ones.
  if (flag) all.push_back({(const char*)flag, (const char*)(flag + 1), false});
  bool barrier = false;
  for (const Open& before : open_)
    for (const Access& now : all) barrier |= (shared || before.shared) && conflict(before, now);
  if (barrier) open_.clear();
  for (const Access& a : all) open_.push_back({a, shared});
  any_shared_ |= shared;
  work_ += call.work();
  own_scratch_ = std::max(own_scratch_, call.scratch(1));
  nodes_.push_back({call, shared, barrier, flag});
}

std::vector<double> Plan::profile(int n) const {
  std::vector<std::vector<double>> times(nodes_.size());
  for (int step = 0; step < n; step++) {
    for (size_t i = 0; i < nodes_.size(); i++) {
      const Call& call = nodes_[i].call;
      const int workers = nodes_[i].shared ? team_threads() : 1;
      const auto start = std::chrono::steady_clock::now();
      if (!nodes_[i].skipped())
        team_run([](void* c, const Worker& me) { ((const Call*)c)->run(me); }, (void*)&call, workers, call.scratch(workers),
                 call.work());
      times[i].push_back(std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count());
    }
  }
  std::vector<double> medians;
  for (auto& t : times) {
    std::nth_element(t.begin(), t.begin() + n / 2, t.end());
    medians.push_back(t[n / 2]);
  }
  return medians;
}

int Plan::shared() const {
  int n = 0;
  for (const Node& node : nodes_) n += node.shared;
  return n;
}

int Plan::barriers() const {
  int n = 0;
  for (const Node& node : nodes_) n += node.barrier;
  return n;
}

void Plan::walk(i64 n, const Worker& me) const {
  for (i64 step = 0; step < n; step++) {
    if (step && any_shared_ && me.nth > 1) fastnn_barrier_wait(me.barrier);
    for (const Node& node : nodes_) {
      if (node.barrier && me.nth > 1) fastnn_barrier_wait(me.barrier);
      if (node.shared && me.nth > 1) {
        if (!node.skipped()) node.call.run(me);
      } else if (me.ith == 0 && !node.skipped()) {
        i64 scratch = node.call.scratch(1);
        node.call.run({0, 1, nullptr, scratch ? thread_scratch(scratch) : nullptr});
      }
    }
  }
}

void Plan::run(i64 n) const {
  const int workers = any_shared_ ? team_most() : 1;
  if (own_scratch_) thread_scratch(own_scratch_);  // may throw here, but not while the team works
  if (workers == 1) return walk(n, {0, 1, nullptr, nullptr});
  i64 scratch = 0;
  for (const Node& node : nodes_)
    if (node.shared) scratch = std::max(scratch, node.call.scratch(workers));
  struct Run {
    const Plan* plan;
    i64 n;
    int workers;
  } job{this, n, 1};
  auto share = [&](int workers) {
    team_run(
        [](void* c, const Worker& me) {
          Run& run = *(Run*)c;
          if (me.ith == 0) run.workers = me.nth;
          run.plan->walk(run.n, me);
        },
        &job, workers, scratch, work_ * (double)job.n);
    return job.workers;
  };
  if (team_waits_for_all()) {
    share(workers);
    return;
  }
  constexpr double kTimedWork = 30e3;  // of a run that is timed, in nanoseconds: long compared with the start of a job
  const i64 few = std::max<i64>(1, (i64)(kTimedWork / std::max(work_, 1.0)));
  while (n > 0) {
    job.n = trial_.times_next() ? std::min(few, n) : n;
    n -= job.n;
    trial_.call(workers, share, job.n);
  }
}

}  // namespace fastnn

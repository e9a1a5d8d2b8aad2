// A recorded list of kernel calls. One call from Python runs the list once or many times.
#pragma once
#include <stddef.h>

#include <vector>

#include "core/call.h"
#include "core/trial.h"

namespace fastnn {

class Plan {
 public:
  // Adds a call. `accesses` lists the memory that it uses. The call is skipped in a run if *flag is 0 at that time; null: never.
  void add(const Call& call, const std::vector<Access>& accesses, const i64* flag = nullptr);
  // Runs the list n times: on all workers if any call is shared and they make it faster, otherwise on the caller alone.
  void run(i64 n) const;
  // Runs the list n times, each call separately; returns the median nanoseconds of each call.
  std::vector<double> profile(int n) const;
  size_t size() const { return nodes_.size(); }
  // The number of calls that all workers share, and the number of barriers between calls.
  int shared() const;
  int barriers() const;

 private:
  struct Node {
    Call call;
    bool shared;   // all workers share it; otherwise worker 0 runs it
    bool barrier;  // all workers wait for each other before it, even if it is skipped
    const i64* flag;
    bool skipped() const { return flag && !*flag; }
  };
  struct Open : Access {
    bool shared;
  };

  void walk(i64 n, const Worker& me) const;

  std::vector<Node> nodes_;
  std::vector<Open> open_;  // memory that the nodes since the last barrier use
  bool any_shared_ = false;
  double work_ = 0;      // of all nodes
  i64 own_scratch_ = 0;  // largest scratch of a node that one worker runs
  mutable Trial trial_;
};

}  // namespace fastnn

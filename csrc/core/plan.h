// A recorded list of kernel calls that runs in one call, many times over.
#pragma once
#include <stddef.h>

#include <vector>

#include "core/call.h"

namespace fastnn {

class Plan {
 public:
  // flag: where it is 0 when the call's turn comes, the call is skipped; null: never.
  void add(const Call& call, const std::vector<Access>& accesses, const i64* flag = nullptr);
  // Runs the list n times, on as many workers as its largest call is worth.
  void run(i64 n) const;
  // Runs the list n times, each call by itself; the median nanoseconds of each call.
  std::vector<double> profile(int n) const;
  size_t size() const { return nodes_.size(); }
  // How many calls are shared by the workers, and how many of the meeting points between calls there are.
  int shared() const;
  int barriers() const;

 private:
  struct Node {
    Call call;
    bool shared;   // by all workers; the others run on worker 0
    bool barrier;  // all workers meet before it, skipped or not
    const i64* flag;
    bool skipped() const { return flag && !*flag; }
  };
  struct Open : Access {
    bool shared;
  };

  void walk(i64 n, const Worker& me) const;

  std::vector<Node> nodes_;
  std::vector<Open> open_;  // what the nodes since the last barrier touch
  bool any_shared_ = false;
  double work_ = 0;      // of all nodes
  i64 own_scratch_ = 0;  // the most that a node needs which one worker runs
};

}  // namespace fastnn

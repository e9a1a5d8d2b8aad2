// A model frozen for one shape of its inputs: recorded kernel calls with a separate arena. Python runs them without the layers
// of the model.
#pragma once
#include <atomic>
#include <vector>

#include "core/call.h"
#include "core/trial.h"

namespace fastnn {

// The calls of one forward pass. Any number of threads may run it at a time: each takes an arena from the pool, or makes one.
class Frozen {
 public:
  struct Extent {
    u64 begin, end;
  };

  // ports: the inputs, then the outputs of the recording. intermediates: the arrays between them. weights: the weights, which may
  // be replaced later. The addresses of all other arrays are constant.
  // pack: for each call, whether each of its weights may be packed now. Ports and intermediates are never packed.
  Frozen(std::vector<Call> calls, const std::vector<Extent>& ports, const std::vector<Extent>& intermediates,
         const std::vector<Extent>& weights, const std::vector<std::vector<bool>>& pack);
  // Copies the calls and sets the addresses of the weights.
  Frozen(const Frozen& from, char* const* weights);
  ~Frozen();
  // Runs the calls with the ports at these addresses.
  void run(char* const* ports);
  double work() const { return work_; }
  // The number of this process: 1, and one more after each fork.
  static unsigned process();
  static void count_forks();

 private:
  // A slot with an address that changes. Calls are recorded once, with the addresses of that time. A later run has other inputs
  // and outputs, each thread has another arena, and another set of weights may be used. So the constructor lists all slots that
  // point into such memory, and the offset in it; `place` is the index of the port or weight. Before a run, the new base address
  // plus the offset is written to the slot.
  struct Patch {
    int call, slot, place;
    i64 offset;
  };
  struct Instance {
    std::vector<Call> calls;
    char* arena;
    Instance* next;
  };

  // Returns whether the workers share a call; otherwise the first one runs it.
  bool shared(size_t call) const;
  void walk(const Instance& instance, const Worker& me) const;
  Instance* take();
  void give_back(Instance* instance);
  void lock();
  void unlock() { locked_by_.store(0, std::memory_order_release); }

  struct Pack {
    int call, weight;
  };
  void pack_weights();

  std::vector<Call> calls_;
  std::vector<char*> packed_;
  std::vector<Pack> packs_;  // the weights that are packed
  std::vector<Patch> arena_patches_, port_patches_, weight_patches_;
  i64 arena_bytes_ = 0, scratch_ = 0;
  std::vector<double> works_;  // nanoseconds of each call on one worker
  double work_ = 0;            // and of all
  Trial trial_;
  Instance* pool_ = nullptr;
  std::atomic<unsigned> locked_by_{0};  // number of the process that locks the pool; 0 if it is free
};

}  // namespace fastnn

// A model frozen for one shape of its inputs: its recorded calls on an arena of their own, callable from Python past everything
// else.
#pragma once
#include <atomic>
#include <vector>

#include "core/call.h"

namespace fastnn {

// The calls of one forward pass. Any number of threads may run it: each takes an arena from the pool, or makes one.
class Frozen {
 public:
  struct Extent {
    u64 begin, end;
  };

  // ports are the inputs and then the outputs that the recording used, intermediates the arrays between them, and weights those
  // that others may take the place of; everything else the calls point to stays where it is.
  // pack: for each call, whether each of its weights may be packed now, if it is no port or intermediate.
  Frozen(std::vector<Call> calls, const std::vector<Extent>& ports, const std::vector<Extent>& intermediates,
         const std::vector<Extent>& weights, const std::vector<std::vector<bool>>& pack);
  // The same calls, with the weights at these addresses.
  Frozen(const Frozen& from, char* const* weights);
  ~Frozen();
  // Runs the calls with these addresses of the ports.
  void run(char* const* ports);
  double work() const { return work_; }
  // The number of processes from the first one to this, which forks count.
  static unsigned process();
  static void count_forks();

 private:
  // A slot that holds an address which is not the same in each run (at a port, in the arena), or for each set of weights.
  struct Patch {
    int call, slot, place;
    i64 offset;
  };
  struct Instance {
    std::vector<Call> calls;
    char* arena;
    Instance* next;
  };

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
  double work_ = 0;
  Instance* pool_ = nullptr;
  std::atomic<unsigned> locked_by_{0};  // the process that holds the pool, by its number of forks; 0 where it is free
};

}  // namespace fastnn

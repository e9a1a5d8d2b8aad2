// A model frozen for one shape of its inputs: its recorded calls on an arena of their own, callable from Python past everything
// else.
#pragma once
#include <pybind11/pybind11.h>

#include <atomic>
#include <vector>

#include "binding.h"

namespace fastnn {

// The calls of one forward pass. Any number of threads may run it: each takes an arena from the pool, or makes one.
class Frozen {
 public:
  struct Extent {
    u64 begin, end;
  };

  // ports are the inputs and then the outputs that the recording used, and intermediates the arrays between them; everything else
  // the calls point to stays where it is.
  // pack: for each call, whether its weights may be packed now, if they are none of these; they are not looked at again.
  Frozen(std::vector<Call> calls, const std::vector<Extent>& ports, const std::vector<Extent>& intermediates,
         const std::vector<bool>& pack);
  ~Frozen();
  // Runs the calls with these addresses of the ports.
  void run(char* const* ports);
  double work() const { return work_; }

 private:
  // A slot that holds an address in memory which another run places elsewhere: at a port, or in the arena.
  struct Patch {
    int call, slot, port;
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

  void pack_weights(Call& call);

  std::vector<Call> calls_;
  std::vector<char*> packed_;
  std::vector<Patch> arena_patches_, port_patches_;
  i64 arena_bytes_ = 0, scratch_ = 0;
  double work_ = 0;
  Instance* pool_ = nullptr;
  std::atomic<unsigned> locked_by_{0};  // the process that holds the pool, by its number of forks; 0 where it is free
};

// Adds the type FrozenModel to the module.
void add_frozen_type(pybind11::module_& m);

}  // namespace fastnn

// A kernel call with its arguments in place: what a binding makes of Python's arguments and a plan keeps.
#pragma once
#include "kernels.h"

namespace fastnn {

constexpr int kMaxSlots = 40, kMaxArrays = 16;

// Memory that a call reads or writes.
struct Access {
  const char* begin;
  const char* end;
  bool writes;
};

// A call with its arguments in place. Holds no reference to the arrays.
struct Call {
  const Kernel* kernel;
  Dtype dtype;
  int itemsize;
  u64 slots[kMaxSlots];
  u8 packed_slot;  // where packed weights go
  int arrays;      // how many slots hold addresses, and which
  u8 array_slots[kMaxArrays];

  double work() const { return kernel->work ? kernel->work(slots, itemsize) : 0; }
  i64 scratch(int workers) const { return kernel->scratch ? kernel->scratch(slots, itemsize, workers) : 0; }
  // Bytes of packed weights, written to `to` unless that is null.
  i64 pack(void* to) const { return kernel->pack ? kernel->pack(slots, itemsize, to) : 0; }
  void run(const Worker& me) const { kernel->run[dtype](slots, me); }
};

}  // namespace fastnn

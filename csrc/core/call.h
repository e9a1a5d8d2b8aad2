// A kernel call with its arguments in place: what a binding makes of Python's arguments and a plan keeps.
#pragma once
#include <string.h>

#include <memory>

#include "core/kernels.h"

namespace fastnn {

// Memory that a call reads or writes.
struct Access {
  const char* begin;
  const char* end;
  bool writes;
};

// The fields of an argument struct, of eight bytes each: in place where they are few, as calls are made in tens of nanoseconds.
class Slots {
 public:
  Slots() = default;
  Slots(const Slots& other) { *this = other; }
  Slots& operator=(const Slots& other) {
    resize(other.size_);
    memcpy(data(), other.data(), (size_t)size_ * 8);
    return *this;
  }
  void resize(int size) {
    if (size > kNear && size > size_) far_.reset(new u64[(size_t)size]);
    size_ = size;
  }
  u64* data() { return size_ > kNear ? far_.get() : near_; }
  const u64* data() const { return size_ > kNear ? far_.get() : near_; }
  u64& operator[](int i) { return data()[i]; }
  u64 operator[](int i) const { return data()[i]; }

 private:
  static constexpr int kNear = 32;
  u64 near_[kNear];
  std::unique_ptr<u64[]> far_;
  int size_ = 0;
};

// A call with its arguments in place. Holds no reference to the arrays.
struct Call {
  const Kernel* kernel;
  Dtype dtype;
  int itemsize;
  int packed_slot;  // where packed weights go, one slot after the other
  int arrays;       // how many slots hold addresses, and which: the binding's list
  const int* array_slots;
  int weights;  // how many arguments may be packed, and their slots: the binding's list
  const int* weight_slots;
  Slots slots;

  double work() const { return kernel->work ? kernel->work(slots.data(), itemsize) : 0; }
  i64 scratch(int workers) const { return kernel->scratch ? kernel->scratch(slots.data(), itemsize, workers) : 0; }
  // Bytes of a packed weight, written to `to` unless that is null.
  i64 pack(int weight, void* to) const { return kernel->pack(slots.data(), itemsize, weight, to); }
  void run(const Worker& me) const { kernel->run[dtype](slots.data(), me); }
};

}  // namespace fastnn

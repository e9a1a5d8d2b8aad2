// A kernel call with its arguments: a binding makes it from Python's arguments, and a plan stores it.
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

// The fields of an argument struct, eight bytes each. A small number of fields is stored without an allocation, because a call
// takes only tens of nanoseconds.
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

// A call with its arguments. It holds no reference to the arrays.
struct Call {
  const Kernel* kernel;
  Dtype dtype;
  int itemsize;
  int packed_slot;  // first of the consecutive slots of packed weights
  int arrays;       // number of slots that hold addresses, and these slots: the binding's list
  const int* array_slots;
  int weights;  // number of arguments that may be packed, and their slots: the binding's list
  const int* weight_slots;
  Slots slots;

  double work() const { return kernel->work ? kernel->work(slots.data(), itemsize) : 0; }
  i64 scratch(int workers) const { return kernel->scratch ? kernel->scratch(slots.data(), itemsize, workers) : 0; }
  // Bytes of a packed weight, written to `to` unless that is null.
  i64 pack(int weight, void* to) const { return kernel->pack(slots.data(), itemsize, weight, to); }
  void run(const Worker& me) const { kernel->run[dtype](slots.data(), me); }
};

}  // namespace fastnn

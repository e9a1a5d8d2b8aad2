// The kernel contract in C++: what a kernel is given, and the table in which an ISA offers its kernels.
//
// A kernel is `void f(const Args& a, const Worker& me)`: it computes the share of worker me.ith of me.nth, and starts no
// thread, allocates nothing, prints nothing and checks nothing. Its argument struct stands beside it in the family's header;
// all fields are eight bytes (pointers, i64, double; a Function is three of them), in the order of the family's line in
// fastnn/backends/spec.
#pragma once
#include <stdint.h>

typedef int64_t i64;
typedef uint64_t u64;
typedef uint32_t u32;
typedef int32_t i32;
typedef uint16_t u16;
typedef uint8_t u8;

namespace fastnn {

// A function and its parameters: the ids are places in AllFunctions (functions.h) or AllLosses (loss_functions.h).
struct Function {
  i64 id;
  double p0, p1;
};
using Activation = Function;
using PointwiseLoss = Function;

// Meeting point of the workers of one region; see barrier_wait in team.cpp.
struct Barrier;
extern "C" void fastnn_barrier_wait(Barrier* barrier);

struct Worker {
  int ith, nth;
  Barrier* barrier;
  char* scratch;  // what the kernel's `scratch` asked for, shared by all workers, 64-byte aligned
};

// The dtypes of arrays, in the order of DTYPES in fastnn/backends/spec/dtypes.py.
// Bits of bfloat16 lie in arrays of uint16.
enum Dtype { kFloat32, kFloat64, kInt64, kBool, kUint8, kInt32, kBfloat16, kUint64, kDtypes };

struct Kernel {
  const char* name;
  const char* fields;  // the names of the argument struct's fields, compared with the spec when the kernel is bound
  void (*run[kDtypes])(const void* args, const Worker& me);  // null where the dtype is not offered
  // Bytes of scratch for these arguments and this many workers; null if none.
  i64 (*scratch)(const void* args, int itemsize, int nth);
  // Rough cost on one worker, in nanoseconds: decides one worker or all of them. Null: always one.
  double (*work)(const void* args, int itemsize);
  // Arguments that do not change while a model is frozen, by name, and bytes of the one at this position of the list in the order
  // in which the kernel reads it: written to `to` unless that is null; 0 where it is read as it is. Such a kernel has an argument
  // more after its fields for each: what was written, or null.
  i64 (*pack)(const void* args, int itemsize, int weight, void* to) = nullptr;
  const char* weights = "";
};

struct KernelTable {
  const Kernel* kernels;
  int count;
};

// The functions that an argument may choose by number: how many there are, and of activations, whether they save z.
struct FunctionList {
  int count;
  const bool* saves_z;
};

}  // namespace fastnn

// The name of an ISA's table of kernels: fastnn_<group>_<isa>. FASTNN_ISA_NAME comes from the build.
#define FASTNN_PASTE3(a, b, c) a##b##_##c
#define FASTNN_PASTE2(a, b, c) FASTNN_PASTE3(a, b, c)
#define FASTNN_TABLE(group) FASTNN_PASTE2(fastnn_, group, FASTNN_ISA_NAME)

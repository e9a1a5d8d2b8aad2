// The kernel contract in C++: the arguments of a kernel, and the table with the kernels of an ISA.
//
// A kernel is `void f(const Args& a, const Worker& me)`. It computes the share of worker me.ith of me.nth. It does not start
// threads, allocate memory, print or check arguments. Its argument struct is next to it in the family's header. All fields have
// eight bytes (pointers, i64, double; a Function counts as three), in the order of the kernel's line in fastnn/backends/spec.
#pragma once
#include <stdint.h>

typedef int64_t i64;
typedef uint64_t u64;
typedef uint32_t u32;
typedef int32_t i32;
typedef uint16_t u16;
typedef uint8_t u8;

namespace fastnn {

// A function and its parameters. The id is the position in AllFunctions (functions.h) or AllLosses (loss_functions.h).
struct Function {
  i64 id;
  double p0, p1;
};
using Activation = Function;
using PointwiseLoss = Function;

// Barrier for the workers of one job; see fastnn_barrier_wait in team.cpp.
struct Barrier;
extern "C" void fastnn_barrier_wait(Barrier* barrier);

struct Worker {
  int ith, nth;
  Barrier* barrier;
  char* scratch;  // as many bytes as the kernel's `scratch` returned, shared by all workers, 64-byte aligned
};

// The dtypes of arrays, in the order of DTYPES in fastnn/backends/spec/dtypes.py.
// The bits of bfloat16 are stored in arrays of uint16.
enum Dtype { kFloat32, kFloat64, kInt64, kBool, kUint8, kInt32, kBfloat16, kUint64, kDtypes };

struct Kernel {
  const char* name;
  const char* fields;  // the names of the argument struct's fields, compared with the spec when the kernel is bound
  void (*run[kDtypes])(const void* args, const Worker& me);  // null if the dtype is not supported
  // Returns the bytes of scratch for these arguments and this number of workers. Null: no scratch.
  i64 (*scratch)(const void* args, int itemsize, int nth);
  // Returns the rough cost on one worker in nanoseconds, which determines the number of workers. Null: always one worker.
  double (*work)(const void* args, int itemsize);
  // `weights` names the arguments that may be packed when a model is frozen. `pack` writes the argument at position `weight` of
  // this list to `to`, in the order in which the kernel reads it, and returns the bytes. It writes nothing if `to` is null, and
  // returns 0 if the kernel reads the argument unpacked. The kernel has one more argument after its fields for each: the packed
  // data, or null.
  i64 (*pack)(const void* args, int itemsize, int weight, void* to) = nullptr;
  const char* weights = "";
};

struct KernelTable {
  const Kernel* kernels;
  int count;
};

// The functions that an argument may choose by number: their number, and for activations whether each saves z.
struct FunctionList {
  int count;
  const bool* saves_z;
};

}  // namespace fastnn

// The name of an ISA's table of kernels: fastnn_<group>_<isa>. FASTNN_ISA_NAME comes from the build.
#define FASTNN_PASTE3(a, b, c) a##b##_##c
#define FASTNN_PASTE2(a, b, c) FASTNN_PASTE3(a, b, c)
#define FASTNN_TABLE(group) FASTNN_PASTE2(fastnn_, group, FASTNN_ISA_NAME)

// Runs a CUDA kernel on the CPU: block after block, the threads of a block as fibers that change places at barriers and warp
// operations. Wrong programs end with a message: barriers that not all threads reach, stray reads and writes, misaligned packs,
// indices beyond an array.

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

struct Dim {
  unsigned x, y, z;
};
extern "C" {
Dim threadIdx, blockIdx, blockDim, gridDim;
}

namespace {

constexpr unsigned MOST = 1024, WARP = 32;
constexpr size_t STACK = 64 * 1024;

enum State : uint8_t { READY, AT_WARP, AT_BARRIER, DONE };

State state[MOST];
uint32_t masks[MOST];
int operations[MOST];
uint64_t given[MOST], got[MOST];
int64_t lanes[MOST];
unsigned threads, arrived, running;
int barrier_value[MOST], barrier_count;
const void* arguments;
void (*body)(const void*);
char* stacks;
char message[512];
sigjmp_buf failed;

[[noreturn]] void fail(const char* format, ...) {
  va_list list;
  va_start(list, format);
  int n = snprintf(message, sizeof message, "block %u, thread %u: ", blockIdx.x, running);
  vsnprintf(message + n, sizeof message - n, format, list);
  va_end(list);
  siglongjmp(failed, 1);
}

#if defined(__x86_64__)

void* contexts[MOST];
void* scheduler;

extern "C" void emu_switch(void** from, void* to);
asm(R"(
  .text
  .type emu_switch, @function
emu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size emu_switch, .-emu_switch
)");

void leave() { emu_switch(&contexts[running], scheduler); }
void enter() { emu_switch(&scheduler, contexts[running]); }

void start() {
  body(arguments);
  state[running] = DONE;
  leave();
}

void prepare(unsigned thread) {
  void** top = (void**)(stacks + (thread + 1) * STACK - 64) + 1;  // a function begins 8 bytes off a multiple of 16
  top[0] = nullptr;
  top[-1] = (void*)start;
  for (int i = 2; i < 8; ++i) top[-i] = nullptr;
  contexts[thread] = top - 7;
}

#else

ucontext_t contexts[MOST], scheduler;

void leave() { swapcontext(&contexts[running], &scheduler); }
void enter() { swapcontext(&scheduler, &contexts[running]); }

void start() {
  body(arguments);
  state[running] = DONE;
  leave();
}

void prepare(unsigned thread) {
  getcontext(&contexts[thread]);
  contexts[thread].uc_stack.ss_sp = stacks + thread * STACK;
  contexts[thread].uc_stack.ss_size = STACK;
  makecontext(&contexts[thread], start, 0);
}

#endif

// What a lane reads of the values that the lanes of its warp gave; what no lane of the mask gave is a pattern that no value has.
uint64_t read_lane(unsigned warp, int64_t lane, uint32_t mask) {
  return mask >> lane & 1 ? given[warp + lane] : 0xfff5a5a5fff5a5a5ull;
}

void run_block(const unsigned* order) {
  arrived = 0;
  for (unsigned t = 0; t < threads; ++t) {
    state[t] = READY;
    prepare(t);
  }
  for (unsigned done = 0; done < threads;) {
    bool moved = false;
    for (unsigned i = 0; i < threads; ++i) {
      unsigned t = order[i];
      if (state[t] != READY) continue;
      running = t;
      threadIdx = {t % blockDim.x, 0, 0};
      enter();
      moved = true;
      done += state[t] == DONE;
    }
    if (!moved) {
      unsigned count[4] = {};
      for (unsigned t = 0; t < threads; ++t) ++count[state[t]];
      fail("stuck: %u threads wait at __syncthreads, %u for their warp, %u have returned", count[AT_BARRIER], count[AT_WARP],
           count[DONE]);
    }
  }
}

// Where the program of this address has its shared memory: thread-local variables, of which it has no others.
struct Found {
  uintptr_t address;
  char* begin;
  size_t size;
};

int find(dl_phdr_info* info, size_t, void* data) {
  Found& found = *(Found*)data;
  bool here = false;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    auto& part = info->dlpi_phdr[i];
    uintptr_t begin = info->dlpi_addr + part.p_vaddr;
    here |= part.p_type == PT_LOAD && found.address - begin < part.p_memsz;
  }
  if (!here) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i)
    if (info->dlpi_phdr[i].p_type == PT_TLS) {
      found.begin = (char*)info->dlpi_tls_data;
      found.size = info->dlpi_phdr[i].p_memsz;
    }
  return 1;
}

void on_signal(int number, siginfo_t* info, void*) {
  fail(number == SIGFPE ? "division by zero" : "touches address %p, which belongs to no array", info->si_addr);
}

uint64_t next(uint64_t& seed) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  return seed ^= seed << 17;
}

}  // namespace

extern "C" {

int emu_syncthreads(int value, int how) {
  barrier_value[running] = value;
  state[running] = AT_BARRIER;
  if (++arrived == threads) {
    arrived = barrier_count = 0;
    for (unsigned t = 0; t < threads; ++t) {
      barrier_count += barrier_value[t] != 0;
      state[t] = READY;
    }
  }
  leave();
  return how == 0 ? barrier_count : how == 1 ? barrier_count == (int)threads : barrier_count != 0;
}

// operation: 0 shuffle by lane number (the lane is computed by the caller), 1 ballot, 2 match any, 3 nothing but the barrier.
uint64_t emu_warp(uint32_t mask, uint64_t value, int64_t lane, int operation) {
  unsigned me = running, warp = me / WARP * WARP;
  if (!(mask >> (me - warp) & 1)) fail("a warp operation whose mask %#x lacks the lane itself", mask);
  given[me] = value;
  lanes[me] = lane;
  masks[me] = mask;
  operations[me] = operation;
  state[me] = AT_WARP;
  bool all = true;
  for (unsigned l = 0; l < WARP; ++l)
    if (mask >> l & 1) {
      if (warp + l >= threads) fail("a warp operation whose mask %#x has lanes beyond the block", mask);
      if (state[warp + l] != AT_WARP) {
        all = false;
      } else if (masks[warp + l] != mask || operations[warp + l] != operation) {
        fail("lanes %u and %u of a warp meet at different warp operations", me - warp, l);
      }
    }
  if (all) {
    uint64_t ballot = 0;
    for (unsigned l = 0; l < WARP; ++l)
      if (mask >> l & 1) ballot |= (uint64_t)(given[warp + l] != 0) << l;
    for (unsigned l = 0; l < WARP; ++l) {
      if (!(mask >> l & 1)) continue;
      unsigned t = warp + l;
      if (operation == 0) {
        got[t] = read_lane(warp, lanes[t], mask);
      } else if (operation == 1) {
        got[t] = ballot;
      } else {
        got[t] = 0;
        for (unsigned o = 0; o < WARP; ++o)
          if (mask >> o & 1 && given[warp + o] == given[t]) got[t] |= 1ull << o;
      }
      state[t] = READY;
    }
  }
  leave();
  return got[me];
}

// Undefined behaviour that the compiler was asked to look for; the handlers' names are its own.
void __ubsan_handle_type_mismatch_v1_abort(void*, uintptr_t address) {
  fail("an access to %#lx, which is not aligned", (unsigned long)address);
}
void __ubsan_handle_out_of_bounds_abort(void*, uintptr_t index) { fail("index %ld is beyond its array", (long)index); }
void __ubsan_handle_divrem_overflow_abort() { fail("division by zero"); }
void __ubsan_handle_shift_out_of_bounds_abort(void*, uintptr_t, uintptr_t by) { fail("a shift by %ld", (long)by); }

void emu_trap() { fail("__trap"); }

// Runs a kernel. seed 0: blocks and threads in their order; 1: the other way round; else shuffled by it.
const char* emu_launch(void (*kernel)(const void*), const void* args, unsigned blocks, unsigned size, uint64_t seed,
                       void* (*touch_shared)()) {
  static unsigned order[MOST];
  if (!stacks) stacks = (char*)mmap(nullptr, MOST * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (blocks == 0 || size == 0 || size > MOST || size % WARP) return "the size of the launch is not allowed";
  unsigned* turns = (unsigned*)malloc(blocks * sizeof(unsigned));
  for (unsigned i = 0; i < blocks; ++i) turns[i] = seed == 1 ? blocks - 1 - i : i;
  for (unsigned i = 0; i < size; ++i) order[i] = seed == 1 ? size - 1 - i : i;
  if (seed > 1) {
    for (unsigned i = blocks; i-- > 1;) {
      unsigned j = next(seed) % (i + 1), was = turns[i];
      turns[i] = turns[j], turns[j] = was;
    }
    for (unsigned i = size; i-- > 1;) {
      unsigned j = next(seed) % (i + 1), was = order[i];
      order[i] = order[j], order[j] = was;
    }
  }
  Found shared{(uintptr_t)touch_shared, nullptr, 0};
  touch_shared();
  dl_iterate_phdr(find, &shared);

  body = kernel, arguments = args, threads = size;
  blockDim = {size, 1, 1}, gridDim = {blocks, 1, 1};
  struct sigaction action{}, segv, bus, fpe;
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, &segv), sigaction(SIGBUS, &action, &bus), sigaction(SIGFPE, &action, &fpe);
  bool right = !sigsetjmp(failed, 1);
  if (right) {
    for (unsigned i = 0; i < blocks; ++i) {
      blockIdx = {turns[i], 0, 0};
      if (shared.size) memset(shared.begin, 0xff, shared.size);
      run_block(order);
    }
  }
  sigaction(SIGSEGV, &segv, nullptr), sigaction(SIGBUS, &bus, nullptr), sigaction(SIGFPE, &fpe, nullptr);
  free(turns);
  return right ? nullptr : message;
}
}

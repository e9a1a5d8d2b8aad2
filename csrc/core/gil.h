// Work without the GIL.
#pragma once
#include <Python.h>
#include <unistd.h>

namespace fastnn {

// The thread has no GIL while an object lives. A daemon thread that wants it back after the interpreter has ended is stopped by
// Python up to 3.13 with pthread_exit, which unwinds the stack: through destructors, which would abort the process, and which
// would touch Python's objects without the GIL. Here such a thread stands still until the process ends, as from Python 3.14 on.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  ~WithoutGil() {
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {  // the unwinding, as Python throws nothing; it has no object that a reference could be bound to
      for (;;) pause();
    }
  }

 private:
  PyThreadState* state_;
};

}  // namespace fastnn

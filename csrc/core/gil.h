// Work without the GIL.
#pragma once
#include <Python.h>

#include <chrono>
#include <thread>

namespace fastnn {

// Releases the GIL while an object lives. If a daemon thread asks for the GIL after the interpreter has ended, Python up to 3.13
// ends the thread with pthread_exit. This unwinds the stack and runs destructors, which would abort the process and use Python
// objects without the GIL. With this class, such a thread waits until the process ends, as in Python 3.14 and later.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  ~WithoutGil() {
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {  // only the unwinding arrives here, as Python throws nothing; it has no object to catch by reference
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }

 private:
  PyThreadState* state_;
};

}  // namespace fastnn

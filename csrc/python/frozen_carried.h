// The state that a frozen model carries from call to call.
#pragma once
#include <pybind11/numpy.h>
#include <string.h>

#include <chrono>
#include <list>
#include <thread>
#include <vector>

#include "core/frozen.h"
#include "core/gil.h"

namespace fastnn {

// Memory of a state: `front` contains the result of the last call, and the next call writes to `back`.
struct Carried {
  pybind11::object front, back;
};

// Whether the states are in use, and who waits for them, in the process with this number. Protected by the GIL.
struct Turns {
  unsigned process;
  bool taken;
  std::list<const void*> waiting;
};

// Exclusive use of the states by one call or one setting of states, in the order of arrival. Others wait without the GIL. After a
// fork, the child does not wait for threads of its parent. All states change together, under the GIL, at the end of a call.
class Carrying {
 public:
  // turns: null if the model has no states.
  explicit Carrying(Turns* turns) : turns_(turns) {
    if (!turns_) return;
    if (turns_->process != Frozen::process()) *turns_ = {Frozen::process(), false, {}};
    if (turns_->taken || !turns_->waiting.empty()) wait();
    turns_->taken = true;
  }
  ~Carrying() {
    if (turns_) turns_->taken = false;
  }
  Carrying(const Carrying&) = delete;
  Carrying& operator=(const Carrying&) = delete;

 private:
  void wait() {
    auto& waiting = turns_->waiting;
    const auto me = waiting.insert(waiting.end(), this);
    while (turns_->taken || me != waiting.begin()) {
      {
        const WithoutGil released;
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      }
      if (PyErr_CheckSignals()) {
        waiting.erase(me);
        throw pybind11::error_already_set();
      }
    }
    waiting.erase(me);
  }

  Turns* turns_;
};

inline pybind11::object zeros_like(pybind11::handle array) {
  auto like = pybind11::reinterpret_borrow<pybind11::array>(array);
  pybind11::array made(like.dtype(), std::vector<pybind11::ssize_t>(like.shape(), like.shape() + like.ndim()));
  memset(made.mutable_data(), 0, (size_t)made.nbytes());
  return made;
}

}  // namespace fastnn

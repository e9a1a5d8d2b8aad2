// What a frozen model carries from call to call.
#pragma once
#include <pybind11/numpy.h>
#include <string.h>
#include <unistd.h>

#include <list>
#include <vector>

#include "core/frozen.h"
#include "core/gil.h"

namespace fastnn {

// Memory that is carried from call to call: what the last one left, and where the next one writes.
struct Carried {
  pybind11::object front, back;
};

// Who uses what is carried, and who waits for it, in the process that has this number. Kept under the GIL.
struct Turns {
  unsigned process;
  bool taken;
  std::list<const void*> waiting;
};

// The use of what is carried by one call or setting at a time, in the order in which they came. Others wait without the GIL;
// after a fork the child waits for no thread of its parent. What is carried changes as a whole, under the GIL, when a call has
// ended.
class Carrying {
 public:
  // turns: null where nothing is carried.
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
        usleep(50);
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

// A kernel as Python calls it: its arguments are checked against the spec and laid out as the kernel's argument struct.
#pragma once
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "call.h"

namespace fastnn {

constexpr int kMaxSizes = 12;

// One argument, read from fastnn/backends/spec.py.
struct ArgSpec {
  enum Kind { kArray, kInt, kFloat, kFunction } kind;  // a function: its id and two parameters
  enum Type { kReal, kNumber, kAny, kFree, kI64, kU64, kF64, kBoolean } type;
  struct Size {
    bool flat;    // any shape with this many elements
    int symbol;   // index of the letter, or -1
    i64 literal;  // where there is no letter
  };
  std::string name;
  std::vector<Size> shape;
  bool optional, reads, writes;
  i64 functions;  // how many there are to choose from
};

class Binding {
 public:
  Binding(std::string name, std::vector<ArgSpec> args, std::vector<std::string> sizes, const std::string& slots);

  // Checks and lays out the arguments; throws TypeError or ValueError with the kernel's and the argument's name.
  void parse(PyObject* const* args, Py_ssize_t n, Call& call);
  // What the arrays of a parsed call touch.
  std::vector<Access> accesses(PyObject* const* args) const;
  const std::string& name() const { return name_; }

 private:
  const Kernel* kernel();
  [[noreturn]] void fail_type(const ArgSpec& arg, PyObject* got, const char* wanted) const;
  [[noreturn]] void fail_shape(const ArgSpec& arg, PyObject* got, const i64* sizes) const;

  std::string name_, slots_;
  std::vector<ArgSpec> args_;
  std::vector<std::string> sizes_;
  int to_ = -1;  // the argument that says which dtype the array of a dtype of its own has; without one, it has that of the others
  const Kernel* kernel_ = nullptr;
  int version_ = -1;
};

// The binding of a kernel that `bind` has bound; throws KeyError for others.
Binding& find_binding(const std::string& name);

// Runs a call on as many workers as it is worth, without the GIL where it takes long.
void run_call(const Call& call);

}  // namespace fastnn

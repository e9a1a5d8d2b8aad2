// Binding of a kernel for Python: checks the arguments against the spec and writes them into the kernel's argument struct.
#pragma once
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "core/call.h"
#include "core/formula.h"

namespace fastnn {

// One argument, read from fastnn/backends/spec.
struct ArgSpec {
  enum Kind { kArray, kInt, kFloat, kFunction } kind;  // kFunction: an id and two parameters
  // What determines the dtype of an array: a fixed name, the letter of the call, or another argument that contains its number.
  enum Type { kNamed, kLetter, kChosen } type;
  struct Size {
    bool flat;    // any shape with this many elements
    int symbol;   // index of the letter, or -1
    i64 literal;  // the size, if there is no letter
  };
  std::string name;
  std::vector<Size> shape;
  bool optional, reads, writes;
  unsigned dtypes;                   // bit i: the array may have dtype i
  std::string wanted;                // names of these dtypes
  std::string chooser;               // argument that contains the number of the dtype; empty: the letter's dtype
  i64 functions;                     // number of functions to choose from
  std::vector<std::string> choices;  // names; the int is a position in this list
  std::vector<i64> numbers;          // allowed values of an int; empty: any value
  i64 mask;                          // bits that an int may have; -1: all
};

class Binding {
 public:
  // A size that follows from other sizes: its letter, its formula as in the contract, and the formula in postfix notation.
  struct Derived {
    std::string letter, text;
    std::vector<std::string> code;
  };

  Binding(std::string name, std::vector<ArgSpec> args, std::vector<std::string> sizes, const std::string& slots,
          const std::vector<Derived>& derived);

  // Checks the arguments and writes them into `call`. Throws TypeError or ValueError with the names of kernel and argument.
  void parse(PyObject* const* args, Py_ssize_t n, Call& call);
  // Returns the memory that the arrays of a parsed call use.
  std::vector<Access> accesses(PyObject* const* args) const;
  const std::string& name() const { return name_; }

 private:
  const Kernel* kernel();
  [[noreturn]] void fail_type(const ArgSpec& arg, PyObject* got, const char* wanted) const;
  [[noreturn]] void fail_shape(const ArgSpec& arg, PyObject* got, const u64* sizes) const;
  i64 parse_int(const ArgSpec& arg, PyObject* o) const;
  Dtype parse_dtype(const ArgSpec& arg, PyObject* o, int& letter) const;
  void parse_shape(const ArgSpec& arg, PyObject* o, u64* sizes) const;
  void check_derived(u64* slots) const;
  struct Chosen {
    int arg, slot;
  };
  void check_chosen(const Chosen& chosen, PyObject* o, const u64* slots, int letter) const;

  std::string name_, slots_;
  std::vector<ArgSpec> args_;
  std::vector<std::string> sizes_;
  struct Rule {
    std::string letter, text;
    int slot;
    Formula formula;
  };
  std::vector<Rule> derived_;
  std::vector<Chosen> chosen_;     // arrays with a dtype that another argument chooses
  std::vector<int> array_slots_;   // slots that hold addresses
  std::vector<int> weight_slots_;  // slots of arguments that may be packed
  int size_slots_ = 0;             // first slot of the sizes
  const Kernel* kernel_ = nullptr;
  int version_ = -1;
};

// Returns the binding of a kernel that `bind` has bound. Throws KeyError for other names.
Binding& find_binding(const std::string& name);

// Runs a call on the best number of workers. Long calls run without the GIL.
void run_call(const Call& call);

}  // namespace fastnn

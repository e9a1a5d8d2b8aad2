// A kernel as Python calls it: its arguments are checked against the spec and laid out as the kernel's argument struct.
#pragma once
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "core/call.h"
#include "core/formula.h"

namespace fastnn {

// One argument, read from fastnn/backends/spec.
struct ArgSpec {
  enum Kind { kArray, kInt, kFloat, kFunction } kind;  // a function: its id and two parameters
  // What gives an array its dtype: its name alone, the letter of the call, or another argument, which holds its number.
  enum Type { kNamed, kLetter, kChosen } type;
  struct Size {
    bool flat;    // any shape with this many elements
    int symbol;   // index of the letter, or -1
    i64 literal;  // where there is no letter
  };
  std::string name;
  std::vector<Size> shape;
  bool optional, reads, writes;
  unsigned dtypes;                   // bit i: the array may have dtype i
  std::string wanted;                // those in words
  std::string chooser;               // the argument that holds the number of the dtype; none: it has the letter's
  i64 functions;                     // how many there are to choose from
  std::vector<std::string> choices;  // names, of which an int is a position
  std::vector<i64> numbers;          // those that an int may be; any where there are none
  i64 mask;                          // the bits that an int may have; -1: all
};

class Binding {
 public:
  // A size that follows from others: its letter, its formula as the contract has it, and as postfix.
  struct Derived {
    std::string letter, text;
    std::vector<std::string> code;
  };

  Binding(std::string name, std::vector<ArgSpec> args, std::vector<std::string> sizes, const std::string& slots,
          const std::vector<Derived>& derived);

  // Checks and lays out the arguments; throws TypeError or ValueError with the kernel's and the argument's name.
  void parse(PyObject* const* args, Py_ssize_t n, Call& call);
  // What the arrays of a parsed call touch.
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
  std::vector<Chosen> chosen_;     // arrays of a dtype of their own
  std::vector<int> array_slots_;   // the slots that hold addresses
  std::vector<int> weight_slots_;  // those of arguments that may be packed
  int size_slots_ = 0;             // where the sizes begin
  const Kernel* kernel_ = nullptr;
  int version_ = -1;
};

// The binding of a kernel that `bind` has bound; throws KeyError for others.
Binding& find_binding(const std::string& name);

// Runs a call on as many workers as it is worth, without the GIL where it takes long.
void run_call(const Call& call);

}  // namespace fastnn

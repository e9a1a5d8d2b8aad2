#include "python/binding.h"

#include <pybind11/numpy.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "core/dispatch.h"
#include "core/gil.h"
#include "core/team.h"

namespace py = pybind11;
using py::detail::npy_api;

namespace fastnn {
namespace {

constexpr int kWritable = 0x0400;      // NPY_ARRAY_WRITEABLE
constexpr double kReleaseGil = 20000;  // nanoseconds of work above which other Python threads may run

// Returns the kernels' number of an array's dtype, or -1. It reads NumPy's array struct directly, which takes a few nanoseconds.
int dtype_of(const py::detail::PyArray_Proxy* array) {
  const auto* d = py::detail::array_descriptor1_proxy(array->descr);
  if (d->byteorder == '>') return -1;
  switch (d->type_num) {
    case npy_api::NPY_FLOAT_: return kFloat32;
    case npy_api::NPY_DOUBLE_: return kFloat64;
    case npy_api::NPY_BOOL_: return kBool;
    case npy_api::NPY_UBYTE_: return kUint8;
    case npy_api::NPY_INT_: return kInt32;
    case npy_api::NPY_USHORT_: return kBfloat16;
    case npy_api::NPY_LONG_: return sizeof(long) == 8 ? (int)kInt64 : -1;
    case npy_api::NPY_LONGLONG_: return kInt64;
    case npy_api::NPY_ULONG_: return sizeof(long) == 8 ? (int)kUint64 : -1;
    case npy_api::NPY_ULONGLONG_: return kUint64;
    default: return -1;
  }
}

bool is_array(PyObject* o) {
  // No static variable here: the first get() releases the GIL while it holds the guard of the static, which can cause a deadlock.
  PyTypeObject* type = npy_api::get().PyArray_Type_;
  return Py_TYPE(o) == type || PyType_IsSubtype(Py_TYPE(o), type);
}

i64 count(const py::detail::PyArray_Proxy* a) {
  i64 n = 1;
  for (int i = 0; i < a->nd; i++) n *= a->dimensions[i];
  return n;
}

bool absent(const ArgSpec& arg, const py::detail::PyArray_Proxy* a) {
  return arg.optional && a->nd == 1 && a->dimensions[0] == 0;
}

const int kItemsize[kDtypes] = {4, 8, 8, 1, 1, 4, 2, 8};
const u64 kUnknown = ~(u64)0;  // a size that no array of the call has determined yet

u64 bits(double x) {
  u64 u;
  memcpy(&u, &x, 8);
  return u;
}

std::string shape_text(PyObject* o) { return py::str(py::handle(o).attr("shape")); }

}  // namespace

Binding::Binding(std::string name, std::vector<ArgSpec> args, std::vector<std::string> sizes, const std::string& slots,
                 const std::vector<Derived>& derived)
    : name_(std::move(name)), slots_(slots), args_(std::move(args)), sizes_(std::move(sizes)) {
  std::map<std::string, int> slot_of;
  for (const ArgSpec& a : args_) {
    slot_of[a.name] = size_slots_;
    if (a.kind == ArgSpec::kArray) array_slots_.push_back(size_slots_);
    if (a.kind == ArgSpec::kArray && a.type == ArgSpec::kChosen) chosen_.push_back({(int)(&a - args_.data()), -1});
    size_slots_ += a.kind == ArgSpec::kFunction ? 3 : 1;
  }
  for (Chosen& c : chosen_)
    if (!args_[c.arg].chooser.empty()) c.slot = slot_of.at(args_[c.arg].chooser);
  for (size_t i = 0; i < sizes_.size(); i++) slot_of[sizes_[i]] = size_slots_ + (int)i;
  for (const Derived& d : derived)
    derived_.push_back({d.letter, d.text, slot_of.at(d.letter),
                        Formula(d.code, [&](const std::string& word) { return (i64)slot_of.at(word); })});
  std::istringstream weights(kernel()->weights);
  for (std::string weight; weights >> weight;) weight_slots_.push_back(slot_of.at(weight));
}

const Kernel* Binding::kernel() {
  if (version_ != isa_version()) {
    version_ = isa_version();
    kernel_ = find_kernel(name_.c_str());
    if (!kernel_) throw py::key_error("no compiled kernel " + name_);
    if (slots_ != kernel_->fields)
      throw py::value_error("kernel " + name_ + ": compiled with fields '" + kernel_->fields + "', specified as '" + slots_ +
                            "'");
  }
  return kernel_;
}

void Binding::fail_type(const ArgSpec& arg, PyObject* got, const char* wanted) const {
  std::string what =
      is_array(got) ? "an array of dtype " + std::string(py::str(py::handle(got).attr("dtype"))) : Py_TYPE(got)->tp_name;
  throw py::type_error(name_ + ": " + arg.name + " is " + what + ", wanted " + wanted);
}

void Binding::fail_shape(const ArgSpec& arg, PyObject* got, const u64* sizes) const {
  std::string wanted;
  for (const auto& s : arg.shape) {
    wanted +=
        (wanted.empty() ? "" : ", ") + (s.symbol < 0                  ? std::to_string(s.literal)
                                        : sizes[s.symbol] != kUnknown ? sizes_[s.symbol] + " = " + std::to_string(sizes[s.symbol])
                                                                      : sizes_[s.symbol]);
    if (s.flat) wanted += " elements";
  }
  throw py::value_error(name_ + ": " + arg.name + " has shape " + shape_text(got) + ", wanted (" + wanted + ")");
}

i64 Binding::parse_int(const ArgSpec& arg, PyObject* o) const {
  const i64 value = PyLong_AsLongLong(o);
  if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
  if (!arg.choices.empty() && (value < 0 || value >= (i64)arg.choices.size())) {
    std::string wanted;
    for (size_t i = 0; i < arg.choices.size(); i++) wanted += (i ? ", " : "") + std::to_string(i) + " for " + arg.choices[i];
    throw py::value_error(name_ + ": " + arg.name + " is " + std::to_string(value) + ", wanted " + wanted);
  }
  if (!arg.numbers.empty() && std::find(arg.numbers.begin(), arg.numbers.end(), value) == arg.numbers.end())
    throw py::value_error(name_ + ": " + arg.name + " is " + std::to_string(value) + ", which it cannot be");
  if (value & ~arg.mask)
    throw py::value_error(name_ + ": " + arg.name + " is " + std::to_string(value) +
                          ", which has bits of outputs that nothing can be added to");
  return value;
}

// letter: the dtype that T, N or A means in this call; -1 before the first array with this letter.
Dtype Binding::parse_dtype(const ArgSpec& arg, PyObject* o, int& letter) const {
  const int dtype = dtype_of(py::detail::array_proxy(o));
  if (dtype < 0 || !(arg.dtypes >> dtype & 1)) fail_type(arg, o, arg.wanted.c_str());
  if (arg.type == ArgSpec::kLetter) {
    if (letter >= 0 && dtype != letter)
      fail_type(arg, o,
                letter == kFloat32   ? "float32 like the arguments before it"
                : letter == kFloat64 ? "float64 like the arguments before it"
                                     : "the dtype of the arguments before it");
    letter = dtype;
  }
  return (Dtype)dtype;
}

void Binding::parse_shape(const ArgSpec& arg, PyObject* o, u64* sizes) const {
  const auto* array = py::detail::array_proxy(o);
  if (arg.shape[0].flat) {
    u64& size = sizes[arg.shape[0].symbol];
    const u64 elements = (u64)count(array);
    if (size != kUnknown && size != elements) fail_shape(arg, o, sizes);
    size = elements;
    return;
  }
  if ((size_t)array->nd != arg.shape.size()) fail_shape(arg, o, sizes);
  for (int d = 0; d < array->nd; d++) {
    const auto& s = arg.shape[d];
    const u64 got = (u64)array->dimensions[d];
    if (s.symbol < 0) {
      if (got != (u64)s.literal) fail_shape(arg, o, sizes);
    } else {
      if (sizes[s.symbol] != kUnknown && sizes[s.symbol] != got) fail_shape(arg, o, sizes);
      sizes[s.symbol] = got;
    }
  }
}

// Checks an array with a dtype that another argument chooses, or an array that a backend made for the dtype of the others.
void Binding::check_chosen(const Chosen& chosen, PyObject* o, const u64* slots, int letter) const {
  const ArgSpec& arg = args_[chosen.arg];
  const auto* array = py::detail::array_proxy(o);
  if (absent(arg, array) || dtype_of(array) == (chosen.slot < 0 ? letter : (int)slots[chosen.slot])) return;
  fail_type(arg, o,
            chosen.slot < 0 ? "the dtype of the other arguments" : ("the dtype whose number is `" + arg.chooser + "`").c_str());
}

// Checks the sizes that follow from other sizes, and sets those that no array has determined.
void Binding::check_derived(u64* slots) const {
  for (const Rule& rule : derived_) {
    i64 wanted;
    try {
      wanted = rule.formula(slots);
    } catch (const std::domain_error&) {
      throw py::value_error(name_ + ": " + rule.letter + " = " + rule.text + " divides by 0");
    }
    if (slots[rule.slot] == kUnknown)
      slots[rule.slot] = (u64)wanted;
    else if ((i64)slots[rule.slot] != wanted)
      throw py::value_error(name_ + ": the arrays have " + rule.letter + " = " + std::to_string(slots[rule.slot]) + ", wanted " +
                            rule.text + " = " + std::to_string(wanted));
  }
}

void Binding::parse(PyObject* const* args, Py_ssize_t n, Call& call) {
  if ((size_t)n != args_.size())
    throw py::type_error(name_ + ": " + std::to_string(n) + " arguments, wanted " + std::to_string(args_.size()));
  call.kernel = kernel();
  call.packed_slot = size_slots_ + (int)sizes_.size();
  call.weights = (int)weight_slots_.size();
  call.weight_slots = weight_slots_.data();
  call.slots.resize(call.packed_slot + call.weights);
  call.arrays = (int)array_slots_.size();
  call.array_slots = array_slots_.data();
  u64 *slots = call.slots.data(), *sizes = slots + size_slots_;
  int letter = -1, slot = 0;
  for (size_t i = 0; i < sizes_.size(); i++) sizes[i] = kUnknown;

  for (Py_ssize_t i = 0; i < n; i++) {
    const ArgSpec& arg = args_[i];
    PyObject* o = args[i];
    if (arg.kind == ArgSpec::kInt) {
      slots[slot++] = (u64)parse_int(arg, o);
      continue;
    }
    if (arg.kind == ArgSpec::kFloat) {
      double value = PyFloat_AsDouble(o);
      if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
      slots[slot++] = bits(value);
      continue;
    }
    if (arg.kind == ArgSpec::kFunction) {
      if (!PyTuple_Check(o) || PyTuple_GET_SIZE(o) != 3) fail_type(arg, o, "a function and its two parameters");
      i64 id = PyLong_AsLongLong(PyTuple_GET_ITEM(o, 0));
      double p0 = PyFloat_AsDouble(PyTuple_GET_ITEM(o, 1)), p1 = PyFloat_AsDouble(PyTuple_GET_ITEM(o, 2));
      if (PyErr_Occurred()) throw py::error_already_set();
      if (id < 0 || id >= arg.functions)
        throw py::value_error(name_ + ": " + arg.name + " is function " + std::to_string(id) + ", but there are " +
                              std::to_string(arg.functions));
      slots[slot++] = (u64)id;
      slots[slot++] = bits(p0);
      slots[slot++] = bits(p1);
      continue;
    }

    if (!is_array(o)) fail_type(arg, o, "a numpy array");
    const auto* array = py::detail::array_proxy(o);
    if (absent(arg, array)) {
      slots[slot++] = 0;
      continue;
    }
    constexpr int kLayout = npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_;
    if ((array->flags & kLayout) != kLayout)
      throw py::value_error(name_ + ": " + arg.name + " is not a C-contiguous, aligned array");
    if (arg.writes && !(array->flags & kWritable)) throw py::value_error(name_ + ": " + arg.name + " is read-only");
    parse_dtype(arg, o, letter);
    parse_shape(arg, o, sizes);
    slots[slot++] = (u64)array->data;
  }
  for (const Chosen& c : chosen_) check_chosen(c, args[c.arg], slots, letter);
  if (!derived_.empty()) check_derived(slots);
  for (size_t i = 0; i < sizes_.size(); i++)
    if (sizes[i] == kUnknown) sizes[i] = 0;
  for (int i = 0; i < call.weights; i++) slots[call.packed_slot + i] = 0;  // not packed
  call.dtype = letter < 0 ? kFloat32 : (Dtype)letter;
  call.itemsize = kItemsize[call.dtype];
  if (!call.kernel->run[call.dtype]) throw py::type_error(name_ + ": not offered for this dtype");
}

std::vector<Access> Binding::accesses(PyObject* const* args) const {
  std::vector<Access> result;
  for (size_t i = 0; i < args_.size(); i++) {
    if (args_[i].kind != ArgSpec::kArray) continue;
    const auto* array = py::detail::array_proxy(args[i]);
    i64 bytes = count(array) * py::cast<i64>(py::handle(args[i]).attr("itemsize"));
    if (bytes) result.push_back({array->data, array->data + bytes, args_[i].writes});
  }
  return result;
}

void run_call(const Call& call) {
  double work = call.work();
  int workers = team_workers(work);
  i64 scratch = call.scratch(workers);
  auto run = [&] {
    team_run([](void* c, const Worker& me) { ((const Call*)c)->run(me); }, (void*)&call, workers, scratch, work);
  };
  if (work < kReleaseGil) {
    run();
  } else {
    const WithoutGil released;
    run();
  }
}

}  // namespace fastnn

#include "binding.h"

#include <pybind11/numpy.h>
#include <string.h>

#include "dispatch.h"
#include "gil.h"
#include "team.h"

namespace py = pybind11;
using py::detail::npy_api;

namespace fastnn {
namespace {

constexpr int kWritable = 0x0400;      // NPY_ARRAY_WRITEABLE
constexpr double kReleaseGil = 20000;  // nanoseconds of work above which other Python threads may run

// The dtype as the kernels number them, or -1; reads NumPy's array struct directly, which takes a few nanoseconds.
int dtype_of(const py::detail::PyArray_Proxy* array) {
  const auto* d = py::detail::array_descriptor1_proxy(array->descr);
  if (d->byteorder == '>') return -1;
  switch (d->type_num) {
    case npy_api::NPY_FLOAT_: return kFloat32;
    case npy_api::NPY_DOUBLE_: return kFloat64;
    case npy_api::NPY_BOOL_: return kBool;
    case npy_api::NPY_LONG_: return sizeof(long) == 8 ? (int)kInt64 : -1;
    case npy_api::NPY_LONGLONG_: return kInt64;
    default: return -1;
  }
}

bool is_u64(const py::detail::PyArray_Proxy* array) {
  const auto* d = py::detail::array_descriptor1_proxy(array->descr);
  return d->byteorder != '>' &&
         (d->type_num == npy_api::NPY_ULONGLONG_ || (d->type_num == npy_api::NPY_ULONG_ && sizeof(long) == 8));
}

bool is_array(PyObject* o) {
  // No static of our own: its guard would be held while the first get() lets go of the GIL, and two threads wait for each other.
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

const int kItemsize[kDtypes] = {4, 8, 8, 1};

u64 bits(double x) {
  u64 u;
  memcpy(&u, &x, 8);
  return u;
}

std::string shape_text(PyObject* o) { return py::str(py::handle(o).attr("shape")); }

void count_slots(const std::vector<ArgSpec>& args, size_t sizes, const std::string& name) {
  size_t slots = sizes, arrays = 0;
  for (const ArgSpec& a : args) {
    slots += a.kind == ArgSpec::kFunction ? 3 : 1;
    arrays += a.kind == ArgSpec::kArray;
  }
  if (slots >= kMaxSlots || arrays > kMaxArrays || sizes > kMaxSizes)
    throw py::value_error("kernel " + name + " has too many arguments");
}

}  // namespace

Binding::Binding(std::string name, std::vector<ArgSpec> args, std::vector<std::string> sizes, const std::string& slots)
    : name_(std::move(name)), slots_(slots), args_(std::move(args)), sizes_(std::move(sizes)) {
  count_slots(args_, sizes_.size(), name_);
  for (size_t i = 0; i < args_.size(); i++)
    if (args_[i].kind == ArgSpec::kInt && args_[i].name == "to") to_ = (int)i;
  kernel();
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

void Binding::fail_shape(const ArgSpec& arg, PyObject* got, const i64* sizes) const {
  std::string wanted;
  for (const auto& s : arg.shape) {
    wanted += (wanted.empty() ? "" : ", ") + (s.symbol < 0           ? std::to_string(s.literal)
                                              : sizes[s.symbol] >= 0 ? sizes_[s.symbol] + " = " + std::to_string(sizes[s.symbol])
                                                                     : sizes_[s.symbol]);
    if (s.flat) wanted += " elements";
  }
  throw py::value_error(name_ + ": " + arg.name + " has shape " + shape_text(got) + ", wanted (" + wanted + ")");
}

void Binding::parse(PyObject* const* args, Py_ssize_t n, Call& call) {
  if ((size_t)n != args_.size())
    throw py::type_error(name_ + ": " + std::to_string(n) + " arguments, wanted " + std::to_string(args_.size()));
  call.kernel = kernel();
  int common = -1;                 // the dtype that T, N and A stand for in this call
  int free = -1, free_dtype = -1;  // the array that has a dtype of its own
  i64 to = -1;
  int slot = 0;
  call.arrays = 0;
  i64 sizes[kMaxSizes];
  for (size_t i = 0; i < sizes_.size(); i++) sizes[i] = -1;

  for (Py_ssize_t i = 0; i < n; i++) {
    const ArgSpec& arg = args_[i];
    PyObject* o = args[i];
    if (arg.kind == ArgSpec::kInt) {
      i64 value = PyLong_AsLongLong(o);
      if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
      call.slots[slot++] = (u64)value;
      if (i == to_) to = value;
      continue;
    }
    if (arg.kind == ArgSpec::kFloat) {
      double value = PyFloat_AsDouble(o);
      if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
      call.slots[slot++] = bits(value);
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
      call.slots[slot++] = (u64)id;
      call.slots[slot++] = bits(p0);
      call.slots[slot++] = bits(p1);
      continue;
    }

    if (!is_array(o)) fail_type(arg, o, "a numpy array");
    const auto* array = py::detail::array_proxy(o);
    if (absent(arg, array)) {
      call.array_slots[call.arrays++] = (u8)slot;
      call.slots[slot++] = 0;
      continue;
    }
    constexpr int kLayout = npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_;
    if ((array->flags & kLayout) != kLayout)
      throw py::value_error(name_ + ": " + arg.name + " is not a C-contiguous, aligned array");
    if (arg.writes && !(array->flags & kWritable)) throw py::value_error(name_ + ": " + arg.name + " is read-only");
    int dtype = dtype_of(array);
    switch (arg.type) {
      case ArgSpec::kReal:
      case ArgSpec::kNumber:
      case ArgSpec::kAny:
        if (dtype < 0 || (arg.type == ArgSpec::kReal && dtype > kFloat64) || (arg.type == ArgSpec::kNumber && dtype > kInt64))
          fail_type(arg, o, arg.type == ArgSpec::kReal ? "float32 or float64" : "float32, float64, int64 or bool");
        if (common >= 0 && dtype != common)
          fail_type(arg, o,
                    common == kFloat32   ? "float32 like the arguments before it"
                    : common == kFloat64 ? "float64 like the arguments before it"
                                         : "the dtype of the arguments before it");
        common = dtype;
        break;
      case ArgSpec::kI64:
        if (dtype != kInt64) fail_type(arg, o, "int64");
        break;
      case ArgSpec::kF64:
        if (dtype != kFloat64) fail_type(arg, o, "float64");
        break;
      case ArgSpec::kBoolean:
        if (dtype != kBool) fail_type(arg, o, "bool");
        break;
      case ArgSpec::kU64:
        if (!is_u64(array)) fail_type(arg, o, "uint64");
        break;
      case ArgSpec::kFree:
        if (dtype < 0) fail_type(arg, o, "float32, float64, int64 or bool");
        free = (int)i;
        free_dtype = dtype;
        break;
    }
    if (arg.shape[0].flat) {
      i64& size = sizes[arg.shape[0].symbol];
      i64 elements = count(array);
      if (size >= 0 && size != elements) fail_shape(arg, o, sizes);
      size = elements;
    } else {
      if ((size_t)array->nd != arg.shape.size()) fail_shape(arg, o, sizes);
      for (int d = 0; d < array->nd; d++) {
        const auto& s = arg.shape[d];
        i64 got = array->dimensions[d];
        if (s.symbol < 0) {
          if (got != s.literal) fail_shape(arg, o, sizes);
        } else {
          if (sizes[s.symbol] >= 0 && sizes[s.symbol] != got) fail_shape(arg, o, sizes);
          sizes[s.symbol] = got;
        }
      }
    }
    call.array_slots[call.arrays++] = (u8)slot;
    call.slots[slot++] = (u64)array->data;
  }
  if (free >= 0 && free_dtype != (to_ < 0 ? common : to))
    fail_type(args_[free], args[free], to_ < 0 ? "the dtype of the other arguments" : "the dtype whose number is `to`");
  for (size_t i = 0; i < sizes_.size(); i++) call.slots[slot++] = sizes[i] < 0 ? 0 : (u64)sizes[i];
  call.slots[slot] = 0;  // weights are not packed
  call.packed_slot = (u8)slot;
  call.dtype = common < 0 ? kFloat32 : (Dtype)common;
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

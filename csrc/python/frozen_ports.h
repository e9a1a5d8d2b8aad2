// The inputs and outputs of a frozen model, and the arrays of one call.
#pragma once
#include <pybind11/numpy.h>

#include <memory>
#include <vector>

namespace fastnn {

using NumpyArray = pybind11::detail::PyArray_Proxy;

inline char* data_of(pybind11::handle array) { return (char*)pybind11::detail::array_proxy(array.ptr())->data; }

// Required shape and dtype of an input or output. For one sample without the batch axis, the first size is left out.
struct Port {
  PyObject* descr;
  int type;
  std::vector<Py_ssize_t> shape;
};

// References to the arrays of one call, in the order of the ports.
class Held {
 public:
  explicit Held(int n) : n_(n), more_(n > kFew ? new PyObject*[n] : nullptr), at_(more_ ? more_.get() : few_) {
    for (int i = 0; i < n_; i++) at_[i] = nullptr;
  }
  ~Held() {
    for (int i = 0; i < n_; i++) Py_XDECREF(at_[i]);
  }
  PyObject*& operator[](int i) { return at_[i]; }

 private:
  static constexpr int kFew = 8;
  int n_;
  PyObject* few_[kFew];
  std::unique_ptr<PyObject*[]> more_;
  PyObject** at_;
};

// Returns the type number of a dtype. The 64-bit integer types have the same number.
inline int type_of(const void* descr) {
  const int type = pybind11::detail::array_descriptor1_proxy((PyObject*)descr)->type_num;
  return type == pybind11::detail::npy_api::NPY_LONGLONG_ && sizeof(long) == 8 ? (int)pybind11::detail::npy_api::NPY_LONG_ : type;
}

// Returns whether an object is an array that fits this port; writable: the array must be writable, too.
inline bool fits(const Port& port, PyObject* o, bool single, bool writable) {
  // No static variable here: the first get() releases the GIL while it holds the guard of the static, which can cause a deadlock.
  PyTypeObject* type = pybind11::detail::npy_api::get().PyArray_Type_;
  if (Py_TYPE(o) != type) return false;
  const NumpyArray* a = pybind11::detail::array_proxy(o);
  const int need = pybind11::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | pybind11::detail::npy_api::NPY_ARRAY_ALIGNED_ |
                   (writable ? 0x0400 : 0);
  const int skip = single ? 1 : 0, dims = (int)port.shape.size() - skip;
  if (a->nd != dims || (a->flags & need) != need || type_of(a->descr) != port.type ||
      pybind11::detail::array_descriptor1_proxy(a->descr)->byteorder == '>')
    return false;
  for (int i = 0; i < dims; i++)
    if (a->dimensions[i] != port.shape[skip + i]) return false;
  return true;
}

}  // namespace fastnn

#include "frozen.h"

#include <pybind11/numpy.h>
#include <stdlib.h>
#include <structmember.h>

#include <memory>
#include <new>
#include <string>

#include "team.h"

namespace py = pybind11;
using py::detail::npy_api;

namespace fastnn {

Frozen::Frozen(std::vector<Call> calls, Extent input, Extent output, const std::vector<Extent>& intermediates, bool pack)
    : calls_(std::move(calls)) {
  std::vector<i64> places;
  for (const Extent& e : intermediates) {
    places.push_back(arena_bytes_);
    arena_bytes_ += ((i64)(e.end - e.begin) + 63) / 64 * 64;
  }
  auto inside = [](u64 address, const Extent& e) { return address >= e.begin && address < e.end; };
  for (int c = 0; c < (int)calls_.size(); c++) {
    Call& call = calls_[c];
    bool fixed = true;  // the weights are the same in every run
    work_ += call.work();
    if (call.scratch(1) > scratch_) scratch_ = call.scratch(1);
    for (int s = 0; s < call.arrays; s++) {
      const u64 address = call.slots[call.array_slots[s]];
      const int slot = call.array_slots[s];
      const size_t patches = call_patches_.size() + arena_patches_.size();
      if (inside(address, input)) {
        call_patches_.push_back({c, slot, Patch::kInput, (i64)(address - input.begin)});
      } else if (inside(address, output)) {
        call_patches_.push_back({c, slot, Patch::kOutput, (i64)(address - output.begin)});
      } else {
        for (size_t i = 0; i < intermediates.size(); i++)
          if (inside(address, intermediates[i]))
            arena_patches_.push_back({c, slot, Patch::kArena, places[i] + (i64)(address - intermediates[i].begin)});
      }
      if (slot == call.kernel->weights && call_patches_.size() + arena_patches_.size() > patches) fixed = false;
    }
    if (pack && fixed) pack_weights(call);
  }
}

void Frozen::pack_weights(Call& call) {
  const i64 bytes = call.pack(nullptr);
  if (!bytes) return;
  char* memory = allocate(bytes);
  packed_.push_back(memory);
  call.pack(memory);
  call.slots[call.packed_slot] = (u64)memory;
}

Frozen::~Frozen() {
  for (char* memory : packed_) free(memory);
  while (pool_) {
    Instance* next = pool_->next;
    free(pool_->arena);
    delete pool_;
    pool_ = next;
  }
}

Frozen::Instance* Frozen::take() {
  while (locked_.test_and_set(std::memory_order_acquire)) {
  }
  Instance* instance = pool_;
  if (instance) pool_ = instance->next;
  locked_.clear(std::memory_order_release);
  if (instance) return instance;
  std::unique_ptr<Instance> fresh(new Instance{calls_, nullptr, nullptr});
  fresh->arena = allocate(arena_bytes_ + scratch_ + 64);
  for (const Patch& p : arena_patches_) fresh->calls[p.call].slots[p.slot] = (u64)(fresh->arena + p.offset);
  return fresh.release();
}

void Frozen::give_back(Instance* instance) {
  while (locked_.test_and_set(std::memory_order_acquire)) {
  }
  instance->next = pool_;
  pool_ = instance;
  locked_.clear(std::memory_order_release);
}

void Frozen::run(const void* input, void* output) {
  Instance* me = take();
  for (const Patch& p : call_patches_)
    me->calls[p.call].slots[p.slot] = (u64)((p.where == Patch::kInput ? (char*)input : (char*)output) + p.offset);
  const Worker alone{0, 1, nullptr, me->arena + arena_bytes_};
  const bool small = work_ < 2 * team_share();
  for (const Call& call : me->calls) {
    const double work = small ? 0 : call.work();
    const int workers = small ? 1 : team_workers(work);
    if (workers == 1)
      call.run(alone);
    else
      team_run([](void* c, const Worker& w) { ((const Call*)c)->run(w); }, (void*)&call, workers, call.scratch(workers), work);
  }
  give_back(me);
}

namespace {

constexpr double kReleaseGil = 20000;  // nanoseconds of work from which other Python threads may run

// The Python object. A call with an array of the right shape, dtype and layout goes straight to the kernels.
struct FrozenModel {
  PyObject_HEAD vectorcallfunc vectorcall;
  Frozen* frozen;
  PyObject* arrays;   // what the calls point into
  PyObject* descr;    // dtype of input and output
  PyObject* convert;  // function(x) -> array of the right shape, or an error that says what is wrong
  PyObject* reduced;  // what pickling gives
  PyObject* batch_size;
  int dtype;
  int in_dims, out_dims;
  Py_ssize_t in_shape[8], out_shape[8];
};

using Array = py::detail::PyArray_Proxy;

bool fits(const FrozenModel* self, PyObject* o, int dims, const Py_ssize_t* shape, bool writable) {
  // No static of our own: its guard would be held while the first get() lets go of the GIL, and two threads wait for each other.
  PyTypeObject* type = npy_api::get().PyArray_Type_;
  if (Py_TYPE(o) != type) return false;
  const Array* a = py::detail::array_proxy(o);
  const int need = npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_ | (writable ? 0x0400 : 0);
  const auto* d = py::detail::array_descriptor1_proxy(a->descr);
  if (a->nd != dims || (a->flags & need) != need || d->type_num != self->dtype || d->byteorder == '>') return false;
  for (int i = 0; i < dims; i++)
    if (a->dimensions[i] != shape[i]) return false;
  return true;
}

PyObject* call_frozen(PyObject* callable, PyObject* const* args, size_t flags, PyObject* names) {
  auto* self = (FrozenModel*)callable;
  const Py_ssize_t n = PyVectorcall_NARGS(flags), named = names ? PyTuple_GET_SIZE(names) : 0;
  PyObject* out = nullptr;
  for (Py_ssize_t i = 0; i < named; i++) {
    if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), "out") != 0) {
      PyErr_Format(PyExc_TypeError, "frozen model: unknown argument %R; there are x and out", PyTuple_GET_ITEM(names, i));
      return nullptr;
    }
    out = args[n + i];
  }
  if (n != 1) {
    PyErr_Format(PyExc_TypeError, "frozen model: %zd arguments came, wanted x (and out=)", n);
    return nullptr;
  }
  try {
    py::object input = py::reinterpret_borrow<py::object>(args[0]);
    // One sample may come without the dimension of the batch; then so does the output.
    const bool single = self->in_shape[0] == 1 && fits(self, args[0], self->in_dims - 1, self->in_shape + 1, false);
    if (!single && !fits(self, args[0], self->in_dims, self->in_shape, false)) {
      input = py::reinterpret_steal<py::object>(PyObject_CallOneArg(self->convert, args[0]));
      if (!input) return nullptr;
    }
    const int skip = single && self->out_shape[0] == 1 ? 1 : 0;
    py::object output;
    if (out && out != Py_None) {
      if (!fits(self, out, self->out_dims - skip, self->out_shape + skip, true)) {
        PyErr_SetString(PyExc_ValueError, "frozen model: out has not the output's shape, dtype and layout, or is read-only");
        return nullptr;
      }
      output = py::reinterpret_borrow<py::object>(out);
    } else {
      auto& api = npy_api::get();
      Py_INCREF(self->descr);
      output = py::reinterpret_steal<py::object>(api.PyArray_NewFromDescr_(api.PyArray_Type_, self->descr, self->out_dims - skip,
                                                                           (const Py_intptr_t*)(self->out_shape + skip), nullptr,
                                                                           nullptr, 0, nullptr));
      if (!output) return nullptr;
    }
    const void* from = py::detail::array_proxy(input.ptr())->data;
    void* to = py::detail::array_proxy(output.ptr())->data;
    if (self->frozen->work() < kReleaseGil) {
      self->frozen->run(from, to);
    } else {
      py::gil_scoped_release release;
      self->frozen->run(from, to);
    }
    return output.release().ptr();
  } catch (std::bad_alloc&) {
    return PyErr_NoMemory();
  }
}

void free_frozen(PyObject* object) {
  auto* self = (FrozenModel*)object;
  delete self->frozen;
  Py_XDECREF(self->arrays);
  Py_XDECREF(self->descr);
  Py_XDECREF(self->convert);
  Py_XDECREF(self->reduced);
  Py_XDECREF(self->batch_size);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyObject* reduce_frozen(PyObject* object, PyObject*) { return Py_NewRef(((FrozenModel*)object)->reduced); }

PyMethodDef kMethods[] = {{"__reduce__", reduce_frozen, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
PyMemberDef kMembers[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(FrozenModel, vectorcall), READONLY, nullptr},
                          {"batch_size", T_OBJECT_EX, offsetof(FrozenModel, batch_size), READONLY, "The samples in a call."},
                          {nullptr, 0, 0, 0, nullptr}};
PyType_Slot kSlots[] = {{Py_tp_dealloc, (void*)free_frozen},
                        {Py_tp_call, (void*)PyVectorcall_Call},
                        {Py_tp_methods, kMethods},
                        {Py_tp_members, kMembers},
                        {Py_tp_doc, (void*)"A model frozen for one shape: call it with an array, and out= for the result."},
                        {0, nullptr}};
PyType_Spec kType = {"fastnn._core.FrozenModel", sizeof(FrozenModel), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, kSlots};
PyTypeObject* frozen_type = nullptr;

Frozen::Extent extent(py::handle array) {
  const Array* a = py::detail::array_proxy(array.ptr());
  return {(u64)a->data, (u64)a->data + py::cast<u64>(array.attr("nbytes"))};
}

py::object freeze(const py::sequence& calls, py::array input, py::array output, const py::sequence& intermediates,
                  py::object convert, py::object reduced, bool pack) {
  std::vector<Call> parsed;
  for (py::handle item : calls) {
    auto pair = py::reinterpret_borrow<py::tuple>(item);
    auto args = py::reinterpret_borrow<py::tuple>(pair[1]);
    Call call;
    find_binding(py::cast<std::string>(pair[0])).parse(((PyTupleObject*)args.ptr())->ob_item, (Py_ssize_t)args.size(), call);
    parsed.push_back(call);
  }
  std::vector<Frozen::Extent> extents;
  for (py::handle a : intermediates) extents.push_back(extent(a));
  if (input.ndim() > 8 || output.ndim() > 8 || input.ndim() < 1 || output.ndim() < 1)
    throw py::value_error("freeze: input and output need 1 to 8 dimensions");
  auto frozen = std::make_unique<Frozen>(std::move(parsed), extent(input), extent(output), extents, pack);
  auto* self = PyObject_New(FrozenModel, frozen_type);
  if (!self) throw py::error_already_set();
  self->vectorcall = call_frozen;
  self->frozen = frozen.release();
  self->arrays = py::make_tuple(calls).release().ptr();
  self->descr = input.dtype().release().ptr();
  self->convert = convert.release().ptr();
  self->reduced = reduced.release().ptr();
  self->batch_size = py::int_(input.shape(0)).release().ptr();
  self->dtype = py::detail::array_descriptor1_proxy(self->descr)->type_num;
  self->in_dims = (int)input.ndim();
  self->out_dims = (int)output.ndim();
  for (int i = 0; i < self->in_dims; i++) self->in_shape[i] = input.shape(i);
  for (int i = 0; i < self->out_dims; i++) self->out_shape[i] = output.shape(i);
  return py::reinterpret_steal<py::object>((PyObject*)self);
}

}  // namespace

void add_frozen_type(py::module_& m) {
  frozen_type = (PyTypeObject*)PyType_FromSpec(&kType);
  if (!frozen_type) throw py::error_already_set();
  m.attr("FrozenModel") = py::reinterpret_borrow<py::object>((PyObject*)frozen_type);
  m.def("freeze", &freeze, py::arg("calls"), py::arg("input"), py::arg("output"), py::arg("intermediates"), py::arg("convert"),
        py::arg("reduced"), py::arg("pack"), "A FrozenModel of recorded calls between these arrays.");
}

}  // namespace fastnn

// A frozen model as a Python object.
#include "python/frozen_object.h"

#include <pybind11/numpy.h>
#include <string.h>
#include <structmember.h>

#include <memory>
#include <new>
#include <string>

#include "core/frozen.h"
#include "core/gil.h"
#include "python/binding.h"
#include "python/frozen_calls.h"
#include "python/frozen_carried.h"
#include "python/frozen_ports.h"

namespace py = pybind11;
using py::detail::npy_api;

namespace fastnn {

namespace {

constexpr double kReleaseGil = 20000;  // nanoseconds of work above which other Python threads may run

// The calls with one set of weights. Running calls keep their version when the model gets new weights. The GIL protects `users`.
struct Version {
  Frozen frozen;
  py::object arrays;  // the weights
  int users = 1;      // the model and the running calls
};

void release(Version* version) {
  if (--version->users == 0) delete version;
}

// The Python object. A call with arrays of the right shapes, dtypes and layout runs the kernels directly.
struct FrozenModel {
  PyObject_HEAD vectorcallfunc vectorcall;
  Version* version;
  std::vector<Port>* ports;  // the inputs, then the outputs, without the states
  std::vector<Carried>* carried;
  Turns* turns;  // null if the model has no states
  int inputs, outputs;
  bool alone;        // there is one output, which is returned without a tuple or dict
  PyObject* arrays;  // arrays that the calls use, besides the weights
  PyObject* checks;  // nn/ports.py: converts inputs that do not fit, and combines several outputs
  PyObject* owner;   // replay/frozen.py: returns new weights and the data for pickling; or None
  PyObject* batch_size;
};

// Runs the calls with these arrays and with the states. The caller holds references to the arrays.
void run(FrozenModel* self, Held& held) {
  struct InUse {
    Version* version;
    explicit InUse(Version* v) : version(v) { v->users++; }
    ~InUse() { release(version); }
  };
  const Carrying carrying(self->turns);
  const InUse use(self->version);
  const int carried = (int)self->carried->size(), ports = self->inputs + self->outputs + 2 * carried;
  constexpr int kFew = 8;
  char* few[kFew];
  std::unique_ptr<char*[]> more(ports > kFew ? new char*[ports] : nullptr);
  char **const at = more ? more.get() : few, **next = at;
  for (int i = 0; i < self->inputs; i++) *next++ = data_of(held[i]);
  for (const Carried& c : *self->carried) *next++ = data_of(c.front);
  for (int i = 0; i < self->outputs; i++) *next++ = data_of(held[self->inputs + i]);
  for (const Carried& c : *self->carried) *next++ = data_of(c.back);
  Frozen& frozen = use.version->frozen;
  if (frozen.work() < kReleaseGil) {
    frozen.run(at);
  } else {
    const WithoutGil released;
    frozen.run(at);
  }
  for (Carried& c : *self->carried) std::swap(c.front, c.back);
}

bool all_fit(const FrozenModel* self, PyObject* const* inputs, bool single) {
  for (int i = 0; i < self->inputs; i++) {
    const Port& port = (*self->ports)[i];
    if ((single && (port.shape.empty() || port.shape[0] != 1)) || !fits(port, inputs[i], single, false)) return false;
  }
  return true;
}

// Stores the arrays that a method of `checks` returned. Returns false, with a Python error set, if it fails.
bool place_arrays(PyObject* given, Held& held, int first, int n) {
  py::object fast = py::reinterpret_steal<py::object>(PySequence_Fast(given, "frozen model: not a sequence of arrays"));
  if (!fast) return false;
  if (PySequence_Fast_GET_SIZE(fast.ptr()) != n) {
    PyErr_SetString(PyExc_RuntimeError, "frozen model: another number of arrays");
    return false;
  }
  for (int i = 0; i < n; i++) held[first + i] = Py_NewRef(PySequence_Fast_GET_ITEM(fast.ptr(), i));
  return true;
}

// Stores the inputs of a call, converted if needed, and whether they are one sample without the batch axis.
bool take_inputs(FrozenModel* self, PyObject* const* args, Py_ssize_t n, Held& held, bool& single) {
  if (n == self->inputs) {
    single = false;
    if (all_fit(self, args, false) || (single = all_fit(self, args, true))) {
      for (int i = 0; i < self->inputs; i++) held[i] = Py_NewRef(args[i]);
      return true;
    }
  }
  py::object given = py::reinterpret_steal<py::object>(PyTuple_New(n));
  if (!given) return false;
  for (Py_ssize_t i = 0; i < n; i++) PyTuple_SET_ITEM(given.ptr(), i, Py_NewRef(args[i]));
  py::object pair = py::reinterpret_steal<py::object>(PyObject_CallMethod(self->checks, "convert", "(O)", given.ptr()));
  if (!pair) return false;
  PyObject* arrays;
  int alone;
  if (!PyArg_ParseTuple(pair.ptr(), "Op", &arrays, &alone)) return false;
  single = alone;
  if (!place_arrays(arrays, held, 0, self->inputs)) return false;
  for (int i = 0; i < self->inputs; i++)
    if (!fits((*self->ports)[i], held[i], false, false)) {
      PyErr_SetString(PyExc_RuntimeError, "frozen model: a converted array does not fit");
      return false;
    }
  return true;
}

// Stores the arrays for the outputs: those passed as `out`, or new ones.
bool take_outputs(FrozenModel* self, PyObject* out, bool single, Held& held) {
  auto& api = npy_api::get();
  const bool given = out && out != Py_None;
  if (given && self->alone) {
    held[self->inputs] = Py_NewRef(out);
  } else if (given) {
    py::object arrays = py::reinterpret_steal<py::object>(PyObject_CallMethod(self->checks, "arrays", "(O)", out));
    if (!arrays || !place_arrays(arrays.ptr(), held, self->inputs, self->outputs)) return false;
  }
  for (int i = 0; i < self->outputs; i++) {
    const Port& port = (*self->ports)[self->inputs + i];
    PyObject*& array = held[self->inputs + i];
    const bool without = single && !port.shape.empty() && port.shape[0] == 1;
    if (given) {
      if (fits(port, array, without, true)) continue;
      Py_XDECREF(PyObject_CallMethod(self->checks, "refuse", "iOi", i, array, (int)without));
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "frozen model: out does not fit");
      return false;
    }
    Py_INCREF(port.descr);
    array = api.PyArray_NewFromDescr_(api.PyArray_Type_, port.descr, (int)port.shape.size() - without,
                                      (const Py_intptr_t*)(port.shape.data() + without), nullptr, nullptr, 0, nullptr);
    if (!array) return false;
  }
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
  try {
    Held held(self->inputs + self->outputs);
    bool single = false;
    if (!take_inputs(self, args, n, held, single) || !take_outputs(self, out, single, held)) return nullptr;
    run(self, held);
    if (out && out != Py_None) return Py_NewRef(out);
    if (self->alone) return Py_NewRef(held[self->inputs]);
    py::object results = py::reinterpret_steal<py::object>(PyTuple_New(self->outputs));
    if (!results) return nullptr;
    for (int i = 0; i < self->outputs; i++) PyTuple_SET_ITEM(results.ptr(), i, Py_NewRef(held[self->inputs + i]));
    return PyObject_CallMethod(self->checks, "build", "(O)", results.ptr());
  } catch (py::error_already_set& error) {
    error.restore();
    return nullptr;
  } catch (std::bad_alloc&) {
    return PyErr_NoMemory();
  }
}

void free_frozen(PyObject* object) {
  auto* self = (FrozenModel*)object;
  release(self->version);
  delete self->carried;
  delete self->turns;
  for (Port& port : *self->ports) Py_XDECREF(port.descr);
  delete self->ports;
  Py_XDECREF(self->arrays);
  Py_XDECREF(self->checks);
  Py_XDECREF(self->owner);
  Py_XDECREF(self->batch_size);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyObject* reduce_frozen(PyObject* object, PyObject*) {
  return PyObject_CallMethod(((FrozenModel*)object)->owner, "reduce", "(O)", object);
}

PyObject* repr_frozen(PyObject* object) { return PyObject_Str(((FrozenModel*)object)->checks); }

PyObject* update_frozen(PyObject* object, PyObject* weights) {
  return PyObject_CallMethod(((FrozenModel*)object)->owner, "update", "((O)O)", object, weights);
}

PyObject* get_state(PyObject* object, void*) {
  auto* self = (FrozenModel*)object;
  try {
    py::list copies;
    {
      const Carrying carrying(self->turns);
      for (const Carried& c : *self->carried) copies.append(c.front.attr("copy")());
    }
    return PyObject_CallMethod(self->checks, "named_state", "(O)", copies.ptr());
  } catch (py::error_already_set& error) {
    error.restore();
    return nullptr;
  }
}

int set_state(PyObject* object, PyObject* value, void*) {
  auto* self = (FrozenModel*)object;
  if (!value) {
    PyErr_SetString(PyExc_AttributeError, "frozen model: the state cannot be deleted; reset() makes it 0");
    return -1;
  }
  try {
    auto given = py::reinterpret_steal<py::object>(PyObject_CallMethod(self->checks, "state_arrays", "(O)", value));
    if (!given) return -1;
    const py::list arrays(given);
    const Carrying carrying(self->turns);
    for (size_t i = 0; i < self->carried->size(); i++) (*self->carried)[i].front = arrays[i];
    return 0;
  } catch (py::error_already_set& error) {
    error.restore();
    return -1;
  }
}

PyObject* reset_frozen(PyObject* object, PyObject*) {
  auto* self = (FrozenModel*)object;
  try {
    const Carrying carrying(self->turns);
    for (Carried& c : *self->carried) memset(data_of(c.front), 0, (size_t)py::reinterpret_borrow<py::array>(c.front).nbytes());
    return Py_NewRef(Py_None);
  } catch (py::error_already_set& error) {
    error.restore();
    return nullptr;
  }
}

PyMethodDef kMethods[] = {
    {"update", update_frozen, METH_O,
     "Take the weights of a model of the same structure, or of a state_dict: calls see the old ones or the new ones."},
    {"reset", reset_frozen, METH_NOARGS, "Set the state that is carried from call to call to 0."},
    {"__reduce__", reduce_frozen, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef kGetSets[] = {
    {"state", get_state, set_state, "What is carried from call to call: arrays by the names of inputs.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMemberDef kMembers[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(FrozenModel, vectorcall), READONLY, nullptr},
                          {"batch_size", T_OBJECT_EX, offsetof(FrozenModel, batch_size), READONLY, "The samples in a call."},
                          {nullptr, 0, 0, 0, nullptr}};
PyType_Slot kSlots[] = {{Py_tp_dealloc, (void*)free_frozen},
                        {Py_tp_call, (void*)PyVectorcall_Call},
                        {Py_tp_repr, (void*)repr_frozen},
                        {Py_tp_methods, kMethods},
                        {Py_tp_members, kMembers},
                        {Py_tp_getset, kGetSets},
                        {Py_tp_doc, (void*)"A model frozen for one shape: call it with arrays, and out= for the results."},
                        {0, nullptr}};
PyType_Spec kType = {"fastnn._core.FrozenModel", sizeof(FrozenModel), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, kSlots};
PyTypeObject* frozen_type = nullptr;

py::object freeze(const py::sequence& calls, const py::sequence& inputs, const py::sequence& outputs,
                  const py::sequence& intermediates, const py::list& weights, int carried, bool alone, py::object checks,
                  py::object owner, py::object batch_size, bool pack) {
  std::vector<Frozen::Extent> extents;
  for (py::handle a : weights) extents.push_back(extent(a));
  RecordedCalls recorded(calls, extents, pack);
  std::vector<Frozen::Extent> between, at_ports;
  for (py::handle a : intermediates) between.push_back(extent(a));
  auto ports = std::make_unique<std::vector<Port>>();
  auto states = std::make_unique<std::vector<Carried>>();
  py::list descrs;  // keeps the dtypes of the ports alive until the object does
  for (const py::sequence& side : {inputs, outputs}) {
    int left = (int)side.size() - carried;
    for (py::handle item : side) {
      auto a = py::reinterpret_borrow<py::array>(item);
      at_ports.push_back(extent(a));
      if (left-- > 0) {
        descrs.append(a.dtype());
        ports->push_back({a.dtype().ptr(), type_of(a.dtype().ptr()), {a.shape(), a.shape() + a.ndim()}});
      } else if (states->size() < (size_t)carried) {
        states->push_back({zeros_like(a), zeros_like(a)});
      }
    }
  }
  std::unique_ptr<Version> version(
      new Version{{std::move(recorded.calls), at_ports, between, extents, recorded.packable}, weights});
  auto* self = PyObject_New(FrozenModel, frozen_type);
  if (!self) throw py::error_already_set();
  for (Port& port : *ports) Py_INCREF(port.descr);
  self->vectorcall = call_frozen;
  self->version = version.release();
  self->ports = ports.release();
  self->carried = states.release();
  self->turns = carried ? new Turns{Frozen::process(), false, {}} : nullptr;
  self->inputs = (int)inputs.size() - carried;
  self->outputs = (int)outputs.size() - carried;
  self->alone = alone;
  self->arrays = recorded.arrays.release().ptr();
  self->checks = checks.release().ptr();
  self->owner = owner.release().ptr();
  self->batch_size = batch_size.release().ptr();
  return py::reinterpret_steal<py::object>((PyObject*)self);
}

// Replaces the weights of frozen models by these arrays, in the same order. If memory runs out, no model changes. Other threads
// never see a partial change, because the GIL is held.
void set_weights(const py::sequence& models, const py::list& weights) {
  std::vector<char*> addresses;
  for (py::handle a : weights) addresses.push_back(data_of(a));
  std::vector<std::unique_ptr<Version>> fresh;
  for (py::handle model : models)
    fresh.emplace_back(new Version{{((FrozenModel*)model.ptr())->version->frozen, addresses.data()}, weights});
  size_t i = 0;
  for (py::handle model : models) {
    auto* self = (FrozenModel*)model.ptr();
    Version* old = self->version;
    self->version = fresh[i++].release();
    release(old);
  }
}

}  // namespace

void add_frozen_type(py::module_& m) {
  Frozen::count_forks();
  frozen_type = (PyTypeObject*)PyType_FromSpec(&kType);
  if (!frozen_type) throw py::error_already_set();
  m.attr("FrozenModel") = py::reinterpret_borrow<py::object>((PyObject*)frozen_type);
  m.def("freeze", &freeze, py::arg("calls"), py::arg("inputs"), py::arg("outputs"), py::arg("intermediates"), py::arg("weights"),
        py::arg("carried"), py::arg("alone"), py::arg("checks"), py::arg("owner"), py::arg("batch_size"), py::arg("pack"),
        "A FrozenModel of recorded calls between these arrays; so many of the last inputs and outputs are carried.");
  m.def("set_weights", &set_weights, py::arg("models"), py::arg("weights"), "Give frozen models other weights.");
}

}  // namespace fastnn

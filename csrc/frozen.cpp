#include "frozen.h"

#include <pthread.h>
#include <pybind11/numpy.h>
#include <stdlib.h>
#include <structmember.h>

#include <memory>
#include <new>
#include <string>

#include "gil.h"
#include "team.h"

namespace py = pybind11;
using py::detail::npy_api;

namespace fastnn {

namespace {

unsigned forks = 1;  // processes from the first one to this, which fork counts

// The first of these that an address lies in, or -1.
int place(u64 address, const std::vector<Frozen::Extent>& extents) {
  for (size_t i = 0; i < extents.size(); i++)
    if (address >= extents[i].begin && address < extents[i].end) return (int)i;
  return -1;
}

}  // namespace

Frozen::Frozen(std::vector<Call> calls, const std::vector<Extent>& ports, const std::vector<Extent>& intermediates,
               const std::vector<bool>& pack)
    : calls_(std::move(calls)) {
  std::vector<i64> offsets;
  for (const Extent& e : intermediates) {
    offsets.push_back(arena_bytes_);
    arena_bytes_ += ((i64)(e.end - e.begin) + 63) / 64 * 64;
  }
  for (int c = 0; c < (int)calls_.size(); c++) {
    Call& call = calls_[c];
    bool fixed = pack[c];  // the weights are the same in every run
    work_ += call.work();
    if (call.scratch(1) > scratch_) scratch_ = call.scratch(1);
    for (int s = 0; s < call.arrays; s++) {
      const int slot = call.array_slots[s];
      const u64 address = call.slots[slot];
      const int port = place(address, ports), between = port < 0 ? place(address, intermediates) : -1;
      if (port >= 0)
        port_patches_.push_back({c, slot, port, (i64)(address - ports[port].begin)});
      else if (between >= 0)
        arena_patches_.push_back({c, slot, -1, offsets[between] + (i64)(address - intermediates[between].begin)});
      if (slot == call.kernel->weights && (port >= 0 || between >= 0)) fixed = false;
    }
    if (fixed) pack_weights(call);
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

// In the child of a fork another thread of the parent may seem to hold the pool, which is no thread here: the list is whole
// wherever that thread was, except the arena that it was about to take or had.
void Frozen::lock() {
  const unsigned me = forks;
  for (unsigned holder = 0; !locked_by_.compare_exchange_weak(holder, me, std::memory_order_acquire);)
    if (holder == me) holder = 0;
}

Frozen::Instance* Frozen::take() {
  lock();
  Instance* instance = pool_;
  if (instance) pool_ = instance->next;
  unlock();
  if (instance) return instance;
  std::unique_ptr<Instance> fresh(new Instance{calls_, nullptr, nullptr});
  fresh->arena = allocate(arena_bytes_ + scratch_ + 64);
  for (const Patch& p : arena_patches_) fresh->calls[p.call].slots[p.slot] = (u64)(fresh->arena + p.offset);
  return fresh.release();
}

void Frozen::give_back(Instance* instance) {
  lock();
  instance->next = pool_;
  pool_ = instance;
  unlock();
}

void Frozen::run(char* const* ports) {
  struct GivesBack {
    Frozen* frozen;
    void operator()(Instance* instance) const { frozen->give_back(instance); }
  };
  const std::unique_ptr<Instance, GivesBack> me(take(), {this});  // calls on many workers may find no memory
  for (const Patch& p : port_patches_) me->calls[p.call].slots[p.slot] = (u64)(ports[p.port] + p.offset);
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
}

namespace {

constexpr double kReleaseGil = 20000;  // nanoseconds of work from which other Python threads may run

using Array = py::detail::PyArray_Proxy;

// What an input or output has to be. For one sample without the dimension of the batch, the first size is left out.
struct Port {
  PyObject* descr;
  int type;
  std::vector<Py_ssize_t> shape;
};

// The Python object. A call with arrays of the right shapes, dtypes and layout goes straight to the kernels.
struct FrozenModel {
  PyObject_HEAD vectorcallfunc vectorcall;
  Frozen* frozen;
  std::vector<Port>* ports;  // the inputs, then the outputs
  int inputs, outputs;
  bool alone;         // one output, which is returned as it is
  PyObject* arrays;   // what the calls point into
  PyObject* door;     // nn/ports.py: takes what does not fit, puts several outputs together
  PyObject* reduced;  // what pickling gives
  PyObject* batch_size;
};

// The type number of a dtype; those of whole numbers of 64 bits are one.
int type_of(const void* descr) {
  const int type = py::detail::array_descriptor1_proxy((PyObject*)descr)->type_num;
  return type == npy_api::NPY_LONGLONG_ && sizeof(long) == 8 ? (int)npy_api::NPY_LONG_ : type;
}

bool fits(const Port& port, PyObject* o, bool single, bool writable) {
  // No static of our own: its guard would be held while the first get() lets go of the GIL, and two threads wait for each other.
  PyTypeObject* type = npy_api::get().PyArray_Type_;
  if (Py_TYPE(o) != type) return false;
  const Array* a = py::detail::array_proxy(o);
  const int need = npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_ | (writable ? 0x0400 : 0);
  const int skip = single ? 1 : 0, dims = (int)port.shape.size() - skip;
  if (a->nd != dims || (a->flags & need) != need || type_of(a->descr) != port.type ||
      py::detail::array_descriptor1_proxy(a->descr)->byteorder == '>')
    return false;
  for (int i = 0; i < dims; i++)
    if (a->dimensions[i] != port.shape[skip + i]) return false;
  return true;
}

bool all_fit(const FrozenModel* self, PyObject* const* inputs, bool single) {
  for (int i = 0; i < self->inputs; i++) {
    const Port& port = (*self->ports)[i];
    if ((single && (port.shape.empty() || port.shape[0] != 1)) || !fits(port, inputs[i], single, false)) return false;
  }
  return true;
}

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

// Puts the arrays that a method of the door gives into their places; false with an error set.
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

// The inputs of a call; whether they are one sample without the dimension of the batch.
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
  py::object pair = py::reinterpret_steal<py::object>(PyObject_CallMethod(self->door, "convert", "(O)", given.ptr()));
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

// The arrays for the outputs: new ones, or those that were given.
bool take_outputs(FrozenModel* self, PyObject* out, bool single, Held& held) {
  auto& api = npy_api::get();
  const bool given = out && out != Py_None;
  if (given && self->alone) {
    held[self->inputs] = Py_NewRef(out);
  } else if (given) {
    py::object arrays = py::reinterpret_steal<py::object>(PyObject_CallMethod(self->door, "arrays", "(O)", out));
    if (!arrays || !place_arrays(arrays.ptr(), held, self->inputs, self->outputs)) return false;
  }
  for (int i = 0; i < self->outputs; i++) {
    const Port& port = (*self->ports)[self->inputs + i];
    PyObject*& array = held[self->inputs + i];
    const bool without = single && !port.shape.empty() && port.shape[0] == 1;
    if (given) {
      if (fits(port, array, without, true)) continue;
      Py_XDECREF(PyObject_CallMethod(self->door, "refuse", "iOi", i, array, (int)without));
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
    const int ports = self->inputs + self->outputs;
    Held held(ports);
    bool single = false;
    if (!take_inputs(self, args, n, held, single) || !take_outputs(self, out, single, held)) return nullptr;
    constexpr int kFew = 8;
    char* few[kFew];
    std::unique_ptr<char*[]> more(ports > kFew ? new char*[ports] : nullptr);
    char** at = more ? more.get() : few;
    for (int i = 0; i < ports; i++) at[i] = (char*)py::detail::array_proxy(held[i])->data;
    if (self->frozen->work() < kReleaseGil) {
      self->frozen->run(at);
    } else {
      const WithoutGil released;
      self->frozen->run(at);
    }
    if (out && out != Py_None) return Py_NewRef(out);
    if (self->alone) return Py_NewRef(held[self->inputs]);
    py::object results = py::reinterpret_steal<py::object>(PyTuple_New(self->outputs));
    if (!results) return nullptr;
    for (int i = 0; i < self->outputs; i++) PyTuple_SET_ITEM(results.ptr(), i, Py_NewRef(held[self->inputs + i]));
    return PyObject_CallMethod(self->door, "build", "(O)", results.ptr());
  } catch (std::bad_alloc&) {
    return PyErr_NoMemory();
  }
}

void free_frozen(PyObject* object) {
  auto* self = (FrozenModel*)object;
  delete self->frozen;
  for (Port& port : *self->ports) Py_XDECREF(port.descr);
  delete self->ports;
  Py_XDECREF(self->arrays);
  Py_XDECREF(self->door);
  Py_XDECREF(self->reduced);
  Py_XDECREF(self->batch_size);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyObject* reduce_frozen(PyObject* object, PyObject*) { return Py_NewRef(((FrozenModel*)object)->reduced); }

PyObject* repr_frozen(PyObject* object) { return PyObject_Str(((FrozenModel*)object)->door); }

PyMethodDef kMethods[] = {{"__reduce__", reduce_frozen, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
PyMemberDef kMembers[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(FrozenModel, vectorcall), READONLY, nullptr},
                          {"batch_size", T_OBJECT_EX, offsetof(FrozenModel, batch_size), READONLY, "The samples in a call."},
                          {nullptr, 0, 0, 0, nullptr}};
PyType_Slot kSlots[] = {{Py_tp_dealloc, (void*)free_frozen},
                        {Py_tp_call, (void*)PyVectorcall_Call},
                        {Py_tp_repr, (void*)repr_frozen},
                        {Py_tp_methods, kMethods},
                        {Py_tp_members, kMembers},
                        {Py_tp_doc, (void*)"A model frozen for one shape: call it with arrays, and out= for the results."},
                        {0, nullptr}};
PyType_Spec kType = {"fastnn._core.FrozenModel", sizeof(FrozenModel), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, kSlots};
PyTypeObject* frozen_type = nullptr;

Frozen::Extent extent(py::handle array) {
  const Array* a = py::detail::array_proxy(array.ptr());
  return {(u64)a->data, (u64)a->data + py::cast<u64>(array.attr("nbytes"))};
}

// The memory of the weights of a call; empty where its kernel packs none.
Frozen::Extent weights_of(const Call& call, const py::tuple& args) {
  int array = 0;
  for (py::handle item : args)
    if (py::isinstance<py::array>(item) && call.array_slots[array++] == call.kernel->weights && call.kernel->pack)
      return extent(item);
  return {0, 0};
}

py::object freeze(const py::sequence& calls, const py::sequence& inputs, const py::sequence& outputs,
                  const py::sequence& intermediates, bool alone, py::object door, py::object reduced, py::object batch_size,
                  bool pack) {
  std::vector<Call> parsed;
  std::vector<Frozen::Extent> written, weights;
  for (py::handle item : calls) {
    auto pair = py::reinterpret_borrow<py::tuple>(item);
    auto args = py::reinterpret_borrow<py::tuple>(pair[1]);
    PyObject* const* items = ((PyTupleObject*)args.ptr())->ob_item;
    Binding& binding = find_binding(py::cast<std::string>(pair[0]));
    Call call;
    binding.parse(items, (Py_ssize_t)args.size(), call);
    parsed.push_back(call);
    weights.push_back(weights_of(call, args));
    for (const Access& a : binding.accesses(items))
      if (a.writes) written.push_back({(u64)a.begin, (u64)a.end});
  }
  std::vector<bool> packable;
  for (const Frozen::Extent& w : weights) {
    bool constant = pack;
    for (const Frozen::Extent& by : written) constant &= !(w.begin < by.end && by.begin < w.end);
    packable.push_back(constant);
  }
  std::vector<Frozen::Extent> between, at_ports;
  for (py::handle a : intermediates) between.push_back(extent(a));
  auto ports = std::make_unique<std::vector<Port>>();
  py::list descrs;  // what the ports refer to, until the object does
  for (const py::sequence& side : {inputs, outputs})
    for (py::handle item : side) {
      auto a = py::reinterpret_borrow<py::array>(item);
      at_ports.push_back(extent(a));
      descrs.append(a.dtype());
      ports->push_back({a.dtype().ptr(), type_of(a.dtype().ptr()), {a.shape(), a.shape() + a.ndim()}});
    }
  auto frozen = std::make_unique<Frozen>(std::move(parsed), at_ports, between, packable);
  py::tuple held = py::tuple(calls);
  auto* self = PyObject_New(FrozenModel, frozen_type);
  if (!self) throw py::error_already_set();
  for (Port& port : *ports) Py_INCREF(port.descr);
  self->vectorcall = call_frozen;
  self->frozen = frozen.release();
  self->ports = ports.release();
  self->inputs = (int)inputs.size();
  self->outputs = (int)outputs.size();
  self->alone = alone;
  self->arrays = held.release().ptr();
  self->door = door.release().ptr();
  self->reduced = reduced.release().ptr();
  self->batch_size = batch_size.release().ptr();
  return py::reinterpret_steal<py::object>((PyObject*)self);
}

}  // namespace

void add_frozen_type(py::module_& m) {
  pthread_atfork(nullptr, nullptr, [] { forks++; });
  frozen_type = (PyTypeObject*)PyType_FromSpec(&kType);
  if (!frozen_type) throw py::error_already_set();
  m.attr("FrozenModel") = py::reinterpret_borrow<py::object>((PyObject*)frozen_type);
  m.def("freeze", &freeze, py::arg("calls"), py::arg("inputs"), py::arg("outputs"), py::arg("intermediates"), py::arg("alone"),
        py::arg("door"), py::arg("reduced"), py::arg("batch_size"), py::arg("pack"),
        "A FrozenModel of recorded calls between these arrays.");
}

}  // namespace fastnn

#include "python/block.h"

#include <structmember.h>

namespace fastnn {

namespace {

template <inquiry kClear>
void dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  kClear(object);
  type->tp_free(object);
  Py_DECREF(type);
}

// Sets a member from an optional argument: null if the argument is None or missing.
void set_optional(PyObject*& member, PyObject* value) { Py_XSETREF(member, value == Py_None ? nullptr : Py_XNewRef(value)); }

// Python raises KeyboardInterrupt at the start of a Python function. If __enter__ or __exit__ were Python functions, Ctrl-C could
// leave the block without undoing it. Here they are C functions, so Python cannot raise between them and the `with` statement.
struct Block {
  PyObject_HEAD PyObject* variable;
  PyObject* value;
  PyObject* check;   // function(value), called before the block is entered; it may raise; or null
  PyObject* tokens;  // token of each entry that was not left yet; it undoes the entry
  char entered;      // whether the block was ever entered
};

int init(PyObject* object, PyObject* args, PyObject* kwargs) {
  auto* self = (Block*)object;
  static const char* names[] = {"variable", "value", "check", nullptr};
  PyObject *variable, *value, *check = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O|O:Block", (char**)names, &PyContextVar_Type, &variable, &value, &check))
    return -1;
  PyObject* tokens = PyList_New(0);
  if (!tokens) return -1;
  Py_XSETREF(self->variable, Py_NewRef(variable));
  Py_XSETREF(self->value, Py_NewRef(value));
  set_optional(self->check, check);
  Py_XSETREF(self->tokens, tokens);
  return 0;
}

PyObject* enter(PyObject* object, PyObject*) {
  auto* self = (Block*)object;
  if (!self->tokens) {
    PyErr_SetString(PyExc_RuntimeError, "the block was not initialised; call super().__init__()");
    return nullptr;
  }
  if (self->check) {
    PyObject* fine = PyObject_CallOneArg(self->check, self->value);
    if (!fine) return nullptr;
    Py_DECREF(fine);
  }
  PyObject* token = PyContextVar_Set(self->variable, self->value);
  if (!token) return nullptr;
  if (PyList_Append(self->tokens, token) < 0) {
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    if (PyContextVar_Reset(self->variable, token) < 0) PyErr_Clear();
    PyErr_Restore(type, error, trace);
    Py_DECREF(token);
    return nullptr;
  }
  Py_DECREF(token);
  self->entered = 1;
  return Py_NewRef(object);
}

// Undoes the newest entry of this thread and task. Other threads may be inside the same block.
PyObject* leave(PyObject* object, PyObject* const*, Py_ssize_t) {
  auto* self = (Block*)object;
  for (Py_ssize_t i = self->tokens ? PyList_GET_SIZE(self->tokens) : 0; i-- > 0;) {
    if (PyContextVar_Reset(self->variable, PyList_GET_ITEM(self->tokens, i)) == 0) {
      if (PyList_SetSlice(self->tokens, i, i + 1, nullptr) < 0) return nullptr;
      Py_RETURN_NONE;
    }
    if (!PyErr_ExceptionMatches(PyExc_ValueError)) return nullptr;  // a ValueError: it was entered in another context
    PyErr_Clear();
  }
  PyErr_SetString(PyExc_RuntimeError, "a block is left that this thread or task has not entered");
  return nullptr;
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  auto* self = (Block*)object;
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->variable);
  Py_VISIT(self->value);
  Py_VISIT(self->check);
  Py_VISIT(self->tokens);
  return 0;
}

int clear(PyObject* object) {
  auto* self = (Block*)object;
  Py_CLEAR(self->variable);
  Py_CLEAR(self->value);
  Py_CLEAR(self->check);
  Py_CLEAR(self->tokens);
  return 0;
}

// A block that calls a function at its end, and calls it again if the first call was interrupted.
struct Finally {
  PyObject_HEAD PyObject* action;
  PyObject* before;  // function(), called at the beginning; or null
};

int finally_init(PyObject* object, PyObject* args, PyObject* kwargs) {
  auto* self = (Finally*)object;
  static const char* names[] = {"action", "before", nullptr};
  PyObject *action, *before = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:Finally", (char**)names, &action, &before)) return -1;
  Py_XSETREF(self->action, Py_NewRef(action));
  set_optional(self->before, before);
  return 0;
}

// Calls the action, and once more if it fails. The current error is saved during the calls and restored afterwards; an error of
// the action replaces it.
bool finish(Finally* self) {
  PyObject *type, *error, *trace;
  PyErr_Fetch(&type, &error, &trace);
  for (int tries = 0; tries < 2; tries++) {
    if (PyObject* done = PyObject_CallNoArgs(self->action)) {
      Py_DECREF(done);
      PyErr_Restore(type, error, trace);
      return !type;
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    PyErr_Fetch(&type, &error, &trace);
  }
  PyErr_Restore(type, error, trace);
  return false;
}

bool initialised(const Finally* self) {
  if (!self->action) PyErr_SetString(PyExc_RuntimeError, "the block was not initialised");
  return self->action;
}

PyObject* finally_enter(PyObject* object, PyObject*) {
  auto* self = (Finally*)object;
  if (!initialised(self)) return nullptr;
  if (self->before) {
    PyObject* done = PyObject_CallNoArgs(self->before);
    if (!done) {
      finish(self);
      return nullptr;
    }
    Py_DECREF(done);
  }
  return Py_NewRef(object);
}

PyObject* finally_leave(PyObject* object, PyObject* const*, Py_ssize_t) {
  if (!initialised((Finally*)object) || !finish((Finally*)object)) return nullptr;
  Py_RETURN_NONE;
}

int finally_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(((Finally*)object)->action);
  Py_VISIT(((Finally*)object)->before);
  return 0;
}

int finally_clear(PyObject* object) {
  Py_CLEAR(((Finally*)object)->action);
  Py_CLEAR(((Finally*)object)->before);
  return 0;
}

PyMethodDef kFinallyMethods[] = {{"__enter__", finally_enter, METH_NOARGS, "Calls before, if there is one."},
                                 {"__exit__", (PyCFunction)(void*)finally_leave, METH_FASTCALL, "Calls the action."},
                                 {nullptr, nullptr, 0, nullptr}};
PyType_Slot kFinallySlots[] = {{Py_tp_init, (void*)finally_init},
                               {Py_tp_new, (void*)PyType_GenericNew},
                               {Py_tp_dealloc, (void*)dealloc<finally_clear>},
                               {Py_tp_traverse, (void*)finally_traverse},
                               {Py_tp_clear, (void*)finally_clear},
                               {Py_tp_methods, kFinallyMethods},
                               {Py_tp_doc, (void*)"Finally(action, before=None)\n--\n\n"
                                                  "A `with` block at whose end action() is called; see fastnn/core/block.py."},
                               {0, nullptr}};
PyType_Spec kFinallyType = {"fastnn._core.Finally", sizeof(Finally), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, kFinallySlots};

PyMethodDef kMethods[] = {{"__enter__", enter, METH_NOARGS, "Gives the variable the value, in this thread and task."},
                          {"__exit__", (PyCFunction)(void*)leave, METH_FASTCALL, "Gives it back what it had."},
                          {nullptr, nullptr, 0, nullptr}};
PyMemberDef kMembers[] = {{"entered", T_BOOL, offsetof(Block, entered), READONLY, "Whether the block was ever entered."},
                          {nullptr, 0, 0, 0, nullptr}};
PyType_Slot kSlots[] = {
    {Py_tp_init, (void*)init},
    {Py_tp_new, (void*)PyType_GenericNew},
    {Py_tp_dealloc, (void*)dealloc<clear>},
    {Py_tp_traverse, (void*)traverse},
    {Py_tp_clear, (void*)clear},
    {Py_tp_methods, kMethods},
    {Py_tp_members, kMembers},
    {Py_tp_doc, (void*)"Block(variable, value, check=None)\n--\n\n"
                       "A `with` block in which a context variable has another value; see fastnn/core/block.py."},
    {0, nullptr}};
PyType_Spec kType = {"fastnn._core.Block", sizeof(Block), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                     kSlots};

}  // namespace

void add_block_types(pybind11::module_& m) {
  PyType_Spec* specs[] = {&kType, &kFinallyType};
  const char* names[] = {"Block", "Finally"};
  for (int i = 0; i < 2; i++) {
    PyObject* type = PyType_FromSpec(specs[i]);
    if (!type) throw pybind11::error_already_set();
    m.attr(names[i]) = pybind11::reinterpret_steal<pybind11::object>(type);
  }
}

}  // namespace fastnn

// The module _core: kernels bound by name, plans, ISAs and threads. It contains no computations.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <map>
#include <new>
#include <stdexcept>

#include "core/caches.h"
#include "core/dispatch.h"
#include "core/gil.h"
#include "core/plan.h"
#include "core/team.h"
#include "core/winograd.h"
#include "python/binding.h"
#include "python/block.h"
#include "python/frozen_object.h"

namespace py = pybind11;
using namespace fastnn;

namespace {

ArgSpec read_arg(py::handle arg, const std::vector<std::string>& sizes, const std::vector<std::string>& dtypes) {
  ArgSpec spec;
  spec.name = py::cast<std::string>(arg.attr("name"));
  const auto kind = py::cast<std::string>(arg.attr("kind"));
  spec.kind = kind == "array"                   ? ArgSpec::kArray
              : kind == "float"                 ? ArgSpec::kFloat
              : kind == "act" || kind == "loss" ? ArgSpec::kFunction
                                                : ArgSpec::kInt;
  spec.optional = py::cast<bool>(arg.attr("optional"));
  spec.reads = py::cast<bool>(arg.attr("reads"));
  spec.writes = py::cast<bool>(arg.attr("writes"));
  spec.functions = (kind == "loss" ? current_isa().losses : current_isa().activations)->count;
  spec.mask = -1;
  if (kind == "choice") spec.choices = py::cast<std::vector<std::string>>(arg.attr("choices"));
  if (kind == "int") spec.numbers = py::cast<std::vector<i64>>(arg.attr("choices"));
  if (kind != "array") return spec;
  const auto letter = py::cast<std::string>(arg.attr("letter")), dtype = py::cast<std::string>(arg.attr("dtype"));
  spec.type = letter == "T" ? ArgSpec::kLetter : letter == "X" ? ArgSpec::kChosen : ArgSpec::kNamed;
  if (spec.type == ArgSpec::kChosen && dtype != "own") spec.chooser = dtype;
  spec.dtypes = 0;
  const auto offered = py::cast<std::vector<std::string>>(arg.attr("dtypes"));
  for (size_t i = 0; i < offered.size(); i++) {
    spec.dtypes |= 1u << (std::find(dtypes.begin(), dtypes.end(), offered[i]) - dtypes.begin());
    spec.wanted += (i == 0 ? "" : i + 1 == offered.size() ? " or " : ", ") + offered[i];
  }
  for (const auto& size : py::cast<std::vector<std::string>>(arg.attr("shape"))) {
    bool flat = size[0] == '*';
    std::string letters = flat ? size.substr(1) : size;
    int symbol = -1;
    for (size_t i = 0; i < sizes.size(); i++)
      if (sizes[i] == letters) symbol = (int)i;
    spec.shape.push_back({flat, symbol, symbol < 0 ? std::stoll(letters) : 0});
  }
  return spec;
}

// Bindings live as long as the process: plans and the functions below point to them.
std::map<std::string, Binding*>& registry() {
  static auto* all = new std::map<std::string, Binding*>;
  return *all;
}

PyObject* call_kernel(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  try {
    Call call;
    ((Binding*)PyCapsule_GetPointer(self, nullptr))->parse(args, n, call);
    run_call(call);
  } catch (py::error_already_set& e) {
    e.restore();
    return nullptr;
  } catch (py::builtin_exception& e) {
    e.set_error();
    return nullptr;
  } catch (std::bad_alloc&) {
    return PyErr_NoMemory();
  } catch (std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
    return nullptr;
  }
  Py_RETURN_NONE;
}

// A kernel as a Python function. It does not use pybind11's argument conversion: a call costs tens of nanoseconds, not hundreds.
py::object bind(py::handle kernel) {
  std::string name = py::cast<std::string>(kernel.attr("name"));
  auto sizes = py::cast<std::vector<std::string>>(kernel.attr("sizes"));
  const auto dtypes = py::cast<std::vector<std::string>>(py::module_::import("fastnn.backends.spec").attr("DTYPES"));
  std::vector<ArgSpec> args;
  i64 may_add = 0, output = 0;
  for (py::handle arg : kernel.attr("args")) {
    args.push_back(read_arg(arg, sizes, dtypes));
    if (args.back().writes) may_add |= (i64)args.back().reads << output++;
    if (py::cast<std::string>(arg.attr("kind")) == "mask") args.back().mask = may_add;
  }
  std::vector<Binding::Derived> derived;
  for (const auto& item : py::cast<py::dict>(kernel.attr("derived")))
    derived.push_back({py::cast<std::string>(item.first), py::cast<std::string>(item.second.attr("text")),
                       py::cast<std::vector<std::string>>(item.second.attr("code"))});
  auto* binding = new Binding(name, std::move(args), sizes, py::cast<std::string>(kernel.attr("slots")), derived);
  registry()[name] = binding;
  auto* def = new PyMethodDef{binding->name().c_str(), (PyCFunction)(void*)call_kernel, METH_FASTCALL, nullptr};
  py::capsule self(binding);
  return py::reinterpret_steal<py::object>(PyCFunction_NewEx(def, self.ptr(), nullptr));
}

}  // namespace

Binding& fastnn::find_binding(const std::string& name) {
  auto found = registry().find(name);
  if (found == registry().end()) throw py::key_error("kernel " + name + " is not bound");
  return *found->second;
}

namespace {

// A plan and the arrays that its calls use.
struct PyPlan {
  Plan plan;
  std::vector<py::object> arrays;

  PyPlan(const py::sequence& calls, const py::dict& flags) {
    for (py::handle item : calls) {
      auto pair = py::reinterpret_borrow<py::tuple>(item);
      Binding& binding = find_binding(py::cast<std::string>(pair[0]));
      auto args = py::reinterpret_borrow<py::tuple>(pair[1]);
      Call call;
      PyObject** items = ((PyTupleObject*)args.ptr())->ob_item;
      binding.parse(items, (Py_ssize_t)args.size(), call);
      py::int_ index(plan.size());
      py::object flag = py::none();
      if (flags.contains(index)) flag = flags[index];
      plan.add(call, binding.accesses(items), flag.is_none() ? nullptr : flag_of(flag));
      arrays.push_back(args);
      arrays.push_back(flag);
    }
  }

  static const i64* flag_of(const py::object& flag) {
    py::buffer_info info = py::cast<py::buffer>(flag).request();
    if (info.itemsize != 8 || info.size != 1 || !info.item_type_is_equivalent_to<i64>())
      throw py::type_error("Plan: a flag is an int64 array of one element");
    return (const i64*)info.ptr;
  }
};

}  // namespace

// By this symbol threadpoolctl tells the module from others with the same file name.
extern "C" PYBIND11_EXPORT int fastnn_num_threads() { return team_threads(); }

PYBIND11_MODULE(_core, m) {
  m.doc() = "fastnn's compiled kernels. The public face is the package; see csrc/README.md.";
  m.def("bind", &bind, py::arg("kernel"), "The compiled kernel of a spec.Kernel, as a function of its arguments.");
  m.def(
      "kernels",
      [] {
        std::vector<std::pair<std::string, std::string>> names;
        for (const KernelTable* table : current_isa().tables)
          for (int i = 0; i < table->count; i++) names.emplace_back(table->kernels[i].name, table->kernels[i].fields);
        return names;
      },
      "Names and fields of the compiled kernels.");
  m.def(
      "activations",
      [] {
        const FunctionList& list = *current_isa().activations;
        return std::vector<bool>(list.saves_z, list.saves_z + list.count);
      },
      "Whether each of the compiled activations saves its input, by id.");
  m.def("losses", [] { return current_isa().losses->count; }, "The number of compiled pointwise losses.");
  m.def(
      "isas",
      [] {
        std::vector<std::tuple<std::string, bool, std::string>> list;
        for (const Isa& isa : isas()) list.emplace_back(isa.name, isa.supported(), isa.needs);
        return list;
      },
      "(name, whether this CPU has it, what it needs) of each ISA compiled in, best first.");
  m.def("isa", [] { return std::string(current_isa().name); }, "The ISA whose kernels run.");
  m.def("use_isa", &use_isa, py::arg("name"), "Chooses the ISA whose kernels run from now on.");
  m.def(
      "bf16",
      [] {
        const Bf16 found = bf16();
        return std::make_tuple(found.name, found.rate, found.lacking);
      },
      "The engine of bfloat16 products; the measured multiply-adds of AVX512_BF16 for one of float32, or 0; why the engine "
      "cannot be "
      "used with this ISA, or an empty text.");
  m.def("bf16_engines", &bf16_engines, "(name, why the CPU or the ISA in use lacks it) of each engine of bfloat16 products.");
  m.def("use_bf16", &use_bf16, py::arg("name"),
        "Chooses the engine of bfloat16 products; an empty name leaves the choice to _core.");
  m.def("winograd", &fastnn_winograd,
        "Which convolutions Winograd's algorithm computes: 0 none, 1 where it is faster, 2 all it can.");
  m.def("use_winograd", &use_winograd, py::arg("use"), "Chooses it. Nothing else may run; frozen models keep what they had.");
  m.def("threads", &team_threads, "The number of threads that large calls use.");
  m.def(
      "set_threads",
      [](int n) {
        if (n < 1) throw py::value_error("set_threads: " + std::to_string(n) + " threads, wanted at least 1");
        team_set_threads(n);
      },
      py::arg("n"), "Sets the number of threads.");
  m.def("add_callers", &team_add_callers, py::arg("n"), "Adds to the number of threads that compute at the same time.");
  m.def("share", &team_share, "The least work, in nanoseconds, for which another worker is started.");
  m.def(
      "set_share",
      [](double nanoseconds) {
        if (!(nanoseconds > 0)) throw py::value_error("set_share: " + std::to_string(nanoseconds) + " ns, wanted more than 0");
        team_set_share(nanoseconds);
      },
      py::arg("nanoseconds"), "Sets it; a small one makes small calls run on all workers too. Results do not change.");
  m.def("patience", &team_patience, "The least time, in nanoseconds, that a caller waits for workers to come.");
  m.def(
      "set_patience",
      [](double nanoseconds) {
        if (!(nanoseconds > 0)) throw py::value_error("set_patience: " + std::to_string(nanoseconds) + " ns, wanted more than 0");
        team_set_patience(nanoseconds);
      },
      py::arg("nanoseconds"), "Sets the least time, in nanoseconds, that a caller waits for workers to come.");
  m.def("caches", [] { return std::make_pair(caches().l1, caches().l2); }, "Bytes of a core's first- and second-level cache.");
  m.def(
      "set_caches",
      [](i64 l1, i64 l2) {
        if (l1 < 1 || l2 < 1)
          throw py::value_error("set_caches: " + std::to_string(l1) + " and " + std::to_string(l2) + " bytes, wanted at least 1");
        set_caches({l1, l2});
      },
      py::arg("l1"), py::arg("l2"), "Sets the bytes of a core's caches, by which products are blocked. Nothing else may run.");
  m.def(
      "address", [](const py::array& array) { return (std::uintptr_t)array.data(); }, py::arg("array").noconvert(),
      "Where an array's memory begins.");
  m.def("cores", &available_cores, "The cores that this process may use.");
  m.def(
      "peak_gflops",
      [](int dtype) {
        const WithoutGil released;
        return current_isa().peak_gflops(dtype);
      },
      py::arg("dtype"), "Measured GFLOP/s of fused multiply-adds on one core, for dtype code 0 (float32) or 1 (float64).");
  m.def(
      "read_gbytes",
      [](const py::buffer& data) {
        py::buffer_info info = data.request();
        const WithoutGil released;
        return current_isa().read_gbytes(info.ptr, (i64)(info.size * info.itemsize));
      },
      py::arg("data"), "Measured GB/s of reading this buffer on one core.");
  add_block_types(m);
  add_frozen_type(m);
  py::class_<PyPlan>(m, "Plan", "A list of kernel calls that runs in one call.")
      .def(py::init<const py::sequence&, const py::dict&>(), py::arg("calls"), py::arg("flags") = py::dict(),
           "calls: (kernel name, arguments) pairs. flags: by the index of a call, the array that says whether it runs.")
      .def(
          "run",
          [](const PyPlan& self, i64 n) {
            const WithoutGil released;
            self.plan.run(n);
          },
          py::arg("n") = 1, "Runs the list n times, without the GIL.")
      .def_static(
          "run_in_turn",
          [](const py::tuple& parts, i64 n) {
            std::vector<std::pair<const Plan*, i64>> plans;
            for (py::handle part : parts)
              plans.emplace_back(&part[py::int_(0)].cast<const PyPlan&>().plan, part[py::int_(1)].cast<i64>());
            const WithoutGil released;
            for (i64 i = 0; i < n; i++)
              for (const auto& part : plans) part.first->run(part.second);
          },
          py::arg("parts"), py::arg("n"),
          "Runs plans in turn, each as often as its pair (plan, times) says, and all of this n times.")
      .def(
          "profile",
          [](const PyPlan& self, int n) {
            if (n < 1) throw py::value_error("Plan.profile: n is " + std::to_string(n) + ", wanted at least 1");
            const WithoutGil released;
            return self.plan.profile(n);
          },
          py::arg("n"), "Runs the list n times, each call by itself; the median nanoseconds of each call.")
      .def("__len__", [](const PyPlan& self) { return self.plan.size(); })
      .def_property_readonly(
          "shared", [](const PyPlan& self) { return self.plan.shared(); }, "How many calls all threads share.")
      .def_property_readonly("barriers", [](const PyPlan& self) { return self.plan.barriers(); }, "How often the threads meet.");
}

"""Module, the base of all layers and models."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

import numpy as np

from ..autograd.tensor import Tensor
from ..backends import current
from ..core.block import completed
from ..core.registered import LAYERS, readable_arguments
from ..core.structure import own_code
from ..core.tree import first_leaf
from ..core.unpickled import writable
from . import masks
from .classes import encoder_or_none, names_or_none, text_or_none, tokenizer_or_none
from .common_arguments import with_common_arguments
from .generating import Generating
from .hooks import Hooked, hooked
from .inputs import Inputs
from .keras_names import KerasNames, adds_losses, with_losses
from .keras_style import marking, with_mode
from .mode import mode, mode_override, sampled, unsampled
from .of_training import Trainer
from .parameter import Parameter, building, initial
from .penalties import Regularized
from .spec import ANY, FLOATS
from .state import State

if TYPE_CHECKING:
    from ..tables.encoder import Encoder
    from ..text.base import Tokenizer
    from .graph.symbolic import Symbol

_FLOAT32 = np.dtype(np.float32)
_NOT_COPIED = frozenset({"_holders", "history", "_predicted", "_activity", "_writer", "_added", "_node", "_chain"})
"""Attributes that a copy does not have."""

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class _Returns(Protocol[R_co]):
    """Type of a module by what its forward returns."""

    @property
    def forward(self) -> Callable[..., R_co]: ...


class Module(Trainer, State, Regularized, Generating, Inputs, KerasNames, Hooked):
    """Base of layers and models, which have parameters, other modules, and a `forward`.

    Attributes that are Parameters or Modules are registered in the order in which they are set. Every Module can be trained in a
    custom loop, as in PyTorch, or by `compile` and `fit`, as in Keras. `forward` may take several inputs, and return a tuple,
    list or dict of Tensors. Keras's style works too: `call` is another name of `forward`, and gets the mode if it has an argument
    `training`. A method `build(input_shape)` is called once, before the first forward. It gets the shape of one sample of the
    first input (without the batch axis), and makes the parameters by `add_weight`. `input_spec` describes the inputs. Without it,
    integers become int64, and floats are cast to the dtype of the parameters.

    >>> import fastnn
    >>> import fastnn.nn as nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = nn.Linear(3, 2)
    ...     def forward(self, x):
    ...         return self.layer(x)
    >>> Net()(fastnn.tensor([1.0, 2.0, 3.0])).shape
    (2,)
    """

    def __init__(self) -> None:
        object.__setattr__(self, "_parameters", {})
        object.__setattr__(self, "_modules", {})
        object.__setattr__(self, "_buffers", {})
        object.__setattr__(self, "_training", True)
        object.__setattr__(self, "_frozen", False)

    _compiled: Any = None
    """Settings of compile."""
    stop_training = False
    class_names: list[str] | Any = None
    """The names of the classes, by number, as of `fastnn.datasets.images`. `save` stores them."""
    trained_on: str | None = None
    """What the model was trained on. `save` stores it. For "digits" and "mnist", the data sets of fastnn, the command line
    prepares pictures of digits as they were prepared for the data set."""
    tokenizer: Tokenizer | Any = None
    """What turns text into the ids that the model takes, of `fastnn.text`. `save` stores it."""
    table_encoder: Encoder | Any = None
    """What turns rows of a table into the inputs that the model takes, of `fastnn.tables`. `save` stores it."""
    _checked_arguments = {  # noqa: RUF012 (a ClassVar of the base)
        "class_names": names_or_none,
        "table_encoder": encoder_or_none,
        "trained_on": text_or_none,
        "tokenizer": tokenizer_or_none,
    }

    # ---- methods that layers define ----

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; each layer and model defines this method, with the inputs that it takes."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(x)")

    _any_dtype = False
    """Whether inputs of any dtype are passed on without a cast, so that the next layer decides the dtype."""

    _adds_losses = False
    """Whether the forward of the class calls add_loss."""
    _needs_build = False
    """Whether the class has a custom build."""
    _built = False
    _built_for: Any = None
    """Argument of the call of a custom build."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = "" if cls.__name__.startswith("_") else cls._file_prefix + cls.__name__
        if own_code(cls.__module__) and (saved_as := vars(cls).get("_saved_as", own)):
            if saved_as in LAYERS:
                raise TypeError(f"{cls.__name__}: files call another layer {saved_as!r}; set _saved_as")
            LAYERS[saved_as] = cls
        if own_code(cls.__module__) and "__init__" in vars(cls):
            cls.__init__ = with_common_arguments(vars(cls)["__init__"])  # type: ignore[method-assign]
        if "call" in cls.__dict__ and "forward" not in cls.__dict__:
            takes_mode = "training" in inspect.signature(cls.call).parameters  # type: ignore[attr-defined]
            cls.forward = with_mode(cls.call) if takes_mode else cls.call  # type: ignore[attr-defined,method-assign]
        if adds_losses(inspect.unwrap(vars(cls).get("forward", _no_forward))):
            cls.forward = with_losses(cls.forward)  # type: ignore[method-assign]
            cls._adds_losses = True
        if own_code(cls.__module__):
            return
        if cls.input_spec is FLOATS and next(c for c in cls.__mro__ if "forward" in vars(c) and own_code(c.__module__)) is Module:
            cls.input_spec = ANY  # its forward is custom, and does not override one of a fastnn layer
        if "build" in cls.__dict__:
            cls._needs_build = True
            cls.build = marking(cls.build)  # type: ignore[attr-defined]
            cls.__call__ = _building_call  # type: ignore[assignment, method-assign]

    _saved_as = ""
    """Name of a fastnn class in files, if it is not the name of the class; "" for a class that is only a base of others."""
    _file_prefix = ""
    _carries = False
    """Whether the layer has a state that goes on from call to call in `fastnn.nn.carried.carrying`."""
    _draws = False
    """Whether the layer has a random number stream, `_state`, which files store."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, for saving; by default those that are attributes of the same names."""
        return readable_arguments(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the layer from the result of get_config."""
        return cls(**config)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the output shape of one sample, given its input shape; layers that change the shape override this method."""
        return input_shape

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output, given that of the input, both with the batch; a list of shapes for several inputs.

        >>> import fastnn
        >>> fastnn.Dense(2).compute_output_shape((None, 3))
        (None, 2)
        """
        from .graph.symbolic import Input

        several = isinstance(input_shape, list) and not all(n is None or isinstance(n, int) for n in input_shape)
        shapes = input_shape if several else [input_shape]
        symbols = [Input(tuple(shape)[1:]) for shape in shapes]
        return self(symbols if several else symbols[0]).shape

    _whole = False
    """Whether the module computes what its sublayers would, and does not call them."""
    supports_masking = False
    """Whether the output has a mask if the input has one; see `fastnn.nn.masks`."""

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of the output, given the input and its mask: by default the mask itself.

        It is called after `forward` if `supports_masking` is set and the input has a mask. For several inputs, previous_mask is
        a list of masks, with None for inputs without one. Layers with several outputs return a list of masks.
        """
        return previous_mask

    @property
    def built(self) -> bool:
        """Return whether all parameters have their shapes."""
        return Module._own_built(self) and all(m.built for m in self._modules.values())

    # ---- calling ----

    @overload
    def __call__(self, x: Symbol | Sequence[Symbol], *args: Any, training: bool | None = None, **kwargs: Any) -> Any: ...
    @overload
    def __call__(self: _Returns[R], x: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> R: ...
    def __call__(self, x: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        if not isinstance(x, Tensor):
            if not args and type(x) is not np.ndarray:
                self._check_container(x, kwargs)
            if _symbolic(x):
                from .graph.calls import call_on_symbols

                return call_on_symbols(self, (x, *args), kwargs, training)
            x = self._input(x)
        elif not x.requires_grad and x.dtype.kind != "f":  # what requires a gradient is of floats; images may be unread
            x = self._as_floats(x, self._first_spec())
        if args or kwargs:
            args, kwargs = self._more_inputs(args, kwargs)
        mask = x.keras_mask if isinstance(x, Tensor) else masks.carried(x)
        forward = self.forward if mask is None else partial(masks.call, self, mask)
        if self._hooks is not None:
            forward = partial(hooked, self, forward)
        if training is None:
            current().module_called(self)
            return forward(x, *args, **kwargs)
        if sampled.get() and mode_override.get() is not None:  # inside of predict(mc=...), an explicit mode overrides sampling
            with mode(training), unsampled():
                current().module_called(self)
                return forward(x, *args, **kwargs)
        with mode(training):
            current().module_called(self)
            return forward(x, *args, **kwargs)

    @property
    def training(self) -> bool:
        """Return whether the module is in training mode, set by `train` and `eval`, or by the current call or fit."""
        block = mode_override.get()
        return bool(self._training) if block is None else block

    @training.setter
    def training(self, value: bool) -> None:
        object.__setattr__(self, "_training", bool(value))

    def train(self, mode: bool = True) -> Module:
        """Set training mode, in which dropout is active, in this module and all its submodules."""
        modules = list(self.modules())

        def set_all() -> None:
            for m in modules:
                m.training = mode

        completed(set_all)
        return self

    def eval(self) -> Module:
        """Set evaluation mode in this module and all its submodules."""
        return self.train(False)

    # ---- parameters ----

    if TYPE_CHECKING:  # only for type checkers: at run time, setattr puts parameters into __dict__, which is faster

        def __getattr__(self, name: str) -> Any: ...

    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> Parameter:
        """Make and register a parameter; for `build` methods, as in Keras.

        Args:
            shape: its shape.
            initializer: a name or object of `fastnn.initializers`; glorot_uniform by default.
            dtype: its dtype; by default that of the other parameters, or float32.
            trainable: whether training changes it.
            name: its name in state_dict and files; by default that of the attribute to which it is assigned.
        """
        from .. import initializers

        sizes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
        if None in sizes:
            raise ValueError(f"add_weight: shape is {sizes}, with a size that is unknown in the layer's input; wanted numbers")
        sizes = tuple(int(n) for n in sizes)
        d = np.dtype(dtype or self._known_dtype() or _FLOAT32)
        p = initial(initializers.get("glorot_uniform" if initializer is None else initializer), sizes, d)
        p.requires_grad = bool(trainable)
        own = name or f"weight_{len(self._parameters)}"
        if name is None:
            self.__dict__.setdefault("_auto_names", []).append(own)
        if own in self._parameters:
            raise ValueError(f"add_weight: {type(self).__name__} already has a parameter {own!r}")
        self.register_parameter(own, p)
        return p

    def _own_built(self) -> bool:
        return self._built or not self._needs_build

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the parameters; float32 if there are none."""
        return self._known_dtype() or _FLOAT32

    def _known_dtype(self) -> np.dtype[Any] | None:
        for p in self._parameters.values():
            if p is not None:
                return p.dtype
        if (name := self.__dict__.get("_dtype")) is not None:
            own: np.dtype[Any] = np.dtype(name)
            return own
        for m in self._modules.values():
            if (known := m._known_dtype()) is not None:
                return known
        kept = self.__dict__.get("_keep_dtype", ())
        return next((b.dtype for name, b in self._buffers.items() if b.dtype.kind == "f" and name not in kept), None)

    def set_dtype(self, dtype: Any) -> None:
        """Change the dtype of all parameters and floating-point buffers, also of those that are made later, before training.

        Integer and bool buffers do not change. Gradients are cleared.

        Raises:
            RuntimeError: an optimizer has the parameters. Nothing is changed.
            TypeError: the dtype is not float32 or float64.

        >>> import fastnn
        >>> model = fastnn.nn.Linear(2, 1)
        >>> model.set_dtype("float64")
        >>> model.predict([[1, 2]]).dtype
        dtype('float64')
        """
        from .dtype import real_dtype, set_dtype

        op = f"{type(self).__name__}: set_dtype"
        set_dtype(self.modules(), real_dtype(dtype, op), op)

    def _change_dtype(self, name: str) -> None:
        """Store the dtype for parameters that are made later; models whose inputs have dtypes change them, too."""
        object.__setattr__(self, "_dtype", name)

    # ---- text ----

    def extra_repr(self) -> str:
        """Return the text between the parentheses of a layer's repr."""
        return ""

    def __repr__(self) -> str:
        if not self._modules:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"  ({name}): " + repr(m).replace("\n", "\n  ") for name, m in self._modules.items()]
        return f"{type(self).__name__}(\n" + "\n".join(lines) + "\n)"

    def summary(self, print_fn: Callable[[str], Any] | None = None, **unused: Any) -> None:
        """Print the layers with their output shapes and numbers of parameters, by print_fn or print.

        Keras's line_length, positions, expand_nested, show_trainable and layer_range have no effect.
        """
        from .summary import UNUSED, summary

        if unknown := unused.keys() - UNUSED:
            raise TypeError(f"summary: unknown argument {min(unknown)!r}")
        (print_fn or print)(summary(self))

    def _repr_html_(self) -> str:
        """Return the table of the layers, which notebooks show."""
        from .summary import summary_html

        return summary_html(self)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in _NOT_COPIED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(writable(state))
        for m in self._modules.values():
            m._held_by(self)
        self._structure_changed()


def _no_forward() -> None:
    """Stand for the forward of a class that inherits it."""


def tells_shape(layer: Module) -> bool:
    """Return whether the layer's output_shape is known; a custom layer without output_shape does not define it."""
    return type(layer).output_shape is not Module.output_shape or own_code(type(layer).__module__)


def _symbolic(x: Any) -> bool:
    """Return whether x is a symbol, or a list or dict that begins with one."""
    from .graph.symbolic import Symbol

    return isinstance(first_leaf(x), Symbol)


def _building_call(self: Module, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a module with a custom build, which runs before the first forward."""
    if not args:
        self._check_container(x, kwargs)
    if not self._own_built() and not _symbolic(x):
        x = x if isinstance(x, Tensor) else self._input(x)
        first = first_leaf(x)
        with building:
            if not self._own_built():
                cast(Any, self).build(first.shape[1:] or first.shape)
    return Module.__call__(self, x, *args, **kwargs)

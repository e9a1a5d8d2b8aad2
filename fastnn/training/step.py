"""One training step as kernel calls: gather the batch, forward, loss, backward, clipping, optimizer, metrics."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..backends import current, recording
from ..core.block import Finally
from ..core.precision import autocast, checked
from ..core.structure import Structure, own_code, users_level
from ..nn.mode import mode
from ..optim.base import Optimizer
from .objective import BatchLoss, update_metrics
from .ranks import Ranks

if TYPE_CHECKING:
    from ..distributed.data import Share
    from ..replay.host_code import HostCode
    from ..replay.recorder import Watched
    from .compiled import Compiled

SLICE = 0.05
"""Seconds after which replayed steps return to Python, for the progress bar and Ctrl-C."""
FEW = 16
"""Least number of steps for which recording of user code pays: a watched step takes about as long as FEW normal steps."""
UNASKED = "not asked for"
"""Reason why steps are not recorded that needs no warning."""


def _parts(model: Any, compiled: Compiled) -> tuple[list[Any], list[Any]]:
    """List the parts of a step: layers, losses, metrics and optimizers, and the functions that they use."""
    from ..losses.torch.base import AsKeras

    modules, optimizer = list(model.modules()), compiled.optimizer
    inner = [v for v in vars(optimizer).values() if isinstance(v, Optimizer)]
    losses = [o.loss for o in compiled.objectives if o.loss is not None]
    parts = [*modules, optimizer, *inner, *losses, *(loss.loss for loss in losses if isinstance(loss, AsKeras))]
    parts += [m for m in compiled.metrics if m.recordable]
    functions = [getattr(part, name, None) for part in parts for name in ("forward", "step", "update", "function", "fn")]
    for m in modules:  # activations, regularizers, constraints, functions of layers that take one
        functions += [v for name, v in vars(m).items() if not name.startswith("_") and callable(v)]
    functions += [getattr(f, "fn", None) for f in functions]
    return parts, [f for f in functions if callable(f)]


def own_parts(model: Any, compiled: Compiled) -> bool:
    """Return whether a step contains user code: in layers, losses, metrics, activations or the optimizer."""
    parts, functions = _parts(model, compiled)
    return not all(own_code(type(part).__module__) for part in parts) or not all(
        own_code(str(getattr(f, "__module__", ""))) for f in functions
    )


def explain(compiled: Compiled, why: str) -> None:
    """Warn once why the steps of a compiled model are not recorded, at the line that called fit."""
    if why == UNASKED or "eager" in compiled.warned:
        return
    compiled.warned.add("eager")
    text = f"fit: steps are not recorded and run one by one: {why}"
    if compiled.capture is None:
        text += " (compile with capture=False to hide this warning)"
    warnings.warn(text, RuntimeWarning, stacklevel=users_level())


def observed(model: Any, look: Callable[[str, Any, tuple[Any, ...], Any], None]) -> Finally:
    """Return a block in which look(name, layer, inputs, output) is called after each layer that calls no sublayers."""
    leaves = [(name, m) for name, m in model.named_modules() if not m._modules or m._whole]
    replaced = {m: vars(m)["forward"] for _, m in leaves if "forward" in vars(m)}  # the user replaced forward

    def watch(name: str, m: Any) -> Callable[..., Any]:
        forward = m.forward

        def called(*args: Any, **kwargs: Any) -> Any:
            y = forward(*args, **kwargs)
            look(name, m, args, y)
            return y

        return called

    def begin() -> None:
        for name, m in leaves:
            object.__setattr__(m, "forward", watch(name, m))

    def end() -> None:
        for _, m in leaves:
            vars(m).pop("forward", None)
        for m, forward in replaced.items():
            object.__setattr__(m, "forward", forward)

    return Finally(end, begin)


def watched(model: Any) -> Finally:
    """Return a block that checks the output of each layer. FloatingPointError names the first layer with a non-finite output."""

    def look(name: str, m: Any, inputs: tuple[Any, ...], y: Any) -> None:
        for out in Structure.of(y)[1]:
            if isinstance(out, Tensor) and not np.isfinite(out.numpy()).all():
                raise FloatingPointError(f"fit: the output of layer {name or 'the model'} ({type(m).__name__}) is not finite")

    return observed(model, look)


def check_gradients(model: Any, loss: Tensor) -> None:
    """Raise FloatingPointError if the loss or a gradient is not finite; the message names the last such parameter.

    Backward reaches the last layers first, so the value arose there.
    """
    if not np.isfinite(loss.item()):
        raise FloatingPointError(f"fit: the loss is {loss.item()}, although every layer's output is finite")
    for name, p in reversed(list(model.named_parameters())):
        if p.grad is not None and not np.isfinite(p.grad.numpy()).all():
            raise FloatingPointError(f"fit: the gradient of {name} is not finite")


class TrainStep:
    """Training step on a batch of a fixed size. It is recorded when two steps in a row do the same work.

    Args:
        own: whether the step contains user code, which is inspected for effects that a replay would omit. Without capture=True
            in compile, one step of each epoch is watched again if callbacks or validation may have changed values that the
            step depends on.
        why_eager: reason why the step must not be recorded; "" if it may be.
    """

    ranks: Ranks | None = None
    """How several ranks share the batch; None for a process alone."""

    def __init__(
        self,
        model: Any,
        compiled: Compiled,
        inputs: Structure,
        buffers: list[Array],
        fetch: Callable[[list[Array]], None] | None,
        check_finite: bool,
        own: bool,
        why_eager: str,
    ) -> None:
        self.model, self.compiled, self.optimizer = model, compiled, compiled.optimizer
        self.inputs = inputs
        self.buffers = buffers
        self.fetch = fetch
        self.check_finite = check_finite
        checked(compiled.dtype, "fit")  # the backend may differ from the one in compile
        self.precision = autocast(compiled.dtype)
        self._evaluated = Finally(self.optimizer.eval)
        self._trains_evaluated = type(self.optimizer).eval is Optimizer.eval  # whether the weights of both are the same
        self.own = own
        self.recorded: Any = None
        self.why_eager = UNASKED if check_finite else why_eager
        by_python = next((m.name for m in compiled.metrics if not m.recordable), None)
        if not self.why_eager and by_python is not None:
            self.why_eager = f"the metric {by_python} is computed by Python" if own else UNASKED
        if self.why_eager:
            explain(compiled, self.why_eager)
        self._watched: Watched | None = None  # the last watched step
        self._unsure = False  # whether the recording must be compared with a new step before it is replayed
        self._voided = 0  # consecutive recordings that were never replayed, since a name got another value
        self._few = False  # whether too few steps follow to watch one
        self._rate = 0.0  # replayed steps per second
        self._of_shares: dict[Share, Ranks] = {}

    def _step(self) -> None:
        k = current()
        if self.ranks is not None and not self.ranks.share.rows:
            self._step_without_rows(self.ranks)
            return
        if self.fetch is not None:
            self.fetch(self.buffers)
        xs, targets, weights = self.compiled.parts(self.buffers)
        gradients = partial(self._gradients, xs, targets, weights)
        if self.optimizer.takes_closure:
            first: list[BatchLoss] = []

            def closure() -> Tensor:
                first.append(gradients())
                return first[-1].total

            self.optimizer.step(closure)
            loss = first[0]
        else:
            loss = gradients()
            if loss.total.requires_grad:  # False if all layers are frozen
                if self.ranks is not None:
                    self.ranks.before_step(self.optimizer)
                self.optimizer.step()
        if loss.total.requires_grad:
            self.model.apply_constraints()
        loss.add(self.compiled, len(xs[0]))
        update_metrics(k, self.compiled.objectives, loss.outputs, targets, weights)

    def _gradients(self, xs: Sequence[Array], targets: Sequence[Array], weights: Sequence[Array]) -> BatchLoss:
        """Compute the gradients of the batch and return its loss."""
        c = self.compiled
        self.optimizer.zero_grad()
        with self.precision:
            with watched(self.model) if self.check_finite else nullcontext():
                outputs = c.returned.flatten(self.inputs.call(self.model, [Tensor(x) for x in xs]))
            loss = BatchLoss(self.model, c.objectives, outputs, targets, weights, self.ranks)
        if loss.total.requires_grad:
            loss.total.backward()
            if self.check_finite:
                check_gradients(self.model, loss.total)
        return loss

    def _step_without_rows(self, ranks: Ranks) -> None:
        """Take the step of the other ranks, to whose gradients this one adds nothing."""
        self.optimizer.zero_grad()
        ranks.lack(sum(o.loss is not None for o in self.compiled.objectives))
        if ranks.before_step(self.optimizer):
            self.optimizer.step()
            self.model.apply_constraints()

    def dealt(self, share: Share) -> None:
        """Say which part of the batch this rank has."""
        comm = self.compiled.distribute
        if comm is not None:
            self.ranks = self._of_shares.setdefault(share, Ranks(comm, share))  # one object for each, which recordings compare

    @property
    def _lacking(self) -> bool:
        """Return whether a rank may have no rows. Such a step, the last one of a pass, is not recorded."""
        return self.ranks is not None and self.ranks.share.lacking

    # Some optimizers train other weights than those that are evaluated. The evaluated weights are put in before and after all
    # steps, but not between slices, since each exchange rounds.

    def run(self, n: int = 1) -> None:
        """Take n steps."""
        with self._evaluated:
            self.optimizer.train()
            self._take(n)

    def run_sliced(self, n: int, between: Callable[[int], bool]) -> None:
        """Take n steps. Call between(steps done) after each slice of time, and stop when it returns False."""
        with self._evaluated:
            self.optimizer.train()
            done = 0
            while done < n:
                part = 1 if self.recorded is None or not self._rate else max(1, min(n - done, int(SLICE * self._rate)))
                start = time.perf_counter()
                was_recorded = self.recorded is not None
                self._take(part)
                if was_recorded:
                    self._rate = part / max(time.perf_counter() - start, 1e-9)
                done += part
                if not between(done):
                    return

    @property
    def repeats(self) -> bool:
        """Return whether the recorded step is all that a step does, if no other code runs between the steps.

        The caller runs the recording then; it is not checked whether it still fits.
        """
        return self.recorded is not None and not self.own and self._trains_evaluated

    def start_epoch(self, n: int, left: int, alone: bool) -> None:
        """Prepare for an epoch of n steps.

        left: number of epochs left, including this one.
        alone: whether no user code runs between epochs. Such code may change values that the step depends on.
        """
        if self.own and not self.compiled.capture:
            self._unsure = self._unsure or not alone
            self._few = self._watched is None and n * (left if alone else 1) < FEW

    def _take(self, n: int) -> None:
        with mode(training=True):
            while n:
                if self.recorded is not None and not self._unsure and not self._lacking and self.recorded.fits():
                    self.recorded.run(n)
                    self._voided = 0
                    return
                self._watch()
                n -= 1

    def _watch(self) -> None:
        from ..replay.lookups import Bindings
        from ..replay.plan import Step
        from ..replay.recorder import PATIENCE, Recorder, Watched, difference

        real = current()
        if self.why_eager or self._few or self._lacking or isinstance(real, Recorder):
            self._step()
            return
        recorder = Recorder(real, tuple(b for b in self.buffers if b.size), lines=bool(self.own), guarded=bool(self.own))
        host = self._look_for_host_code(recorder) if self.own else None
        if host is None:
            self._record(recorder)
        before, now = self._watched, Watched(recorder)
        self._watched = now
        if recorder.void or (now.hindrance and before is not None and before.hindrance):
            self._stay_eager(recorder.void or now.hindrance)
        elif before is None or now.hindrance or now.signature != before.signature or (self.own and before.hindrance):
            self.recorded = None
            if self.own and before is not None:
                now.differed = before.differed + 1
                if now.differed >= PATIENCE:
                    why = now.hindrance or before.hindrance or difference(before, now)
                    self._stay_eager(f"no two steps in a row do the same work ({why})")
            recorder.forget()
        else:
            if self.recorded is None or not self.recorded.fits():
                changed = self.recorded.bindings.changed if self.recorded is not None and self.recorded.bindings else ""
                self._voided = self._voided + 1 if changed else 0
                if self._voided >= PATIENCE:
                    self._stay_eager(f"{changed} is set between steps, and each time the step is recorded again")
                    return
                roots = [p for parts in _parts(self.model, self.compiled) for p in parts]
                self.recorded = Step(recorder, [], None, Bindings(roots, host, recorder.uses) if host is not None else None)
            else:
                recorder.forget()
            self._unsure = False

    def _record(self, recorder: Any) -> None:
        with recording(recorder):
            self._step()
            recorder.carry_buffers()

    def _look_for_host_code(self, recorder: Any) -> HostCode:
        from ..replay.host_code import HostCode

        with HostCode(marks=False) as host:
            self._record(recorder)
        if recorder.guard is not None:
            recorder.guard.check()
        if host.found:
            recorder.hinder(f"{host.found}, which a replay would omit")
        elif not recorder.void and (held := recorder.escaped()):
            recorder.hinder(held)
        return host

    def _stay_eager(self, why: str) -> None:
        self.why_eager, self.recorded = why, None
        if self.own:
            explain(self.compiled, why)

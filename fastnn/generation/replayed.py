"""Steps that are repeated for each token: recorded once, and replayed without Python between their kernels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ..autograd.tensor import no_grad
from ..backends import current, get_isa, recording
from ..backends.spec import PRECISIONS
from ..core.precision import autocast, precision
from ..core.structure import own_code, users_level
from ..nn.mode import mode, sampled
from ..replay.host_code import HostCode
from ..replay.plan import Step
from ..replay.recorder import PATIENCE, Recorder, Watched, difference

if TYPE_CHECKING:
    from ..nn.module import Module


class Surroundings:
    """Backend and precision of a computation, as they were when this object was made.

    A stream of tokens may be consumed elsewhere than where it was made. So each computation runs in a block of its own.
    """

    def __init__(self) -> None:
        k: Any = current()
        k.host_reads("generate")
        self.backend: Any = k.real if isinstance(k, Recorder) else k
        self._precision: Any = PRECISIONS[precision()]
        isa = get_isa() if self.backend.name == "cpp" else ""
        self.key = self.backend.name, isa, self._precision, sampled.get()
        """What a recorded step depends on."""

    def block(self) -> ExitStack:
        """Return a block in which models compute, in evaluation mode and without a tape."""
        with ExitStack() as stack:
            for part in (recording(self.backend), autocast(self._precision), no_grad(), mode(training=False)):
                stack.enter_context(part)
            block = stack.pop_all()
        return block


class Replayed:
    """Function whose calls are replayed as soon as two in a row did the same work on the same memory.

    Args:
        step: function without arguments or a result. What changes from call to call is in arrays, which it changes in place.
        model: the module that it calls. A custom one is inspected for effects that a replay would omit.
        around: where it runs.
    """

    def __init__(self, step: Callable[[], None], model: Module, around: Surroundings) -> None:
        self._step, self._around = step, around
        self._custom = not all(own_code(type(m).__module__) for m in model.modules())
        self._before: Watched | None = None
        self._recorded: Step | None = None
        self._eager = ""
        self._differed = 0

    def __call__(self) -> None:
        if self._recorded is not None:
            with mode(training=False):
                if self._recorded.fits():
                    self._recorded.run(1)
                    return
        with self._around.block():
            if self._eager:
                self._step()
            else:
                self._watch()

    def lasts(self) -> bool:
        """Return whether there is a recording that may fit again, and no code of the user that may change."""
        return self._recorded is not None and not self._custom and self._recorded.lasts()

    def _watch(self) -> None:
        recorder = Recorder(self._around.backend, lines=self._custom)
        host = HostCode(marks=True) if self._custom else None
        with recording(recorder):
            if host is None:
                self._step()
            else:
                with host:
                    self._step()
            recorder.carry_buffers()
        if host is not None:  # code of the user, which may also keep Tensors of the step
            if host.found:
                recorder.hinder(f"{host.found}, which a replay would omit")
            elif not recorder.void and (held := recorder.escaped()):
                recorder.hinder(held)
        before, now = self._before, Watched(recorder)
        self._before = now
        if before is not None and not (recorder.void or now.hindrance or before.hindrance) and now.signature == before.signature:
            self._recorded = Step(recorder, [], None)
            return
        recorder.forget()
        self._recorded = None
        self._differed += 1
        why = recorder.void or now.hindrance or (difference(before, now) if before is not None else "")
        if recorder.void or self._differed >= PATIENCE:
            self._eager, self._before = why, None
            warnings.warn(
                f"generate: the steps of the model are not recorded and run one by one: {why}", RuntimeWarning, users_level()
            )

"""generate: cached and recomputed, single and batched, streamed and whole, beams; and what it refuses."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from small_gpts import KINDS, PROMPTS, make

import fastnn
from fastnn.models import GPT
from fastnn.text import CharTokenizer

BACKENDS = [name for name in ("numpy", "numba", "cpp") if fastnn.backends()[name].available]
HOW: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0},
    "sampled": {"seed": 3, "temperature": 1.2, "top_p": 0.9},
    "penalty": {"seed": 4, "repetition_penalty": 1.5, "top_k": 6, "min_p": 0.01},
}
# ---- cached, batched, streamed ----


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", KINDS)
def test_cached_is_recomputed(kind: str, how: str) -> None:
    model = make(kind)
    cached = model.generate(PROMPTS, 12, **HOW[how])
    again = model.generate(PROMPTS, 12, use_cache=False, **HOW[how])
    assert cached.dtype == np.int64 and cached.shape == (3, 17) and cached.tolist() == again.tolist()
    assert [row[: len(p)].tolist() for row, p in zip(cached, PROMPTS, strict=True)] == PROMPTS
    assert len(np.unique(cached)) > 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_write_the_same(backend: str) -> None:
    wanted = make().generate(PROMPTS, 12, **HOW["penalty"]).tolist()
    with fastnn.use_backend(backend):
        assert make().generate(PROMPTS, 12, **HOW["penalty"]).tolist() == wanted


def test_float64() -> None:
    wanted = make().generate(PROMPTS, 12, temperature=0).tolist()
    assert make(dtype="float64").generate(PROMPTS, 12, temperature=0).tolist() == wanted


def test_greedy_takes_the_largest_logit() -> None:
    model, ids = make(), [1, 2, 3]
    for _ in range(8):
        ids.append(int(model([ids], training=False).numpy()[0, -1].argmax()))
    assert model.generate([1, 2, 3], 8, temperature=0).tolist() == ids


@pytest.mark.parametrize("how", HOW)
def test_a_batch_is_its_rows(how: str) -> None:
    model = make()
    settings = {key: value for key, value in HOW[how].items() if key != "seed"}
    together = model.generate(PROMPTS, 9, seed=[5, 6, 7], **settings)
    for prompt, seed, row in zip(PROMPTS, (5, 6, 7), together, strict=True):
        alone = model.generate(prompt, 9, seed=seed, **settings)
        assert row.tolist() == [*alone.tolist(), *[-1] * (5 - len(prompt))]
    assert model.generate([PROMPTS[0]], 9, seed=5, **settings).tolist() == [together[0, :12].tolist()]
    assert model.generate(np.array([[1, 2], [3, 4]], np.int32), 2).shape == (2, 4)
    assert model.generate(fastnn.tensor([1, 2]), 2).shape == (4,)


@pytest.mark.parametrize("backend", BACKENDS)
def test_tokens_are_replayed(backend: str) -> None:
    calls: list[int] = []

    class Counted(GPT):
        def step(self, ids: Any, cache: Any, lengths: Any = None) -> Any:
            calls.append(0)
            return super().step(ids, cache, lengths)

    with fastnn.use_backend(backend):
        fastnn.seed(0)
        assert Counted(11, 24, 8, 1, 2).generate([1], 20).shape == (21,)
    assert len(calls) == 3  # the prompt, and two recordings


def test_a_step_that_cannot_be_recorded_runs_and_says_so() -> None:
    class Measured(GPT):
        def step(self, ids: Any, cache: Any, lengths: Any = None) -> Any:
            y = super().step(ids, cache, lengths)
            return y * float(y.max().item() > -1e9)

    model, plain = Measured(11, 24, 8, 1, 2), GPT(11, 24, 8, 1, 2)
    plain.set_weights(model.get_weights())
    with pytest.warns(RuntimeWarning, match=r"generate: the steps of the model are not recorded .*item"):
        written = model.generate([1], 20, seed=0)
    assert written.tolist() == plain.generate([1], 20, seed=0).tolist()


def test_streams() -> None:
    model = make()
    whole, batch = model.generate([1, 2], 9, seed=2), model.generate(PROMPTS, 9, seed=2, stop=[3, 4])
    stream = model.generate([1, 2], 9, seed=2, stream=True)
    assert isinstance(stream, Iterator) and [next(stream), *stream] == whole[2:].tolist()
    steps = np.array(list(model.generate(PROMPTS, 9, seed=2, stop=[3, 4], stream=True)))
    for row, prompt, new in zip(batch, PROMPTS, steps.T, strict=True):
        kept = new[new >= 0]
        assert row.tolist() == [*prompt, *kept, *[-1] * (batch.shape[1] - len(prompt) - len(kept))]
    with pytest.raises(ValueError, match="max_new_tokens"):  # at once, not at the first token
        model.generate([1, 2], -1, stream=True)


class Sums:
    """A cache of the sums of all vectors so far."""

    def __init__(self, batch: int) -> None:
        self.total = fastnn.zeros(batch, 6)

    def select(self, rows: Any) -> None:
        self.total.copy_(self.total.take(rows))

    def reset(self) -> None:
        self.total.fill_(0.0)


class Summed(fastnn.Module):
    """A model of the user with a cache: the next token depends on the sum of all vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = fastnn.Embedding(9, 6), fastnn.Dense(9, input_shape=(6,))

    def forward(self, ids: Any) -> Any:
        return self.head(self.table(ids).sum(1).tanh())

    def cache(self, batch: int) -> Sums:
        return Sums(batch)

    def step(self, ids: Any, cache: Sums, lengths: Any = None) -> Any:
        x = self.table(ids)
        if lengths is not None:
            x = fastnn.where((fastnn.arange(x.shape[1]) < lengths.reshape(-1, 1)).reshape(*x.shape[:2], 1), x, 0.0)
        cache.total.copy_(cache.total + x.sum(1))
        return self.head(cache.total.tanh())


@pytest.mark.parametrize("how", [{"temperature": 0}, {"seed": 3}, {"num_beams": 3}])
def test_a_cache_of_the_user(how: dict[str, Any]) -> None:
    fastnn.seed(0)
    model = Summed()
    model.set_weights([4 * w for w in model.get_weights()])
    cached = model.generate(PROMPTS, 12, **how).tolist()
    assert cached == model.generate(PROMPTS, 12, use_cache=False, **how).tolist()
    assert cached == model.generate(PROMPTS, 12, **how).tolist()


# ---- beams ----


def score(model: Any, prompt: list[int], new: tuple[int, ...], power: float) -> float:
    logits = model([[*prompt, *new]], training=False).numpy()[0, len(prompt) - 1 : -1].astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return float(log_p[np.arange(len(new)), list(new)].sum() / len(new) ** power)


@pytest.mark.parametrize("power", [-1.0, 0.0, 1.0, 3.0])
@pytest.mark.parametrize("stop", [None, 0, [0, 2]])
def test_beams_find_the_best_text(stop: Any, power: float) -> None:
    model = make(vocabulary=3)
    ends = set(np.atleast_1d([] if stop is None else stop).tolist())
    every: list[tuple[int, ...]] = []
    for n in range(1, 5):
        for new in itertools.product(range(3), repeat=n):
            if not ends & set(new[:-1]) and (n == 4 or new[-1] in ends):
                every.append(new)
    prompts = [[1], [2, 0]]
    found = model.generate(prompts, 4, num_beams=81, length_penalty=power, stop=stop)
    for prompt, row in zip(prompts, found, strict=True):
        best = max(every, key=lambda new: score(model, prompt, new, power))
        shown = best[:-1] if best[-1] in ends else best
        assert row[row >= 0].tolist() == [*prompt, *shown]


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_beams_with_a_cache(kind: str) -> None:
    model = make(kind)
    cached = model.generate(PROMPTS, 10, num_beams=3)
    assert cached.tolist() == model.generate(PROMPTS, 10, num_beams=3, use_cache=False).tolist()
    assert model.generate(PROMPTS[0], 10, num_beams=3).tolist() == cached[0, :13].tolist()
    greedy = model.generate(PROMPTS[0], 10, temperature=0)
    assert model.generate(PROMPTS[0], 10, num_beams=1, temperature=0).tolist() == greedy.tolist()
    new, of_greedy = tuple(cached[0, 3:13].tolist()), tuple(greedy[3:].tolist())
    assert score(model, PROMPTS[0], new, 1.0) >= score(model, PROMPTS[0], of_greedy, 1.0)
    model.tokenizer = CharTokenizer("abcdefghijk")
    assert model.generate("bcd", 10, num_beams=3) == model.tokenizer.decode(cached[0, :13])


# ---- what it depends on, and what depends on it ----


def test_a_model_keeps_its_recorded_step() -> None:
    model = make()
    model.dropout = 0.5
    calls: list[int] = []

    def wanted(prompt: list[int], **how: Any) -> list[int]:
        return make().generate(prompt, 9, **how).tolist()

    def count(module: Any) -> None:
        forward = module.forward
        object.__setattr__(module, "forward", lambda *args: (calls.append(0), forward(*args))[1])

    assert model.generate([1], 9, seed=1).tolist() == wanted([1], seed=1)
    count(model.blocks[0])
    for prompt, seed in (([1, 2], 3), ([4], 5)):  # each reads its prompt, and replays the rest
        calls.clear()
        assert model.generate(prompt, 9, seed=seed).tolist() == wanted(prompt, seed=seed) and len(calls) == 1
    stream = model.generate([1], 9, seed=1, stream=True)
    begin = [next(stream), next(stream)]
    assert model.generate([1], 9, seed=2).tolist() == wanted([1], seed=2)  # beside the stream, which has the kept step
    assert [1, *begin, *stream] == wanted([1], seed=1)
    next(model.generate([7, 8], 9, seed=1, stream=True))  # a stream that is not read to its end
    assert model.generate([1], 9, seed=1, repetition_penalty=1.5).tolist() == wanted([1], seed=1, repetition_penalty=1.5)
    assert model.generate([1], 9, temperature=0).tolist() == wanted([1], temperature=0)
    assert model.generate([[1], [2, 3]], 9, temperature=0)[0, :10].tolist() == wanted([1], temperature=0)
    assert copy.deepcopy(model).generate([1], 9, seed=1).tolist() == wanted([1], seed=1)
    model.set_weights([-w for w in model.get_weights()])
    other = make()
    other.set_weights(model.get_weights())
    assert model.generate([1], 9, seed=1).tolist() == other.generate([1], 9, seed=1).tolist() != wanted([1], seed=1)
    model.set_dtype("float64")
    assert model.generate([1], 9, seed=1).tolist() == other.generate([1], 9, seed=1).tolist()


def test_seeds() -> None:
    model = make()
    assert model.generate([1], 12, seed=1).tolist() != model.generate([1], 12, seed=2).tolist()
    fastnn.seed(7)
    first, second = (model.generate([1], 12).tolist() for _ in range(2))
    fastnn.seed(7)
    assert model.generate([1], 12).tolist() == first != second


def test_the_model_stays_as_it_is() -> None:
    model = make()
    model.dropout = 0.5
    before = [w.copy() for w in model.get_weights()]
    assert model.training
    written = model.generate([1], 12, seed=1)
    assert model.training and written.tolist() == make().generate([1], 12, seed=1).tolist()
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupt_leaves_a_model_that_works(at: int) -> None:
    class Interrupted(GPT):
        left = 0

        def step(self, ids: Any, cache: Any, lengths: Any = None) -> Any:
            object.__setattr__(self, "left", self.left - 1)
            if not self.left:
                raise KeyboardInterrupt
            return super().step(ids, cache, lengths)

    model = Interrupted(11, 24, 8, 1, 2)
    plain = GPT(11, 24, 8, 1, 2)
    plain.set_weights(model.get_weights())
    object.__setattr__(model, "left", at)
    with pytest.raises(KeyboardInterrupt):
        model.generate([1], 12, seed=1)
    with pytest.warns(RuntimeWarning, match="not recorded"):  # it counts in Python
        assert model.generate([1], 12, seed=1).tolist() == plain.generate([1], 12, seed=1).tolist()


def test_threads_do_not_disturb_each_other() -> None:
    model = make()
    wanted = [model.generate([1], 20, seed=i).tolist() for i in range(4)]
    got: dict[int, Any] = {}

    def write(i: int) -> None:
        got[i] = [model.generate([1], 20, seed=i).tolist() for _ in range(3)]

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == {i: [wanted[i]] * 3 for i in range(4)}


def test_a_stream_may_be_read_in_other_modes_and_beside_others() -> None:
    model = make()
    model.dropout = 0.5
    wanted = [model.generate([1], 12, seed=i)[1:].tolist() for i in range(2)]
    streams = [model.generate([1], 12, seed=i, stream=True) for i in range(2)]
    assert [list(t) for t in zip(*zip(*streams, strict=True), strict=True)] == wanted
    stream = model.generate([1], 12, seed=0, stream=True)
    read = [next(stream) for _ in range(2)]
    with fastnn.use_backend("numpy"):
        read += [next(stream) for _ in range(2)]
    model.eval()
    assert read + list(stream) == wanted[0]


def test_probabilities() -> None:
    fastnn.seed(0)
    logits = fastnn.Sequential([fastnn.Embedding(9, 6), fastnn.Dense(9)])
    logits(np.zeros((1, 1), np.int64))
    logits.set_weights([9 * w for w in logits.get_weights()])
    p = fastnn.Sequential([fastnn.Embedding(9, 6), fastnn.Dense(9, "softmax")])
    p(np.zeros((1, 1), np.int64))
    p.set_weights(logits.get_weights())
    wanted = logits.generate([1], 12, seed=0, use_cache=False).tolist()
    assert p.generate([1], 12, seed=0, use_cache=False).tolist() == wanted

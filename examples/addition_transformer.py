"""Teach a small Transformer to add: it reads "27+58=" digit by digit, and writes the sum, the last digit first."""

import time

import numpy as np

import fastnn

LETTERS = "0123456789+="
QUESTION = 6
"""Number of tokens of "27+58="."""
ANSWER = 3
"""Number of tokens of its sum."""


def tokens(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return sums as rows of tokens: two digits, a plus sign, two digits, an equals sign, and the sum from its last digit on."""
    s, plus, equals = a + b, np.full_like(a, 10), np.full_like(a, 11)
    return np.stack([a // 10, a % 10, plus, b // 10, b % 10, equals, s % 10, s // 10 % 10, s // 100], axis=1)


def answers(model: fastnn.models.GPT, questions: np.ndarray) -> np.ndarray:
    """Return the tokens that the model writes after each question, each time the most probable one."""
    cache = model.eval().cache(len(questions))
    logits = model.step(questions, cache)
    written = [logits.argmax(1).numpy()]
    while len(written) < ANSWER:
        logits = model.step(written[-1][:, None], cache)
        written.append(logits.argmax(1).numpy())
    return np.stack(written, axis=1)


def main() -> None:
    fastnn.seed(0)
    rng = np.random.default_rng(0)
    a, b = np.divmod(rng.permutation(10_000), 100)  # all questions; a tenth of them is held out
    rows = tokens(a, b)
    train, test = rows[:9000], rows[9000:]

    model = fastnn.models.GPT(len(LETTERS), QUESTION + ANSWER, width=64, layers=2, heads=4)
    targets = train[:, 1:].copy()
    targets[:, : QUESTION - 1] = -1  # the digits of the question cannot be predicted, and count for nothing
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    epochs, batch = 10, 128
    rate = fastnn.schedules.CosineDecay(3e-3, decay_steps=epochs * -(-len(train) // batch))
    model.compile(fastnn.optim.AdamW(lr=rate), loss)
    began = time.perf_counter()
    model.fit(train[:, :-1], targets, epochs=epochs, batch_size=batch, verbose=0)
    print(f"{sum(p.size for p in model.parameters())} parameters, trained in {time.perf_counter() - began:.0f} s")

    written = answers(model, test[:, :QUESTION])
    right = (written == test[:, QUESTION:]).all(axis=1).mean()
    print(f"Sums that it has not seen and gets right: {right:.1%}")
    for question, answer in zip(test[:4], written, strict=False):
        text = "".join(LETTERS[t] for t in question[:QUESTION])
        print(f"{text}{int(''.join(str(d) for d in answer[::-1]))}")
    assert right > 0.95


if __name__ == "__main__":
    main()

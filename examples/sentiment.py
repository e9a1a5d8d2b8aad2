"""Tell praise from complaint: an LSTM reads reviews, word by word, that this program makes from templates.

These are not reviews of people: their sentences are drawn from a few words and patterns, so the task is much easier than
reading real ones. Yet the words alone do not decide: "not good" is a complaint, "nobody could call it dull" is praise.
"""

import numpy as np

import fastnn
from fastnn.datasets import buckets
from fastnn.text import WordTokenizer

rng = np.random.default_rng(0)
THINGS = ["film", "book", "meal", "hotel", "song", "play", "service", "story", "room", "concert"]
GOOD = ["good", "wonderful", "charming", "excellent", "delightful", "clever", "pleasant", "warm"]
BAD = ["bad", "terrible", "dull", "awful", "boring", "clumsy", "noisy", "cold"]
PLAIN = ["the {thing} was {word} .", "i found the {thing} {word} .", "what a {word} {thing} !", "it was a very {word} {thing} ."]
TURNED = ["the {thing} was not {word} .", "nobody could call the {thing} {word} .", "i never found it {word} , this {thing} ."]
AROUND = ["we went there on a monday .", "my sister came along .", "it took two hours .", "i had read about it before ."]


def review() -> tuple[str, float]:
    """Return a text and its label: 1 for praise, 0 for complaint."""
    praise, turned = rng.integers(0, 2, 2)
    pattern = rng.choice(TURNED if turned else PLAIN)
    word = rng.choice(GOOD if praise != turned else BAD)
    sentences = [pattern.format(thing=rng.choice(THINGS), word=word), *rng.choice(AROUND, rng.integers(0, 4), replace=False)]
    return " ".join(rng.permutation(sentences)), float(praise)


texts, labels = zip(*(review() for _ in range(2000)), strict=True)
tokenizer = WordTokenizer(" ".join(texts[:1600]))
ids = [tokenizer.encode(text) + 1 for text in texts]  # 0 is for padding
training = buckets(ids[:1600], labels[:1600], batch_size=32)  # similar lengths in a batch
test = buckets(ids[1600:], labels[1600:], batch_size=400)


def trained(middle: fastnn.Layer) -> tuple[fastnn.Sequential, float]:
    """Return a network with this layer between embedding and output, and its accuracy on texts that it has not seen."""
    fastnn.seed(0)
    model = fastnn.Sequential(
        [fastnn.Embedding(len(tokenizer) + 1, 16, mask_zero=True), middle, fastnn.Dense(1, activation="sigmoid")]
    )
    model.compile(fastnn.optim.Adam(lr=0.01), "binary_crossentropy", metrics=["accuracy"])
    model.fit(training, epochs=8, verbose=0)
    return model, model.evaluate(test)[1]


_, counted = trained(fastnn.GlobalAveragePooling1D())  # the mean of the words' vectors, whatever their order
model, read = trained(fastnn.LSTM(24))
print(f"Accuracy on 400 new texts: {read:.3f} with an LSTM, {counted:.3f} with the mean of the words")
for text in ("the meal was delightful .", "the meal was not delightful .", "nobody could call the story boring ."):
    praise = model.predict((tokenizer.encode(text) + 1)[None])[0, 0]
    print(f"{praise:.2f}  {text}")
assert read > 0.95

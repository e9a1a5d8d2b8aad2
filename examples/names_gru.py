"""Spell first names: a GRU learns from a list which letter follows, and then writes names that it makes up.

A letter becomes a vector by an embedding; the hidden state of the GRU is what it remembers of the letters before. The last layer
gives a logit for each letter that may come next. Token 0 begins and ends a name. To write a name, a letter is drawn from these
probabilities, and given to the network as the next input.

    python examples/names_gru.py
    python examples/names_gru.py --plot letters.png    # the embedding of the letters; needs Matplotlib
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

import fastnn

LIST = """
    ada adam adele agnes alan albert alex alice alma amelia amy andrea andrew angela anita anna anton april arthur astrid audrey
    barbara beatrice ben bernard bertha bianca boris brenda bruno camilla carl carla carmen carol caroline caspar cecilia charles
    charlotte chloe christian christine clara claire claudia clemens colin conrad cora cornelia curtis daisy dana daniel daria
    david dennis diana dominic donald dora dorothy dylan edgar edith edward elaine eleanor elena eliza ella elliot elsa emil emily
    emma eric erica ernest esther eva evelyn felix fiona flora florence frances francis frank frederick gabriel gemma george
    gerald gilbert gloria gordon grace greta gustav hannah harold harriet harry hazel heidi helen henry hilda howard hugo ian ida
    ines ingrid irene iris isabel ivan ivy jack jacob james jane janet jasper jean jenny jessica joan joanna john jonas joseph
    judith julia julian karen karin kate katherine keith kenneth kevin klara lara laura lauren lea leo leonard lilian linda lisa
    lorenz louis louise lucas lucia lucy luke lydia magda marcus margaret maria marian marie marina mark martha martin mary
    matthew max maya melanie michael mila miriam monica nadia nancy naomi nathan nicholas nina nora norman olga oliver olivia
    oscar otto owen pamela patricia paul paula peter philip rachel ralph rebecca richard rita robert roger roland rosa rose ruth
    samuel sandra sara sebastian silvia simon sofia sonia stella stephen susan sylvia tamara theo theresa thomas tilda tina toby
    ursula valerie vera veronica victor victoria vincent violet walter wanda wendy werner william xenia yvonne zoe
"""
NAMES = LIST.split()
LETTERS = "." + "".join(sorted(set("".join(NAMES))))  # token 0 stands for the beginning and the end
LONGEST = 14


def tokens_of(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the inputs, the letters that follow them, and weights: 0 after the end of a name."""
    steps = max(map(len, names)) + 1
    x, y, weight = (np.zeros((len(names), steps), kind) for kind in (np.int64, np.int64, np.float32))
    for i, name in enumerate(names):
        letters = [LETTERS.index(letter) for letter in name]
        x[i, 1 : len(name) + 1] = letters
        y[i, : len(name)] = letters
        weight[i, : len(name) + 1] = 1
    return x, y, weight


def spelled(model: fastnn.Module, count: int, temperature: float, seed: int) -> list[str]:
    """Return names that the network writes, letter by letter."""
    tokens = np.zeros((count, 1), np.int64)
    for position in range(LONGEST):
        logits = model(tokens, training=False)[:, -1]
        letter = fastnn.sample(logits, temperature, top_p=0.95, seed=seed, position=position).numpy()
        tokens = np.concatenate([tokens, letter[:, None]], 1)
    return ["".join(LETTERS[t] for t in row[1:]).split(".")[0] for row in tokens.tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", metavar="FILE", help="draws the embedding of the letters into this file")
    path = parser.parse_args().plot

    fastnn.seed(0)
    x, y, weight = tokens_of(NAMES)
    model = fastnn.Sequential(
        [
            fastnn.Embedding(len(LETTERS), 16),
            fastnn.GRU(96, return_sequences=True),
            fastnn.Dense(len(LETTERS)),
        ]
    )
    model.compile(
        fastnn.optim.Adam(lr=0.005), fastnn.losses.SparseCategoricalCrossentropy(True, reduction="mean_with_sample_weight")
    )
    history = model.fit(x, y, sample_weight=weight, epochs=25, batch_size=32, verbose=0).history["loss"]
    print(f"{len(NAMES)} names; loss of a letter at first {history[0]:.2f}, at last {history[-1]:.2f} nats")
    names = spelled(model, 10, 0.8, seed=1)
    print("Spelled:", ", ".join(name.capitalize() for name in names))
    print(f"{sum(name not in NAMES for name in names)} of these 10 are not in the list")
    if path is not None:
        fastnn.plot.embedding(model, labels=LETTERS, path=path)
        print("Drawn:", path)
    assert history[-1] < 2.2


if __name__ == "__main__":
    main()

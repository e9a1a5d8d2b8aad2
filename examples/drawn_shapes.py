"""Discs and squares: a convolutional net learns to tell apart pictures that this program draws into a folder."""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import fastnn

rng = np.random.default_rng(0)


def draw(shape: str) -> Image.Image:
    """Return a picture of 24x24 pixels with a disc or a square, of any size, place and colour, on a noisy background."""
    picture = Image.fromarray(rng.integers(0, 90, (24, 24, 3)).astype(np.uint8))
    side = int(rng.integers(8, 16))
    x, y = rng.integers(0, 24 - side, 2).tolist()
    colour = tuple(rng.integers(120, 256, 3).tolist())
    pen = ImageDraw.Draw(picture)
    (pen.ellipse if shape == "disc" else pen.rectangle)((x, y, x + side, y + side), fill=colour)
    return picture


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    for shape in ("disc", "square"):  # a folder for each class
        (folder / shape).mkdir()
        for i in range(200):
            draw(shape).save(folder / shape / f"{i:03}.png")

    train, validation = fastnn.datasets.images(folder, as_float=True, validation_split=0.2)
    print(train)

    fastnn.seed(0)
    model = fastnn.Sequential(
        [
            fastnn.Conv2D(8, 3, activation="relu", input_shape=train.shape),
            fastnn.MaxPooling2D(2),
            fastnn.Conv2D(16, 3, activation="relu"),
            fastnn.MaxPooling2D(2),
            fastnn.Flatten(),
            fastnn.Dense(32, activation="relu"),
            fastnn.Dense(len(train.class_names), activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = fastnn.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    model.fit(train, epochs=25, validation_data=validation, callbacks=stop, verbose=0)
    accuracy = model.evaluate(validation)[1]
    print(f"Accuracy on {len(validation)} pictures that it has not seen: {accuracy:.3f}")
    assert accuracy > 0.9

    classify = model.freeze()
    draw("disc").save(folder / "new.png")
    picture = fastnn.datasets.image(folder / "new.png", size=train.shape[:2], channels=3, as_float=True)
    shares = ", ".join(f"{100 * p:.0f} % {name}" for p, name in zip(classify(picture[None])[0], train.class_names, strict=True))
    print(f"A new picture of a disc: {shares}")

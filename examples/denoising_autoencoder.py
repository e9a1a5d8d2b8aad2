"""Take noise away from digits: a convolutional autoencoder squeezes a picture into few maps, and draws it again from them."""

import numpy as np

import fastnn

(x, _), (x_test, _) = fastnn.datasets.digits()
x, x_test = (images[..., None].astype(np.float32) / 255 for images in (x, x_test))
rng = np.random.default_rng(0)


def noisy(images: np.ndarray) -> np.ndarray:
    return np.clip(images + 0.4 * rng.standard_normal(images.shape), 0, 1).astype(np.float32)


fastnn.seed(0)
model = fastnn.Sequential([
    fastnn.Conv2D(16, 3, strides=2, padding="same", activation="relu", input_shape=(20, 20, 1)),  # 10 x 10 x 16
    fastnn.Conv2D(8, 3, strides=2, padding="same", activation="relu"),                            # 5 x 5 x 8: half the numbers
    fastnn.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),                  # 10 x 10 x 16
    fastnn.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid"),                # 20 x 20 x 1
])  # fmt: skip
model.compile("adam", "mse")
model.fit(noisy(x), x, epochs=8, batch_size=32, verbose=0)

given = noisy(x_test)
made = model.predict(given)
errors = [float(np.sqrt(np.mean((images - x_test) ** 2))) for images in (given, made)]
print("Error of a pixel: {:.3f} in noisy pictures of new digits, {:.3f} after the autoencoder.".format(*errors))
for row in range(0, 20, 2):  # two rows of pixels in a line of text
    lines = (image[row : row + 2, :, 0].mean(axis=0) for image in (x_test[0], given[0], made[0]))
    print("   ".join("".join(" .:-=+*#%@"[int(v * 9.99)] for v in line) for line in lines))

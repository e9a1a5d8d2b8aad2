"""Programs as tutorials of Keras have them. They take Keras or fastnn.keras, and what differs between the two."""

from .custom import callbacks, custom_layer, custom_loop, own_loss_and_metric, save_and_load
from .nets import autoencoder, cnn, mlp, regression, text, time_series, two_inputs
from .side import Side as Side

PROGRAMS = [
    *(mlp, cnn, text, regression, two_inputs, custom_layer, custom_loop, callbacks, save_and_load, autoencoder, time_series),
    own_loss_and_metric,
]

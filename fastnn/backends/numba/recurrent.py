"""Recurrent layers: the reference, as products of whole steps take most of the time."""

from __future__ import annotations

import numpy as np

from ..reference import table

_REFERENCE = table(np)
rnn_forward, rnn_backward = _REFERENCE["rnn_forward"], _REFERENCE["rnn_backward"]
lstm_forward, lstm_backward = _REFERENCE["lstm_forward"], _REFERENCE["lstm_backward"]
gru_forward, gru_backward = _REFERENCE["gru_forward"], _REFERENCE["gru_backward"]

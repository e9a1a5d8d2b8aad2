"""Choice of the next token of a sequence, by the logits of a model."""

from __future__ import annotations

from typing import Any

from .random import words_of

Array = Any

SETTINGS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""Names of the elements of `settings` of `sample_tokens`, in their order."""


def sample_tokens(
    xp: Any,
    token: Array,
    w: Array,
    logits: Array,
    settings: Array,
    seed: Array,
    position: Array,
    previous: Array,
    count: Array,
) -> None:
    """token[n] = a number of 0..V-1, each with a probability proportional to its weight w[n]; -1 where no token can be chosen.

    The settings are temperature, top_k, top_p, min_p, repetition_penalty. The steps are those of the package transformers:

    1. The logits of the first count[n] tokens of previous[n] are divided by the penalty if they are positive, and multiplied by
       it otherwise. Tokens outside of 0..V-1 are skipped. Without count, or without previous, no logit changes.
    2. Tokens with a logit of -infinity are dropped. The others are ordered by their logits, of equal ones the lowest first.
    3. If top_k is at least 1, the first top_k remain. The weight is exp((logit - largest) / temperature).
    4. If top_p < 1, a token remains if those before it have less than top_p of all weight. The first one always remains.
    5. A token remains if its weight is at least min_p, or if it is the first one.

    The token is the first whose weight, with those of all lower numbers, exceeds u times the sum. u has 53 bits of the first two
    words of counter position[n] in the stream seed[n], as in `random_uniform` for float64. With a temperature of 0, it is the
    first in the order of step 2, and its weight is 1. The token is -1 and all weights are 0 if a logit or a setting is NaN, or
    if all logits are -infinity.
    Sources: Holtzman et al., arXiv 1904.09751 (top_p); Nguyen et al., arXiv 2407.01082 (min_p); Keskar et al., arXiv 1909.05858.
    """
    temperature, top_k, top_p, min_p, penalty = (float(s) for s in settings)
    token[...], w[...] = -1, 0
    for n in range(len(logits)):
        z = xp.array(logits[n])
        if previous.size and count.size:
            used = previous[n, : max(0, int(count[n]))]
            used = used[(used >= 0) & (used < len(z))]
            factor = z.dtype.type(penalty)
            z[used] = xp.where(logits[n][used] > 0, logits[n][used] / factor, logits[n][used] * factor)
        if not len(z) or bool(xp.isnan(z).any()) or bool(xp.isnan(settings).any()) or float(z.max()) == -xp.inf:
            continue
        order = xp.argsort(-z, kind="stable")
        order = order[z[order] > -xp.inf]
        if temperature == 0:
            w[n, order[0]] = 1
            token[n] = order[0]
            continue
        if top_k >= 1:
            order = order[: int(min(top_k, len(z)))]
        from_best = xp.where(z[order] == z.max(), 0, z[order].astype(xp.float64) - float(z.max()))
        weight = xp.exp(from_best / temperature)
        if top_p < 1:
            before = xp.concatenate([xp.zeros(1), xp.cumsum(weight)[:-1]])
            stays = before < top_p * weight.sum()
            stays[0] = True
            order, weight = order[stays], weight[stays]
        w[n, order] = xp.where(weight >= min(min_p, 1.0), weight, 0)
        first, second = (int(word) for word in words_of(xp, 17, int(seed[n]), int(position[n]) % 2**64)[[0, 16]])
        u = ((first >> 5) * 2.0**26 + (second >> 6)) / 2**53
        up_to = xp.cumsum(w[n])
        chosen = xp.searchsorted(up_to, u * up_to[-1], side="right")
        token[n] = min(int(chosen), int(xp.nonzero(w[n])[0][-1]))

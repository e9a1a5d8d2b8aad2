"""Optimizer steps over flat buffers, and gradient clipping.

Everything that changes from step to step lies in memory: ``hyper`` holds the hyper-parameters and ``step`` the number of the
current step (one count a parameter; a call covers parameters with equal counts).

Averages that a kernel keeps are never denormal. Many CPUs compute slowly with such numbers, and the average of a unit without
gradients would be one for ever, because beta times a few units of the last place rounds to itself. An average of gradients,
steps or weights is stored as +0 if its magnitude is below 1e-30 (float64: 1e-300). An average of squares, and the maximum of
Adamax, is at least 1e-36 (float64: 1e-306). So is the magnitude of Lion's average, whose sign is the step; its sign does not
change, and 0 stays 0. The step uses the stored values. NaN and infinity are stored as they are. Weights may be denormal.
"""

from __future__ import annotations

from typing import Any

Array = Any

SMALL = {"float32": 1e-30, "float64": 1e-300}
"""Bound below which an average is stored as 0. Its products with decay factors and learning rates from 2e-8 on are normal."""
LEAST = {"float32": 1e-36, "float64": 1e-306}
"""Least value of an average of squares. Its product with a decay factor from 0.03 on is normal, its root far below usual eps."""


def settled(xp: Any, x: Array) -> Array:
    """Return an average as it is stored: +0 instead of values whose magnitude is below SMALL."""
    return xp.where(xp.abs(x) < _limit(SMALL, x), xp.zeros_like(x), x)


def held(xp: Any, x: Array) -> Array:
    """Return an average of squares as it is stored: LEAST instead of values whose magnitude is below it.

    With 0 instead, m / (sqrt(v) + eps) would become infinite or NaN if eps is 0 or tiny.
    """
    return xp.where(xp.abs(x) < _limit(LEAST, x), xp.full_like(x, _limit(LEAST, x)), x)


def _limit(limits: dict[str, float], x: Array) -> float:
    return limits["float32" if x.dtype.itemsize == 4 else "float64"]


def advance(xp: Any, step: Array, by: int) -> None:
    """step += by."""
    step += by


def every(xp: Any, flag: Array, count: Array, period: int) -> None:
    """flag = 1 where count is a multiple of period, else 0: a flag for ``k.when``."""
    flag[...] = count % period == 0


def scheduled(xp: Any, hyper: Array, table: Array, slot: Array, count: Array) -> None:
    """hyper[slot[s]] = table[s, count mod L]: hyper-parameters that follow a schedule; the table is a ring of its next values."""
    hyper[slot] = table[:, int(count[0]) % table.shape[1]]


def sgd_step(xp: Any, w: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None:
    """Stochastic gradient descent; hyper = lr, momentum, dampening, nesterov, weight_decay, decoupled.

    g = dw + weight_decay w (or w *= 1 - lr weight_decay where decoupled is not 0). With momentum: v = momentum v +
    (1 - dampening) g, at step 1 v = g; then g = v, or g + momentum v with nesterov. w -= lr g. Without momentum v is absent.
    """
    lr, momentum, dampening, nesterov, weight_decay, decoupled = hyper.tolist()
    g = _decay(w, dw, lr, weight_decay, decoupled)
    if v.size:
        v[...] = settled(xp, g if int(step[0]) == 1 else momentum * v + (1 - dampening) * g)
        g = g + momentum * v if nesterov else v
    w -= lr * g


def adam_step(xp: Any, w: Array, m: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None:
    """Adam (Kingma and Ba, arXiv 1412.6980) and AdamW (arXiv 1711.05101); hyper = lr, beta1, beta2, eps, weight_decay, decoupled.

    m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
    w -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps), t = step[0]. Weight decay as in `sgd_step`.
    """
    lr, beta1, beta2, eps, weight_decay, decoupled = hyper.tolist()
    t = int(step[0])
    g = _decay(w, dw, lr, weight_decay, decoupled)
    m[...] = settled(xp, beta1 * m + (1 - beta1) * g)
    v[...] = held(xp, beta2 * v + (1 - beta2) * g * g)
    w -= lr / (1 - beta1**t) * m / (xp.sqrt(v) / (1 - beta2**t) ** 0.5 + eps)


def adam_rows_step(
    xp: Any,
    w: Array,
    m: Array,
    v: Array,
    seen: Array,
    dw: Array,
    touched: Array,
    hyper: Array,
    step: Array,
) -> None:
    """`adam_step` of a table, in which only touched rows have a gradient; that of others is 0, and dw is not read there.

    seen[b] says whether row b has had a gradient; its m and v are 0 otherwise. Rows that have not only get
    decoupled weight decay, as by `adam_step`. With weight decay in the gradient, all rows have one.
    """
    lr, _, _, _, weight_decay, decoupled = hyper.tolist()
    fresh = ~seen & (touched | bool(weight_decay and not decoupled))
    seen |= fresh
    if int(step[0]) > 1:
        v[fresh] = held(xp, v[fresh])  # as steps without a gradient leave it
    own = w[seen], m[seen], v[seen]
    adam_step(xp, own[0], own[1], own[2], xp.where(touched[:, None], dw, 0)[seen], hyper, step)
    if decoupled:
        w *= 1 - lr * weight_decay
    for a, values in zip((w, m, v), own, strict=True):
        a[seen] = values


def sparse_adam_step(xp: Any, w: Array, m: Array, v: Array, dw: Array, touched: Array, hyper: Array, step: Array) -> None:
    """Adam for the touched rows of a table, as in PyTorch's SparseAdam; hyper = lr, beta1, beta2, eps. Other rows are not read.

    m += (1 - beta1) (g - m); v += (1 - beta2) (g^2 - v); w -= lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps).
    """
    lr, beta1, beta2, eps = hyper.tolist()
    t, g = int(step[0]), dw[touched]
    m[touched] = settled(xp, m[touched] + (1 - beta1) * (g - m[touched]))
    v[touched] = held(xp, v[touched] + (1 - beta2) * (g * g - v[touched]))
    w[touched] -= lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t) * m[touched] / (xp.sqrt(v[touched]) + eps)


def amsgrad_step(xp: Any, w: Array, m: Array, v: Array, top: Array, dw: Array, hyper: Array, step: Array) -> None:
    """`adam_step` with the greatest v so far in place of v (Reddi et al., ICLR 2018): top = max(top, v)."""
    lr, beta1, beta2, eps, weight_decay, decoupled = hyper.tolist()
    t = int(step[0])
    g = _decay(w, dw, lr, weight_decay, decoupled)
    m[...] = settled(xp, beta1 * m + (1 - beta1) * g)
    v[...] = held(xp, beta2 * v + (1 - beta2) * g * g)
    top[...] = xp.maximum(top, v)
    w -= lr / (1 - beta1**t) * m / (xp.sqrt(top) / (1 - beta2**t) ** 0.5 + eps)


def radam_step(xp: Any, w: Array, m: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None:
    """RAdam (Liu et al., arXiv 1908.03265); hyper, m and v as in `adam_step`.

    r = 2 / (1 - beta2) - 1; rho = r - 2 t beta2^t / (1 - beta2^t), the length of the mean that v is. With rho > 5,
    w -= lr m / (1 - beta1^t) sqrt((rho-4)(rho-2)r / ((r-4)(r-2)rho)) sqrt(1 - beta2^t) / (sqrt(v) + eps);
    before that v rests on too few gradients: w -= lr m / (1 - beta1^t).
    """
    lr, beta1, beta2, eps, weight_decay, decoupled = hyper.tolist()
    t = int(step[0])
    g = _decay(w, dw, lr, weight_decay, decoupled)
    m[...] = settled(xp, beta1 * m + (1 - beta1) * g)
    v[...] = held(xp, beta2 * v + (1 - beta2) * g * g)
    r = 2 / (1 - beta2) - 1
    rho = r - 2 * t * beta2**t / (1 - beta2**t)
    rate = lr / (1 - beta1**t)
    if rho > 5:
        rate *= ((rho - 4) * (rho - 2) * r / ((r - 4) * (r - 2) * rho) * (1 - beta2**t)) ** 0.5
        w -= rate * m / (xp.sqrt(v) + eps)
    else:
        w -= rate * m


def adamax_step(xp: Any, w: Array, m: Array, u: Array, dw: Array, hyper: Array, step: Array) -> None:
    """Adamax (Kingma and Ba, arXiv 1412.6980, section 7.1); hyper as in `adam_step`.

    m = beta1 m + (1 - beta1) g; u = max(beta2 u, |g| + eps); w -= lr / (1 - beta1^t) m / u.
    """
    lr, beta1, beta2, eps, weight_decay, decoupled = hyper.tolist()
    g = _decay(w, dw, lr, weight_decay, decoupled)
    m[...] = settled(xp, beta1 * m + (1 - beta1) * g)
    u[...] = held(xp, xp.maximum(beta2 * u, xp.abs(g) + eps))
    w -= lr / (1 - beta1 ** int(step[0])) * m / u


def _nadam_momentum(beta1: float, momentum_decay: float, t: int) -> float:
    return beta1 * (1 - 0.5 * float(0.96 ** (t * momentum_decay)))


def nadam_product(xp: Any, product: Array, hyper: Array, step: Array) -> None:
    """product *= mu_t (at step 1 product = mu_1), with hyper and mu_t as in `nadam_step`: one product a parameter."""
    for i, t in enumerate(step.tolist()):
        product[i] = (product[i] if t > 1 else 1.0) * _nadam_momentum(float(hyper[1]), float(hyper[4]), t)
    product[...] = settled(xp, product)


def nadam_step(xp: Any, w: Array, m: Array, v: Array, dw: Array, hyper: Array, product: Array, step: Array) -> None:
    """NAdam (Dozat, ICLR workshop 2016); hyper = lr, beta1, beta2, eps, momentum_decay, weight_decay, decoupled.

    mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2); product = mu_1 ... mu_t (`nadam_product`); m and v as in `adam_step`;
    w -= lr ((1 - mu_t) / (1 - product) g + mu_(t+1) / (1 - product mu_(t+1)) m) / (sqrt(v / (1 - beta2^t)) + eps).
    """
    lr, beta1, beta2, eps, momentum_decay, weight_decay, decoupled = hyper.tolist()
    t, so_far = int(step[0]), float(product[0])
    mu, ahead = (_nadam_momentum(beta1, momentum_decay, i) for i in (t, t + 1))
    g = _decay(w, dw, lr, weight_decay, decoupled)
    m[...] = settled(xp, beta1 * m + (1 - beta1) * g)
    v[...] = held(xp, beta2 * v + (1 - beta2) * g * g)
    root = xp.sqrt(v) / (1 - beta2**t) ** 0.5 + eps
    w -= (lr * (1 - mu) / (1 - so_far) * g + lr * ahead / (1 - so_far * ahead) * m) / root


def rmsprop_step(xp: Any, w: Array, v: Array, mean: Array, b: Array, dw: Array, hyper: Array) -> None:
    """RMSprop (Hinton, Coursera lecture 6e, 2012); hyper = lr, alpha, eps, momentum, inside, weight_decay, decoupled.

    v = alpha v + (1 - alpha) g^2. Centered (Graves, arXiv 1308.0850), where there is a mean: mean = alpha mean + (1 - alpha) g,
    and v - mean^2 (not below 0) takes v's place below. u = g / (sqrt(v) + eps), or g / sqrt(v + eps) where inside is not 0.
    With momentum, where there is a b: b = momentum b + u, and u = b. w -= lr u.
    """
    lr, alpha, eps, momentum, inside, weight_decay, decoupled = hyper.tolist()
    g = _decay(w, dw, lr, weight_decay, decoupled)
    v[...] = held(xp, alpha * v + (1 - alpha) * g * g)
    square = v
    if mean.size:
        mean[...] = settled(xp, alpha * mean + (1 - alpha) * g)
        square = xp.maximum(v - mean * mean, 0)
    u = g / (xp.sqrt(square + eps) if inside else xp.sqrt(square) + eps)
    if b.size:
        b[...] = settled(xp, momentum * b + u)
        u = b
    w -= lr * u


def adagrad_step(xp: Any, w: Array, s: Array, dw: Array, hyper: Array, step: Array) -> None:
    """Adagrad (Duchi et al., JMLR 2011); hyper = lr, lr_decay, eps, weight_decay, decoupled.

    s += g^2; w -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps).
    """
    lr, lr_decay, eps, weight_decay, decoupled = hyper.tolist()
    g = _decay(w, dw, lr, weight_decay, decoupled)
    s[...] = held(xp, s + g * g)
    w -= lr / (1 + (int(step[0]) - 1) * lr_decay) * g / (xp.sqrt(s) + eps)


def adadelta_step(xp: Any, w: Array, v: Array, u: Array, dw: Array, hyper: Array) -> None:
    """Adadelta (Zeiler, arXiv 1212.5701); hyper = lr, rho, eps, weight_decay, decoupled.

    v = rho v + (1 - rho) g^2; d = sqrt(u + eps) / sqrt(v + eps) g; u = rho u + (1 - rho) d^2; w -= lr d.
    """
    lr, rho, eps, weight_decay, decoupled = hyper.tolist()
    g = _decay(w, dw, lr, weight_decay, decoupled)
    v[...] = held(xp, rho * v + (1 - rho) * g * g)
    d = xp.sqrt(u + eps) / xp.sqrt(v + eps) * g
    u[...] = held(xp, rho * u + (1 - rho) * d * d)
    w -= lr * d


def lion_step(xp: Any, w: Array, m: Array, dw: Array, hyper: Array) -> None:
    """Lion (Chen et al., arXiv 2302.06675); hyper = lr, beta1, beta2, weight_decay, decoupled.

    w -= lr sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g.
    """
    lr, beta1, beta2, weight_decay, decoupled = hyper.tolist()
    g = _decay(w, dw, lr, weight_decay, decoupled)
    w -= lr * xp.sign(beta1 * m + (1 - beta1) * g)
    mean = beta2 * m + (1 - beta2) * g
    m[...] = xp.where(mean == 0, mean, xp.copysign(held(xp, mean), mean))


def schedule_free_weight(xp: Any, average: Array, hyper: Array, step: Array) -> None:
    """How much of z enters the average of `schedule_free_step` at this step: one row of average a parameter.

    A row holds the sum of the weights of all steps, the greatest learning rate so far, and this step's share c in the sum;
    with step t, the row's numbers are made anew at t = 1: top = max(top, lr min(1, t / warmup_steps));
    weight = t^r top^weight_lr_power; sum += weight; c = weight / sum (0 where the sum is 0).
    """
    lr, warmup, r, power = (float(hyper[i]) for i in (0, 5, 6, 7))
    for row, t in zip(average, step.tolist(), strict=True):
        total, top = (float(row[0]), float(row[1])) if t > 1 else (0.0, 0.0)
        top = max(top, lr * min(1.0, t / warmup) if warmup else lr)
        weight = float(t) ** r * top**power
        total += weight
        row[:] = xp.asarray([total, top, weight / total if total else 0.0])


def schedule_free_step(xp: Any, w: Array, z: Array, v: Array, dw: Array, hyper: Array, average: Array, step: Array) -> None:
    """Schedule-free AdamW (Defazio et al., arXiv 2405.15682); average comes from `schedule_free_weight`.

    hyper = lr, beta1, beta2, eps, weight_decay, warmup_steps, r, weight_lr_power. w is where gradients are taken, the y of the
    paper; at step 1 z = w. rate = lr min(1, t / warmup_steps), c = average[0, 2]; v = beta2 v + (1 - beta2) g^2;
    d = g / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w; w = w + c (z - w) - rate (1 - beta1 (1 - c)) d; z -= rate d.
    The average x is w + (1 - 1 / beta1) (z - w).
    """
    lr, beta1, beta2, eps, weight_decay, warmup = hyper[:6].tolist()
    t, c = int(step[0]), float(average[0, 2])
    rate = lr * min(1.0, t / warmup) if warmup else lr
    if t == 1:
        z[...] = w
    v[...] = held(xp, beta2 * v + (1 - beta2) * dw * dw)
    d = dw / (xp.sqrt(v) / (1 - beta2**t) ** 0.5 + eps) + weight_decay * w
    w[...] = w + c * (z - w) - rate * (1 - beta1 * (1 - c)) * d
    z -= rate * d


def muon_momentum(xp: Any, b: Array, u: Array, dw: Array, hyper: Array) -> None:
    """Muon's momentum (Jordan et al., 2024); hyper = lr, momentum, nesterov, weight_decay, eps.

    b = momentum b + (1 - momentum) dw; u = b, or momentum b + (1 - momentum) dw with nesterov.
    """
    momentum, nesterov = float(hyper[1]), float(hyper[2])
    b[...] = settled(xp, momentum * b + (1 - momentum) * dw)
    u[...] = momentum * b + (1 - momentum) * dw if nesterov else b


def muon_step(xp: Any, w: Array, u: Array, hyper: Array, scale: float) -> None:
    """w = (1 - lr weight_decay) w - lr scale u; hyper as in `muon_momentum`, u its outcome made orthogonal."""
    lr, weight_decay = float(hyper[0]), float(hyper[3])
    w[...] = (1 - lr * weight_decay) * w - lr * scale * u


def lerp(xp: Any, x: Array, y: Array, weight: Array) -> None:
    """x += weight (y - x)."""
    x[...] = settled(xp, x + float(weight[0]) * (y - x))


def ema_step(xp: Any, average: Array, w: Array, momentum: Array, step: Array) -> None:
    """average = momentum average + (1 - momentum) w; at step 1 average = w."""
    share = float(momentum[0])
    average[...] = settled(xp, w if int(step[0]) == 1 else share * average + (1 - share) * w)


def accumulate(xp: Any, mean: Array, x: Array, share: Array) -> None:
    """mean += share x."""
    mean += float(share[0]) * x


def _decay(w: Array, dw: Array, lr: float, weight_decay: float, decoupled: float) -> Array:
    if weight_decay and decoupled:
        w *= 1 - lr * weight_decay
    elif weight_decay:
        return dw + weight_decay * w
    return dw


def sum_squares(xp: Any, total: Array, x: Array) -> None:
    """total += sum(x^2), summed in float64."""
    total += (x.astype(xp.float64) ** 2).sum()


def clip_norm(xp: Any, x: Array, total: Array, limit: Array) -> None:
    """x *= min(1, limit / (norm + 1e-6)), norm = sqrt(total): clipping by the norm of which x is all or a part."""
    x *= xp.minimum(1, limit / (xp.sqrt(total) + 1e-6)).astype(x.dtype)


def unit_norm(xp: Any, x: Array, total: Array, eps: Array) -> None:
    """x /= max(norm, eps), norm = sqrt(total)."""
    x /= xp.maximum(xp.sqrt(total), eps).astype(x.dtype)


def clip_value(xp: Any, x: Array, limit: Array) -> None:
    """x = min(max(x, -limit), limit)."""
    bound = limit.astype(x.dtype)
    x[...] = xp.minimum(xp.maximum(x, -bound), bound)

"""The quantizers in float64, written from their definitions for reading and not for speed."""

import numpy as np

LN2 = np.log(2.0)


class Outcome:
    """What a quantizer makes of one tensor. `tie` and `edge` mark elements that arithmetic decides;
    `fragile` says that the whole tensor stands on such an edge."""

    def __init__(self, y, gx, grads=None, slack=None, tie=False, edge=False, fragile=False):
        self.y, self.gx = y, gx
        self.grads, self.slack = grads or {}, slack or {}
        self.tie, self.edge = np.broadcast_to(tie, y.shape), np.broadcast_to(edge, y.shape)
        self.fragile = bool(np.any(fragile))


def bounds(bits, signed):
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def over(x, per_channel, f):
    """f of the flattened tensor, or of each channel."""
    if per_channel:
        return np.array([f(channel.ravel()) for channel in x])
    return np.float64(f(x.ravel()))


def spread(s, x):
    """A scalar or one number per channel, shaped to combine with x."""
    s = np.asarray(s, dtype=np.float64)
    return s.reshape([-1] + [1] * (x.ndim - 1)) if s.ndim else s


def nonzero(s):
    return np.where(s == 0, 1.0, s)


def near_half(v, margin):
    return np.abs(v - np.floor(v) - 0.5) < margin


def near_integer(v):
    return np.abs(v - np.rint(v)) < 1e-4


class Affine:
    """v = (x - o) / s, q = round(clamp(v, n, p)), y = q s + o and what the gradients need of it."""

    def __init__(self, x, s, o, n, p):
        self.n, self.p = n, p
        self.v = (x - o) / s
        self.q = np.rint(np.clip(self.v, n, p))
        self.y = self.q * s + o
        margin = 1e-4 + 1e-6 * np.abs(self.v)
        self.tie = (self.v > n - 1) & (self.v < p + 1) & near_half(self.v, margin)
        exact = (x == 0) & ((o == 0) | (o == -s * n))
        exact = exact | (np.frexp(s)[0] == 0.5) & (self.v == np.rint(self.v))
        near = (np.abs(self.v - n) < margin) | (np.abs(self.v - p) < margin)
        self.edge = near & ~exact

    def inside_or_at(self):
        return (self.v >= self.n) & (self.v <= self.p)

    def strictly_inside(self):
        return (self.v > self.n) & (self.v < self.p)

    def slack(self, g, factor, per_channel):
        """A bound of the float32 error of sums of g (round(v) - v) and the like."""
        terms = np.abs(g) * (np.abs(np.clip(self.v, self.n, self.p)) + np.abs(self.q) + 1)
        return 2.0**-21 * factor * over(terms, per_channel, np.sum)


class Quantizer:
    """The reference: `state` holds what the library keeps as parameters and buffers."""

    def __init__(self, role, bits, signed, options):
        self.weight, self.bits, self.signed = role == "weight", bits, signed
        self.options, self.state = options, {}
        self.seen = 0

    def flag(self, key, default):
        return self.options.get(key, default) == "true"

    def channels(self, default):
        return self.weight and self.options.get("WEIGHT_GRANULARITY", default) == "channel"

    def observe(self, x, quantizing):
        pass

    def learn(self, x):
        """After quantizing, in training."""

    def running_mean(self, name, value):
        old = self.state.get(name, 0.0)
        self.state[name] = old + (value - old) / (self.seen + 1)

    def gradient_scale(self, x, p, per_channel=False):
        if not self.flag("GRADIENT_SCALE", "true"):
            return 1.0
        count = x.size / x.shape[0] if per_channel or not self.weight else x.size
        return 1 / np.sqrt(count * p)


class Uniform(Quantizer):
    symmetric_key = "ACTIVATION_SYMMETRIC"
    weights_full = False

    def symmetric(self):
        return self.flag(self.symmetric_key, "true")

    def observe(self, x, quantizing):
        if self.weight:
            return
        momentum = float(self.options.get("MOMENTUM", "0.1"))
        for name, new in (("min", x.min()), ("max", x.max())):
            old = self.state.get(name, new)
            self.state[name] = old + momentum * (new - old)
        self.seen += 1

    def step(self, s):
        """The step and whether its choice is near to another one."""
        s = nonzero(s)
        if not self.flag("POWER_OF_TWO", "false"):
            return s, False
        return 2.0 ** np.ceil(np.log2(s)), near_integer(np.log2(s))

    def affine_from(self, x, low, high):
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        s, fragile = self.step((high - low) / (2**self.bits - 1))
        z = np.clip(np.rint(-low / s), 0, 2**self.bits - 1)
        fragile = fragile | near_half(-low / s, 1e-4 + 1e-6 * np.abs(low / s))
        s, z = spread(s, x), spread(z, x)
        return Affine(x, s, 0.0, -z, 2**self.bits - 1 - z), fragile

    def quantize_weights(self, x):
        per_channel = self.channels("channel")
        if self.weights_full and not self.symmetric():
            return self.affine_from(x, over(x, per_channel, np.min), over(x, per_channel, np.max))
        p = 2 ** (self.bits - 1) - 1
        s, fragile = self.step(over(np.abs(x), per_channel, np.max) / p)
        result = Affine(x, spread(s, x), 0.0, -p - int(self.weights_full), p)
        result.v = np.clip(result.v, -p, p)  # nothing clips, whatever the division rounds to
        result.edge = np.zeros(x.shape, bool)
        return result, fragile

    def quantize_activations(self, x):
        low, high = self.state["min"], self.state["max"]
        if self.signed and not self.symmetric():
            return self.affine_from(x, low, high)
        n, p = bounds(self.bits, self.signed)
        top = max(abs(low), abs(high)) if self.signed else high
        s, fragile = self.step(np.float64(top) / p)
        return Affine(x, s, 0.0, n, p), fragile

    def quantize(self, x, g):
        if self.weight:  # nothing clips but by the rounding of the zero point
            a, fragile = self.quantize_weights(x)
            return Outcome(a.y, g, tie=a.tie, edge=a.edge, fragile=fragile)
        a, fragile = self.quantize_activations(x)
        return Outcome(a.y, g * a.inside_or_at(), tie=a.tie, edge=a.edge, fragile=fragile)


class Iao(Uniform):
    symmetric_key = "SYMMETRIC"
    weights_full = True


class DoReFa(Quantizer):
    def quantize(self, x, g):
        return self.weights(x, g) if self.weight else self.activations(x, g)

    def weights(self, x, g):
        levels = 2**self.bits - 1
        t = np.tanh(x)
        flat = np.abs(t).ravel()
        place = np.unravel_index(flat.argmax(), t.shape)
        m = flat.max() if flat.max() > 0 else 1.0
        v = (t / (2 * m) + 0.5) * levels
        gt = g / m
        gt[place] -= np.sign(t[place]) * np.sum(g * t) / m**2
        tie = near_half(v, 1e-4 + 1e-6 * levels)
        fragile = np.sum(flat > m * (1 - 1e-5)) > 1
        return Outcome(2 * np.rint(v) / levels - 1, gt * (1 - t**2), tie=tie, fragile=fragile)

    def activations(self, x, g):
        scale = float(self.options.get("ACTIVATION_SCALE", "0.1"))
        gain = 1 / scale if self.flag("RESCALE_OUTPUT", "false") else 1.0
        low = -1.0 if self.signed else 0.0
        levels = bounds(self.bits, self.signed)[1]
        u = scale * x
        v = np.clip(u, low, 1) * levels
        edge = (np.abs(u - 1) < 1e-4) | ((np.abs(u - low) < 1e-4) & (x != 0))
        gx = g * scale * gain * ((u >= low) & (u <= 1))
        tie = near_half(v, 1e-4 + 1e-6 * np.abs(v))
        return Outcome(np.rint(v) / levels * gain, gx, tie=tie, edge=edge)


class Lsq(Quantizer):
    def observe(self, x, quantizing):
        if self.seen > 0 and (self.weight or quantizing):
            return
        p = bounds(self.bits, self.signed)[1]
        mean = over(np.abs(x), self.channels("tensor"), np.mean)
        self.running_mean("step", nonzero(2 * mean / np.sqrt(p)))
        self.seen += 1

    def quantize(self, x, g):
        per_channel = self.channels("tensor")
        n, p = bounds(self.bits, self.signed)
        a = Affine(x, spread(np.maximum(self.state["step"], 1e-8), x), 0.0, n, p)
        inside = a.strictly_inside()
        factor = self.gradient_scale(x, p, per_channel)
        terms = g * np.where(inside, a.q - a.v, np.where(a.v <= n, n, p))
        grads = {"step": factor * over(terms, per_channel, np.sum)}
        slack = {"step": a.slack(g, factor, per_channel)}
        return Outcome(a.y, g * inside, grads, slack, a.tie, a.edge)


class LsqPlus(Lsq):
    def observe(self, x, quantizing):
        if self.seen > 0 and (self.weight or quantizing):
            return
        n, p = bounds(self.bits, True)
        if self.weight:
            def three_sigma(c):
                mu, sigma = np.mean(c), np.std(c)
                return max(abs(mu - 3 * sigma), abs(mu + 3 * sigma))

            s = over(x, self.channels("tensor"), three_sigma) / 2 ** (self.bits - 1)
            self.running_mean("step", nonzero(s))
        else:
            s = nonzero((x.max() - x.min()) / (p - n))
            offset = x.min() - s * n
            self.running_mean("step", s)
            self.running_mean("offset", offset)
        self.seen += 1

    def quantize(self, x, g):
        if self.weight:
            return super().quantize(x, g)
        n, p = bounds(self.bits, True)
        a = Affine(x, np.maximum(self.state["step"], 1e-8), self.state["offset"], n, p)
        inside = a.strictly_inside()
        factor = self.gradient_scale(x, p)
        terms = g * np.where(inside, a.q - a.v, np.where(a.v <= n, n, p))
        grads = {"step": factor * np.sum(terms), "offset": factor * np.sum(g * ~inside)}
        slack = {"step": a.slack(g, factor, False), "offset": 2.0**-21 * factor * np.abs(g).sum()}
        return Outcome(a.y, g * inside, grads, slack, a.tie, a.edge)


class Pact(DoReFa):
    def observe(self, x, quantizing):
        if self.weight:
            return
        start = float(self.options.get("ALPHA", "0"))
        if start > 0:
            self.state["alpha"] = np.float64(start)
        elif self.seen == 0 or not quantizing:
            self.running_mean("alpha", np.abs(x).max())
        self.seen += 1

    def activations(self, x, g):
        alpha = max(self.state["alpha"], 1e-8)
        p = bounds(self.bits, self.signed)[1]
        a = Affine(x, alpha / p, 0.0, -p if self.signed else 0, p)
        above, below = x >= alpha, x <= -alpha
        inside = ~above & (~below if self.signed else x >= 0)
        grad = np.sum(g * above) - (np.sum(g * below) if self.signed else 0)
        grad += 2 * float(self.options.get("DECAY", "2.5e-4")) * self.state["alpha"]
        edge = (np.abs(np.abs(x) - alpha) < 1e-4 * alpha) & (np.abs(x) != alpha)
        slack = {"alpha": 2.0**-21 * np.abs(g).sum()}
        return Outcome(a.y, g * inside, {"alpha": grad}, slack, a.tie, edge)


class Tqt(Quantizer):
    def observe(self, x, quantizing):
        if self.seen > 0 and (self.weight or quantizing):
            return
        top = 3 * np.sqrt(np.mean(x**2)) if self.weight else np.abs(x).max()
        old = 0.0 if self.seen == 0 else 2.0 ** self.state["log2_t"]
        t = old + (top - old) / (self.seen + 1)
        self.state["log2_t"] = np.log2(t) if t > 0 else np.float64(0)
        self.seen += 1

    def quantize(self, x, g):
        n, p = bounds(self.bits, self.signed)
        log2_t = self.state["log2_t"]
        s = 2.0 ** np.ceil(log2_t) / 2.0 ** (self.bits - int(self.signed))
        a = Affine(x, s, 0.0, n, p)
        r = np.rint(a.v)
        inside = (r >= n) & (r <= p)
        factor = self.gradient_scale(x, p) * s * LN2
        terms = g * np.where(inside, r - a.v, np.clip(r, n, p))
        grads, slack = {"log2_t": factor * terms.sum()}, {"log2_t": a.slack(g, factor, False)}
        return Outcome(a.y, g * inside, grads, slack, a.tie, fragile=near_integer(log2_t))


class Bwn(Quantizer):
    def quantize(self, x, g):
        sign = np.where(x >= 0, 1.0, -1.0)
        if not self.weight:
            edge = np.abs(np.abs(x) - 1) < 1e-4
            return Outcome(sign, g * (np.abs(x) < 1), edge=edge)
        size = np.abs(x)
        if self.bits == 2:
            return Outcome(spread(over(size, True, np.mean), x) * sign, g.copy())
        limit = spread(0.7 * over(size, True, np.mean), x)
        large = size > limit
        count = over(large, True, np.sum)
        alpha = over(size * large, True, np.sum) / np.maximum(count, 1)
        tie = (np.abs(size - limit) < 1e-4 * limit) & (limit > 0)
        return Outcome(spread(alpha, x) * np.sign(x) * large, g.copy(), tie=tie)


class LqNet(Quantizer):
    """Keeps one row of `basis` for each channel of a weight, one row for an activation."""

    def rows(self, x):
        return x.reshape(x.shape[0], -1) if self.weight else x.reshape(1, -1)

    def codes(self):
        grid = (np.arange(2**self.bits)[:, None] >> np.arange(self.bits)) & 1
        return grid if not self.signed else 2 * grid - 1

    def observe(self, x, quantizing):
        if "basis" not in self.state:
            rms = nonzero(np.sqrt(np.mean(self.rows(x) ** 2, axis=1)))
            powers = 2.0 ** (np.arange(self.bits) - (self.bits - 1) + (0 if self.signed else 1))
            self.state["basis"] = 0.6745 * rms[:, None] * powers
        self.seen += 1

    def encode(self, row, basis):
        levels = self.codes() @ basis
        order = np.argsort(levels, kind="stable")
        ranked = levels[order]
        middles = (ranked[1:] + ranked[:-1]) / 2
        place = np.searchsorted(middles, row, side="left")
        gap = np.abs(row[:, None] - middles).min(axis=1)
        margin = 1e-4 * np.diff(ranked).min() + 1e-6 * np.abs(row)
        return order[place], ranked, gap < margin

    def quantize(self, x, g):
        y, inside = np.empty_like(self.rows(x)), np.ones(self.rows(x).shape, bool)
        tie, edge = np.zeros(y.shape, bool), np.zeros(y.shape, bool)
        for i, row in enumerate(self.rows(x)):
            place, ranked, tie[i] = self.encode(row, self.state["basis"][i])
            y[i] = (self.codes() @ self.state["basis"][i])[place]
            if not self.weight:
                low, high = ranked[0], ranked[-1]
                inside[i] = (row >= low) & (row <= high)
                margin = 1e-5 * max(abs(low), abs(high))
                edge[i] = ((np.abs(row - low) < margin) | (np.abs(row - high) < margin)) & (row != 0)
            if not row.any():
                tie[i] = False
        return Outcome(y.reshape(x.shape), g * inside.reshape(x.shape),
                       tie=tie.reshape(x.shape) & (x != 0), edge=edge.reshape(x.shape),
                       fragile=self.badly_conditioned(x))

    def solvable(self, row, basis):
        b = self.codes()[self.encode(row, basis)[0]].T.astype(np.float64)
        gram = b @ b.T
        return b, gram, np.linalg.matrix_rank(gram) == self.bits

    def badly_conditioned(self, x):
        for row, basis in zip(self.rows(x), self.state["basis"]):
            _, gram, full = self.solvable(row, basis)
            if full and np.linalg.cond(gram) > 500 or not full and row.any():
                return True
        return False

    def learn(self, x):
        basis = self.state["basis"].copy()
        for i, row in enumerate(self.rows(x)):
            b, gram, full = self.solvable(row, basis[i])
            if full:
                basis[i] = 0.9 * basis[i] + 0.1 * np.linalg.solve(gram, b @ row)
        self.state["basis"] = basis


METHODS = {"uniform": Uniform, "iao": Iao, "dorefa": DoReFa, "lsq": Lsq, "lsq_plus": LsqPlus,
           "pact": Pact, "tqt": Tqt, "bwn": Bwn, "lqnet": LqNet}

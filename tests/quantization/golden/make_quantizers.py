#!/usr/bin/env python3
"""Writes quantizers.json: outputs, gradients and states of every quantizer, computed in float64.

Needs numpy only and shares no code with the library. `make_quantizers.py` rewrites the file beside
it, byte for byte the same each time: every case seeds its own generator from its name.

All inputs are multiples of a power of two that float32 and bfloat16 hold exactly. In the random
cases no number lies where float32 arithmetic could decide otherwise than float64: values nearer than
1e-4 + 1e-6 |v| (in units of the code v) to a rounding tie are drawn anew, and elements that near to
the edge of a clamp get an upstream gradient of 0. The cases made by hand lie exactly on ties and
edges, with steps that are powers of two.
"""

import json
import pathlib
import zlib

import numpy as np

from reference_quantizers import METHODS, bounds

SIGNED, UNSIGNED = True, False
WEIGHTS, ACTIVATIONS = (4, 3, 3, 3), (2, 3, 4, 5)
FEW_WEIGHTS, FEW_ACTIVATIONS = (3, 2, 2, 1), (2, 2, 2, 3)


def plain(value):
    """Numbers and lists for JSON; whole numbers without a point."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, list, tuple)):
        return [plain(item) for item in np.asarray(value).ravel()]
    value = float(value)
    return int(value) if value == int(value) and abs(value) < 2**53 else value


class Case:
    def __init__(self, method, role, bits, signed=SIGNED, options=None, note="", state=None,
                 training=True, warmup=0):
        self.method, self.role, self.bits, self.signed = method, role, bits, signed
        self.options, self.state, self.training = options or {}, state or {}, training
        self.warmup = warmup
        parts = [method, role, "signed" if signed else "unsigned", f"{bits}bits"]
        parts += [f"{key}_{value}" for key, value in self.options.items()] + [note]
        self.name = "_".join(p for p in parts if p).lower().replace(".", "p").replace("-", "m")

    def fresh(self):
        quantizer = METHODS[self.method](self.role, self.bits, self.signed, self.options)
        for key, value in self.state.items():
            quantizer.state[key] = np.asarray(value, dtype=np.float64)
            quantizer.seen = 1
        return quantizer

    def run(self, batches, g):
        """The outcome of each batch (none while warming up) and the state after it."""
        quantizer, outcomes, states = self.fresh(), [], []
        for i, x in enumerate(batches):
            quantizing = i >= self.warmup
            if self.training:
                quantizer.observe(x, quantizing)
            outcomes.append(quantizer.quantize(x, g) if quantizing else None)
            if self.training and quantizing:
                quantizer.learn(x)
            states.append({key: np.array(value) for key, value in quantizer.state.items()})
        return outcomes, states

    def record(self, batches, g):
        outcomes, states = self.run(batches, g)
        last = outcomes[-1]
        for x in [*batches, g]:
            assert np.array_equal(x, x.astype(np.float32)), self.name
        slack = {key: [float(f"{v:.2g}") for v in np.ravel(value)] for key, value in
                 last.slack.items()}
        case = {"name": self.name, "method": self.method, "role": self.role, "bits": self.bits,
                "signed": self.signed, "options": self.options, "state": plain(self.state),
                "batches": [{"shape": list(x.shape), "x": plain(x)} for x in batches],
                "g": plain(g), "y": plain(last.y), "gx": plain(last.gx),
                "parameter_gradients": plain(last.grads), "parameter_slack": slack,
                "states_after": [plain(state) for state in states]}
        case = {key: value for key, value in case.items() if value != {}}
        if not any(case["states_after"]):
            del case["states_after"]
        if not self.training:
            case["training"] = False
        if self.warmup:
            case["warmup"] = self.warmup
        return case


def draw(rng, case, shape, spread_of_values, grid):
    x = rng.normal(0, spread_of_values, shape)
    if not case.signed:
        x = np.maximum(x + 0.3 * spread_of_values, 0)
    return np.clip(np.rint(x / grid), -255, 255) * grid


def random_case(case, shape, batches=1, spread_of_values=1.0, grid=2.0**-6):
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    g = rng.choice([-1, 1], shape) * rng.integers(1, 17, shape) / 8
    xs = [draw(rng, case, shape, spread_of_values * (1 + 0.25 * i), grid) for i in range(batches)]
    for attempt in range(400):
        redrawn = False
        for i, (x, outcome) in enumerate(zip(xs, case.run(xs, g)[0])):
            if outcome is None or (i + 1 < batches and case.method != "lqnet"):
                continue
            bad = outcome.tie | (outcome.edge if attempt < 20 else False)
            bad = bad | outcome.fragile
            x[bad] = draw(rng, case, shape, spread_of_values * (1 + 0.25 * i), grid)[bad]
            redrawn |= bool(bad.any())
        if not redrawn:
            break
    else:
        raise RuntimeError(case.name + ": no tensor found that stays clear of ties")
    g[case.run(xs, g)[0][-1].edge] = 0
    return case.record(xs, g)


def exact_case(case, x, g=None, shape=None):
    """Values as they are given; an edge that float32 may miss gets an upstream gradient of 0."""
    x = np.asarray(x, dtype=np.float64)
    x = x.reshape(shape if shape else (1, -1, 1, 1) if case.role == "activation" else x.shape)
    if g is None:
        g = (np.arange(x.size) % 5 - 1.5).reshape(x.shape) / 2
    g = np.array(g, dtype=np.float64).reshape(x.shape)
    outcome = case.run([x], g)[0][0]
    g[outcome.edge & ("ties" not in case.name)] = 0
    exact = "ties" in case.name or case.method == "tqt"  # whose steps are powers of two
    assert exact or not np.any(outcome.tie & (x != 0)), case.name
    return case.record([x], g)


def plan_random():
    """Case, whether its tensor is a large one, and the number of batches."""
    weights = {"uniform": (2, 3, 4, 8, 16), "iao": (2, 3, 4, 8, 16), "dorefa": (2, 3, 4, 8, 16),
               "lsq": (2, 3, 4, 8, 16), "lsq_plus": (2, 3, 4, 8, 16), "pact": (2, 4, 8, 16),
               "tqt": (2, 3, 4, 8, 16), "bwn": (2, 3), "lqnet": (1, 2, 3, 4)}
    for method, widths in weights.items():
        for bits in widths:
            yield Case(method, "weight", bits), bits in (3, 4) and method != "pact", 1
    for method in weights:
        for signed in (SIGNED, UNSIGNED):
            widths = (2, 3, 4, 8, 16) if signed else (1, 2, 3, 4, 8, 16)
            if method == "lqnet":
                widths = (1, 2, 3, 4)
            elif method == "bwn":
                widths = (2,)
            elif method in ("iao", "dorefa", "lsq_plus"):
                widths = (2, 3, 4, 8, 16)
            for bits in widths:
                yield Case(method, "activation", bits, signed), bits == 4, 1
    for options in ({"WEIGHT_GRANULARITY": "tensor"}, {"POWER_OF_TWO": "true"}):
        yield Case("uniform", "weight", 4, options=options), True, 1
    both = {"WEIGHT_GRANULARITY": "tensor", "POWER_OF_TWO": "true"}
    yield Case("uniform", "weight", 8, options=both), False, 1
    yield Case("iao", "weight", 4, options={"WEIGHT_GRANULARITY": "tensor"}), False, 1
    for bits in (2, 4, 8, 16):
        yield Case("iao", "weight", bits, options={"SYMMETRIC": "false"}), bits == 4, 1
        yield Case("iao", "activation", bits, options={"SYMMETRIC": "false"}), False, 1
        yield Case("uniform", "activation", bits, options={"ACTIVATION_SYMMETRIC": "false"}), \
            bits == 4, 1
    both = {"WEIGHT_GRANULARITY": "tensor", "SYMMETRIC": "false"}
    yield Case("iao", "weight", 8, options=both), False, 1
    yield Case("iao", "activation", 8, UNSIGNED, {"SYMMETRIC": "false"}), False, 1
    for signed in (SIGNED, UNSIGNED):
        yield Case("uniform", "activation", 4, signed, {"POWER_OF_TWO": "true"}), False, 1
        yield Case("uniform", "activation", 8, signed, note="three_batches"), False, 3
        yield Case("iao", "activation", 8, signed, note="two_batches"), False, 2
        yield Case("lqnet", "activation", 3, signed, note="two_batches"), False, 2
        options = {"ACTIVATION_SCALE": "0.3", "RESCALE_OUTPUT": "true"}
        yield Case("dorefa", "activation", 4, signed, options), False, 1
    both = {"ACTIVATION_SYMMETRIC": "false", "POWER_OF_TWO": "true"}
    yield Case("uniform", "activation", 4, options=both), False, 1
    both = {"ACTIVATION_SYMMETRIC": "false", "MOMENTUM": "0.4"}
    yield Case("uniform", "activation", 4, options=both, note="three_batches"), False, 3
    yield Case("lqnet", "weight", 2, note="two_batches"), False, 2
    for method in ("lsq", "lsq_plus", "tqt"):
        off = {"GRADIENT_SCALE": "false"}
        yield Case(method, "weight", 4, options=off), False, 1
        yield Case(method, "activation", 4, method == "tqt", off), False, 1
    for method in ("lsq", "lsq_plus"):
        for bits in (2, 4, 8):
            options = {"WEIGHT_GRANULARITY": "channel"}
            yield Case(method, "weight", bits, options=options), bits == 4, 1
    yield Case("pact", "activation", 4, UNSIGNED, {"ALPHA": "1.7", "DECAY": "0.01"}), False, 1
    yield Case("pact", "activation", 4, SIGNED, {"ALPHA": "1.25"}), True, 1
    for method in ("lsq", "lsq_plus", "pact", "tqt"):
        signed = method in ("lsq_plus", "tqt")
        yield Case(method, "activation", 4, signed, note="two_batches"), False, 2
        yield Case(method, "activation", 4, signed, note="after_warm_up", warmup=2), False, 3


def plan_given_state():
    """Random tensors and a range that clips many of them."""
    yield Case("lsq", "activation", 4, UNSIGNED, note="given", state={"step": 0.0703125})
    yield Case("lsq", "activation", 3, SIGNED, note="given", state={"step": 0.390625})
    yield Case("lsq", "weight", 2, note="given", state={"step": 0.453125})
    yield Case("lsq_plus", "activation", 4, UNSIGNED, note="given",
               state={"step": 0.0859375, "offset": 0.6328125})
    yield Case("lsq_plus", "activation", 3, SIGNED, note="given",
               state={"step": 0.2109375, "offset": -0.3515625})
    yield Case("pact", "activation", 4, UNSIGNED, note="given", state={"alpha": 0.8515625})
    yield Case("pact", "activation", 3, SIGNED, note="given", state={"alpha": 1.1484375})
    yield Case("tqt", "activation", 4, UNSIGNED, note="given", state={"log2_t": -0.5859375})
    yield Case("tqt", "activation", 3, SIGNED, note="given", state={"log2_t": -0.25390625})
    yield Case("tqt", "weight", 4, note="given", state={"log2_t": -1.3828125})
    for method in ("uniform", "iao"):
        yield Case(method, "activation", 4, SIGNED, note="given",
                   state={"min": -0.5859375, "max": 0.6640625}, training=False)
        yield Case(method, "activation", 4, UNSIGNED, note="given",
                   state={"min": 0.0, "max": 0.8203125}, training=False)
    yield Case("uniform", "activation", 3, SIGNED, {"ACTIVATION_SYMMETRIC": "false"}, "given",
               {"min": -0.26953125, "max": 0.8203125}, False)


def tie_codes(n, p):
    """Codes k + 1/2 over the range, both edges, just outside them, and 0."""
    inner = np.arange(max(n, -9), min(p, 9)) + 0.5
    return np.concatenate([inner, [n - 1, n - 0.5, n, 0, p, p + 0.5, p + 1, p + 2]])


def tie_cases():
    s, note = 0.125, "ties"
    for bits in (1, 2, 4, 8):
        for signed in (SIGNED, UNSIGNED) if bits > 1 else (UNSIGNED,):
            n, p = bounds(bits, signed)
            x = s * tie_codes(n, p)
            lsq = Case("lsq", "activation", bits, signed, {"GRADIENT_SCALE": "false"}, note,
                       {"step": s})
            yield exact_case(lsq, x)
            alpha = Case("pact", "activation", bits, signed, None, note, {"alpha": p * s})
            yield exact_case(alpha, x)
            log2_t = np.log2(s) + bits - int(signed)
            tqt = Case("tqt", "activation", bits, signed, {"GRADIENT_SCALE": "false"}, note,
                       {"log2_t": log2_t})
            yield exact_case(tqt, x)
            ema = {"min": -p * s if signed else 0, "max": p * s}
            yield exact_case(Case("uniform", "activation", bits, signed, None, note, ema, False), x)
            if bits == 1:
                continue
            yield exact_case(Case("iao", "activation", bits, signed, None, note, ema, False), x)
            n, p = bounds(bits, True)
            plus = Case("lsq_plus", "activation", bits, signed, {"GRADIENT_SCALE": "false"}, note,
                        {"step": s, "offset": 2.5})
            yield exact_case(plus, s * tie_codes(n, p) + 2.5)
            dorefa = Case("dorefa", "activation", bits, signed, {"ACTIVATION_SCALE": "0.5"}, note)
            yield exact_case(dorefa, [-3, -2, -1, 0, 1, 2, 3])
    for bits in (2, 4, 8):
        n, p = bounds(bits, True)
        inner = s * np.concatenate([tie_codes(n, p)[:-8], [-p, 0, p]])
        for method in ("uniform", "iao"):
            yield exact_case(Case(method, "weight", bits, note=note), inner, shape=(1, -1, 1, 1))
        codes = s * tie_codes(n, p)
        yield exact_case(Case("lsq", "weight", bits, note=note, state={"step": s}), codes,
                         shape=(1, -1, 1, 1))
    affine = Case("uniform", "activation", 3, SIGNED, {"ACTIVATION_SYMMETRIC": "false"}, note,
                  {"min": -0.375, "max": 0.5}, False)
    yield exact_case(affine, s * tie_codes(-3, 4))
    affine = Case("iao", "weight", 3, options={"SYMMETRIC": "false"}, note=note)
    yield exact_case(affine, s * np.array([-3, -2.5, -1.5, -0.5, 0, 0.5, 1.5, 2.5, 3.5, 4]),
                     shape=(1, -1, 1, 1))
    stays = Case("uniform", "weight", 3, options={"POWER_OF_TWO": "true"}, note="power_stays_ties")
    yield exact_case(stays, s * np.array([-3, -2, -1.5, 0.5, 1, 3]), shape=(1, -1, 1, 1))
    yield exact_case(Case("bwn", "activation", 2, note="ties"), [-1.5, -1, -0.5, 0, 0.5, 1, 1.5])
    twice = Case("dorefa", "weight", 4, note="maximum_twice_ties")
    yield exact_case(twice, [0.25, -0.5, 0.75, 0.125, 0.75, -0.25], shape=(1, 6, 1, 1))
    line = [-4, -3, -2, -1, 0, 1, 2, 3, 4]
    yield exact_case(Case("lqnet", "activation", 2, SIGNED, None, note, {"basis": [[1, 2]]}), line)
    line = [0, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    yield exact_case(Case("lqnet", "activation", 2, UNSIGNED, None, note, {"basis": [[1, 2]]}),
                     line)
    yield exact_case(Case("lqnet", "weight", 2, note=note, state={"basis": [[1, 2], [0.5, 0.25]]}),
                     [-5, -2, -1, 0, 2, 3, -1.5, -0.5, 0, 0.25, 0.5, 0.75], shape=(2, 6, 1, 1))


def special_cases():
    """Zeros, constants, one element, a channel of zeros, numbers of 1e30."""
    huge = np.float64(np.float32(1e30))
    ramp = np.array([-0.875, 0.40625, 0.640625, -0.203125, 0.78125, 0.109375])
    zero_channel = np.stack([ramp, 0 * ramp, 1.5 * ramp[::-1]])
    for method in METHODS:
        for role in ("weight", "activation"):
            for signed in (SIGNED, UNSIGNED) if role == "activation" else (SIGNED,):
                bits = 2 if method == "bwn" else 4

                def case(note, options=None):
                    return Case(method, role, bits, signed, options, note)

                zeros = exact_case(case("zeros"), np.zeros(6), shape=(2, 3, 1, 1))
                if method == "pact":  # whatever range it takes
                    zeros = {k: v for k, v in zeros.items() if "parameter" not in k and k !=
                             "states_after"}
                yield zeros
                full = 0.875 if signed else 0.9375  # p steps of a power of two
                yield exact_case(case("constant"), np.full(6, full), shape=(2, 3, 1, 1))
                yield exact_case(case("one_element"), [0.796875], shape=(1, 1, 1, 1))
                values = ramp if signed else np.abs(ramp)
                yield exact_case(case("huge"), (values * huge).astype(np.float32),
                                 [0.5, 1, -1.5, 2, 0, -0.25], shape=(2, 3, 1, 1))
        options = {"WEIGHT_GRANULARITY": "channel"} if method in ("lsq", "lsq_plus") else {}
        note = "channel_of_zeros"
        yield exact_case(Case(method, "weight", bits, options=options, note=note), zero_channel,
                         shape=(3, 6, 1, 1))
    options = {"SYMMETRIC": "false"}
    yield exact_case(Case("iao", "weight", 4, options=options, note="channel_of_zeros"),
                     zero_channel, [1.0] * 2 + [0] * 3 + [1.0] * 7 + [0] * 6, shape=(3, 6, 1, 1))
    for note, step in (("tiny_step", 2.0**-40), ("negative_step", -0.5)):
        case = Case("lsq", "activation", 4, SIGNED, None, note, {"step": step})
        yield exact_case(case, ramp)
    ternary = Case("bwn", "weight", 3, note="zeros")
    yield exact_case(ternary, np.zeros(6), shape=(2, 3, 1, 1))


def all_cases():
    for case, large, batches in plan_random():
        small = FEW_WEIGHTS if case.role == "weight" else FEW_ACTIVATIONS
        shape = (WEIGHTS if case.role == "weight" else ACTIVATIONS) if large else small
        if case.method == "lqnet":
            shape = {"weight": (2, 4, 3, 2), "activation": (2, 2, 4, 3)}[case.role]
        dorefa = case.method == "dorefa" and case.role == "activation"
        yield random_case(case, shape, batches, *((8.0, 0.125) if dorefa else ()))
    yield random_case(Case("lqnet", "weight", 8), (1, 5, 3, 3))
    yield random_case(Case("lqnet", "activation", 8, UNSIGNED), (2, 3, 3, 3))
    yield random_case(Case("lqnet", "activation", 8, SIGNED), (2, 3, 3, 3))
    for case in plan_given_state():
        yield random_case(case, FEW_WEIGHTS if case.role == "weight" else FEW_ACTIVATIONS)
    yield from tie_cases()
    yield from special_cases()


def main():
    cases = list(all_cases())
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    path = pathlib.Path(__file__).with_name("quantizers.json")
    path.write_text('{"cases":[\n' + lines + "\n]}\n")
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

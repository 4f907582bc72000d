"""Reference traces of the five device models in plain double precision.

Written from the published equations alone, with the standard library's functions and one device at a time; it shares
nothing with the crate. `python3 traces.py` writes `traces.txt` beside itself; `tests/golden.rs` compares.

A step is `i[k] = I(v[k], x[k])`, then the state moves over `dt` with everything taken at `x[k], v[k]`, then it is
clipped. Both data-driven models use their closed form over constant voltage, which is compared here with a
Runge-Kutta integration in small steps.
"""

import math
import os

K_B = 1.380649e-23
Q = 1.602176634e-19


def window_factor(kind, x, to_one, p, j):
    if kind == "none":
        return 1.0
    if kind == "joglekar":
        return 1.0 - abs(2.0 * x - 1.0) ** (2.0 * p)
    if kind == "biolek":
        return 1.0 - (x if to_one else 1.0 - x) ** (2.0 * p)
    if kind == "prodromakis":
        return j * (1.0 - ((x - 0.5) ** 2 + 0.75) ** p)
    raise ValueError(kind)


def clip(x, low, high):
    return min(max(x, low), high)


class LinearIonDrift:
    defaults = dict(
        time_step=1e-4, r_on=100.0, r_off=16e3, u_v=1e-14, d=10e-9, v_pos=0.55, v_neg=-0.55,
        window="biolek", window_p=1.0, window_j=1.0,
    )

    def __init__(self, p):
        self.p = p

    def state(self, g):
        p = self.p
        return (p["r_off"] - 1.0 / g) / (p["r_off"] - p["r_on"])

    def resistance(self, x):
        return self.p["r_on"] * x + self.p["r_off"] * (1.0 - x)

    def conductance(self, x):
        return 1.0 / self.resistance(x)

    def current(self, x, v):
        return v / self.resistance(x)

    def step(self, x, v, dt):
        p = self.p
        if not (v >= p["v_pos"] or v <= p["v_neg"]):
            return x
        f = window_factor(p["window"], x, v > 0.0, p["window_p"], p["window_j"])
        rate = p["u_v"] * p["r_on"] / p["d"] ** 2 * self.current(x, v) * f
        return clip(x + dt * rate, 0.0, 1.0)


class Vteam:
    defaults = dict(
        time_step=1e-10, r_on=50.0, r_off=1000.0, k_on=-10.0, k_off=5e-4, alpha_on=3.0, alpha_off=1.0, v_on=-0.2,
        v_off=0.02, w_on=0.0, w_off=3e-9, resistance="linear", window="none", window_p=1.0, window_j=1.0,
        a_on=0.0, a_off=3e-9, w_c=107e-12,
    )

    def __init__(self, p):
        self.p = p
        self.span = p["w_off"] - p["w_on"]
        self.lam = math.log(p["r_off"] / p["r_on"])

    def state(self, g):
        p = self.p
        if p["resistance"] == "linear":
            u = (1.0 / g - p["r_on"]) / (p["r_off"] - p["r_on"])
        else:
            u = math.log(1.0 / (g * p["r_on"])) / self.lam
        return p["w_on"] + self.span * u

    def resistance(self, w):
        p = self.p
        x = (w - p["w_on"]) / self.span
        if p["resistance"] == "linear":
            return p["r_on"] + (p["r_off"] - p["r_on"]) * x
        return p["r_on"] * math.exp(self.lam * x)

    def conductance(self, w):
        return 1.0 / self.resistance(w)

    def current(self, w, v):
        return v / self.resistance(w)

    def factor(self, w, off):
        p = self.p
        if p["window"] == "team":
            z = (w - p["a_off"]) / p["w_c"] if off else -(w - p["a_on"]) / p["w_c"]
            # exp(-exp(z)) is 0 long before exp(z) overflows.
            return math.exp(-math.exp(z)) if z < 700.0 else 0.0
        x = (w - p["w_on"]) / self.span
        return window_factor(p["window"], x, off, p["window_p"], p["window_j"])

    def step(self, w, v, dt):
        p = self.p
        if v > p["v_off"]:
            rate = p["k_off"] * (v / p["v_off"] - 1.0) ** p["alpha_off"] * self.factor(w, True)
        elif v < p["v_on"]:
            rate = p["k_on"] * (v / p["v_on"] - 1.0) ** p["alpha_on"] * self.factor(w, False)
        else:
            rate = 0.0
        return clip(w + dt * rate, p["w_on"], p["w_off"])


class StanfordPku:
    defaults = dict(
        time_step=1e-4, r_on=542.0, r_off=218586.0, g_0=0.25e-9, v_0=0.25, i_0=1e-3, v_read=0.1, t_0=298.0,
        r_th=2.1e3, gamma_0=16.0, beta=0.8, t_ox=12e-9, f_min=1.4e9, nu_0=10.0, e_a=0.6, a_0=0.25e-9,
    )

    def __init__(self, p):
        self.p = p
        self.low = self.gap(p["r_on"])
        self.high = self.gap(p["r_off"])

    def gap(self, r):
        p = self.p
        return p["g_0"] * math.log(p["i_0"] * math.sinh(p["v_read"] / p["v_0"]) * r / p["v_read"])

    def state(self, g):
        return self.gap(1.0 / g)

    def current(self, gap, v):
        return self.p["i_0"] * math.exp(-gap / self.p["g_0"]) * math.sinh(v / self.p["v_0"])

    def conductance(self, gap):
        return self.current(gap, self.p["v_read"]) / self.p["v_read"]

    def step(self, gap, v, dt):
        p = self.p
        t = p["t_0"] + abs(v * self.current(gap, v)) * p["r_th"]
        gamma = p["gamma_0"] - p["beta"] * (gap / 1e-9) ** 3
        if gamma * abs(v) / p["t_ox"] < p["f_min"]:
            gamma = 0.0
        kt = K_B * t
        arrhenius = math.exp(-Q * p["e_a"] / kt)
        rate = -p["nu_0"] * arrhenius * math.sinh(gamma * p["a_0"] * Q * v / (p["t_ox"] * kt))
        return clip(gap + dt * rate, self.low, self.high)


def polynomial(coefficients, v):
    return sum(c * v**n for n, c in enumerate(coefficients))


class DataDriven:
    defaults = dict(
        time_step=1e-8, r_on=1280.0, r_off=17e3, rate_p=743.47, rate_n=-68012.28374, t_p=6.51, t_n=0.31645,
        k_p=5.11e-4, k_n=1.17e-3, r_p=[16719.0, 0.0], r_n=[29304.82557, 23692.77225], eta=1.0,
        a_p=0.24, a_n=0.24, b_p=3.0, b_n=3.0,
    )

    def __init__(self, p):
        self.p = p

    def state(self, g):
        return 1.0 / g

    def conductance(self, r):
        return 1.0 / r

    def current(self, r, v):
        side = "p" if v > 0.0 else "n"
        return self.p["a_" + side] / r * math.sinh(self.p["b_" + side] * v)

    def rate(self, r, v):
        p = self.p
        if v == 0.0:
            return 0.0
        side, z = ("p", 1.0) if v > 0.0 else ("n", -1.0)
        s = p["rate_" + side] * math.expm1(p["t_" + side] * abs(v))
        u = z * p["eta"] * p["k_" + side] * (polynomial(p["r_" + side], v) - r)
        return s * math.expm1(u) if u > 0.0 else 0.0

    def step(self, r, v, dt):
        p = self.p
        if v == 0.0:
            return r
        side, z = ("p", 1.0) if v > 0.0 else ("n", -1.0)
        k = p["k_" + side]
        s = p["rate_" + side] * math.expm1(p["t_" + side] * abs(v))
        u = z * p["eta"] * k * (polynomial(p["r_" + side], v) - r)
        sigma = z * p["eta"] * k * s * dt
        if u > 0.0 and sigma > 0.0:
            if u > 500.0:
                moved = u + math.log(-math.expm1(-sigma) + math.exp(-(u + sigma)))
            else:
                moved = math.log1p(-math.expm1(-sigma) * math.expm1(u))
            r += z * p["eta"] / k * moved
        return clip(r, p["r_on"], p["r_off"])


class DataDriven2021:
    defaults = dict(
        time_step=1e-8, r_on=1600.0, r_off=3000.0, rate_p=600.10075, rate_n=-34.5988399, t_p=-0.0212028,
        t_n=-0.05343997, r_p=[2699.2336, -672.930205], r_n=[649.413746, -1474.32358],
        a_p=0.32046175, a_n=0.32046175, b_p=2.71689828, b_n=2.71689828,
    )

    def __init__(self, p):
        self.p = p

    state = DataDriven.state
    conductance = DataDriven.conductance
    current = DataDriven.current

    def pull(self, v):
        side = "p" if v > 0.0 else "n"
        s = self.p["rate_" + side] * math.expm1(abs(v) / self.p["t_" + side])
        return s, polynomial(self.p["r_" + side], v)

    def rate(self, r, v):
        if v == 0.0:
            return 0.0
        s, target = self.pull(v)
        return s * (target - r) ** 2 if s * (target - r) > 0.0 else 0.0

    def step(self, r, v, dt):
        if v != 0.0:
            s, target = self.pull(v)
            if s * (target - r) > 0.0:
                r = target + (r - target) / (1.0 + s * (target - r) * dt)
        return clip(r, self.p["r_on"], self.p["r_off"])


MODELS = {
    "linear-ion-drift": LinearIonDrift,
    "vteam": Vteam,
    "stanford-pku": StanfordPku,
    "data-driven": DataDriven,
    "data-driven-2021": DataDriven2021,
}


# Waveforms. Each is a name and numbers; tests/golden.rs makes them anew.


def sine(dt, amplitude, frequency, duration):
    count = round(duration / dt) + 1
    return [amplitude * math.sin(2.0 * math.pi * frequency * k * dt) for k in range(count)]


def triangle(dt, amplitude, frequency):
    period = 1.0 / frequency
    count = round(period / dt) + 1
    corners = [(0.0, 0.0), (0.25, 1.0), (0.75, -1.0), (1.0, 0.0)]
    out = []
    for k in range(count):
        t = k * dt / period
        for (t0, y0), (t1, y1) in zip(corners, corners[1:]):
            if t <= t1 or t1 == 1.0:
                out.append(amplitude * (y0 + (y1 - y0) * (t - t0) / (t1 - t0)))
                break
    return out


def pulses(_, high, low, width, count):
    """`count` pairs of `width` samples high, then `width` samples low, then as many at zero."""
    one = [high] * int(width) + [low] * int(width) + [0.0] * int(width)
    return one * int(count)


def noise(_, amplitude, count, seed):
    """Uniform in [-amplitude, amplitude) by a linear congruential generator of 64 bits."""
    out, word = [], int(seed)
    for _ in range(int(count)):
        word = (word * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(amplitude * ((word >> 11) / 2.0**52 - 1.0))
    return out


WAVES = {"sine": sine, "triangle": triangle, "pulses": pulses, "noise": noise}

SINE_LID = ("sine", 5.0, 2.5, 4.0)
SINE_VTEAM = ("sine", 1.0, 50e6, 200e-9)
SINE_PKU = ("sine", 1.5, 10.0, 0.5)
SINE_DD = ("sine", 1.5, 10e3, 1e-3)
DD = "data-driven"
DD21 = "data-driven-2021"

# Name, model, waveform, parameters that differ from the defaults.
CASES = [
    ("lid-default", "linear-ion-drift", SINE_LID, {}),
    ("lid-triangle", "linear-ion-drift", ("triangle", 5.0, 2.5), {"start_conductance": 1e-4}),
    ("lid-joglekar", "linear-ion-drift", ("pulses", 3.0, -2.5, 400, 4),
     {"window": "joglekar", "window_p": 2.0, "start_conductance": 2.5e-4}),
    ("lid-prodromakis", "linear-ion-drift", ("noise", 12.0, 4000, 11),
     {"window": "prodromakis", "window_p": 1.7, "window_j": 0.8, "start_conductance": 1.5e-4, "r_on": 250.0}),
    ("lid-none", "linear-ion-drift", ("sine", 4.0, 3.0, 0.7), {"window": "none", "v_pos": 1.25, "v_neg": -0.1}),
    ("lid-biolek-real", "linear-ion-drift", ("noise", 10.0, 3000, 5),
     {"window_p": 3.6, "start_conductance": 5e-4, "u_v": 3e-14, "d": 12e-9, "time_step": 5e-5}),
    ("vteam-default", "vteam", SINE_VTEAM, {}),
    ("vteam-switching", "vteam", ("triangle", 1.5, 50e6), {"start_conductance": 1e-3}),
    ("vteam-exponential", "vteam", ("pulses", 0.9, -0.45, 60, 8), {"resistance": "exponential", "k_off": 0.01}),
    ("vteam-exemplar", "vteam", ("noise", 0.8, 3000, 3),
     {"r_on": 1.4e4, "r_off": 5e7, "resistance": "exponential", "start_conductance": 1e-6, "time_step": 1e-11}),
    ("vteam-real", "vteam", ("sine", 1.2, 40e6, 1e-7),
     {"alpha_on": 2.7, "alpha_off": 1.35, "k_on": -0.05, "k_off": 2e-3, "start_conductance": 2e-3}),
    ("vteam-team", "vteam", ("sine", 1.0, 50e6, 1e-7),
     {"window": "team", "k_off": 0.02, "a_on": 0.4e-9, "a_off": 2.5e-9, "w_c": 200e-12, "start_conductance": 2e-3}),
    ("vteam-team-default", "vteam", ("triangle", 1.5, 20e6), {"window": "team", "start_conductance": 2e-3}),
    ("vteam-joglekar", "vteam", ("noise", 0.9, 2000, 7),
     {"window": "joglekar", "window_p": 1.4, "k_on": -0.02, "k_off": 0.01, "start_conductance": 3e-3}),
    ("vteam-biolek", "vteam", ("pulses", 0.7, -0.7, 40, 6),
     {"window": "biolek", "window_p": 2.0, "k_on": -0.5, "k_off": 0.02, "alpha_on": 2.0,
      "w_on": 1e-9, "w_off": 4.5e-9, "start_conductance": 4e-3}),
    ("vteam-prodromakis", "vteam", ("sine", 1.0, 60e6, 5e-8),
     {"window": "prodromakis", "window_p": 3.0, "window_j": 1.2, "k_on": -0.03, "k_off": 0.01,
      "start_conductance": 2e-3}),
    ("pku-default", "stanford-pku", SINE_PKU, {}),
    ("pku-switching", "stanford-pku", ("triangle", 1.5, 0.05), {}),
    ("pku-pulses", "stanford-pku", ("pulses", 1.7, -1.3, 300, 4), {"start_conductance": 1e-5, "time_step": 2e-4}),
    ("pku-noise", "stanford-pku", ("noise", 1.6, 4000, 9),
     {"time_step": 1e-5, "start_conductance": 1e-4, "e_a": 0.55, "gamma_0": 17.0, "beta": 1.25, "r_th": 1.5e3}),
    ("pku-changed", "stanford-pku", ("sine", 1.4, 5.0, 0.4),
     {"r_on": 2000.0, "r_off": 1e5, "g_0": 0.3e-9, "v_0": 0.3, "i_0": 2e-4, "v_read": 0.2, "t_0": 320.0, "t_ox": 10e-9,
      "f_min": 1e9, "nu_0": 4.0, "a_0": 0.2e-9}),
    ("dd-default", DD, SINE_DD, {}),
    ("dd-switching", DD, ("triangle", 1.5, 10e3), {"start_conductance": 1 / 9e3}),
    ("dd-pulses", DD, ("pulses", 1.1, -1.3, 200, 5), {"start_conductance": 1 / 5e3, "a_n": 0.3, "b_n": 2.5}),
    ("dd-degree-2", DD, ("noise", 1.4, 4000, 2),
     {"r_p": [15000.0, 900.0, -150.0], "r_n": [26000.0, 21000.0, 700.0], "t_n": 0.4, "start_conductance": 1 / 8e3}),
    ("dd-eta", DD, ("sine", 1.2, 1e3, 1e-3),
     {"time_step": 1e-7, "eta": -1.0, "rate_p": -5e4, "rate_n": 9e4, "t_p": 0.5, "t_n": 0.8, "k_p": 4e-4, "k_n": 3e-4,
      "r_p": [3000.0, 200.0], "r_n": [14000.0, -800.0], "start_conductance": 1 / 6e3}),
    ("dd-steep", DD, ("noise", 1.5, 1000, 4), {"k_p": 0.06, "k_n": 0.11, "start_conductance": 1 / 4e3}),
    ("dd21-default", DD21, SINE_DD, {}),
    ("dd21-switching", DD21, ("triangle", 1.5, 10e3), {"start_conductance": 1 / 2.2e3}),
    ("dd21-pulses", DD21, ("pulses", 0.9, -1.35, 150, 6), {"a_n": 0.28, "b_n": 2.4, "start_conductance": 1 / 2.5e3}),
    ("dd21-degree-2", DD21, ("noise", 1.2, 4000, 8),
     {"r_p": [2650.0, -600.0, -40.0], "r_n": [700.0, -1300.0, 60.0], "t_p": -0.1, "t_n": -0.2, "rate_p": 40.0,
      "rate_n": -9.0, "start_conductance": 1 / 2.5e3}),
]


def run(name, model, wave, changes):
    parameters = dict(MODELS[model].defaults)
    parameters.update(changes)
    dt = parameters["time_step"]
    device = MODELS[model](parameters)
    voltages = WAVES[wave[0]](dt, *wave[1:])
    x = device.state(parameters.get("start_conductance", 1.0 / parameters["r_on"]))
    currents, conductances = [], []
    for v in voltages:
        currents.append(device.current(x, v))
        conductances.append(device.conductance(x))
        x = device.step(x, v, dt)
    return voltages, currents, conductances, device.conductance(x)


def literal(value):
    if isinstance(value, str):
        return '"' + value + '"'
    if isinstance(value, list):
        return "[" + ", ".join(literal(v) for v in value) + "]"
    return repr(float(value))


def write(path):
    with open(path, "w", newline="\n") as out:
        for name, model, wave, changes in CASES:
            voltages, currents, conductances, last = run(name, model, wave, changes)
            stride = max(1, len(voltages) // 32)
            print(f"case {name}", file=out)
            print(f"model {model}", file=out)
            for key, value in changes.items():
                print(f"set {key} = {literal(value)}", file=out)
            print("wave", *(w if isinstance(w, str) else repr(w) for w in wave), file=out)
            print(f"samples {len(voltages)} {stride}", file=out)
            # Largest current and both ends of the conductance, over all samples.
            print("over", repr(max(abs(i) for i in currents)), repr(min(conductances)), repr(max(conductances)), file=out)
            for k in range(stride // 2, len(voltages), stride):
                print(repr(currents[k]), repr(conductances[k]), file=out)
            print("last", repr(last), file=out)


def check_figures():
    """The figures that were published with the models."""
    _, _, g, _ = run("", "linear-ion-drift", SINE_LID, {})
    cycle = g[len(g) - round(0.4 / 1e-4) :]
    figures = [1 / max(g), 1 / min(g), 1 / max(cycle), 1 / min(cycle)]
    print("linear ion drift, ohm:", figures)
    assert [round(f) for f in figures[:1]] == [100] and round(figures[2]) == 2362
    assert round(figures[1], -1) == 11930 and round(figures[3], -1) == 11930
    _, _, g, _ = run("", "vteam", SINE_VTEAM, {})
    print("vteam, ohm:", 1 / max(g), 1 / min(g))
    assert abs(1 / max(g) - 50) < 1e-9 and round(1 / min(g), 1) == 98.8


def check_closed_forms():
    """One closed step against 4000 steps of Runge and Kutta."""
    worst = 0.0
    for model, starts in [("data-driven", [2e3, 6e3, 16e3]), ("data-driven-2021", [1700.0, 2100.0, 2900.0])]:
        device = MODELS[model](dict(MODELS[model].defaults))
        for r in starts:
            for v in [-1.4, -1.1, -0.6, 0.3, 0.9, 1.3]:
                speed = abs(device.rate(r, v))
                # A step that moves the resistance visibly without reaching a bound.
                dt = min(1e-3, 400.0 / speed) if speed else 1e-8
                x, h = r, dt / 4000
                for _ in range(4000):
                    k1 = device.rate(x, v)
                    k2 = device.rate(x + h / 2 * k1, v)
                    k3 = device.rate(x + h / 2 * k2, v)
                    k4 = device.rate(x + h * k3, v)
                    x += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
                x = clip(x, device.p["r_on"], device.p["r_off"])
                worst = max(worst, abs(device.step(r, v, dt) - x) / x)
    print("closed forms against Runge-Kutta, largest relative difference:", worst)
    assert worst < 1e-11


if __name__ == "__main__":
    check_figures()
    check_closed_forms()
    write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "traces.txt"))

"""One weight matrix on crossbar tiles: conductances, wires, converters, products.

Plain equations in f64, and f32 where the operands and codes of converters are
decided. Nothing here draws a random number.

Arithmetic. A column current is one chain of f32 fused multiply-adds over the
word lines of its tile in ascending order, started at 0; row tiles are added in
ascending order. numpy has no fused operation: a product of two f32 is exact in
f64, and the sum is rounded to odd in f64 before it is rounded to f32, which
gives the correctly rounded fused result (plain double rounding would be wrong
about once in 2^29 steps).
"""

import numpy as np

F32 = np.float32
F64 = np.float64

# ---------------------------------------------------------------- arithmetic


def add_product(acc, a, b):
    """`fmaf(a, b, acc)` of f32 arrays, correctly rounded.

    The exact sum of the f64 product and the accumulator is `total + error`
    (Knuth's two-sum). Where the error is not zero and the last bit of `total` is
    even, `total` moves one unit toward the error, which is rounding to odd; the
    final rounding to f32 then sees the right side of every midpoint.
    """
    product = a.astype(F64) * b.astype(F64)
    acc = acc.astype(F64)
    total = product + acc
    # Only a total exactly halfway between two f32 values can round wrongly.
    midpoint = (total.view(np.int64) & 0x1FFF_FFFF) == 0x1000_0000
    if midpoint.any():
        t, p, c = total[midpoint], np.broadcast_to(product, total.shape)[midpoint], acc[midpoint]
        part = t - p
        error = (p - (t - part)) + (c - part)
        total[midpoint] = np.where(error > 0, np.nextafter(t, np.inf), np.where(error < 0, np.nextafter(t, -np.inf), t))
    return total.astype(F32)


def chain(volts, operand):
    """Column currents `[groups, vectors, columns]` of `volts [groups, vectors, rows]` and `operand [groups, rows, columns]`."""
    groups, vectors, rows = volts.shape
    acc = np.zeros((groups, vectors, operand.shape[2]), F32)
    for k in range(rows):
        acc = add_product(acc, volts[:, :, k, None], operand[:, k, None, :])
    return acc


# ---------------------------------------------------------------- conductances


def weight_ranges(weights, xbar):
    """`w_max [groups, 1, columns]` of weights `[groups, rows, columns]`: the element floor(p n) of |w| in descending order."""

    def largest(values):
        ordered = np.sort(np.abs(values).ravel())[::-1]
        return ordered[int(np.floor(xbar["exclude_largest"] * ordered.size))]

    groups, _, columns = weights.shape
    if xbar["weight_range"] == "layer":
        return np.full((groups, 1, columns), largest(weights))
    assert xbar["weight_range"] == "column"
    return np.array([[[largest(weights[g, :, c]) for c in range(columns)]] for g in range(groups)])


def conductances(weights, cfg):
    """The conductances of each physical array and the gain K per column: `([g_pos, g_neg] or [g]), K`."""
    xbar = cfg["crossbar"]
    g_on, g_off = 1.0 / cfg["r_on"], 1.0 / cfg["r_off"]
    w_max = weight_ranges(weights, xbar)
    safe = np.where(w_max > 0, w_max, 1.0)
    clipped = np.clip(weights, -w_max, w_max)
    if xbar["scheme"] == "double-column":
        w_min = np.zeros_like(w_max) if xbar["weight_floor"] == "zero" else w_max * cfg["r_on"] / cfg["r_off"]
        arrays = []
        for split in (np.maximum(clipped, 0.0), np.maximum(-clipped, 0.0)):
            s = np.clip(split, w_min, w_max)
            arrays.append(g_off + (g_on - g_off) * (s - w_min) / np.where(w_max > 0, w_max - w_min, 1.0))
        gain = (w_max - w_min) / (g_on - g_off)
    elif xbar["scheme"] == "single-column":
        arrays = [g_off + (g_on - g_off) * (clipped + w_max) / (2.0 * safe)]
        gain = 2.0 * w_max / (g_on - g_off)
    else:
        raise NotImplementedError(xbar["scheme"])
    # All-zero weights: all devices at g_off, K = 0.
    return [np.where(w_max > 0, g, g_off) for g in arrays], gain


def finite_states(g, entry, cfg):
    """`states`: the nearest of n levels between the bounds, ties to the higher conductance."""
    g_on, g_off = 1.0 / cfg["r_on"], 1.0 / cfg["r_off"]
    if "levels" in entry:
        levels = np.sort(np.array(entry["levels"]))
    elif entry.get("spacing", "conductance") == "conductance":
        levels = np.linspace(g_off, g_on, entry["count"])
    else:
        levels = 1.0 / np.linspace(cfg["r_off"], cfg["r_on"], entry["count"])  # ascending conductance
    above = np.clip(np.searchsorted(levels, g), 1, len(levels) - 1)
    low, high = levels[above - 1], levels[above]
    return np.clip(np.where(np.abs(high - g) <= np.abs(g - low), high, low), g_off, g_on)


# ---------------------------------------------------------------- source and line resistance


def effective_tile(g, source, line):
    """`G_eff [rows, columns]` of one circuit: two nodes a cell, Kirchhoff's current law, dense elimination.

    Word line i is driven at its left end through `source`, bit line j is held at
    0 V at its bottom end through `source`; `line` lies between neighbouring cells
    of a line. A resistance of 0 joins its two nodes.
    """
    rows, columns = g.shape
    names = {}
    parent = []

    def node(key):
        if key not in names:
            names[key] = len(parent)
            parent.append(names[key])
        return names[key]

    def root(n):
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    wires = []

    def wire(a, b, resistance):
        if resistance == 0.0:
            parent[root(a)] = root(b)  # b comes from the terminal's side
        else:
            wires.append((a, b, 1.0 / resistance))

    for i in range(rows):
        node(("drive", i))
    for j in range(columns):
        node(("sink", j))
    for i in range(rows):
        wire(node(("w", i, 0)), node(("drive", i)), source)
        for j in range(1, columns):
            wire(node(("w", i, j)), node(("w", i, j - 1)), line)
    for j in range(columns):
        wire(node(("b", rows - 1, j)), node(("sink", j)), source)
        for i in reversed(range(rows - 1)):
            wire(node(("b", i, j)), node(("b", i + 1, j)), line)
    cells = [(node(("w", i, j)), node(("b", i, j)), g[i, j]) for i in range(rows) for j in range(columns)]

    terminals = rows + columns  # their numbers are 0 .. rows + columns - 1
    roots = sorted({root(n) for n in range(len(parent))})
    assert roots[:terminals] == list(range(terminals))
    number = {r: k for k, r in enumerate(roots)}
    size = len(roots)
    laplacian = np.zeros((size, size))
    for a, b, conductance in wires + cells:
        a, b = number[root(a)], number[root(b)]
        laplacian[a, a] += conductance
        laplacian[b, b] += conductance
        laplacian[a, b] -= conductance
        laplacian[b, a] -= conductance
    tt, ti = laplacian[:terminals, :terminals], laplacian[:terminals, terminals:]
    it, ii = laplacian[terminals:, :terminals], laplacian[terminals:, terminals:]
    reduced = tt - ti @ np.linalg.solve(ii, it) if size > terminals else tt
    # Current out of the sinks for 1 V at one driver.
    return -reduced[rows:, :rows].T


# ---------------------------------------------------------------- converters


def dac(volts, cfg, flip):
    """Quantised voltages, and how many of each sample lie so near a decision that rounding may move them
    (pixels of an image whose largest is 254 lie exactly on the decisions of an 8-bit DAC)."""
    bits, v_max = cfg["input"]["bits"], cfg["input"]["max_voltage"]
    samples = len(volts)
    if bits == 0:
        return volts, np.zeros(samples, int)
    step = F32(v_max / (2.0 ** (bits - 1) - 1.0))
    code = np.floor(np.abs(volts) / step + F32(0.5))
    exact = np.abs(volts.astype(F64)) / (v_max / (2.0 ** (bits - 1) - 1.0)) + 0.5
    near = (np.abs(exact - np.round(exact)) < exact * 2.0**-21) & (volts != 0)
    if flip:
        code = np.where(near, 2 * np.round(exact) - 1 - code, code).astype(F32)
    return np.sign(volts) * code * step, near.reshape(samples, -1).sum(axis=1)


class Adc:
    """The converters of one tile: quantises `[groups, vectors, columns]`, each vector alone."""

    def __init__(self, cfg):
        self.cfg = cfg["adc"]
        self.bits = self.cfg["bits"]
        self.flip = False  # every borderline code falls on the other side of its decision

    def full_scale(self, currents):
        given = self.cfg["range"]
        if given != "dynamic":
            return np.full(currents.shape[:-1] + (1,), given, F64)
        ordered = -np.sort(-np.abs(currents), axis=-1)
        m = ordered[..., int(np.floor(self.cfg["overflow_rate"] * currents.shape[-1])), None].astype(F64)
        mantissa, exponent = np.frexp(m)  # m = mantissa 2^exponent, 1/2 <= mantissa < 1
        exponent = np.where(mantissa == 0.5, exponent - 1, exponent)  # ceil(log2 m)
        return np.where(m > 0, np.ldexp(1.0, exponent), 0.0)

    def convert(self, currents, magnitude):
        """Quantised currents, how many codes clipped, and which codes lie so near
        a decision that rounding may move them.

        `magnitude` is the sum of |v g| of each current: rounding the inputs
        differently in the last place moves a current by less than 2^-22 of it.
        """
        no = np.zeros(currents.shape, bool)
        if self.bits == 0:
            return currents, no, no
        assert self.cfg["method"] == "linear"
        full = self.full_scale(currents)
        dead = full == 0
        step = np.where(dead, 1.0, full) * 2.0 ** (1 - self.bits)
        raw = np.floor(currents * (1.0 / step).astype(F32) + F32(0.5))
        lowest, highest = -(2.0 ** (self.bits - 1)), 2.0 ** (self.bits - 1) - 1
        code = np.clip(raw, lowest, highest).astype(F32)
        exact = currents.astype(F64) / step
        distance = np.abs(exact + 0.5 - np.round(exact + 0.5))
        near = (distance < magnitude * 2.0**-22 / step) & (exact > lowest - 1) & (exact < highest + 1) & ~dead & (exact != 0)
        if self.flip:
            code = np.where(near, np.clip(2 * np.round(exact + 0.5) - 1 - code, lowest, highest), code).astype(F32)
        value = np.where(dead, F32(0), code * step.astype(F32))
        return value, (raw != code) & ~dead, near


# ---------------------------------------------------------------- one layer


class CrossbarLayer:
    """A weight matrix per group, `[groups, rows, columns]`, on tiles."""

    def __init__(self, weights, cfg):
        self.cfg = cfg
        self.groups, self.rows, self.columns = weights.shape
        arrays, gain = conductances(weights.astype(F64), cfg)
        for entry in cfg["nonideality"]:
            assert entry["kind"] == "states", "only deterministic non-idealities are simulated"
            arrays = [finite_states(g, entry, cfg) for g in arrays]
        self.gain = gain
        tile = cfg["crossbar"]["tile"]
        self.tile = (self.rows, self.columns) if tile == "layer" else tuple(tile)
        self.adc = Adc(cfg)
        self.tiles = [
            (slice(r, min(r + self.tile[0], self.rows)), slice(c, min(c + self.tile[1], self.columns)))
            for c in range(0, self.columns, self.tile[1])
            for r in range(0, self.rows, self.tile[0])
        ]
        self.operands = [self.operands_of_tile([g[:, r, c] for g in arrays]) for r, c in self.tiles]
        self.codes = self.clipped = 0
        self.near = 0

    def effective(self, g):
        """Conductances `[groups, rows, columns]` of a used block as its terminals see them."""
        xbar = self.cfg["crossbar"]
        if xbar["cell"] == "1t1r" and xbar["transistor_resistance"] > 0:
            series = lambda value: 1.0 / (1.0 / value + xbar["transistor_resistance"])
        else:
            series = lambda value: value
        if xbar["source_resistance"] == 0 and xbar["line_resistance"] == 0:
            return series(g)
        out = np.empty_like(g)
        for k in range(g.shape[0]):
            rows, columns = g.shape[1:]
            if xbar["unused"] == "full":
                circuit = np.full(self.tile, series(1.0 / self.cfg["r_off"]))
                circuit[:rows, :columns] = series(g[k])
            else:
                circuit = series(g[k])
            out[k] = effective_tile(circuit, xbar["source_resistance"], xbar["line_resistance"])[:rows, :columns]
        return out

    def operands_of_tile(self, arrays):
        """What the converters of a tile see: f32 operands, added with signs +1, -1 after conversion."""
        arrays = [self.effective(g) for g in arrays]
        if len(arrays) == 1:
            # Single column: an ideal mirror gives g_m sum(v), which is subtracted.
            middle = (1.0 / self.cfg["r_on"] + 1.0 / self.cfg["r_off"]) / 2.0
            if self.cfg["adc"]["read"] == "difference":
                return [(arrays[0] - middle).astype(F32)]
            # "each": the reference current, the same for every column, has converters of its own.
            return [arrays[0].astype(F32), np.full(arrays[0].shape, middle).astype(F32)]
        if self.cfg["adc"]["read"] == "difference":
            return [(arrays[0] - arrays[1]).astype(F32)]
        return [g.astype(F32) for g in arrays]

    def volts(self, samples):
        """Voltages and the scale s of each sample; the first axis of `samples` is the batch axis."""
        rule, v_max = self.cfg["input"]["scale"], F32(self.cfg["input"]["max_voltage"])
        peak = np.abs(samples).reshape(len(samples), -1).max(axis=1)
        scaled = np.where(peak > 0, peak / v_max, F32(1)).astype(F32)
        if rule == "always":
            s = scaled
        elif rule == "exceeds":
            s = np.where(peak <= v_max, F32(1), scaled).astype(F32)
        else:
            s = np.full(len(samples), rule, F32)
        v = (samples / s.reshape((-1,) + (1,) * (samples.ndim - 1))).astype(F32)
        if not isinstance(rule, str):
            v = np.clip(v, -v_max, v_max)  # a fixed scale can exceed the largest voltage
        v, near = dac(v, self.cfg, self.adc.flip)
        self.near = near
        return v, s

    def product(self, volts, s, owner):
        """`y [groups, vectors, columns]`; `owner` is the sample of each vector."""
        samples = len(s)
        total = np.zeros((self.groups, volts.shape[1], self.columns), F32)
        near = np.zeros(samples, int)
        for (rows, columns), operands in zip(self.tiles, self.operands):
            v = volts[:, :, rows]
            parts = []
            for operand in operands:
                magnitude = np.abs(v.astype(F64)) @ np.abs(operand.astype(F64))
                value, clipped, close = self.adc.convert(chain(v, operand), magnitude)
                self.codes += clipped.size
                self.clipped += int(clipped.sum())
                np.add.at(near, owner, close.sum(axis=(0, 2)))
                parts.append(value)
            total[:, :, columns] += parts[0] if len(parts) == 1 else parts[0] - parts[1]
        self.near = self.near + near
        return self.gain.astype(F32) * (s[owner][None, :, None] * total)

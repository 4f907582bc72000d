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


def digits(whole, bits, count):
    """The lowest `count` digits of `bits` bits of whole numbers, lowest first, as shares of the largest digit."""
    return [(whole >> (bits * k) & (2**bits - 1)) / (2**bits - 1) for k in range(count)]


def reference_state(xbar):
    """The state of the devices of the column that every tile has for a reference, if there is one."""
    if xbar["scheme"] == "offset-column":
        return 0.5
    if xbar["reference"] != "column":
        return None
    if xbar["scheme"] == "single-column":
        return 0.5
    if xbar["scheme"] == "bit-sliced" and xbar["sign"] == "twos-complement":
        return 0.0
    return None


def terms(xbar):
    """What is converted and added digitally: (array, what is subtracted, weight). What is subtracted is the number of
    an array, an ideal mirror at a state, or the reference column of the tile."""
    if xbar["scheme"] == "double-column":
        return [(0, ("array", 1), 1)]
    mirror = lambda state: ("mirror", state) if reference_state(xbar) is None else ("column",)
    if xbar["scheme"] in ("single-column", "offset-column"):
        return [(0, mirror(0.5), 1)]
    b, s = xbar["bits_per_cell"], xbar["slices"]
    if xbar["sign"] == "differential":
        return [(k, ("array", s + k), 2 ** (b * k)) for k in range(s)]
    return [(k, mirror(0.0), 2 ** (b * k) * (-1 if k == s - 1 else 1)) for k in range(s)]


def conductances(weights, cfg):
    """The conductances of each physical array in the order of `terms` and the gain K per column."""
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
    elif xbar["scheme"] == "bit-sliced":
        b, s = xbar["bits_per_cell"], xbar["slices"]
        differential = xbar["sign"] == "differential"
        count = s if differential else s - 1
        largest = 2 ** (b * count) - 1
        whole = np.floor(np.abs(clipped) / safe * largest + 0.5).astype(np.int64)
        if differential:
            states = digits(np.where(clipped > 0, whole, 0), b, s) + digits(np.where(clipped < 0, whole, 0), b, s)
        else:
            signed = np.where(clipped < 0, -whole, whole)
            states = digits(signed, b, count) + [(signed < 0) / (2**b - 1)]
        arrays = [g_off + (g_on - g_off) * state for state in states]
        gain = w_max * (2**b - 1) / largest / (g_on - g_off)
    elif xbar["scheme"] in ("single-column", "offset-column"):
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

    def convert(self, currents, magnitude, calibrated=None):
        """Quantised currents, how many codes clipped, and which codes lie so near
        a decision that rounding may move them.

        `magnitude` is the sum of |v g| of each current: rounding the inputs
        differently in the last place moves a current by less than 2^-22 of it.
        """
        no = np.zeros(currents.shape, bool)
        if self.bits == 0:
            return currents, no, no
        assert self.cfg["method"] == "linear"
        errors = [self.cfg[key] for key in ("gain_error", "offset_error", "nonlinearity")]
        full = self.full_scale(currents) if calibrated is None else calibrated
        if any(errors):
            unit = np.where(full > 0, full, 1.0) * 2.0 ** (1 - self.bits)
            bow = 1.0 - np.clip(currents.astype(F64) / np.where(full > 0, full, 1.0), -1, 1) ** 2
            currents = (currents.astype(F64) * (1 + errors[0]) + (errors[1] + errors[2] * bow) * unit).astype(F32)
            magnitude = magnitude * (1 + abs(errors[0])) + (abs(errors[1]) + abs(errors[2])) * unit
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


def groups_on_a_tile(shape, xbar):
    """The largest divisor of the number of groups whose blocks fit on the diagonal of a tile."""
    groups, rows, columns = shape
    if xbar["tile"] == "layer":
        return groups
    spare = 0 if reference_state(xbar) is None else 1
    fits = lambda n: n * rows <= xbar["tile"][0] and n * columns + spare <= xbar["tile"][1]
    return max([n for n in range(1, groups + 1) if groups % n == 0 and fits(n)], default=1)


def block_diagonal(g, together, zero):
    """`[groups, rows, columns]` as `[groups / n, n rows, n columns]`; devices between groups hold the weight 0."""
    groups, rows, columns = g.shape
    out = np.full((groups // together, together * rows, together * columns), zero)
    for k in range(groups):
        at = k % together
        out[k // together, at * rows : (at + 1) * rows, at * columns : (at + 1) * columns] = g[k]
    return out


class CrossbarLayer:
    """A weight matrix per group, `[groups, rows, columns]`, on tiles."""

    def __init__(self, weights, cfg):
        self.cfg = cfg
        self.groups, self.rows, self.columns = weights.shape
        arrays, gain = conductances(weights.astype(F64), cfg)
        self.aged, self.bend = 1.0, None
        for entry in cfg["nonideality"]:
            if entry["kind"] == "states":
                arrays = [finite_states(g, entry, cfg) for g in arrays]
            elif entry["kind"] == "nonlinear":
                assert entry["method"] == "sinh" and self.bend is None
                self.bend = entry["b"]
            else:
                assert entry["kind"] == "drift", "only deterministic non-idealities are simulated"
        self.weights = weights
        self.together = groups_on_a_tile(weights.shape, cfg["crossbar"]) if cfg["crossbar"]["group_packing"] == "block-diagonal" else 1
        zero = 1.0 / cfg["r_off"]
        if cfg["crossbar"]["scheme"] in ("single-column", "offset-column"):
            zero = (1.0 / cfg["r_on"] + zero) / 2.0
        arrays = [block_diagonal(g, self.together, zero) for g in arrays]
        self.gain = np.broadcast_to(gain, (self.groups, 1, self.columns)).reshape(-1, 1, self.together * self.columns)
        self.groups, self.rows, self.columns = arrays[0].shape
        tile = cfg["crossbar"]["tile"]
        self.reference = reference_state(cfg["crossbar"])
        spare = 0 if self.reference is None else 1
        self.tile = (self.rows, self.columns + spare) if tile == "layer" else tuple(tile)
        self.adc = Adc(cfg)
        self.tiles = [
            (slice(r, min(r + self.tile[0], self.rows)), slice(c, min(c + self.tile[1] - spare, self.columns)))
            for c in range(0, self.columns, self.tile[1] - spare)
            for r in range(0, self.rows, self.tile[0])
        ]
        self.arrays = arrays
        self.pack()
        self.codes = self.clipped = 0
        self.near = 0
        self.full_scales = None
        self.tile_gains = [F32(1)] * len(self.tiles)
        self.constant = F32(0)

    def pack(self):
        self.operands = [self.operands_of_tile([g[:, r, c] for g in self.arrays]) for r, c in self.tiles]

    def age(self, seen):
        """Drift, after tuning: conductances fall with a power of time; then perhaps one factor on the gain."""
        drifts = [entry for entry in self.cfg["nonideality"] if entry["kind"] == "drift"]
        if not drifts:
            return
        for entry in drifts:
            self.aged *= (entry["time"] / entry.get("t0", 1.0)) ** -entry["nu"]
        self.pack()
        if not any(entry.get("compensation", False) for entry in drifts):
            return
        product = square = 0.0
        for samples, vectors, owner in seen:
            v, s = self.volts(samples)
            found = self.outputs(vectors(v), s, owner, np.zeros(len(s), int)).astype(F64)
            ideal = vectors(samples).astype(F64) @ self.weights.astype(F64)
            product += (found * ideal).sum()
            square += (found * found).sum()
        self.codes = self.clipped = 0
        self.gain = self.gain * (product / square)

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
        """What the converters of a tile see, a list for each term: its weight, and f32 operands that are converted
        and then added with signs +1, -1. Where the last column of an operand is the reference, its code is subtracted
        from those of the others."""
        g_on, g_off = 1.0 / self.cfg["r_on"], 1.0 / self.cfg["r_off"]
        xbar = self.cfg["crossbar"]
        each = self.cfg["adc"]["read"] == "each"
        if self.reference is not None:
            column = np.full(arrays[0].shape[:2] + (1,), g_off + (g_on - g_off) * self.reference)
            entries = [entry for entry in self.cfg["nonideality"] if entry["kind"] == "states"]
            for entry in entries:
                column = finite_states(column, entry, self.cfg)
            arrays = [np.concatenate([g, column], axis=2) for g in arrays]
        arrays = [self.effective(g * self.aged) for g in arrays]
        listed = []
        for array, (kind, *which), weight in terms(xbar):
            g = arrays[array]
            if kind == "column":
                if each or xbar["scheme"] == "offset-column":
                    listed.append((weight, [g.astype(F32)], True))
                else:
                    listed.append((weight, [(g[:, :, :-1] - g[:, :, -1:]).astype(F32)], False))
                continue
            minus = arrays[which[0]] if kind == "array" else np.full(g.shape, g_off + (g_on - g_off) * which[0])
            operands = [g.astype(F32), minus.astype(F32)] if each else [(g - minus).astype(F32)]
            listed.append((weight, operands, False))
        return listed

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

    def cycles(self, volts):
        """What word lines see one cycle after the other, and the weight of each cycle's result."""
        if self.bend is not None:
            # i = g sinh(b v) / b: a product with a function of the voltage.
            assert not self.cfg["input"]["serial"]
            volts = (np.sinh(self.bend * volts.astype(F64)) / self.bend).astype(F32)
        if not self.cfg["input"]["serial"]:
            return [(None, volts)]
        bits, v_max = self.cfg["input"]["bits"], F32(self.cfg["input"]["max_voltage"])
        levels = 2 ** (bits - 1) - 1
        codes = np.round(volts.astype(F64) / (float(v_max) / levels)).astype(np.int64) % 2**bits
        weight = lambda bit: F32(2**bit / levels * (-1 if bit == bits - 1 else 1))
        return [(weight(bit), np.where(codes >> bit & 1, v_max, F32(0))) for bit in range(bits)]

    def together_on_tiles(self, volts):
        groups, vectors, rows = volts.shape
        volts = volts.reshape(-1, self.together, vectors, rows).transpose(0, 2, 1, 3)
        return volts.reshape(-1, vectors, self.together * rows)

    def sums(self, volts, owner, near, only=None):
        """The weighed codes `[groups, vectors, columns]` of all tiles, or of one row of tiles, in one cycle."""
        total = np.zeros((self.groups, volts.shape[1], self.columns), F32)
        row_tiles = -(-self.rows // self.tile[0])
        for t, ((rows, columns), listed) in enumerate(zip(self.tiles, self.operands)):
            if only is not None and t % row_tiles != only:
                continue
            v = volts[:, :, rows]
            tile = np.zeros(total[:, :, columns].shape, F64)
            number = 0
            for weight, operands, has_reference in listed:
                parts = []
                for operand in operands:
                    magnitude = np.abs(v.astype(F64)) @ np.abs(operand.astype(F64))
                    full = None if self.full_scales is None else self.full_scales[number][t]
                    value, clipped, close = self.adc.convert(chain(v, operand), magnitude, full)
                    self.codes += clipped.size
                    self.clipped += int(clipped.sum())
                    np.add.at(near, owner, close.sum(axis=(0, 2)))
                    parts.append(value * self.tile_gains[t])
                    number += 1
                if has_reference:
                    parts = [parts[0][:, :, :-1], parts[0][:, :, -1:]]
                tile = tile + weight * (parts[0] if len(parts) == 1 else parts[0] - parts[1]).astype(F64)
            total[:, :, columns] += tile.astype(F32)
        return total

    def outputs(self, volts, s, owner, near, only=None):
        """`y [groups, vectors, columns]` with several groups as one where they share tiles, without a constant."""
        total = None
        for weight, v in self.cycles(self.together_on_tiles(volts)):
            part = self.sums(v, owner, near, only)
            if weight is not None:
                part = weight * part if total is None else add_product(total, np.broadcast_to(weight, part.shape), part)
            total = part
        return self.gain.astype(F32) * (s[owner][None, :, None] * total)

    def product(self, volts, s, owner):
        """`y [groups, vectors, columns]`; `owner` is the sample of each vector."""
        near = np.zeros(len(s), int)
        y = self.outputs(volts, s, owner, near) + self.constant
        self.near = self.near + near
        groups, vectors, _ = volts.shape
        y = y.reshape(-1, vectors, self.together, self.columns // self.together).transpose(0, 2, 1, 3)
        return y.reshape(groups, vectors, -1)

    def calibrate(self, seen):
        """Scale of inputs and ranges of converters from what the layer saw: `(samples, vectors, owner)`."""
        v_max = self.cfg["input"]["max_voltage"]
        if self.cfg["input"]["scale"] == "calibrated":
            largest = max(float(np.abs(samples).max()) for samples, _, _ in seen)
            self.cfg["input"]["scale"] = largest / v_max if largest > 0 else 1.0
        adc = self.cfg["adc"]
        if adc["bits"] == 0 or adc["range"] != "calibrated":
            return
        # Magnitudes of all currents: read, tile, then [groups, vectors, columns].
        reads = sum(len(operands) for _, operands, _ in self.operands[0])
        currents = [[[] for _ in self.tiles] for _ in range(reads)]
        for samples, vectors, _ in seen:
            for _, v in self.cycles(self.together_on_tiles(vectors(self.volts(samples)[0]))):
                for t, ((rows, _), listed) in enumerate(zip(self.tiles, self.operands)):
                    flat = [operand for _, operands, _ in listed for operand in operands]
                    for number, operand in enumerate(flat):
                        currents[number][t].append(np.abs(chain(v[:, :, rows], operand)))
        currents = [[np.concatenate(blocks, axis=1) for blocks in tiles] for tiles in currents]

        def range_of(values):
            ordered = np.sort(values.ravel())[::-1]
            return ordered[min(int(np.floor((1.0 - adc["percentile"] / 100.0) * ordered.size)), ordered.size - 1)]

        if adc["granularity"] == "layer":
            whole = range_of(np.concatenate([c.ravel() for tiles in currents for c in tiles]))
            self.full_scales = [[np.full((self.groups, 1, 1), whole) for _ in tiles] for tiles in currents]
        elif adc["granularity"] == "tile":
            self.full_scales = [[np.array([range_of(g) for g in c])[:, None, None] for c in tiles] for tiles in currents]
        else:
            self.full_scales = [[np.array([[range_of(g[:, j]) for j in range(g.shape[1])] for g in c])[:, None, :]
                                 for c in tiles] for tiles in currents]
        largest = max(full.max() for tiles in self.full_scales for full in tiles)
        self.full_scales = [[np.where(full > 0, full, largest) for full in tiles] for tiles in self.full_scales]

    def tune(self, seen, weights):
        """Least squares on what the layer saw."""
        tune = self.cfg["tune"]
        row_tiles = -(-self.rows // self.tile[0])
        per_tile = tune["per"] == "tile"
        whole = block_diagonal(weights.astype(F64), self.together, 0.0)
        xs, ys = [], []
        for samples, vectors, owner in seen:
            v, s = self.volts(samples)
            ignored = np.zeros(len(s), int)
            parts = range(row_tiles) if per_tile else [None]
            xs.append(np.stack([self.outputs(vectors(v), s, owner, ignored, r).astype(F64) for r in parts], axis=-1))
            ys.append(self.together_on_tiles(vectors(samples)).astype(F64) @ whole)
        self.codes = self.clipped = 0
        x, y = np.concatenate(xs, axis=1), np.concatenate(ys, axis=1)

        def solve(x, y):
            x = x.reshape(-1, x.shape[-1])
            if not per_tile and np.ptp(x) <= 1e-6 * np.abs(x).max():
                return np.array([1.0, 0.0])  # a column without variance keeps the analytic gain
            if tune["intercept"]:
                x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
            return np.linalg.lstsq(x, y.ravel(), rcond=None)[0]

        self.constant = np.zeros((self.groups, 1, self.columns), F32)
        if per_tile:
            gains = []
            for t, (_, columns) in enumerate(self.tiles):
                found = [solve(x[g][:, columns], y[g][:, columns]) for g in range(self.groups)]
                gains.append(np.array([f[t % row_tiles] for f in found], F32)[:, None, None])
                if tune["intercept"]:
                    self.constant[:, :, columns] = np.array([f[row_tiles] for f in found], F32)[:, None, None]
            self.tile_gains = gains
        elif tune["per"] == "column":
            found = np.array([[solve(x[g][:, j], y[g][:, j]) for j in range(self.columns)] for g in range(self.groups)])
            self.gain = self.gain * found[:, None, :, 0]
            if tune["intercept"]:
                self.constant = found[:, None, :, 1].astype(F32)
        else:
            found = solve(x, y)
            self.gain = self.gain * found[0]
            if tune["intercept"]:
                self.constant = np.full_like(self.constant, found[1])

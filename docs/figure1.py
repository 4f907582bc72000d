"""Puts the results of examples/figure1/all.sh into docs/: tables into figure1.md, between its marks, figures and results.csv
of each sweep beside it. Sweeps that are not done yet are left as they are there.

    examples/figure1/all.sh figure1 && python docs/figure1.py figure1
"""

import csv
import pathlib
import re
import shutil
import statistics
import sys

HERE = pathlib.Path(__file__).parent
KEYS = {
    "device-to-device": ("A and E", "sigma", "sigma, ohm"),
    "states": ("B and F", "count", "states"),
    "stuck-on": ("C and G", "lrs", "share"),
    "stuck-off": ("D and H", "hrs", "share"),
}


def table(rows, key, label, folded):
    """Mean accuracy in per cent on 128 x 128 / 256 x 64 tiles: bits down, values across."""
    cells = {}
    for row in rows:
        if row["model.fold_batch_norm"] == folded:
            place = (int(row["adc.bits"]), float(row[f"nonideality.0.{key}"]), row["crossbar.tile"])
            cells.setdefault(place, []).append(100 * float(row["memristive_accuracy"]))
    values = sorted({value for _, value, _ in cells})
    bits = sorted({bit for bit, _, _ in cells}, reverse=True)
    text = f"| bits \\ {label} | " + " | ".join(f"{value:.4g}" for value in values) + " |\n"
    text += "|---" * (len(values) + 1) + "|\n"
    for bit in bits:
        means = [[statistics.mean(cells[bit, v, tile]) for tile in ("[128, 128]", "[256, 64]")] for v in values]
        text += f"| {bit} | " + " | ".join(f"{a:.1f} / {b:.1f}" for a, b in means) + " |\n"
    deviation = max(statistics.stdev(list_) for list_ in cells.values())
    return text, deviation


def put(page, mark, text):
    """The page with a text between two equal marks."""
    pattern = re.compile(f"<!-- {mark} -->.*?<!-- {mark} -->", re.S)
    assert pattern.search(page), f"figure1.md has no marks <!-- {mark} -->"
    return pattern.sub(lambda _: f"<!-- {mark} -->\n{text}<!-- {mark} -->", page)


def main(folder):
    page = (HERE / "figure1.md").read_text()
    digital, whole = set(), []
    for name, (panels, key, label) in KEYS.items():
        source = folder / name
        if not (source / "results.csv").exists():
            continue
        with open(source / "results.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 500 and all(row["samples"] == "2000" for row in rows), f"{name}: not the whole sweep"
        whole.append(panels)
        plain, spread = table(rows, key, label, "false")
        folded, folded_spread = table(rows, key, label, "true")
        text = f"Not folded, in per cent (standard deviation of the repeats at most {spread:.1f} points):\n\n{plain}\n"
        text += f"Folded (at most {folded_spread:.1f} points):\n\n{folded}"
        page = put(page, name, text)
        digital |= {100 * float(row["digital_accuracy"]) for row in rows}
        shutil.copy(source / "heat-map.svg", HERE / "figure1" / f"{name}.svg")
        shutil.copy(source / "results.csv", HERE / "figure1" / f"{name}.csv")
    accuracy = ", ".join(f"{value:.2f}" for value in sorted(digital))
    panels = "All panels" if len(whole) == len(KEYS) else ", ".join(whole)
    about = f"{panels}: mean accuracies over all 2,000 images and five repeats, on tiles of 128 x 128 / 256 x 64; digitally\n"
    about += f"{accuracy}. The single results are in `figure1/*.csv`.\n"
    if len(whole) < len(KEYS):
        about += "The other panels show a part: the first 200 images (digitally 92.0) and three repeats, on tiles of 128 x 128, so\n"
        about += "that one step of their tables is half a point and chance level scatters by about a point.\n"
    (HERE / "figure1.md").write_text(put(page, "about", about))


main(pathlib.Path(sys.argv[1]))

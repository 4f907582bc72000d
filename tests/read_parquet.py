"""Reads the runs.parquet of a sweep with a reader that is not ours and compares it with runs.csv, cell by cell.

    memtorch sweep study.toml --out study        (of a build with --features parquet)
    python tests/read_parquet.py study           (pyarrow)
"""

import csv
import pathlib
import sys

import pyarrow.parquet

folder = pathlib.Path(sys.argv[1])
table = pyarrow.parquet.read_table(folder / "runs.parquet")
with open(folder / "runs.csv", newline="") as file:
    names, *rows = csv.reader(file)
assert table.column_names == names, "other columns"
assert table.num_rows == len(rows), "another number of rows"
for at, name in enumerate(names):
    for row, value in enumerate(table[name].to_pylist()):
        cell = rows[row][at]
        if value is None:
            same = cell == ""
        elif isinstance(value, bool):
            same = cell == str(value).lower()
        else:
            same = type(value)(cell) == value
        assert same, f"{name}, row {row}: {value!r} and {cell!r}"
assert table.schema.metadata[b"memtorch.experiment"] == (folder / "experiment.toml").read_bytes()
print(f"equal: {table.num_rows} rows of {table.num_columns} columns")

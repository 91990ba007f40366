"""The mapping beside POT: seconds and growth of peak memory, and how far the map is from the truth.

Rows of five classes in 10 or 50 columns and an independent sample of them, turned and with other names for the classes,
without pairs. One process a cell, one BLAS thread, a warm-up on 100 rows before the clock starts. POT's
MappingTransport (linear, Perrot et al. 2016) begins where the rows stand and does not look for a turn; it is there for
its speed. At 2,000 rows it took 235 s (10 columns) and 282 s (50), so it is run up to 1,000 rows. The retrieval cells
look for the 10 nearest of so many rows of 300 columns, for each of as many rows.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_PYTORCH", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_JAX", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_CUPY", "1")

import argparse
import json

import cells
import numpy as np

from headstart.bench.mapping import relative_error, turned

#: What is measured, the cells, and the numbers of rows of each domain.
ROWS = (
    ("affine map, exact coupling, 10 columns", "headstart:affine 10", ("POT:linear 10",)),
    ("affine map, exact coupling, 50 columns", "headstart:affine 50", ("POT:linear 50",)),
    ("orthogonal map, exact coupling, 50 columns", "headstart:orthogonal 50", ()),
    ("kernel map, exact coupling, 10 columns", "headstart:kernel 10", ()),
)
RETRIEVAL = (
    ("nearest by cosine, 300 columns", "retrieval:cosine 300", ()),
    ("nearest by CSLS, 300 columns", "retrieval:csls 300", ()),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 2000, 50_000])
    parser.add_argument("--peers-up-to", type=int, default=1000, help="rows up to which POT is run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="rows of the table, by the beginning of their name")
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        cell, rows, runs = arguments.cell
        print(json.dumps(measured(cell, int(rows), int(runs))))
        return
    only = arguments.only or ()
    lines = cells.table(__file__, ROWS, arguments.sizes, arguments.runs, arguments.peers_up_to, only)
    lines += cells.table(__file__, RETRIEVAL, [20_000], arguments.runs, 0, only)
    import record

    record.write("mapping_speed", {"seed": 0, "runs": arguments.runs, "lines": lines})


def measured(cell, n, runs):
    """Return seconds, growth of peak memory in MiB, and the error of the map."""
    library, _, name = cell.partition(":")
    kind, columns = name.rsplit(" ", 1)
    if library == "retrieval":
        from headstart.mapping import nearest_targets

        rng = np.random.default_rng(0)
        both = rng.normal(size=(2, n, int(columns))).astype(np.float32)
        _, found = cells.timed(
            lambda Q, T: nearest_targets(Q, T, 10, method=kind), (both[0, :99], both[1, :99]), both, runs
        )
        return found
    make = {"headstart": of_headstart, "POT": of_pot}[library]
    problem = turned(0, n, d=int(columns))
    moved, found = cells.timed(lambda *rows: make(kind, *rows), turned(0, 100, d=int(columns))[:4], problem[:4], runs)
    found["error"] = relative_error(moved, problem[4](problem[0]))
    return found


def of_headstart(f, Xs, ys, Xt, yt):
    """Return the mapped source rows."""
    from headstart.mapping import MappingLearner

    alpha = 0.001 if f == "kernel" else 0.0
    return MappingLearner(f, pairing="unpaired", alpha=alpha).fit(Xs, Xt, ys, yt).transform(Xs)


def of_pot(kernel, Xs, ys, Xt, yt):
    """Return the same by POT, with its default settings."""
    import ot

    return ot.da.MappingTransport(kernel=kernel, bias=True).fit(Xs=Xs, Xt=Xt).transform(Xs=Xs)


if __name__ == "__main__":
    main()

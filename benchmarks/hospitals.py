"""Every hospital of the heart disease data helping every other: verdict, gain and interval.

The data stands beside the project (`--data DIR`, with heart_disease.csv in it) and is not part of it.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from itertools import permutations
from pathlib import Path

import record

import headstart
from headstart.readers import read_domains


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labelled", type=int, default=None, help="label so many target rows; the rest is the test")
    arguments = parser.parse_args()
    path = arguments.data / "heart_disease.csv"
    if not path.is_file():
        raise SystemExit(f"skipped: {path.name} is not in the folder given with --data")
    hospitals = read_domains(path, label="disease", domain_column="hospital")
    lines = []
    for source, target in permutations(hospitals, 2):
        rows, test = hospitals[target], None
        if arguments.labelled is not None:
            rows, test = halves(hospitals[target], arguments.labelled)
        result = headstart.run(hospitals[source], rows, test=test, curve_draws=0, n_jobs=2)
        line = {
            "source": source,
            "target": target,
            "verdict": result.verdict,
            "choice": result.choice,
            "target_only": result.gain.target_only,
            "gain": result.gain.gain,
            "low": result.gain.low,
            "high": result.gain.high,
        }
        lines.append(line)
        print(line, flush=True)
    name = "hospitals" if arguments.labelled is None else f"hospitals_{arguments.labelled}"
    record.write(name, {"seed": 0, "lines": lines})


def halves(domain, labelled):
    """Label some rows, drawn at random and in proportion; the other rows are the test."""
    from dataclasses import replace

    import numpy as np

    from headstart.evidence.curve import drawing_order

    order = drawing_order(domain, np.random.default_rng(0))
    test = replace(domain.rows(np.sort(order[labelled:])), name=f"{domain.name}-test")
    return domain.rows(np.sort(order[:labelled])), test


if __name__ == "__main__":
    main()

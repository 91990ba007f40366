"""How often the best of several transfers is said to help, or to hurt, where all are worth as much as target-only.

Utilities are simulated: what is hard in a row is shared by all candidates, what a candidate makes of a row is its own
in part and in part shared by the transfers, and each repeat of cross-validation adds a little. Rows of a user share
half of the variance. 2.5 % of each would be right.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse

import numpy as np
import record

from headstart.choose.trial import Trial
from headstart.evidence.gain import METRICS

FOLDS, REPEATS, INSTABILITY, EACH = 5, 3, 0.3, 10
#: How rows are held out, with how many units: rows by themselves, rows of users, users whole.
SETTINGS = [("rows", n) for n in (30, 60, 200)] + [(held, n) for held in ("rows of users", "users") for n in (30, 100)]


def study(rng, held, units, transfers, shared):
    """Return a trial in which no candidate is better than another."""
    of_user = held != "rows"
    user = np.repeat(np.arange(units), EACH if of_user else 1)
    n = len(user)

    def effects(k):
        own = rng.normal(size=(k, n))
        return (own + rng.normal(size=(k, units))[:, user]) / np.sqrt(2) if of_user else own

    of = effects(transfers + 1)
    of[1:] = np.sqrt(shared) * effects(1) + np.sqrt(1 - shared) * of[1:]
    scores = (effects(1) + of)[:, None] + INSTABILITY * rng.normal(size=(transfers + 1, REPEATS, n))
    drawn = [rng.permutation(units if held == "users" else n) % FOLDS for _ in range(REPEATS)]
    folds = np.array([of_unit[user] if held == "users" else of_unit for of_unit in drawn])
    names = ["target-only", *(f"transfer {k}" for k in range(transfers))]
    clusters = user if of_user else None
    return Trial(names, (scores > 0).astype(float), folds, [0.0] * len(names), METRICS["accuracy"], clusters)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    studies = parser.parse_args().studies
    lines = []
    for held, units in SETTINGS:
        for transfers, shared in ((1, 0.0), (10, 0.7), (10, 0.0)):
            rng = np.random.default_rng(0)
            said = [study(rng, held, units, transfers, shared).gain_of_choice().verdict for _ in range(studies)]
            line = {"held_out": held, "units": units, "transfers": transfers, "shared": shared}
            line |= {verdict: said.count(verdict) / studies for verdict in ("helps", "hurts")}
            lines.append(line)
            print(line, flush=True)
    record.write("choice_null", {"seed": 0, "studies": studies, "folds": FOLDS, "repeats": REPEATS, "lines": lines})


if __name__ == "__main__":
    main()

"""How often the verdict's interval holds, and how often a source that is no use is said to help.

Target and source are linear tasks in ten dimensions whose coefficients have a given cosine; a target has 60 labelled
rows. In each study the verdict comes from 5 x 5-fold cross-validation over four candidates, choice included. The
truth is the expected gain of the chosen candidate fitted on 48 rows, on 4,000 fresh rows, averaged over studies.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse

import numpy as np
import record
from sklearn.linear_model import LogisticRegression

from headstart import Domain
from headstart.choose import shortlist, try_all
from headstart.delivery import Plan
from headstart.evidence import METRICS

METHODS = ["source-only", "pooled", "coral", "regular-transfer"]


def study(cosine, seed, n_source=300, n_labelled=60):
    rng = np.random.default_rng([seed, int(1000 * (cosine + 1))])
    beta = rng.normal(size=10)
    beta /= np.linalg.norm(beta)
    other = rng.normal(size=10)
    other -= (other @ beta) * beta
    other /= np.linalg.norm(other)
    of_source = cosine * beta + np.sqrt(1 - cosine**2) * other
    Xs, Xt = rng.normal(size=(n_source, 10)), 0.3 + rng.normal(size=(n_labelled + 4000, 10))
    ys = (Xs @ of_source + 0.5 * rng.normal(size=n_source) > 0).astype(int)
    yt = (Xt @ beta + 0.5 * rng.normal(size=len(Xt)) > 0.3 * beta.sum()).astype(int)
    source, target = Domain(Xs, ys, "source"), Domain(Xt[:n_labelled], yt[:n_labelled], "target")
    fresh = Domain(Xt[n_labelled:], yt[n_labelled:], "fresh")
    metric, plan = METRICS["accuracy"], Plan("classification")
    candidates, _ = shortlist(METHODS, LogisticRegression(max_iter=2000), source, target, plan)
    trial = try_all(candidates, target, metric, random_state=seed)
    gain = trial.gain_of_choice()
    chosen = next(candidate for candidate in candidates if candidate.name == trial.choice())
    fewer = target.rows(np.arange(48))
    true = [metric.utility(c.fit(fewer), fresh.X, fresh.labels).mean() for c in (candidates[0], chosen)]
    naive = trial.gain(trial.choice())
    return gain, naive, float(true[1] - true[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--cosines", type=float, nargs="+", default=[-0.5, 0.0, 0.5, 0.9, 1.0])
    arguments = parser.parse_args()
    lines = []
    for cosine in arguments.cosines:
        studies = [study(cosine, seed) for seed in range(arguments.studies)]
        true = float(np.mean([t for _, _, t in studies]))
        line = {
            "cosine": cosine,
            "studies": arguments.studies,
            "true_gain": true,
            "mean_gain": float(np.mean([g.gain for g, _, _ in studies])),
            "mean_gain_of_the_luckiest": float(np.mean([n.gain for _, n, _ in studies])),
            "coverage": float(np.mean([g.low <= true <= g.high for g, _, _ in studies])),
            "said_to_help": float(np.mean([g.verdict == "helps" for g, _, _ in studies])),
            "said_to_hurt": float(np.mean([g.verdict == "hurts" for g, _, _ in studies])),
            "mean_width": float(np.mean([g.high - g.low for g, _, _ in studies])),
        }
        lines.append(line)
        print({key: round(value, 3) for key, value in line.items()}, flush=True)
    record.write("verdict_coverage", {"methods": METHODS, "seeds": f"0 to {arguments.studies - 1}", "lines": lines})


if __name__ == "__main__":
    main()

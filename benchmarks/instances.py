"""Instance-based methods beside ADAPT and skada: seconds, growth of peak memory, and the error of the weights.

Source rows are N(0, I), target rows N(0.3, 0.8^2 I), in 50 columns, so that the density ratio is known. One process a
cell, one BLAS thread, a warm-up on 100 rows before the clock starts; the figure is the median of the runs. The peers
come with `pip install '.[bench]'`; a cell whose package is not there is skipped, and said so.

The error is the mean squared error of the weights against the true ratio, both scaled to a mean of 1, divided by the
mean square of the ratio: 0 is exact, and weights of 1 have the error in the column "flat".
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json

import cells
import numpy as np
from cells import COLUMNS, NARROWER, SHIFT

#: Kernel widths that ours and the peers choose from in "-cv" cells, times 1 / columns.
WIDTHS = tuple(np.array([0.25, 0.5, 1.0, 2.0, 4.0]) / COLUMNS)
REGULARISATIONS = (0.01, 0.1, 1.0, 10.0, 100.0)

#: What is compared: our method, and the same in each peer. A cell is "library:name".
ROWS = (
    ("KMM", "headstart:KMM", ("adapt:KMM in batches", "adapt:KMM whole", "skada:KMM")),
    ("KLIEP, 5 widths x 5 folds", "headstart:KLIEP", ("adapt:KLIEP", "skada:KLIEP")),
    ("uLSIF, 5 widths x 5 penalties", "headstart:ULSIF", ("adapt:ULSIF",)),
    ("RuLSIF, 5 widths x 5 penalties", "headstart:RULSIF", ("adapt:RULSIF",)),
    ("nearest neighbour", "headstart:NearestNeighborWeighting", ("adapt:nearest neighbour", "skada:nearest neighbour")),
    ("domain classifier", "headstart:DomainClassifierWeighting", ("skada:discriminator",)),
    ("Gaussian", "headstart:GaussianWeighting", ("skada:Gaussian",)),
    ("KDE", "headstart:KDEWeighting", ("skada:KDE",)),
    ("target shift by MMD", "headstart:MMDTargetShift", ("skada:MMDTarS",)),
    ("BBSE", "headstart:BBSE", ()),
    ("RLLS", "headstart:RLLS", ()),
    ("label shift EM", "headstart:LabelShiftEM", ()),
    ("whole sources, 4 of them", "headstart:SourceWeighting", ()),
    ("TrAdaBoost, 10 rounds", "headstart:TrAdaBoost", ("adapt:TrAdaBoost",)),
    ("DynamicTrAdaBoost, 10 rounds", "headstart:DynamicTrAdaBoost", ()),
    ("MultiSourceTrAdaBoost, 10 rounds x 4 sources", "headstart:MultiSourceTrAdaBoost", ()),
    ("TrAdaBoostR2, 10 rounds", "headstart:TrAdaBoostR2", ()),
    ("TwoStageTrAdaBoostR2", "headstart:TwoStageTrAdaBoostR2", ()),
    ("balance by cross-validation", "headstart:BalancedWeighting", ()),
    ("pruning by cross-validation", "headstart:InstancePruning", ()),
)
#: Methods of ours that learn from target labels: here a tenth of the target's rows has them.
LEARN_FROM_LABELS = {
    "TrAdaBoost",
    "DynamicTrAdaBoost",
    "MultiSourceTrAdaBoost",
    "TrAdaBoostR2",
    "TwoStageTrAdaBoostR2",
    "BalancedWeighting",
    "InstancePruning",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000, 100_000])
    parser.add_argument("--peers-up-to", type=int, default=5000, help="rows up to which the peers are run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="rows of the table, by the beginning of their name")
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        cell, rows, runs = arguments.cell
        print(json.dumps(measured(cell, int(rows), int(runs))))
        return
    lines = cells.table(__file__, ROWS, arguments.sizes, arguments.runs, arguments.peers_up_to, arguments.only or ())
    import record

    record.write("instances_speed", {"seed": 0, "runs": arguments.runs, "columns": COLUMNS, "lines": lines})


def measured(cell, n, runs):
    """Return seconds, growth of peak memory in MiB, and the error of the weights."""
    library, name = cell.split(":")
    make = {"headstart": of_headstart, "adapt": of_adapt, "skada": of_skada}[library](name)
    data = cells.problem(n)
    w, found = cells.timed(make, cells.problem(100), data, runs)
    if w is not None:
        found |= {"error": error_of(w, data[0]), "flat": error_of(np.ones(n), data[0]), "largest": float(w.max())}
    return found


def error_of(w, Xs):
    """Return the error of weights against the true ratio; both have mean 1 here."""
    logs = ((Xs**2).sum(axis=1) - (((Xs - SHIFT) / NARROWER) ** 2).sum(axis=1)) / 2
    ratio = np.exp(logs - logs.max())
    ratio, w = ratio / ratio.mean(), w / w.mean()
    return float(((w - ratio) ** 2).mean() / (ratio**2).mean())


def of_headstart(name):
    """Return (Xs, ys, Xt, yt) -> weights, by one of our methods as it comes."""
    from headstart import Transfer, instances

    if name in LEARN_FROM_LABELS:
        from sklearn.linear_model import LogisticRegression, Ridge

        def boost(Xs, ys, Xt, yt):
            X, y = np.vstack([Xs, Xt[: len(Xt) // 10]]), np.append(ys, yt[: len(yt) // 10]).astype(float)
            origin = [f"source {i % 4}" if name.startswith("Multi") else "source" for i in range(len(Xs))]
            learner = Ridge() if name.endswith("R2") else LogisticRegression()
            domain = np.append(origin, np.full(len(X) - len(Xs), "target"))
            Transfer(getattr(instances, name)(), learner).fit(X, y, domain=domain)

        return boost
    if name == "SourceWeighting":
        return lambda Xs, ys, Xt, yt: instances.SourceWeighting().weigh(Xs, Xt, origin=np.arange(len(Xs)) % 4)
    settings = {
        "KMM": {"gamma": 1 / COLUMNS},
        "KLIEP": {"gammas": WIDTHS},
        "ULSIF": {"gammas": WIDTHS, "regs": REGULARISATIONS},
        "RULSIF": {"gammas": WIDTHS, "regs": REGULARISATIONS},
        "MMDTargetShift": {"gamma": 1 / COLUMNS},
    }.get(name, {})
    takes_labels = name in ("BBSE", "RLLS", "LabelShiftEM", "MMDTargetShift")

    def weigh(Xs, ys, Xt, yt):
        w = getattr(instances, name)(**settings).weigh(Xs, Xt, ys)
        return None if takes_labels else w

    return weigh


def of_adapt(name):
    """Return (Xs, ys, Xt, yt) -> weights, by ADAPT."""
    from adapt import instance_based as adapt
    from sklearn.linear_model import LogisticRegression

    if name == "TrAdaBoost":

        def boost(Xs, ys, Xt, yt):
            m = len(Xt) // 10
            adapt.TrAdaBoost(LogisticRegression(), n_estimators=10, verbose=0).fit(Xs, ys, Xt=Xt[:m], yt=yt[:m])

        return boost
    widths, penalties = list(WIDTHS), list(REGULARISATIONS)
    make = {
        "KMM in batches": lambda: adapt.KMM(gamma=1 / COLUMNS, verbose=0),
        "KMM whole": lambda: adapt.KMM(gamma=1 / COLUMNS, max_size=10**9, verbose=0),
        "KLIEP": lambda: adapt.KLIEP(gamma=widths, cv=5, verbose=0, random_state=0),
        "ULSIF": lambda: adapt.ULSIF(gamma=widths, lambdas=penalties, verbose=0, random_state=0),
        "RULSIF": lambda: adapt.RULSIF(gamma=widths, lambdas=penalties, verbose=0, random_state=0),
        "nearest neighbour": lambda: adapt.NearestNeighborsWeighting(n_neighbors=1, verbose=0),
    }[name]
    return lambda Xs, ys, Xt, yt: np.asarray(make().fit_weights(Xs, Xt)).ravel()


def of_skada(name):
    """Return (Xs, ys, Xt, yt) -> weights, by skada."""
    from skada import _reweight as skada

    make = {
        "KMM": lambda: skada.KMMReweightAdapter(gamma=1 / COLUMNS),
        "KLIEP": lambda: skada.KLIEPReweightAdapter(gamma=list(WIDTHS), cv=5, random_state=0),
        "nearest neighbour": skada.NearestNeighborReweightAdapter,
        "discriminator": skada.DiscriminatorReweightAdapter,
        "Gaussian": skada.GaussianReweightAdapter,
        "KDE": skada.DensityReweightAdapter,
        "MMDTarS": lambda: skada.MMDTarSReweightAdapter(gamma=1 / COLUMNS),
    }[name]

    def weigh(Xs, ys, Xt, yt):
        X, domain = np.vstack([Xs, Xt]), np.repeat([1, -2], [len(Xs), len(Xt)])
        # This package reserves -1 and -2 of the labels for masks.
        y = np.append(ys, np.full(len(yt), -1)).astype(float)
        _, weights = make().fit_transform(X, y, sample_domain=domain)
        return None if name == "MMDTarS" else np.asarray(weights["sample_weight"])[: len(Xs)]

    return weigh


if __name__ == "__main__":
    main()

"""Feature-based methods beside ADAPT, skada and POT: seconds, growth of peak memory, and the accuracy that is left.

Source rows are N(0, I), target rows N(0.3, 0.8^2 I), in 50 columns, with labels of three classes. One process a cell,
one BLAS thread, a warm-up on 100 rows before the clock starts; the figure is the median of the runs. A run fits the
method and maps the rows of both domains. Exact kernels: rbf with gamma = 1 / 50, 20 components. The peers come with
`pip install '.[bench]'`; a cell whose package is not there is skipped, and said so.

The accuracy is that of a logistic regression fitted on the mapped source rows, on the target's rows; for methods that
are classifiers it is theirs. It shows what a shortcut for many rows loses, and is no comparison of methods: these rows
need no transfer.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# POT imports every framework it finds, unless told not to.
os.environ.setdefault("POT_BACKEND_DISABLE_PYTORCH", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_JAX", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_CUPY", "1")

import argparse
import json

import cells
import numpy as np
from cells import COLUMNS

COMPONENTS, GAMMA = 20, 1 / COLUMNS
RBF = {"n_components": COMPONENTS, "kernel": "rbf", "gamma": GAMMA}

#: What is compared: our method, and the same in each peer. A cell is "library:name".
ROWS = (
    ("CORAL", "headstart:CORAL", ("adapt:CORAL", "skada:CORAL")),
    ("subspace alignment", "headstart:SubspaceAlignment", ("adapt:SA", "skada:SA")),
    ("GFK", "headstart:GFK", ()),
    ("TCA", "headstart:TCA", ("adapt:TCA", "skada:TCA")),
    ("TJM", "headstart:TJM", ("skada:TJM",)),
    ("JDA", "headstart:JDA", ()),
    ("BDA", "headstart:BDA", ()),
    ("JGSA", "headstart:JGSA", ()),
    ("SCA", "headstart:SCA", ()),
    ("SSTCA", "headstart:SSTCA", ()),
    ("ARTL", "headstart:ARTL", ()),
    ("MEDA", "headstart:MEDA", ()),
    ("EasyTL", "headstart:EasyTL", ()),
    ("exact transport", "headstart:OTMapping exact", ("POT:exact", "skada:exact")),
    ("entropic transport", "headstart:OTMapping entropic", ("POT:entropic", "skada:entropic")),
    ("linear transport", "headstart:OTMapping linear", ("POT:linear", "skada:linear")),
    ("transport, new rows only", "headstart:OTMapping new rows", ("POT:new rows",)),
    ("class-regularised transport (Lp-L1)", "headstart:OTMapping lpl1", ()),
    ("class-regularised transport (L1L2)", "headstart:OTMapping l1l2", ()),
    ("Laplace transport", "headstart:OTMapping laplace", ()),
    ("unbalanced transport", "headstart:OTMapping unbalanced", ()),
    ("joint distribution transport", "headstart:JDOT", ()),
    ("quantile alignment", "headstart:QuantileAlignment", ()),
)
#: The peers' eigenproblems take a minute at 2,000 rows, and grow with the cube.
LIMITS = {"adapt:TCA": 2000, "skada:TCA": 2000, "skada:TJM": 2000}
#: Settings of ours that are not those it comes with: the same as the peers' cells have.
SETTINGS = {
    "TCA": RBF,
    "TJM": RBF,
    "JDA": RBF,
    "BDA": RBF,
    "SSTCA": RBF,
    "SCA": {"n_components": COMPONENTS, "kernel": "rbf", "gamma": GAMMA},
    "JGSA": {"n_components": COMPONENTS, "kernel": "rbf", "gamma": GAMMA},
    "ARTL": {"kernel": "rbf", "gamma": GAMMA},
    "MEDA": {"kernel": "rbf", "gamma": GAMMA},
    "SubspaceAlignment": {"n_components": COMPONENTS},
    "GFK": {"n_components": COMPONENTS},
}
#: The entropic cells of all: this much regularisation on squared distances, whose mean is about 100.
ENTROPY = 10.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 5000, 100_000])
    parser.add_argument("--peers-up-to", type=int, default=5000, help="rows up to which the peers are run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="rows of the table, by the beginning of their name")
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        cell, rows, runs = arguments.cell
        print(json.dumps(measured(cell, int(rows), int(runs))))
        return
    lines = cells.table(
        __file__, ROWS, arguments.sizes, arguments.runs, arguments.peers_up_to, arguments.only or (), LIMITS
    )
    import record

    record.write("features_speed", {"seed": 0, "runs": arguments.runs, "columns": COLUMNS, "lines": lines})


def measured(cell, n, runs):
    """Return seconds, growth of peak memory in MiB, and the accuracy on the target's rows."""
    library, name = cell.split(":")
    make = {"headstart": of_headstart, "adapt": of_adapt, "skada": of_skada, "POT": of_pot}[library](name)
    data = cells.problem(n)
    if name.endswith("new rows"):
        return new_rows(make, data, runs)
    given, found = cells.timed(make, cells.problem(100), data, runs)
    if given is not None:
        found["accuracy"] = accuracy(*given, *data)
    return found


def new_rows(fit, data, runs):
    """Time how long n rows take that were not there when the map was learned."""
    transform = fit(*data)
    unseen = np.random.default_rng(1).normal(size=data[0].shape)
    _, found = cells.timed(transform, (unseen[:100],), (unseen,), runs)
    return found


def accuracy(Zs, Zt, Xs, ys, Xt, yt):
    """Return the share of target rows that are predicted right, from mapped rows or from class scores."""
    from sklearn.linear_model import LogisticRegression

    if Zs is None:
        return float((Zt == yt).mean())
    return float(LogisticRegression(max_iter=1000).fit(Zs, ys).score(Zt, yt))


def of_headstart(name):
    """Return (Xs, ys, Xt, yt) -> (mapped source rows, mapped target rows), by one of our methods."""
    from headstart import features

    name, _, kind = name.partition(" ")
    settings = dict(SETTINGS.get(name, {}))
    if name == "OTMapping":
        settings["transport"] = {"new rows": "exact"}.get(kind, kind)
        if kind == "entropic":
            settings |= {"reg": ENTROPY, "cost_scale": None}
    if name in ("ARTL", "MEDA", "EasyTL", "JDOT"):
        return classifier(getattr(features, name)(**settings))

    def align(Xs, ys, Xt, yt):
        method = getattr(features, name)(**settings).fit(Xs, Xt, ys)
        if kind == "new rows":
            return method.transform_source
        return method.transform_source(Xs), method.transform(Xt)

    return align


def classifier(method):
    """Return (Xs, ys, Xt, yt) -> (None, predictions), by a method that is a classifier of its own."""
    from sklearn.linear_model import LogisticRegression

    from headstart import Transfer

    def predict(Xs, ys, Xt, yt):
        X, y = np.vstack([Xs, Xt]), np.append(ys, np.full(len(Xt), np.nan))
        domain = np.repeat(["source", "target"], [len(Xs), len(Xt)])
        return None, Transfer(method, LogisticRegression()).fit(X, y, domain=domain).predict(Xt)

    return predict


def of_adapt(name):
    """Return the same by ADAPT."""
    from adapt import feature_based as adapt

    make = {
        "CORAL": lambda: adapt.CORAL(verbose=0, random_state=0),
        "SA": lambda: adapt.SA(n_components=COMPONENTS, verbose=0, random_state=0),
        "TCA": lambda: adapt.TCA(n_components=COMPONENTS, mu=1, kernel="rbf", gamma=GAMMA, verbose=0, random_state=0),
    }[name]

    def align(Xs, ys, Xt, yt):
        method = make()
        Zs = method.fit_transform(Xs, Xt)
        return np.asarray(Zs), np.asarray(method.transform(Xt, domain="tgt"))

    return align


def of_skada(name):
    """Return the same by skada."""
    from skada import _mapping, _subspace

    make = {
        "CORAL": lambda: _mapping.CORALAdapter(reg=1.0),
        "SA": lambda: _subspace.SubspaceAlignmentAdapter(n_components=COMPONENTS),
        "TCA": lambda: _subspace.TransferComponentAnalysisAdapter(n_components=COMPONENTS, mu=1),
        "TJM": lambda: _subspace.TransferJointMatchingAdapter(n_components=COMPONENTS, max_iter=10),
        "exact": _mapping.OTMappingAdapter,
        "entropic": lambda: _mapping.EntropicOTMappingAdapter(reg_e=ENTROPY),
        "linear": _mapping.LinearOTMappingAdapter,
    }[name]

    def align(Xs, ys, Xt, yt):
        X, domain = np.vstack([Xs, Xt]), np.repeat([1, -2], [len(Xs), len(Xt)])
        y = np.append(ys, np.full(len(yt), -1)).astype(float)
        Z = make().fit_transform(X, y, sample_domain=domain)
        Z = np.asarray(Z[0] if isinstance(Z, tuple) else Z)
        return Z[: len(Xs)], Z[len(Xs) :]

    return align


def of_pot(name):
    """Return the same by POT."""
    import ot

    make = {
        "exact": ot.da.EMDTransport,
        "new rows": ot.da.EMDTransport,
        "entropic": lambda: ot.da.SinkhornTransport(reg_e=ENTROPY, method="sinkhorn", out_of_sample_map="ferradans"),
        "linear": ot.da.LinearTransport,
    }[name]

    def align(Xs, ys, Xt, yt):
        method = make().fit(Xs=Xs, Xt=Xt)
        if name == "new rows":
            return lambda X: method.transform(Xs=X)
        return method.transform(Xs=Xs), Xt

    return align


if __name__ == "__main__":
    main()

"""Results' documents, made up: what every page of the report must be able to show."""

import copy
import json

import numpy as np

from headstart.choose.sources import SourceValue, SourceValues
from headstart.choose.unlabelled import Validation
from headstart.choose.validators import VALIDATORS
from headstart.evidence.calibration import reliability
from headstart.evidence.diagnosis import Diagnosis
from headstart.evidence.domain_map import domain_map
from headstart.evidence.estimated import EstimatedAccuracy
from headstart.evidence.forgetting import Forgetting
from headstart.evidence.helpful_rows import HelpfulRows, Share
from headstart.evidence.label_table import LabelTable
from headstart.evidence.measured import Measured
from headstart.evidence.moved import moved
from headstart.evidence.power import Power
from headstart.evidence.slices import sliced_gains
from headstart.evidence.structure import Structure, structure_of
from headstart.features import CORAL
from headstart.relations.boosting import Boosted
from headstart.relations.facts import Predicate
from headstart.relations.literals import Condition, Holds, Path, Step
from headstart.relations.predicate_map import Image, PredicateMap
from headstart.relations.predicate_mapping import Transferred
from headstart.relations.trees import Leaf, Node

LINE = {"family": "baseline", "score": 0.70, "gain": None, "low": None, "high": None, "seconds": 0.02}
DOCUMENT = {
    "schema": 1,
    "verdict": "helps",
    "sentence": "transfer helps: accuracy 0.700 -> 0.783 (+8.3 points); kmm is delivered",
    "gain": {
        "metric": "accuracy",
        "target_only": 0.70,
        "transfer": 0.7831,
        "gain": 0.0831,
        "low": 0.0643,
        "high": 0.1018,
        "how": "5 x 5-fold cross-validation on 212 labelled target rows",
        "rows": 212,
        "verdict": "helps",
        "rows_to_settle": None,
    },
    "choice": "kmm",
    "delivered": "kmm",
    "why": "kmm is shown to help",
    "metric": {"name": "accuracy", "sign": 1, "points": True},
    "tried": [
        {**LINE, "name": "target-only"},
        {**LINE, "name": "coral", "score": 0.671, "gain": -0.029, "low": -0.083, "high": 0.025},
        {**LINE, "name": "kmm", "score": 0.791, "gain": 0.091, "low": 0.071, "high": 0.111, "seconds": 1.29},
    ],
    "left_out": {"regular-transfer": "needs a linear learner, not SVC"},
    "shift": {
        "auc": 0.965,
        "p": 0.001,
        "columns": [
            {
                "column": f"column {i}",
                "kind": "number",
                "size": 0.5,
                "p": 1e-9,
                "q": 1e-8,
                "note": "mean 1 and 2",
            }
            for i in range(60)
        ],
        "labels": {
            "size": 0.384,
            "p": 0.0034,
            "source": {"ill": 0.64, "well": 0.36},
            "target": {"ill": 0.255, "well": 0.745},
        },
        "summary": "a classifier tells source from target with AUC 0.97 (p = 0.001)",
    },
    "curve": {
        "sizes": [10, 20, 40, 80],
        "target_only": [0.61, 0.66, 0.70, 0.79],
        "transfer": [0.72, 0.74, 0.78, 0.80],
        "target_only_sd": [0.02, 0.02, 0.01, 0.01],
        "transfer_sd": [0.01, 0.01, 0.01, 0.01],
        "rows": 40,
        "worth": 34,
        "beyond": False,
        "draws": 5,
        "scored_on": "the test rows not learned from",
        "summary": "worth about 34 labelled rows",
    },
    "steps": {"carry it over": 1.08, "learn the target task": 0.015},
    "domains": {
        "sources": [{"name": "cleveland", "rows": 50000, "labelled": 303}],
        "target": {"name": "hungary", "rows": 294, "labelled": 212},
        "test": None,
        "columns": 60,
        "classes": ["ill", "well"],
    },
    "model": {"method": "KMM", "family": "instance-based", "learner": "SVC", "label": None, "name": "kmm"},
    "settings": {"random_state": 7, "guard": "strict", "curve_draws": 5, "methods": {"kmm": "KMM()"}},
    "versions": {"headstart": "0.1.0", "numpy": "2.4.6"},
    "notes": [],
    "seconds": 33.9,
}
#: What is not known of a column where a method makes axes of its own.
GONE = ("ks_after", "distance_after", "moved")


def document(**changes):
    return copy.deepcopy(DOCUMENT) | changes


def unproven(**changes):
    """Return the document of a target without labels."""
    tried = [{**LINE, "name": "source-only", "seconds": None}, {**LINE, "name": "kmm", "seconds": None}]
    made = document(gain=None, curve=None, tried=tried, verdict="cannot be proven", choice="kmm")
    made["sentence"] = "a gain cannot be proven: hungary has no labelled rows"
    return made | {"why": "chosen without target labels"} | changes


def loss():
    """Return the document of a regression, told as a loss."""
    made = document(metric={"name": "mean squared error", "sign": -1, "points": False})
    for key in ("target_only", "transfer"):
        made["curve"][key] = [-1 / value for value in made["curve"][key]]
    made["gain"] |= {
        "target_only": -123456.0,
        "transfer": -98012.0,
        "gain": 25444.0,
        "low": None,
        "high": None,
    }
    made["tried"][1] |= {"score": None, "gain": None}
    made["tried"][2] |= {"score": -2.5, "gain": 0.5, "low": None, "high": 1e9}
    made["shift"]["labels"] = {"size": 0.3, "p": 0.2, "source": {"mean": 1.25}, "target": {"mean": -2.5}}
    made["domains"]["classes"] = None
    return made


def plain(value):
    """Return a piece's document as it comes out of result.json."""
    return json.loads(json.dumps(value.document()))


def transferred():
    """Return trees about films that became trees about papers: one predicate turned round, one lost, one new."""
    person, human, classes = ("person", "person"), ("human", "human"), np.array([0, 1])
    films = {
        "director": Predicate("director", ("person",)),
        "genre": Predicate("genre", ("person", "genre")),
        "movie": Predicate("movie", ("film", "person")),
    }
    papers = {
        "professor": Predicate("professor", ("human",)),
        "project": Predicate("project", ("project", "human")),
        "wrote": Predicate("wrote", ("human", "paper")),
    }
    together = Path(0, 1, (Step("movie", 1, 0), Step("movie", 0, 1)))
    one = Node((together, Condition(1, (), Holds("director", 0))), Leaf(1.2, 40.0), Leaf(-0.3, 900.0))
    two = Node((Condition(0, (), Holds("genre", 0)),), Leaf(0.2, 100.0), Leaf(-0.1, 840.0))
    wrote = Path(0, 1, (Step("wrote", 0, 1), Step("wrote", 1, 0)))
    after = Node(
        (wrote, Condition(1, (), Holds("professor", 0))),
        Node((Path(0, 1, (Step("project", 1, 0), Step("project", 0, 1))),), Leaf(1.5, 9.0), Leaf(0.8, 20.0)),
        Leaf(-0.4, 300.0),
    )
    images = {"director": Image("professor", (0,)), "movie": Image("wrote", (1, 0)), "genre": None}
    kinds = {"person": "human", "film": "paper"}
    return Transferred(
        -2.0,
        [after],
        Predicate("advisedby", human),
        papers,
        classes,
        variant="revised",
        mapping=PredicateMap(Image("advisedby", (0, 1)), images, kinds),
        source=Boosted(-1.0, [one, two], Predicate("workedunder", person), films, classes),
        likelihoods={"mapped": -0.21, "revised": -0.19, "scratch": -0.24},
    )


def everything():
    """Return a document in which every piece of evidence was measured, by the classes that measure it."""
    rng = np.random.default_rng(0)
    columns = [f"a column with a long name, number {i}" for i in range(14)]
    Xs, Xt = rng.normal(size=(200, 14)), rng.normal(size=(120, 14)) + 2.0 * (np.arange(14) < 3)
    ys, yt = (np.where(X[:, 0] > X[:, 0].mean(), "ill", "well") for X in (Xs, Xt))
    coral = CORAL().fit(Xs, Xt)
    p = rng.uniform(0.5, 1.0, size=300)
    sure = np.column_stack([1 - p, p])
    too_sure, right = (rng.uniform(size=300) < 0.7).astype(int), (rng.uniform(size=300) < p).astype(int)
    alone, helped = np.zeros(120), np.concatenate([np.ones(50), -np.ones(30), np.zeros(40)])
    wards = np.repeat(["where it helped", "where it hurt", "elsewhere", "rare"], [50, 30, 35, 5])
    tests = {name: Measured(0.1, p, "by hand", 0.05) for name, p in (("p(x)", 0.001), ("p(y)", 0.4), ("p(x | y)", 0.2))}
    distances = {"MMD": Measured(0.31, 0.001, "by hand", 0.02), "CORAL": Measured(12.5, None, "by hand")}
    share = Share("ill", 100, 0.2, 0.1, 0.3)
    rows = HelpfulRows(
        np.arange(200),
        np.linspace(-0.01, 0.03, 200),
        np.linspace(-0.02, 0.02, 200),
        np.linspace(0.0, 0.04, 200),
        [share, Share("well", 100, -0.1, -0.2, 0.1)],
        [Share("cleveland", 150, 0.2, 0.1, 0.3), Share("long beach", 50, -0.1, -0.2, -0.05)],
        share,
        share,
        "neighbours",
        "accuracy",
        "by hand",
    )
    sources = [
        SourceValue("cleveland", 150, 0.06, 0.02, 0.1, 0.05, 0.0, 0.1, 0.05, 0.0, 0.1),
        SourceValue("long beach", 50, -0.05, -0.09, -0.01, -0.05, -0.1, 0.0, -0.05, -0.1, 0.0),
        SourceValue("basel", 40, 0.0, -0.01, 0.01, 0.0, -0.1, 0.1, 0.0, -0.1, 0.1),
    ]
    names = [each.name for each in sources]
    made = document()
    made["gain"] |= {"p": 0.0002, "effect_size": 0.31, "mcnemar": None}
    made["tried"] = [{**line, "repeats": 5 - i} for i, line in enumerate(made["tried"])]
    made["curve"] |= {
        f"{key}_{end}": made["curve"][key] for key in ("target_only", "transfer") for end in ("low", "high")
    }
    made["curve"] |= {"worth_low": 12, "worth_high": None, "worth_range": "12 to beyond the measured range"}
    made["shift"] |= {
        "distances": {name: plain(each) for name, each in distances.items()},
        "diagnosis": plain(
            Diagnosis("covariate", 0.84, tests, 0.4, "instance-based", ("kmm", "rulsif"), ("what these rows hide",))
        ),
    }
    return made | {
        "slices": [plain(line) for line in sliced_gains(alone, helped, {"ward": wards})],
        "calibration": {"before": plain(reliability(sure, too_sure)), "after": plain(reliability(sure, right))},
        "forgetting": plain(Forgetting("accuracy", 0.9, 0.8, 0.1, 0.05, 0.15, 0.001, 75)),
        "power": plain(Power(212, 0.5, 0.09, 0.4, 500, 288, 0.8)),
        "understanding": {
            "rows": plain(rows),
            "columns": plain(moved(coral, Xs, Xt, columns=columns)),
            "map": plain(domain_map(Xs, Xt, ys, yt, after=(coral.transform_source(Xs), coral.transform(Xt)))),
            "labels": plain(LabelTable(["ill", "well"], ["1", "0"], np.array([[0.9, 0.1], [0.2, 0.8]]))),
            "sources": plain(
                SourceValues("accuracy", "Pooled", sources, 0.7, 0.75, names[::2], 0.78, True, 8, "by hand")
            ),
        },
        "relations": plain(structure_of(transferred())),
        "reproduce": {
            "python": "import headstart\n\nresult = headstart.run(source, target, methods=['kmm', 'coral'])",
            "command": "headstart run cleveland.csv hungary.csv " + "--method kmm " * 20,
        },
    }


def everything_without_labels():
    """Return a document of an unlabelled target with all that can be said of one."""
    full, made = everything(), unproven()
    each = {"average confidence": 0.8, "thresholded confidence": 0.7}
    estimated = EstimatedAccuracy(each, each, each, 0.7, 0.8, 0.9, 1.2)
    weighted = {**full["understanding"]["map"], "after": None, "size": np.linspace(0, 4, 200).tolist()}
    names, validators = [line["name"] for line in made["tried"]], list(VALIDATORS)
    scores = np.outer([0.2, 0.1], np.arange(len(validators)))
    found = full["understanding"]["columns"]
    columns = [{**column, "share": 0.25} | dict.fromkeys(GONE) for column in found["columns"]]
    return made | {
        "estimated": plain(estimated),
        "validation": plain(Validation(names, validators, scores, ("stability",), 80.0, [1.0, 2.0])),
        "understanding": {
            "map": weighted,
            "sources": None,
            "rows": None,
            "columns": found | {"keeps_columns": False, "columns": columns},
            "labels": plain(LabelTable([], [], np.empty((0, 0)), (2.0, -1.0))),
        },
        "relations": plain(Structure(lines=["+1.3  a step there and back joins both", "+0.4  one of them holds"])),
    }


VARIANTS = {
    "helps": document(),
    "hurts": document(verdict="hurts", sentence="transfer hurts: it does", delivered="target-only"),
    "no evidence": document(verdict="no evidence", sentence="no evidence that transfer helps: accuracy"),
    "cannot be proven": unproven(),
    "carried": unproven(shift=None, tried=[], notes=["the rows are not here, so the shift was not measured"]),
    "without curve": document(curve=None),
    "loss": loss(),
    "bare": document(shift=DOCUMENT["shift"] | {"columns": [], "labels": None}, left_out={}, steps={}),
    "everything": everything(),
    "everything without labels": everything_without_labels(),
}

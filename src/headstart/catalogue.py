"""The catalogue: every method by family, with what it needs. A method that is not here does not exist."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from headstart.errors import NeedsError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from headstart.method import Method


@dataclass(frozen=True)
class Entry:
    """One method: its name on the command line, where its class stands, and whether a run tries it unasked."""

    name: str
    class_name: str
    module: str
    standard: bool = False

    def load(self) -> type[Method]:
        """Import the class."""
        found: type[Method] = getattr(import_module(self.module), self.class_name)
        return found


ENTRIES = (
    Entry("target-only", "TargetOnly", "headstart.baselines", standard=True),
    Entry("source-only", "SourceOnly", "headstart.baselines", standard=True),
    Entry("pooled", "Pooled", "headstart.baselines", standard=True),
    Entry("kmm", "KMM", "headstart.instances", standard=True),
    Entry("kliep", "KLIEP", "headstart.instances"),
    Entry("ulsif", "ULSIF", "headstart.instances"),
    Entry("rulsif", "RULSIF", "headstart.instances"),
    Entry("domain-classifier-weighting", "DomainClassifierWeighting", "headstart.instances"),
    Entry("nearest-neighbor-weighting", "NearestNeighborWeighting", "headstart.instances", standard=True),
    Entry("gaussian-weighting", "GaussianWeighting", "headstart.instances"),
    Entry("kde-weighting", "KDEWeighting", "headstart.instances"),
    Entry("bbse", "BBSE", "headstart.instances"),
    Entry("rlls", "RLLS", "headstart.instances"),
    Entry("label-shift-em", "LabelShiftEM", "headstart.instances"),
    Entry("mmd-target-shift", "MMDTargetShift", "headstart.instances"),
    Entry("balanced-weighting", "BalancedWeighting", "headstart.instances"),
    Entry("tradaboost", "TrAdaBoost", "headstart.instances"),
    Entry("dynamic-tradaboost", "DynamicTrAdaBoost", "headstart.instances"),
    Entry("tradaboost-r2", "TrAdaBoostR2", "headstart.instances"),
    Entry("two-stage-tradaboost-r2", "TwoStageTrAdaBoostR2", "headstart.instances"),
    Entry("multi-source-tradaboost", "MultiSourceTrAdaBoost", "headstart.instances"),
    Entry("source-weighting", "SourceWeighting", "headstart.instances"),
    Entry("instance-pruning", "InstancePruning", "headstart.instances"),
    Entry("coral", "CORAL", "headstart.features", standard=True),
    Entry("per-domain-standardization", "PerDomainStandardization", "headstart.features"),
    Entry("quantile-alignment", "QuantileAlignment", "headstart.features"),
    Entry("feature-selection", "FeatureSelection", "headstart.features"),
    Entry("subspace-alignment", "SubspaceAlignment", "headstart.features"),
    Entry("gfk", "GFK", "headstart.features"),
    Entry("tca", "TCA", "headstart.features"),
    Entry("sstca", "SSTCA", "headstart.features"),
    Entry("tjm", "TJM", "headstart.features"),
    Entry("jda", "JDA", "headstart.features"),
    Entry("bda", "BDA", "headstart.features"),
    Entry("jgsa", "JGSA", "headstart.features"),
    Entry("sca", "SCA", "headstart.features"),
    Entry("artl", "ARTL", "headstart.features"),
    Entry("meda", "MEDA", "headstart.features"),
    Entry("easytl", "EasyTL", "headstart.features"),
    Entry("discriminant-transfer", "DiscriminantTransfer", "headstart.features"),
    Entry("ot-mapping", "OTMapping", "headstart.features"),
    Entry("jdot", "JDOT", "headstart.features"),
    Entry("scl", "SCL", "headstart.features"),
    Entry("sfa", "SFA", "headstart.features"),
    Entry("msda", "MSDA", "headstart.features"),
    Entry("feature-augmentation", "FeatureAugmentation", "headstart.features"),
    Entry("pred", "PRED", "headstart.features"),
    Entry("direct-standardization", "DirectStandardization", "headstart.features"),
    Entry("piecewise-direct-standardization", "PiecewiseDirectStandardization", "headstart.features"),
    Entry("mapping-transfer", "MappingTransfer", "headstart.features"),
    Entry("anchor-ot", "AnchorOT", "headstart.features"),
    Entry("coo-transfer", "COOTransfer", "headstart.features"),
    Entry("manifold-alignment", "ManifoldAlignment", "headstart.features"),
    Entry("cca", "CCA", "headstart.features"),
    Entry("heterogeneous-augmentation", "HeterogeneousAugmentation", "headstart.features"),
    Entry("regular-transfer", "RegularTransfer", "headstart.models", standard=True),
    Entry("transfer-tree", "TransferTree", "headstart.models"),
    Entry("transfer-forest", "TransferForest", "headstart.models"),
    Entry("adaptive-svm", "AdaptiveSVM", "headstart.models"),
    Entry("warm-start", "WarmStart", "headstart.models"),
    Entry("predicate-mapping", "PredicateMapping", "headstart.relations", standard=True),
    Entry("template-transfer", "TemplateTransfer", "headstart.relations"),
    Entry("inductive-links", "InductiveLinks", "headstart.relations"),
    Entry("graph-transfer", "GraphTransfer", "headstart.relations", standard=True),
    Entry("adversarial-graph-transfer", "AdversarialGraphTransfer", "headstart.relations"),
    Entry("collective-mf", "CollectiveMF", "headstart.recommend", standard=True),
    Entry("embedding-mapping", "EmbeddingMapping", "headstart.recommend", standard=True),
    Entry("cross-domain-item-knn", "CrossDomainItemKNN", "headstart.recommend", standard=True),
    Entry("personalized-bridge", "PersonalizedBridge", "headstart.recommend"),
    Entry("codebook-transfer", "CodebookTransfer", "headstart.recommend"),
    Entry("bi-graph-transfer", "BiGraphTransfer", "headstart.recommend"),
    Entry("blend", "Blend", "headstart.blend", standard=True),
    Entry("linear-probe", "LinearProbe", "headstart.models.fine_tuning"),
    Entry("fine-tune", "FineTune", "headstart.models.fine_tuning"),
    Entry("lp-ft", "LPFT", "headstart.models.fine_tuning"),
    Entry("gradual-unfreezing", "GradualUnfreezing", "headstart.models.fine_tuning"),
    Entry("discriminative-lr", "DiscriminativeLR", "headstart.models.fine_tuning"),
    Entry("l2-sp", "L2SP", "headstart.models.fine_tuning"),
    Entry("delta", "DELTA", "headstart.models.fine_tuning"),
    Entry("bss", "BSS", "headstart.models.fine_tuning"),
    Entry("stoch-norm", "StochNorm", "headstart.models.fine_tuning"),
    Entry("co-tuning", "CoTuning", "headstart.models.fine_tuning"),
    Entry("bi-tuning", "BiTuning", "headstart.models.fine_tuning"),
    Entry("lwf", "LwF", "headstart.models.fine_tuning"),
    Entry("lora", "LoRA", "headstart.models.fine_tuning"),
    Entry("ia3", "IA3", "headstart.models.fine_tuning"),
    Entry("bit-fit", "BitFit", "headstart.models.fine_tuning"),
    Entry("adapter", "Adapter", "headstart.models.fine_tuning"),
    Entry("distill", "Distill", "headstart.models.fine_tuning"),
    Entry("soup", "Soup", "headstart.models.fine_tuning"),
    Entry("from-scratch", "FromScratch", "headstart.models.fine_tuning"),
)
#: What stands for every method of the catalogue where names of methods are asked for.
ALL = "all"
#: What stands for every strategy of fine-tuning: methods that train a network on pictures or texts. Each takes minutes,
#: so neither "all" nor "model-based" means them.
STRATEGIES = "fine-tuning"


def methods(family: str | None = None) -> pd.DataFrame:
    """Return the catalogue as a table: one row a method, with what it needs.

    Parameters
    ----------
    family : str, optional
        Only this family: "baseline", "instance-based", "feature-based", "model-based" or "relation-based".

    Examples
    --------
    >>> methods("model-based")[["family", "source rows travel"]]
                           family  source rows travel
    method
    regular-transfer  model-based               False
    transfer-tree     model-based               False
    transfer-forest   model-based               False
    adaptive-svm      model-based               False
    warm-start        model-based               False
    ...
    """
    import pandas as pd

    from headstart.method import Family

    if family is not None and family not in list(Family):
        raise NeedsError(unknown_name("family", family, list(Family)))
    rows = []
    for entry in ENTRIES:
        found = entry.load()
        if family is not None and found.family != family:
            continue
        rows.append(
            {
                "method": entry.name,
                "class": entry.class_name,
                "family": str(found.family),
                "target labels": found.needs.target_labels,
                "source rows travel": found.needs.source_rows,
                "pairs": found.needs.pairs,
                "same columns": found.needs.same_features,
                "trains a network": found.needs.items,
                "reads": ", ".join(found.needs.reads),
                "learner": found.needs.learner,
                "tasks": ", ".join(found.needs.tasks),
                "tried by itself": entry.standard,
                "summary": (found.__doc__ or "").strip().splitlines()[0],
            }
        )
    columns = [
        "class",
        "family",
        "target labels",
        "source rows travel",
        "pairs",
        "same columns",
        "trains a network",
        "reads",
        "learner",
        "tasks",
        "tried by itself",
        "summary",
    ]
    return pd.DataFrame(rows, columns=["method", *columns]).set_index("method")


def names() -> list[str]:
    """Return the name of every method."""
    return [entry.name for entry in ENTRIES]


def standard_names(different: bool = False, reads: str = "table") -> list[str]:
    """Return the names of the methods that a run tries when none is named.

    One or two of each kind: with every method more that is tried, the choice among them rests more on luck, and on
    few labelled rows a longer list finds less.

    Parameters
    ----------
    different : bool
        Source and target have different columns. Few methods can work then, so all of them are tried, beside the
        baselines.
    reads : {"table", "facts", "graph", "ratings"}
        What the rows are.

    Examples
    --------
    >>> standard_names()[:4], "direct-standardization" in standard_names(different=True)
    (['target-only', 'source-only', 'pooled', 'kmm'], True)
    """
    from headstart.method import Family

    here = [entry for entry in ENTRIES if different or entry.standard]
    found = {entry.name: entry.load() for entry in here}
    found = {name: kind for name, kind in found.items() if reads in kind.needs.reads}
    if not different or reads != "table":
        return [entry.name for entry in here if entry.standard and entry.name in found]
    return [name for name, kind in found.items() if kind.family == Family.BASELINE or not kind.needs.same_features]


def travelling_names() -> list[str]:
    """Return the names of the methods for tables that carry something from the source other than its rows.

    >>> travelling_names()
    ['source-only', 'pred', 'regular-transfer', 'transfer-tree', 'transfer-forest', 'adaptive-svm', 'warm-start']
    """
    needs = {entry.name: entry.load().needs for entry in ENTRIES}
    return [
        name
        for name, need in needs.items()
        if need.source_labels and not need.source_rows and not need.items and "table" in need.reads
    ]


def names_in(group: str) -> list[str] | None:
    """Return the names that "all", "fine-tuning" or a family stands for; None when `group` is none of these.

    >>> names_in("model-based"), names_in("coral")
    (['regular-transfer', 'transfer-tree', 'transfer-forest', 'adaptive-svm', 'warm-start', 'blend'], None)
    """
    from headstart.method import Family

    if group not in (ALL, STRATEGIES, *Family):
        return None
    found = {entry.name: entry.load() for entry in ENTRIES}
    if group == STRATEGIES:
        return [name for name, kind in found.items() if kind.needs.items]
    return [name for name, kind in found.items() if not kind.needs.items and group in (ALL, kind.family)]


def find(name: str) -> Entry:
    """Return the entry of a name ("coral") or class name ("CORAL").

    Raises
    ------
    NeedsError
        Naming the close ones, families among them, when there is no such method.
    """
    for entry in ENTRIES:
        if name in (entry.class_name, entry.name, entry.name.replace("-", "_")):
            return entry
    from headstart.method import Family

    raise NeedsError(unknown_name("method", name, [*names(), *Family, ALL, STRATEGIES]))


def make(method: str | Method, parameters: dict[str, Any] | None = None) -> Method:
    """Return a method by name, with parameters; a method that is one already comes back as it is.

    Settings may stand in the name, after a colon.

    Examples
    --------
    >>> make("tca:n_components=5,kernel=rbf")
    TCA(kernel='rbf', n_components=5)
    """
    if not isinstance(method, str):
        name_of(method)
        return method
    if ":" in method:
        return _with_settings(method)
    try:
        return find(method).load()(**(parameters or {}))
    except TypeError as error:
        raise NeedsError(f"{method}: {error}") from error


def strategy_of(text: str) -> Method:
    """Return a strategy of fine-tuning as it is written on the command line, with settings after a colon.

    Raises
    ------
    NeedsError
        When there is no such strategy, or it has no such setting.

    Examples
    --------
    >>> strategy_of("l2_sp:epochs=3,alpha=0.5").get_params()["alpha"]
    0.5
    """
    name = text.partition(":")[0]
    strategies = names_in(STRATEGIES) or []
    if name.replace("_", "-") not in strategies:
        raise NeedsError(unknown_name("strategy", name, strategies))
    return make(text)


def _with_settings(text: str) -> Method:
    name, _, rest = text.partition(":")
    method = find(name).load()()
    known = method.get_params(deep=False)
    for setting in rest.split(","):
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or key not in known:
            raise NeedsError(unknown_name("setting", key, sorted(known), name))
        method.set_params(**{key: _read(value, known[key], f"{name}: {key}")})
    return method


def _read(text: str, now: Any, where: str) -> Any:
    """Read a setting in the kind of the one that it replaces."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if isinstance(now, bool | int | float):
        raise NeedsError(f"{where} must be {'true or false' if isinstance(now, bool) else 'a number'}, not {text!r}")
    return text


def name_of(method: Method) -> str:
    """Return a method's name in the catalogue.

    Raises
    ------
    NeedsError
        When its class is not in the catalogue.
    """
    for entry in ENTRIES:
        if type(method).__name__ == entry.class_name and isinstance(method, entry.load()):
            return entry.name
    raise NeedsError(f"{type(method).__name__} is not in the catalogue; there is {', '.join(names())}")

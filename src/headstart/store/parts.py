"""Fitted scikit-learn parts as bytes, and back, with a closed list of trusted types.

skops writes an object as JSON and arrays; loading builds only types that are named here or that skops itself
trusts (scikit-learn, numpy, scipy). No code from the file runs.
"""

from typing import Any

from headstart.errors import StoreError

#: Types of ours, and harmless ones of the libraries we stand on, that a file may name.
TRUSTED = frozenset(
    {
        "headstart.backbones.transformer.BackboneFeatures",
        "headstart.blend.Blended",
        "headstart.features.base.AlignedPredictor",
        "headstart.features.class_scores.ScorePredictor",
        "headstart.features.direct_standardization.FactoredMap",
        "headstart.features.easytl.AlignedScores",
        "headstart.features.easytl.CenterScores",
        "headstart.features.feature_augmentation.BlocksMap",
        "headstart.features.feature_selection.ColumnsMap",
        "headstart.features.heterogeneous_augmentation.AugmentedMap",
        "headstart.features.jdot._Predictor",
        "headstart.features.meda.ManifoldMap",
        "headstart.features.meda.ScoreMap",
        "headstart.features.msda.StackedMap",
        "headstart.features.new_features.NewFeaturesMap",
        "headstart.features.per_domain_standardization.ScalingMap",
        "headstart.features.piecewise_direct_standardization.BandedMap",
        "headstart.features.pred.PredictionMap",
        "headstart.features.quantile_alignment.PiecewiseLinearMap",
        "headstart.features.subspaces.CenteredMap",
        "headstart.instances.boosting.WeightedMedian",
        "headstart.instances.boosting.WeightedVote",
        "headstart.mapping.families.RescaledMap",
        "headstart.mapping.families.Units",
        "headstart.mapping.kernel_map.KernelMap",
        "headstart.mapping.label_maps.LabelMap",
        "headstart.mapping.label_maps.LinearLabelMap",
        "headstart.mapping.maps.AffineMap",
        "headstart.mapping.maps.IdentityMap",
        "headstart.mapping.maps.LinearMap",
        "headstart.mapping.nearest_shift.NearestShift",
        "headstart.mapping.perceptron_map.PerceptronMap",
        "headstart.models.adaptive_svm.AdaptedClassifier",
        "headstart.models.adaptive_svm.KernelCorrection",
        "headstart.models.adaptive_svm.LinearCorrection",
        "headstart.models.adaptive_svm.SourceScores",
        "headstart.models.fine_tuning.tuned.TunedNetwork",
        "headstart.models.trees.Tree",
        "headstart.models.trees.TreesClassifier",
        "headstart.models.trees.TreesRegressor",
        "headstart.readers.columns.Vectorizer",
        "headstart.recommend.baselines.Kindness",
        "headstart.recommend.bi_graph.GraphTastes",
        "headstart.recommend.codebook.Groups",
        "headstart.recommend.ease.ItemRegression",
        "headstart.recommend.embedding_mapping.MappedTastes",
        "headstart.recommend.embedding_mapping.TastesAndNeighbors",
        "headstart.recommend.factorization.Factors",
        "headstart.recommend.factorization.MatrixFactorization",
        "headstart.recommend.factorization.Preferences",
        "headstart.recommend.factorization.RatingTastes",
        "headstart.recommend.histories.Histories",
        "headstart.recommend.neighbors.ItemKNN",
        "headstart.recommend.personalized_bridge.Bridge",
        "headstart.recommend.personalized_bridge.BridgedTastes",
        "headstart.recommend.ratings.Ratings",
        "headstart.recommend.recommender.Recommender",
        "headstart.recommend.scenario_columns.Columns",
        "headstart.recommend.scenario_layers.Shape",
        "headstart.recommend.scenario_net.ScenarioNet",
        "headstart.recommend.scorers.Constant",
        "headstart.recommend.scorers.Neighbors",
        "headstart.relations.hidden_head.HiddenHead",
        "headstart.relations.boosting.Boosted",
        "headstart.relations.boosting.RelationalBoosting",
        "headstart.relations.facts.Predicate",
        "headstart.relations.graph_learner.GraphClassifier",
        "headstart.relations.graph_learner.GraphPredictor",
        "headstart.relations.inductive_links.Linked",
        "headstart.relations.literals.Condition",
        "headstart.relations.literals.Holds",
        "headstart.relations.literals.Path",
        "headstart.relations.literals.Step",
        "headstart.relations.predicate_map.Image",
        "headstart.relations.predicate_map.PredicateMap",
        "headstart.relations.predicate_mapping.Transferred",
        "headstart.relations.propagation.Axes",
        "headstart.relations.ridge.Head",
        "headstart.relations.template_transfer.Prior",
        "headstart.relations.template_transfer.Templated",
        "headstart.relations.trees.Leaf",
        "headstart.relations.trees.Node",
        "numpy.dtype",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn._loss._loss.CyHalfSquaredError",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn.compose._column_transformer._RemainderColsList",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.linear_model._base.LinearModelLoss",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
    }
)


def dump_part(part: Any) -> bytes:
    """Write a fitted part as bytes.

    Raises
    ------
    StoreError
        When the part holds a type that could not be loaded again.
    """
    from skops.io import dumps

    data: bytes = dumps(part)
    _refuse_untrusted(data, "this model", "it can't be saved without pickle, so take another learner")
    return data


def load_part(data: bytes, where: str) -> Any:
    """Read a part written by `dump_part`.

    Raises
    ------
    StoreError
        When the bytes are not such a part, or name a type that is not trusted.
    """
    from skops.io import loads

    _refuse_untrusted(data, where, "load only what headstart saved")
    return loads(data, trusted=sorted(TRUSTED))


def _refuse_untrusted(data: bytes, where: str, advice: str) -> None:
    from zipfile import BadZipFile

    from skops.io import get_untrusted_types

    try:
        strangers = sorted(set(get_untrusted_types(data=data)) - TRUSTED)
    except (BadZipFile, KeyError, ValueError, TypeError, AttributeError, ImportError) as error:
        raise StoreError(f"{where}: not a part that headstart saved ({error}); save it again") from error
    if strangers:
        raise StoreError(f"{where}: holds a type that is not trusted, {strangers[0]}; {advice}")

"""How promising a candidate is for a target task, before anything is trained: transferability scores.

A candidate is a pretrained model (or a source), seen by its features of the labelled target rows. Every score is a
function of features and labels; more is better. `score_all` computes several with one factorisation.
"""

from headstart.evidence.transferability.alignment import lfc, parc
from headstart.evidence.transferability.coding import transrate
from headstart.evidence.transferability.discriminants import EtranParts, etran, etran_among, sfda
from headstart.evidence.transferability.features import Features
from headstart.evidence.transferability.marginal import logme
from headstart.evidence.transferability.mixtures import nleep
from headstart.evidence.transferability.overlap import gbc
from headstart.evidence.transferability.probes import knn, lda, ridge
from headstart.evidence.transferability.scatter import h_score
from headstart.evidence.transferability.scores import SCORES, Score, score_all
from headstart.evidence.transferability.source_labels import leep, nce
from headstart.evidence.transferability.tasks import task2vec, task_distance

__all__ = [
    "SCORES",
    "EtranParts",
    "Features",
    "Score",
    "etran",
    "etran_among",
    "gbc",
    "h_score",
    "knn",
    "lda",
    "leep",
    "lfc",
    "logme",
    "nce",
    "nleep",
    "parc",
    "ridge",
    "score_all",
    "sfda",
    "task2vec",
    "task_distance",
    "transrate",
]

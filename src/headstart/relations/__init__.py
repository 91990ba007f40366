"""Relation-based transfer: structure carried between worlds whose predicates and objects have other names."""

from headstart.relations.adversarial_graph import AdversarialGraphTransfer
from headstart.relations.boosting import Boosted, RelationalBoosting
from headstart.relations.entity_alignment import EntityAlignment
from headstart.relations.examples import Examples, facts_domain
from headstart.relations.facts import Facts, Predicate
from headstart.relations.graph_files import read_graph
from headstart.relations.graph_learner import GraphClassifier
from headstart.relations.graph_transfer import GraphTransfer
from headstart.relations.graphs import Graph, Nodes
from headstart.relations.predicate_mapping import PredicateMapping, Transferred
from headstart.relations.triple_files import read_triples
from headstart.relations.triples import KnowledgeGraph

__all__ = [
    "AdversarialGraphTransfer",
    "Boosted",
    "EntityAlignment",
    "Examples",
    "Facts",
    "Graph",
    "GraphClassifier",
    "GraphTransfer",
    "KnowledgeGraph",
    "Nodes",
    "Predicate",
    "PredicateMapping",
    "RelationalBoosting",
    "Transferred",
    "facts_domain",
    "read_graph",
    "read_triples",
]

"""Relation-based transfer: structure carried between worlds whose predicates and objects have other names."""

from headstart.relations.adversarial_graph import AdversarialGraphTransfer
from headstart.relations.boosting import Boosted, RelationalBoosting
from headstart.relations.entity_alignment import EntityAlignment
from headstart.relations.examples import Examples, facts_domain
from headstart.relations.fact_files import read_fact_base, read_facts
from headstart.relations.facts import Facts, Predicate
from headstart.relations.graph_files import read_graph
from headstart.relations.graph_learner import GraphClassifier
from headstart.relations.graph_transfer import GraphTransfer
from headstart.relations.graphs import Graph, Nodes
from headstart.relations.inductive_links import InductiveLinks
from headstart.relations.link_ranking import LinkRanks, links_domain, links_evaluation, rank_links
from headstart.relations.predicate_mapping import PredicateMapping, Transferred
from headstart.relations.template_transfer import TemplateTransfer
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
    "InductiveLinks",
    "KnowledgeGraph",
    "LinkRanks",
    "Nodes",
    "Predicate",
    "PredicateMapping",
    "RelationalBoosting",
    "TemplateTransfer",
    "Transferred",
    "facts_domain",
    "links_domain",
    "links_evaluation",
    "rank_links",
    "read_fact_base",
    "read_facts",
    "read_graph",
    "read_triples",
]

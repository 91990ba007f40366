"""Relation-based transfer: what is learned of relations between things is carried over."""

from headstart.relations.adversarial_graph import AdversarialGraphTransfer
from headstart.relations.graph_files import read_graph
from headstart.relations.graph_learner import GraphClassifier
from headstart.relations.graph_transfer import GraphTransfer
from headstart.relations.graphs import Graph, Nodes

__all__ = ["AdversarialGraphTransfer", "Graph", "GraphClassifier", "GraphTransfer", "Nodes", "read_graph"]

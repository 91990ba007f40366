"""Files, folders, frames and arrays into domains."""

from headstart.readers.columns import Vectorizer, align
from headstart.readers.table import read, read_domains
from headstart.readers.vectors import positions, read_dictionary, read_vectors

__all__ = ["Vectorizer", "align", "positions", "read", "read_dictionary", "read_domains", "read_vectors"]

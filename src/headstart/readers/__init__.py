"""Files, frames and arrays into domains."""

from headstart.readers.columns import Vectorizer, align
from headstart.readers.table import read, read_domains

__all__ = ["Vectorizer", "align", "read", "read_domains"]

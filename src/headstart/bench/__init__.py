"""Published protocols on real data: `headstart bench NAME --data DIR`."""

from headstart.bench.comparison import Case, Line, Score, compare, summarise, utilities
from headstart.bench.record import circumstances, written

__all__ = ["Case", "Line", "Score", "circumstances", "compare", "summarise", "utilities", "written"]

"""Published protocols on real data: `headstart bench NAME --data DIR`."""

from headstart.bench.asked import Asked, Shown
from headstart.bench.comparison import Case, Line, Score, compare, summarise, utilities
from headstart.bench.record import circumstances, written

__all__ = ["Asked", "Case", "Line", "Score", "Shown", "circumstances", "compare", "summarise", "utilities", "written"]

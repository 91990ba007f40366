"""Where the figures of a benchmark go."""

from pathlib import Path
from typing import Any

from headstart.bench import written

RESULTS = Path(__file__).parent / "results"


def write(name: str, figures: dict[str, Any]) -> None:
    """Write figures and circumstances to results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    written(path, {"benchmark": name, **figures})
    print(f"{path.name}: written")

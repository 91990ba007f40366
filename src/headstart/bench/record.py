"""What a benchmark writes beside its figures: command, date, versions, machine."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headstart.delivery import versions
from headstart.store.folder import staged_file


def circumstances() -> dict[str, Any]:
    """Return how, when, with what and where the figures are measured."""
    return {
        "command": " ".join([*_program(), *(_without_machine(argument) for argument in sys.argv[1:])]),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": versions(),
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": os.environ.get("OMP_NUM_THREADS"),
        },
    }


def _program() -> list[str]:
    name = Path(sys.argv[0]).name
    if name == "__main__.py":
        return ["headstart"]
    return ["python", name] if name.endswith(".py") else [name]


def _without_machine(argument: str) -> str:
    """Name a path that is about this machine by its last part."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def written(path: Path, figures: dict[str, Any]) -> None:
    """Write figures and circumstances as JSON; the file appears whole, or not at all."""
    with staged_file(path) as stage:
        stage.write_text(json.dumps({**circumstances(), **figures}, indent=1) + "\n", encoding="utf-8")

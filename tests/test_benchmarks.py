"""The tables in the docs are what was measured."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tables_of_the_docs_are_made_from_the_results():
    made = runpy.run_path(str(ROOT / "benchmarks" / "tables.py"))
    for place in made["PAGES"]:
        page = place.read_text(encoding="utf-8")
        assert made["with_tables"](page) == page, place.name

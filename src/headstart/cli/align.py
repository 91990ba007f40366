"""headstart align."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import options as o
from headstart.cli.learn import require_new
from headstart.cli.waiting import waiting
from headstart.errors import InputError

if TYPE_CHECKING:
    from headstart.relations.entity_alignment import EntityAlignment
    from headstart.relations.triples import KnowledgeGraph


def align(
    source: Annotated[Path, typer.Argument(help="Triples of the source, one a line.", show_default=False)],
    target: Annotated[Path, typer.Argument(help="Triples of the target.", show_default=False)],
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", help="File of known pairs: source entity, target entity.", show_default=False),
    ] = None,
    names: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--names", help="Two files of ids and names, of source and target; triples are of ids.", show_default=False
        ),
    ] = None,
    literals: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--literals",
            help="Two files of literals, of source and target: entity, attribute, value.",
            show_default=False,
        ),
    ] = None,
    test_pairs: Annotated[
        Path | None,
        typer.Option(
            "--test-pairs", help="File of true pairs, to tell how many of them are found.", show_default=False
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", help="structure, literals, both; auto: structure with pairs, literals without."),
    ] = "auto",
    one_to_one: Annotated[
        str,
        typer.Option(
            "--one-to-one", help="Which pairs are written: mutual, each other's best; greedy; or assigned, all at once."
        ),
    ] = "mutual",
    candidates: Annotated[
        int, typer.Option("--candidates", help="Target entities that stay in question for each source entity.")
    ] = 100,
    refinements: Annotated[int, typer.Option("--refinements", help="How often neighbours vote.")] = 5,
    reseedings: Annotated[
        int, typer.Option("--reseedings", help="How often all is done again with what was found as known.")
    ] = 0,
    seed: o.SeedOption = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV file of the pairs.")] = Path("pairs.csv"),
    force: Annotated[bool, typer.Option("--force", help="Replace the output file if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; print the path only.")] = False,
    json: o.JsonOption = False,
) -> None:
    """Find the entities of two graphs that are the same, from some known pairs or from literals.

    [bold]Some pairs are known:[/bold] headstart align german.tsv english.tsv --pairs known.csv

    [bold]None is, but values are shared:[/bold] headstart align a.tsv b.tsv --literals a-values.tsv b-values.tsv
    """
    require_new(out, force)
    given = (pairs, test_pairs, *(literals or ()), *(names or ()), source, target)
    if any(path is not None and path.resolve() == out.resolve() for path in given):
        raise InputError(f"{out}: is read too; name another file with --out")
    from headstart.relations.entity_alignment import EntityAlignment
    from headstart.relations.triple_files import read_names, read_pairs, read_triples
    from headstart.store import staged_file

    here, there = (
        read_triples(path, names[i] if names else None, literals[i] if literals else None)
        for i, path in enumerate((source, target))
    )
    ids = (read_names(names[0]), read_names(names[1])) if names else None
    known, truth = (None if path is None else read_pairs(path, here, there, ids) for path in (pairs, test_pairs))
    alignment = EntityAlignment(
        method,
        n_candidates=candidates,
        n_refinements=refinements,
        n_reseedings=reseedings,
        one_to_one=one_to_one,
        random_state=seed,
    )
    with waiting("aligning", quiet or json):
        alignment.fit(here, there, pairs=known)
    told = _told(alignment, [] if known is None else known[:, 0].tolist(), truth)
    with staged_file(out) as stage:
        alignment.pairs_.to_csv(stage, index=False, float_format="%.4f")
    if json:
        sys.stdout.write(dumps({**told, "pairs_file": str(out)}, indent=2) + "\n")
        return
    if not quiet:
        _show(told, (source, target))
    print(f"{out}: {len(alignment.pairs_)} pairs")


def _told(alignment: EntityAlignment, known: list[int], truth: Any) -> dict[str, Any]:
    """Return what there is to tell."""
    pairs, given = alignment.pairs_, set(known)
    found = pairs.loc[~pairs["source"].isin([alignment.source_.entities[i] for i in known]), "confidence"]
    told: dict[str, Any] = {
        "method": alignment.method_,
        "source": _size(alignment.source_),
        "target": _size(alignment.target_),
        "known": len(known),
        "from_literals": len(alignment.seeds_) - len(known),
        "found": len(found),
        "sure": int((found >= 0.9).sum()),
        "likely": int(((found >= 0.5) & (found < 0.9)).sum()),
        "doubtful": int((found < 0.5).sum()),
    }
    if truth is not None:
        new = [pair for pair in truth.tolist() if pair[0] not in given]
        told["test_pairs_known"] = len(truth) - len(new)
        if new:
            scored = {kind: alignment.hits(new, candidates=kind) for kind in ("tested", "all")}
            told["tested"] = {
                kind: {
                    "pairs": score.n_pairs,
                    "candidates": score.n_candidates,
                    **{f"hits@{k}": share for k, share in score.hits.items()},
                    "mrr": score.mrr,
                }
                for kind, score in scored.items()
            }
    return told


def _size(graph: KnowledgeGraph) -> dict[str, int]:
    return {"entities": len(graph), "triples": len(graph.triples), "literals": len(graph.literals)}


def _show(told: dict[str, Any], paths: tuple[Path, Path]) -> None:
    for name, path in zip(("source", "target"), paths, strict=True):
        size = told[name]
        literals = f", {size['literals']} literals" if size["literals"] else ""
        print(f"{name}: {path}, {size['entities']} entities, {size['triples']} triples{literals}")
    by_literals = f", {told['from_literals']} sure by literals" if told["from_literals"] else ""
    print(f"method: {told['method']}, {told['known']} known pairs{by_literals}")
    print(
        f"found: {told['found']} pairs; {told['sure']} sure (confidence from 0.9), {told['likely']} likely (from 0.5), "
        f"{told['doubtful']} doubtful"
    )
    for kind, score in told.get("tested", {}).items():
        among = "their own target entities" if kind == "tested" else "all target entities"
        print(
            f"test: {score['pairs']} pairs among {among} ({score['candidates']}): Hits@1 {score['hits@1']:.3f}, "
            f"Hits@10 {score['hits@10']:.3f}, MRR {score['mrr']:.3f}"
        )
    if told.get("test_pairs_known"):
        print(f"note: {told['test_pairs_known']} test pairs are known ones; they are not tested")

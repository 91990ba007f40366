"""From the command line's files and names to domains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import InputError, unknown_name

if TYPE_CHECKING:
    from headstart.domain import Domain


def read_all(
    files: Sequence[Path],
    sources: Sequence[str],
    target: str | None,
    test: str | None,
    *,
    domain_column: str | None,
    **reading: Any,
) -> tuple[list[Domain], Domain, Domain | None]:
    """Return sources, target and test rows (or None), from one file with a domain column or from a file each.

    Without a domain column, the sources are `sources` and all `files` but the target; the target is `target`, or
    the last file.
    """
    if domain_column is not None:
        return _from_one_file(files, sources, target, test, domain_column, reading)
    paths = [*files, *(Path(name) for name in sources)]
    if target is None:
        if not files or len(paths) < 2:
            raise InputError("give a source file and a target file (the last), or one file with --domain-column")
        target_path = files[-1]
        paths.remove(target_path)
    else:
        target_path = Path(target)
    if not paths:
        raise InputError("no source; give a source file, or one file with --domain-column")
    names = _names([*paths, target_path])
    read = [read_one(path, name, **reading) for path, name in zip(paths, names, strict=False)]
    found = read_one(target_path, names[-1], label_optional=True, **reading)
    return read, found, None if test is None else read_one(Path(test), f"{names[-1]}-test", **reading)


def read_one(path: Path, name: str | None, **reading: Any) -> Domain:
    """Read one file as one domain."""
    from headstart.readers import read

    return read(path, name=name, **reading)


def read_of(path: Path, domain: str | None, domain_column: str | None, **reading: Any) -> Domain:
    """Read one domain: a whole file, or the rows of one name in its domain column."""
    if domain_column is None:
        return read_one(path, None, **reading)
    from headstart.readers import read_domains

    if domain is None:
        raise InputError("--domain-column needs the name of the domain to take")
    reading.pop("label_optional", None)
    return _pick(read_domains(path, domain_column=domain_column, **reading), domain, domain_column, path)


def _from_one_file(
    files: Sequence[Path],
    sources: Sequence[str],
    target: str | None,
    test: str | None,
    domain_column: str,
    reading: dict[str, Any],
) -> tuple[list[Domain], Domain, Domain | None]:
    from headstart.readers import read_domains

    if len(files) != 1:
        raise InputError(f"--domain-column goes with one file, not {len(files)}")
    domains = read_domains(files[0], domain_column=domain_column, **reading)
    if target is None:
        raise InputError(f"--domain-column needs --target; column {domain_column!r} has {', '.join(domains)}")
    chosen = _pick(domains, target, domain_column, files[0])
    tested = None if test is None else _pick(domains, test, domain_column, files[0])
    picked = [_pick(domains, name, domain_column, files[0]) for name in sources] or [
        domain for name, domain in domains.items() if name not in (target, test)
    ]
    if not picked:
        raise InputError(f"{files[0]}: column {domain_column!r} has no other domain than {target!r} to be the source")
    return picked, chosen, tested


def _pick(domains: dict[str, Domain], name: str, column: str, path: Path) -> Domain:
    if name not in domains:
        raise InputError(unknown_name(f"domain (in column {column!r})", name, domains, str(path)))
    return domains[name]


def _names(paths: Sequence[Path]) -> list[str]:
    """Name domains after their files, with the folder where two files are called the same."""
    stems = [path.stem for path in paths]
    return [
        stem if stems.count(stem) == 1 else str(path.with_suffix("")) for stem, path in zip(stems, paths, strict=True)
    ]

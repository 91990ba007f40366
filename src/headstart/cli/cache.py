"""headstart cache."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.errors import InputError, unknown_name

ACTIONS = ("info", "clear")


def cache(
    action: Annotated[str, typer.Argument(help="info or clear.", show_default=False)],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            help="The cache's folder; by default HEADSTART_CACHE, or the user's cache.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Say what is kept of features of pictures and texts, or remove it.

    headstart cache info

    headstart cache clear
    """
    if action not in ACTIONS:
        raise InputError(unknown_name("action", action, ACTIONS))
    from headstart.backbones.cache import default_folder, opened

    kept = opened(default_folder() if folder is None else folder)
    if action == "clear":
        print(f"{kept.folder}: {_size(kept.clear())} removed")
        return
    found = kept.info()
    print(
        f"{kept.folder}: {found['features']:,} features of {found['networks_and_layers']} networks and layers, "
        f"{found['exported']} exported networks, {_size(found['bytes'])} of at most {_size(kept.most_bytes)}"
    )


def _size(n: int) -> str:
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"

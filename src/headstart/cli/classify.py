"""headstart classify."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options as o
from headstart.errors import InputError

#: Endings of the files that are taken from a folder.
ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")


def classify(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures.", show_default=False)],
    model: Annotated[
        str, typer.Option("--model", help="bundled:..., hf:FOLDER, and so on; one with a head that names classes.")
    ] = "bundled:efficientnet-lite0",
    top: Annotated[int, typer.Option("--top", help="How many names.", min=1)] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print names and probabilities as JSON.")] = False,
    quiet: o.QuietOption = False,
) -> None:
    """Say what is in a photograph: the likeliest names, by a pretrained network.

    headstart classify elephant.jpg

    headstart classify holiday/ --model hf:models/resnet --top 5
    """
    from headstart.backbones import backbone

    files = _files(pictures)
    network = backbone(model)
    if not quiet and not json:
        print(network.card, file=sys.stderr)
    found, broken = {}, 0
    for file in files:
        try:
            found[file] = network.classify([file], top)[0]
        except InputError as error:
            # One broken picture does not keep the others from being named.
            print(f"headstart: {error}", file=sys.stderr)
            broken += 1
            continue
        if not json:
            print(f"{file}: {', '.join(map(str, found[file]))}", flush=True)
    if json:
        import json as json_

        names = {str(file): [vars(guess) for guess in guesses] for file, guesses in found.items()}
        print(json_.dumps({"model": network.card.to_dict(), "pictures": names}, indent=1, ensure_ascii=False))
    if broken:
        raise typer.Exit(2)


def _files(places: list[Path]) -> list[Path]:
    """Return the files asked for; of a folder, the pictures in it, by name."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = sorted(
                file for file in place.iterdir() if file.suffix.lower() in ENDINGS and not file.name.startswith(".")
            )
            if not inside:
                raise InputError(f"{place}: holds no picture ({', '.join(ENDINGS)})")
            found += inside
        else:
            found.append(place)
    return found

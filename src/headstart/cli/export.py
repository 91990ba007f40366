"""headstart export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.learn import require_new
from headstart.errors import NeedsError


def export(
    model: Annotated[Path, typer.Argument(help="The folder that a run wrote: out/model.", show_default=False)],
    output: Annotated[Path, typer.Argument(help="ONNX file to write.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write a trained network as an ONNX file: prepared pictures or texts in, scores of its classes out.

    headstart export out/model network.onnx
    """
    require_new(output, force)
    from headstart.delivery import load
    from headstart.models.fine_tuning import write_onnx

    loaded = load(model)
    if not loaded.takes_items:
        raise NeedsError(f"{model}: holds no trained network but {loaded.card.get('name')}; use headstart predict")
    write_onnx(loaded.predictor, output)
    print(f"{output}: {output.stat().st_size:,} bytes, scores of {len(loaded.classes_)} classes")

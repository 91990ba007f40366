"""Pretrained models under one contract, whatever library they come from."""

from headstart.backbones.backbone import Backbone, Guess
from headstart.backbones.card import Card
from headstart.backbones.sources import backbone

__all__ = ["Backbone", "Card", "Guess", "backbone"]

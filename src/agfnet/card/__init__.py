"""The model card of a bundle, in two languages."""

from agfnet.card.refresh import refresh_card
from agfnet.card.text import card

__all__ = ["card", "refresh_card"]

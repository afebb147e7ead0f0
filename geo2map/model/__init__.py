"""Model files: weights and the card that says what they need."""

from geo2map.model.card import ModelCard
from geo2map.model.file import load_card, load_weights, save_model
from geo2map.model.registry import find_model, packaged_models

__all__ = ["ModelCard", "find_model", "load_card", "load_weights", "packaged_models", "save_model"]

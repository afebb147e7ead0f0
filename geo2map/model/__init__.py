"""Model files: weights and the card that says what they need."""

from geo2map.model.average import average_models
from geo2map.model.calibrate import calibrate_model
from geo2map.model.card import ModelCard, split_identity
from geo2map.model.description import ModelDescription
from geo2map.model.file import load_card, load_weights, replace_card, save_model
from geo2map.model.importer import import_model
from geo2map.model.options import ModelOptions
from geo2map.model.registry import find_model, models_in, packaged_models
from geo2map.model.sharpen import sharpen_model

__all__ = [
    "ModelCard",
    "ModelDescription",
    "ModelOptions",
    "average_models",
    "calibrate_model",
    "find_model",
    "import_model",
    "load_card",
    "load_weights",
    "models_in",
    "packaged_models",
    "replace_card",
    "save_model",
    "sharpen_model",
    "split_identity",
]

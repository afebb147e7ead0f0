"""Scores of a translator on pairs of pictures, next to baselines.

Four protocols. "native": A is translated at its own size and compared with B there, with its reflection around it.
"scene": the same as a renderer would do it: its colours are matched to the training imagery's if they are far from
them, and around it is what scenes are filled with. "maps256": both the translation
and B are then reduced to 256 px with Pillow's antialiased bicubic, which makes the figures comparable with the
literature on the maps pictures. "maps256-reduced": A is reduced first, as pix2pix itself was tested; the network then
sees pictures 2.3 times coarser than what a model of native resolution was trained on.
"""

from geo2map.evaluate.baselines import Constant, constant_baseline, land_colour
from geo2map.evaluate.config import TILE, Direction, EvaluateConfig, ProtocolName
from geo2map.evaluate.run import PictureDistances, Row, evaluate
from geo2map.evaluate.scores import Scores
from geo2map.evaluate.seams import Seams
from geo2map.evaluate.table import reports, table, to_json
from geo2map.evaluate.translate import resize_to_256, translate_picture

__all__ = [
    "TILE",
    "Constant",
    "Direction",
    "EvaluateConfig",
    "PictureDistances",
    "ProtocolName",
    "Row",
    "Scores",
    "Seams",
    "constant_baseline",
    "evaluate",
    "land_colour",
    "reports",
    "resize_to_256",
    "table",
    "to_json",
    "translate_picture",
]

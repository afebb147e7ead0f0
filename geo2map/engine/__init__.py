"""The engine: uint8 pictures in, uint8 pictures out, on whatever device there is. Knows no geography."""

from geo2map.engine.engine import Engine
from geo2map.engine.load import load_engine

__all__ = ["Engine", "load_engine"]

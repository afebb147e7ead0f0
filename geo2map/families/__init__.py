"""Families of networks. What depends on the kind of network belongs to its family. Importing this needs no torch."""

from geo2map.families.family import FAMILIES, Family, build, find_family, register
from geo2map.families.unet import UNET

__all__ = ["FAMILIES", "UNET", "Family", "build", "find_family", "register"]

register(UNET)

"""A seeded synthetic town: a scene like the imagery of the pix2pix `maps` pictures, and its true map.

Layered: `plan` lays out roads, river and parks; `blocks` fills the blocks with lots and buildings; `scatter`
adds trees and cars; `aerial` and `truth` paint the same town twice; `make` writes both.
"""

from geo2map.demo.make import make_town

__all__ = ["make_town"]

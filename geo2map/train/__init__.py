"""The pix2pix trainer: pairs in, a model file out. Nothing geographic."""

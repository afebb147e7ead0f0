"""The options of `geo2map train` that are the recipe's."""

from __future__ import annotations

import click

from geo2map_cli.gathering import F, stack


def whole_numbers(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """A list of whole numbers, joined by commas."""
    try:
        return None if value is None else tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of whole numbers: give one a level, as 32,64,128.") from None


def recipe_options(function: F) -> F:
    """Every choice of `geo2map.train.config.TrainConfig`; what is not given is the preset's."""
    return stack(
        click.option("--direction", type=click.Choice(["a2b", "b2a"]), help="Which side is the input. [a2b]"),
        click.option("--steps", type=click.IntRange(1), help="Optimiser steps in all. [5000]"),
        click.option("--epochs", type=float, help="Passes over all pairs in all, instead of steps. [pix2pix: 200]"),
        click.option("--decay-from", type=click.FloatRange(0, 1), help="Linear decay from this share on. [0.5]"),
        click.option("--batch", type=click.IntRange(1), help="Pairs a step in each process. [6; 1]"),
        click.option("--resize", type=click.IntRange(32), help="Resize pictures to this side first. [no; 286]"),
        click.option("--crop", type=click.IntRange(32), help="Side of a crop in px. [320; 256]"),
        click.option("--rotate/--no-rotate", default=None, help="Quarter turns. [yes; no]"),
        click.option("--scale-jitter", type=click.FloatRange(1), help="Crops up to so much larger. [1.2; 1]"),
        click.option("--photometric", type=click.FloatRange(0), help="Jitter of the input's light. [0.3; 0]"),
        click.option("--ramp", type=click.FloatRange(0, 1), help="Jitter and holes rise over this share. [0]"),
        click.option("--holes", type=click.FloatRange(0, 1), help="Share of crops with a scene's rim. [0]"),
        click.option("--rematch", type=click.FloatRange(0, 1), help="Share matched picture by picture. [0]"),
        click.option(
            "--elsewhere-share", "elsewhere", type=click.FloatRange(0, 1), help="Crops of other places. [0.3]"
        ),
        click.option("--widths", callback=whole_numbers, help="Channels of each level. [32,64,128,256,256]"),
        click.option("--residual-blocks", callback=whole_numbers, help="Of each level. [0,0,2,2,0]"),
        click.option("--legend/--no-legend", default=None, help="Score the palette's colours. [no]"),
        click.option("--noise", type=click.IntRange(0), help="Bands of noise for the generator. [0]"),
        click.option("--flatten", type=click.IntRange(0), help="Levels of JPEG noise off the map. [6; 0]"),
        click.option("--norm", type=click.Choice(["batch", "renorm"]), help="Normalisation. [batch]"),
        click.option("--gan-mode", type=click.Choice(["bce", "lsgan", "hinge"]), help="Adversarial loss. [bce]"),
        click.option("--discriminator-width", type=click.IntRange(1), help="Its first channels. [32; 64]"),
        click.option("--discriminator-layers", type=click.IntRange(1), help="Of stride 2, and one more. [3]"),
        click.option(
            "--adversarial-from", type=click.FloatRange(0, 1), help="The GAN joins after this share. [0.6; 0]"
        ),
        click.option("--lambda-l1", type=click.FloatRange(0), help="Weight of L1. [100]"),
        click.option("--lambda-gan", type=click.FloatRange(0), help="Weight of the GAN; 0 is L1 alone. [1]"),
        click.option("--lambda-features", type=click.FloatRange(0), help="Of feature matching. [0]"),
        click.option("--lambda-teacher", type=click.FloatRange(0), help="Weight of L1 to the teacher's output. [50]"),
        click.option("--teacher-commit", type=click.FloatRange(0, 1), help="How far to flatten what it draws. [0]"),
        click.option("--lambda-commit", type=click.FloatRange(0), help="Of choosing a palette colour. [0]"),
        click.option("--lambda-cross-entropy", type=click.FloatRange(0), help="Cross-entropy of map classes. [0]"),
        click.option("--lambda-jaccard", type=click.FloatRange(0), help="Of 1 - IoU of map classes. [0]"),
        click.option("--border", type=click.FloatRange(0), help="How much more L1 counts at class borders. [0]"),
        click.option("--balance", type=click.FloatRange(0), help="How much L1 favours rare classes. [0.2; 0]"),
        click.option("--learning-rate", type=float, help="Adam's. [3e-4; 2e-4]"),
        click.option("--ema", type=click.FloatRange(0, 1), help="Moving average of the weights. [0.998; 0]"),
        click.option("--recalibrate", type=click.IntRange(0), help="Batches to measure BatchNorm anew on. [60; 0]"),
        click.option("--autocast", type=click.Choice(["bf16", "fp16", "none"]), help="Mixed precision. [bf16; none]"),
        click.option("--seed", type=int, help="Of everything random. [0]"),
    )(function)

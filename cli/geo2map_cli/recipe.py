"""The options of `geo2map train` that make up the recipe."""

from __future__ import annotations

import click

from geo2map_cli.gathering import expert_option, grouped


def whole_numbers(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """A comma-separated list of whole numbers."""
    try:
        return None if value is None else tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of whole numbers: give one a level, as 32,64,128.") from None


recipe_options = grouped(
    "Recipe",
    click.option("--direction", type=click.Choice(["a2b", "b2a"]), help="Direction of translation. [a2b]"),
    click.option("--steps", type=click.IntRange(1), help="Optimiser steps. [5000]"),
    click.option("--epochs", type=float, help="Passes over all pairs, instead of steps. [pix2pix: 200]"),
    expert_option(
        "--decay-from",
        type=click.FloatRange(0, 1),
        help="Fraction of training before the learning rate decays. [0.5]",
    ),
    click.option("--batch", type=click.IntRange(1), help="Pairs per step in each process. [6; 1]"),
    expert_option("--resize", type=click.IntRange(32), help="Resize pictures to this side first. [no; 286]"),
    expert_option("--crop", type=click.IntRange(32), help="Side of a crop in px. [320; 256]"),
    expert_option("--rotate/--no-rotate", default=None, help="Quarter turns. [yes; no]"),
    expert_option("--scale-jitter", type=click.FloatRange(1), help="Largest factor of random resizing. [1.2; 1]"),
    expert_option(
        "--photometric", type=click.FloatRange(0), help="Strength of photometric jitter of the input. [0.3; 0]"
    ),
    expert_option(
        "--ramp", type=click.FloatRange(0, 1), help="Fraction of training over which jitter and holes ramp up. [0]"
    ),
    expert_option("--holes", type=click.FloatRange(0, 1), help="Fraction of crops with a scene's border or holes. [0]"),
    expert_option(
        "--rematch", type=click.FloatRange(0, 1), help="Fraction of crops with colours matched per picture. [0]"
    ),
    click.option(
        "--elsewhere-share",
        "elsewhere",
        type=click.FloatRange(0, 1),
        help="Fraction of crops from other places. [0.3]",
    ),
    click.option("--widths", callback=whole_numbers, help="Channels of each level. [32,64,128,256,256]"),
    expert_option("--residual-blocks", callback=whole_numbers, help="Residual blocks of each level. [0,0,2,2,0]"),
    click.option("--legend/--no-legend", default=None, help="Predict palette classes instead of RGB. [no]"),
    expert_option("--noise", type=click.IntRange(0), help="Noise bands of the generator's input. [0]"),
    expert_option(
        "--flatten",
        type=click.IntRange(0),
        help="Remove JPEG noise of up to so many grey levels from the map. [6; 0]",
    ),
    expert_option("--norm", type=click.Choice(["batch", "renorm"]), help="Normalisation. [batch]"),
    expert_option("--gan-mode", type=click.Choice(["bce", "lsgan", "hinge"]), help="Adversarial loss. [bce]"),
    expert_option(
        "--discriminator-width", type=click.IntRange(1), help="First channels of the discriminator. [32; 64]"
    ),
    expert_option(
        "--discriminator-layers", type=click.IntRange(1), help="Layers of stride 2 in the discriminator. [3]"
    ),
    expert_option(
        "--adversarial-from",
        type=click.FloatRange(0, 1),
        help="Fraction of training before the GAN loss starts. [0.6; 0]",
    ),
    expert_option("--lambda-l1", type=click.FloatRange(0), help="Weight of L1. [100]"),
    expert_option("--lambda-gan", type=click.FloatRange(0), help="Weight of the GAN loss; 0 is L1 alone. [1]"),
    expert_option("--lambda-features", type=click.FloatRange(0), help="Weight of feature matching. [0]"),
    expert_option("--lambda-teacher", type=click.FloatRange(0), help="Weight of L1 to the teacher's output. [50]"),
    expert_option(
        "--teacher-commit",
        type=click.FloatRange(0, 1),
        help="Strength of palette commitment in the teacher's output. [0]",
    ),
    expert_option("--lambda-commit", type=click.FloatRange(0), help="Weight of palette commitment. [0]"),
    expert_option(
        "--lambda-cross-entropy", type=click.FloatRange(0), help="Weight of the cross-entropy of map classes. [0]"
    ),
    expert_option("--lambda-jaccard", type=click.FloatRange(0), help="Weight of 1 - IoU of map classes. [0]"),
    expert_option("--border", type=click.FloatRange(0), help="Extra weight of L1 at class borders. [0]"),
    expert_option("--balance", type=click.FloatRange(0), help="Extra weight of L1 on rare classes. [0.2; 0]"),
    click.option("--learning-rate", type=float, help="Learning rate of Adam. [3e-4; 2e-4]"),
    expert_option("--ema", type=click.FloatRange(0, 1), help="Decay of the weights' moving average. [0.998; 0]"),
    expert_option("--recalibrate", type=click.IntRange(0), help="Batches to recalibrate BatchNorm on. [60; 0]"),
    expert_option(
        "--autocast", type=click.Choice(["bf16", "fp16", "none"]), help="Mixed precision. [bf16 where it is fast; none]"
    ),
    click.option("--seed", type=int, help="Random seed. [0]"),
)
"""The fields of `geo2map.train.config.TrainConfig`; without a value the preset's counts."""

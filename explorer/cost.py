"""What a run costs, from its spec alone: parameters, multiply-adds, FLOPs and seconds a step.

Counts are exact for what is counted: the weighted layers. Norms, activations and sums are
left out, as in He et al. 2015 (table 1: "FLOPs (multiply-adds)").
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.spec import NetworkSpec, RunSpec
from explorer.theory.layers import Block, Weighted, blocks_of, stem_of

BACKWARD = 2  # times the forward pass: gradients of the inputs, and of the weights
PRIOR_WEIGHT = 1e-4  # of a measurement; enough to settle what measurements leave open


def multiply_adds(network: NetworkSpec) -> int:
    """Multiply-adds of the forward pass of one example, in convolutions and linear layers."""
    layers = sum(_layer_multiply_adds(layer) for layer in _layers(network))
    return layers + _features(network) * network.classes


def parameters(network: NetworkSpec) -> int:
    """Trainable parameters: weights, biases, and two a channel for every norm."""
    weights = sum(layer.fan_in * layer.c_out for layer in _layers(network))
    biases = sum(layer.c_out for layer in _layers(network)) if network.bias else 0
    norms = 0 if network.norm == "none" else 2 * sum(_normed_channels(network))
    return weights + biases + norms + (_features(network) + 1) * network.classes


def step_flops(spec: RunSpec) -> float:
    """Floating-point operations of one optimiser step: 2 a multiply-add, forward and backward.

    The backward pass counts as two forward passes (Kaplan et al. 2020, arXiv 2001.08361,
    section 2.1); the first layer, which needs no gradient of its input, is not set apart.
    """
    return float((1 + BACKWARD) * 2 * multiply_adds(spec.network) * spec.recipe.batch)


@dataclass(frozen=True)
class Speed:
    """Seconds a step as a sum: so much a step, a weighted layer, a floating-point operation.

    A small network waits for its layers one after the other, a wide one for arithmetic.
    Norms, augmentation and number formats are not told apart.
    """

    step_s: float
    layer_s: float
    flop_s: float

    @classmethod
    def default(cls) -> "Speed":
        """One thread of a shared x86 server core, float32, readings as by default, torch 2.15.

        Fitted to residual networks of depth 8, 20, 56 and 110 and width 4, 8 and 16 on 8x8
        digits in batches of 128 (the faster of two means over 25 steps): all twelve within
        6 %. Of nine others, bottlenecks, no norm, batches of 32 and 512, width 32 and the
        like came within a factor of 1.5; an MLP's layers are 4 times faster than this says.
        Other machines differ as a whole: see `fit`.
        """
        return cls(step_s=9.8e-4, layer_s=5.95e-4, flop_s=1.165e-11)

    def seconds(self, spec: RunSpec) -> float:
        """Seconds that one step of `spec` is expected to take."""
        return float(_amounts(spec) @ np.array([self.step_s, self.layer_s, self.flop_s]))


def seconds_per_step(spec: RunSpec, speed: Speed | None = None) -> float:
    """Seconds that one step of `spec` should take; at the default speed if none is given."""
    return (speed or Speed.default()).seconds(spec)


def fit(samples: Sequence[tuple[RunSpec, float]]) -> Speed | None:
    """The speed of the device on which `samples`, (spec, seconds a step), were measured.

    Least squares of the relative errors with no negative term. The default speed, made
    faster or slower as a whole, stands in for what the samples leave open, so one sample is
    enough. Times that are not above 0 are passed over; None if no sample is left.
    """
    known = [(spec, s) for spec, s in samples if math.isfinite(s) and s > 0]
    if not known:
        return None
    from scipy.optimize import nnls  # here, because the import takes a while

    default = Speed.default()
    factor = math.exp(float(np.mean([math.log(s / default.seconds(spec)) for spec, s in known])))
    prior = factor * np.array([default.step_s, default.layer_s, default.flop_s])
    measured = np.array([_amounts(spec) * prior / seconds for spec, seconds in known])
    weight = math.sqrt(PRIOR_WEIGHT)
    rows = np.concatenate([measured, weight * np.eye(3)])
    wanted = np.concatenate([np.ones(len(known)), np.full(3, weight)])
    times, _ = nnls(rows, wanted)
    return Speed(*(float(value) for value in times * prior))


def _amounts(spec: RunSpec) -> NDArray[np.float64]:
    """What a step has of each term: 1 step, its weighted layers, its floating-point operations."""
    return np.array([1.0, spec.network.depth, step_flops(spec)])


def _layers(network: NetworkSpec) -> Iterator[Weighted]:
    """Every weighted layer but the head: the stem, the residuals and the shortcuts' projections."""
    yield stem_of(network)
    for block in blocks_of(network):
        yield from block.layers
        if _projects(network, block):
            yield Weighted(block.c_in, block.c_out, 1, block.stride, block.size)


def _projects(network: NetworkSpec, block: Block) -> bool:
    """Whether the block's shortcut is a 1x1 layer; a gate of 0 does not spare it."""
    all_blocks = network.shortcut == "projection_all"
    return all_blocks or (network.shortcut == "projection" and not block.keeps_shape)


def _layer_multiply_adds(layer: Weighted) -> int:
    height, width = (-(-side // layer.stride) for side in layer.size)
    return layer.fan_in * layer.c_out * height * width


def _features(network: NetworkSpec) -> int:
    """What the head reads of one example."""
    return network.all_stages[-1].width * network.form.expansion


def _normed_channels(network: NetworkSpec) -> Iterator[int]:
    """The channels of every norm: of the stem or before the head, in blocks, of projections."""
    sum_is_normed_last = not network.form.act_after_sum
    yield _features(network) if sum_is_normed_last else stem_of(network).c_out
    for block in blocks_of(network):
        channels, layers = block.c_in, iter(block.layers)
        for part in network.form.residual:
            if part == "norm":
                yield channels
            elif part != "act":
                channels = next(layers).c_out
        if _projects(network, block):
            yield block.c_out

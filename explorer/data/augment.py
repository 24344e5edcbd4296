"""Random flips and shifts of a whole batch at once, on its device (He et al. 2015, sec. 4.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from explorer.init import generator_for

SMALL_SIDE = 16


def margin(side: int) -> int:
    """Pixels by which an image may shift: 4, or 1 for images smaller than 16."""
    return 4 if side >= SMALL_SIDE else 1


def augment(x: Tensor, seed: int, step: int, flip: bool) -> Tensor:
    """Each image padded with zeros and cropped at random, and mirrored or not when `flip`.

    (N, C, H, W) -> (N, C, H, W). Drawn on the CPU from (seed, step), so all devices agree.
    """
    count, channels, height, width = x.shape
    pad = margin(min(height, width))
    generator = generator_for(seed, f"augment:{step}")
    corner = torch.randint(2 * pad + 1, (2, count, 1), generator=generator)
    rows, columns = corner[0] + torch.arange(height), corner[1] + torch.arange(width)
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    rows, columns = rows.to(x.device), columns.to(x.device)
    image = torch.arange(count, device=x.device).view(-1, 1, 1, 1)
    channel = torch.arange(channels, device=x.device).view(-1, 1, 1)
    padded = F.pad(x, (pad, pad, pad, pad))
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]

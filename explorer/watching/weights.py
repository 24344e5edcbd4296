"""A module's weight tensors in a foreign loop: their gradients, and how far a step moves them."""

import torch
from torch import Tensor, nn

from explorer.probes.sizes import norms

MOST_COPIED = 2**27  # numbers; half a GB of float32, held from one step to the next


class Weights:
    """The trained weight tensors of two or more dimensions, as `probes.weighted` names them."""

    def __init__(self, module: nn.Module) -> None:
        named = dict(module.named_parameters())
        self.named = {n: p for n, p in named.items() if p.dim() > 1 and p.requires_grad}
        self.before: list[Tensor] = []
        self.copied_at = -1

    @property
    def sites(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.named)

    @property
    def few(self) -> bool:
        """Whether a copy of all of them is small enough to be kept for a step."""
        return sum(p.numel() for p in self.named.values()) <= MOST_COPIED

    @torch.no_grad()
    def gradients(self) -> Tensor | None:
        """L2 norm of each tensor's `.grad`, 0 where it has none; None if no tensor has one."""
        found = {n: p.grad for n, p in self.named.items() if p.grad is not None}
        if not found:
            return None
        values = dict(zip(found, norms([_dense(g) for g in found.values()]), strict=True))
        zero = next(iter(values.values())).new_zeros(())
        return torch.stack([values.get(name, zero) for name in self.named])

    @torch.no_grad()
    def keep(self, step: int) -> None:
        """Copy them, before the optimiser moves them at `step`."""
        self.copied_at = step
        self.before = [p.detach().to(_precise(p), copy=True) for p in self.named.values()]

    @torch.no_grad()
    def moved(self) -> Tensor | None:
        """L2 norm of the change since `keep` over that of the tensor then; None without a copy."""
        before, self.before = self.before, []
        if not before:
            return None
        own = norms(before)
        torch._foreach_sub_(before, [p.detach() for p in self.named.values()])
        return norms(before) / own


def _precise(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.element_size() < 4 else tensor.dtype


def _dense(gradient: Tensor) -> Tensor:
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    return values.to(_precise(values))

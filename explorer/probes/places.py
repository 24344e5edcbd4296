"""Which modules of a foreign network are its blocks, so that a profile needs no configuration."""

from torch import nn

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def places(module: nn.Module) -> dict[str, nn.Module]:
    """The sites of a module by name: its blocks, or else its weighted layers.

    A block has children, stands in a Sequential, ModuleList or ModuleDict without being one,
    and its class stands there at least twice in the network. Where blocks lie within blocks,
    those nesting levels compete and the most numerous wins, the outer one if they tie.
    With fewer than two blocks, every layer with a matrix or kernel (two or more dimensions)
    is a site. ValueError if there is no such layer either.
    """
    found = _blocks(module)
    if len(found) < 2:
        found = {name: part for name, part in module.named_modules() if _has_matrix(part)}
    if not found:
        raise ValueError(f"module: {type(module).__name__} has no layers with weights to measure")
    return found


def _blocks(module: nn.Module) -> dict[str, nn.Module]:
    candidates = {
        f"{prefix}.{name}" if prefix else name: part
        for prefix, container in module.named_modules()
        if isinstance(container, CONTAINERS)
        for name, part in container.named_children()
        if not isinstance(part, CONTAINERS) and next(part.children(), None) is not None
    }
    kinds = [type(part) for part in candidates.values()]
    repeated = {name: part for name, part in candidates.items() if kinds.count(type(part)) > 1}
    levels: dict[int, dict[str, nn.Module]] = {}
    for name, part in repeated.items():
        depth = sum(name.startswith(f"{other}.") for other in repeated)
        levels.setdefault(depth, {})[name] = part
    ranked = sorted(levels.items(), key=lambda level: (-len(level[1]), level[0]))
    return ranked[0][1] if ranked else {}


def _has_matrix(module: nn.Module) -> bool:
    return any(weight.dim() > 1 for weight in module.parameters(recurse=False))

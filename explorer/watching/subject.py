"""What is watched: the module inside its wrappers, its sites, how often, and in which process."""

import torch
from torch import nn

from explorer.network import Network
from explorer.probes import Watch
from explorer.probes.places import places
from explorer.spec import SpecError

COMPILED = "_orig_mod"  # where torch.compile keeps the module; its class is slow to import


def cadence(every: int | Watch) -> Watch:
    """`every` as a Watch: gradients so often, the rest a fifth as often; SpecError if not one."""
    watch = every if isinstance(every, Watch) else None
    if watch is None and isinstance(every, int) and every >= 1:
        watch = Watch(gradient=every, activation=5 * every)
    if watch is None or min(watch.gradient, watch.activation) < 1:
        raise SpecError("every", every, "it is a number of steps, 1 or more, or a Watch of such")
    return watch


def unwrapped(module: nn.Module) -> tuple[nn.Module, bool]:
    """The module inside DistributedDataParallel or torch.compile, and whether it is sealed.

    A sealed module, compiled or replicated, runs where Python hooks do not reach.
    """
    sealed = any(_is_sealed(part) for part in module.modules())
    while True:
        if COMPILED in module._modules:
            module = module.get_submodule(COMPILED)
        elif isinstance(module, nn.parallel.DistributedDataParallel | nn.DataParallel):
            module = module.module
        else:
            return module, sealed


def _is_sealed(module: nn.Module) -> bool:
    if isinstance(module, nn.DataParallel):
        return len(module.device_ids) > 1
    compiled = COMPILED in module._modules or module._compiled_call_impl is not None
    return compiled or isinstance(module, torch.jit.ScriptModule)


def sites_of(module: nn.Module) -> dict[str, nn.Module]:
    """The sites of a module, those of a Network as its own probes name them."""
    if not isinstance(module, Network):
        return places(module)
    blocks = {f"block {number}": block for number, block in enumerate(module.blocks, 1)}
    return {"stem": module.stem, **blocks}


def first_process() -> bool:
    """Whether this is the only process that trains, or the first of those that do together."""
    distributed = torch.distributed
    return not (
        distributed.is_available() and distributed.is_initialized() and distributed.get_rank()
    )


def one_line(error: BaseException) -> str:
    """An error's kind and the first line of what it says."""
    said = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__

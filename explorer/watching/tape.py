"""What passes through a module's sites in a step of a foreign loop, by hooks that come off.

The hooks replace nothing and keep no activation: a number is taken where a tensor passes by.
A hook on the output tensor itself gets dL/dx of the value the site put out, also where an
in-place ReLU or `x += shortcut` changes the tensor afterwards.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from explorer.probes.sizes import LARGEST, SMALLEST, norms, spreads

Values = dict[str, Tensor]  # by site, in the order in which the sites ran; each ()
NAN = torch.tensor(math.nan)


class Pass:
    """One forward pass: the numbers read at each site, and the gradients that came back."""

    def __init__(self, number: int, statistics: bool) -> None:
        self.number = number
        self.statistics = statistics
        self.values: dict[str, Values] = {}  # by probe
        self.gradients: dict[str, Tensor | None] = {}  # None until one arrives
        self.views: set[str] = set()
        self.ran: set[str] = set()

    @property
    def returned(self) -> bool:
        """Whether a backward pass has reached it."""
        return any(gradient is not None for gradient in self.gradients.values())

    def readings(self, scale: float) -> dict[str, Values]:
        """The values by probe and site, gradients divided by `scale`.

        A site that does not reach the loss has gradient 0. One whose output is a view has NaN
        then: autograd forgets the hooks on a view that is changed in place.
        """
        none = {site: NAN if site in self.views else torch.zeros(()) for site in self.gradients}
        found = {s: none[s] if g is None else g / scale for s, g in self.gradients.items()}
        return {"activation_gradient": found, **self.values} if found else dict(self.values)


class Tape:
    """Reads a module's sites at the steps for which it is opened.

    A pass begins with a call of the module, or with the first site that runs after a backward
    pass. The one that counts is the last that a backward pass reached, so an evaluation
    between two steps is not read, and of accumulated batches the last one is.
    """

    def __init__(self, module: nn.Module, sites: Mapping[str, nn.Module]) -> None:
        self.module = module
        self.sites = dict(sites)
        self.handles: list[RemovableHandle] = []
        self.current: Pass | None = None
        self.reached: Pass | None = None
        self.statistics = False
        self.passes = 0

    def open(self, statistics: bool) -> None:
        """Attach the hooks; with `statistics` the outputs themselves are measured too."""
        self.close()
        self.statistics = statistics
        self.current = self.reached = None
        begin = self.module.register_forward_pre_hook(Hook(self._begin))
        sees = [site.register_forward_hook(Hook(self._seer(n))) for n, site in self.sites.items()]
        self.handles = [begin, *sees]

    def close(self) -> Pass | None:
        """Take the hooks off; returns the pass that counts, None if no gradient came."""
        for handle in self.handles:
            handle.remove()
        self.handles = []
        return self.reached

    def _begin(self, *_: object) -> None:
        if _is_forward():
            self.current = self._new()

    def _new(self) -> Pass:
        self.passes += 1
        return Pass(self.passes, self.statistics)

    def _seer(self, name: str) -> Callable[[nn.Module, object, object], None]:
        def see(_module: nn.Module, _inputs: object, output: object) -> None:
            tensor = first_tensor(output)
            if tensor is None or not tensor.is_floating_point() or not _is_forward():
                return
            if self.current is None or self.current.returned:
                self.current = self._new()
            with torch.no_grad():
                self._keep(self.current, name, tensor)

        return see

    def _keep(self, run: Pass, name: str, output: Tensor) -> None:
        key, times = name, 1
        while key in run.ran:
            times += 1
            key = f"{name} ({times})"
        run.ran.add(key)
        if run.statistics:
            for probe, value in statistics(output).items():
                run.values.setdefault(probe, {})[key] = value
        if not output.requires_grad:
            return
        run.gradients[key] = None
        if output._is_view():
            run.views.add(key)
        output.register_hook(self._taker(run, key))  # type: ignore[no-untyped-call]

    def _taker(self, run: Pass, key: str) -> Callable[[Tensor | None], None]:
        def take(gradient: Tensor | None) -> None:
            # Of two passes that one backward pass reaches, the later one counts.
            if gradient is None or (self.reached and self.reached.number > run.number):
                return
            self.reached = run
            with torch.no_grad():
                run.gradients[key] = norm(gradient.detach())

        return take


class Hook:
    """A hook that a copy of the module does not take along, be it by deepcopy or by pickle."""

    def __init__(self, call: Callable[..., None]) -> None:
        self.call = call

    def __call__(self, *values: object) -> None:
        # Under torch.compile this is all there is of it, so that it never ends up in a graph.
        if not torch.compiler.is_compiling():
            self.call(*values)

    def __reduce__(self) -> tuple[Callable[..., "Hook"], tuple[()]]:
        return silent, ()


def silent() -> Hook:
    """A hook that does nothing."""
    return Hook(lambda *_: None)


def _is_forward() -> bool:
    """Whether gradients are recorded, and this is no recomputation of a checkpointed part."""
    return torch.is_grad_enabled() and torch._C._current_graph_task_id() == -1


def first_tensor(output: object) -> Tensor | None:
    """A module's output, or the first part of it if it is a tuple, a list or a mapping."""
    if isinstance(output, Tensor):
        return output
    parts = output.values() if isinstance(output, Mapping) else output
    if isinstance(output, Sequence | Mapping) and not isinstance(output, str) and len(output):
        first = next(iter(parts))  # type: ignore[call-overload]
        return first if isinstance(first, Tensor) else None
    return None


def statistics(output: Tensor) -> Values:
    """Mean, standard deviation and dead share of an output, as the probes of those names."""
    x = output.detach()
    dead = (x.amax(0) <= 0).float().mean() if x.dim() > 1 and x.numel() else x.new_tensor(math.nan)
    return {
        "activation_mean": x.mean(dtype=torch.float32),
        "activation_std": spread(x),
        "dead_share": dead.float(),
    }


def norm(tensor: Tensor) -> Tensor:
    """The L2 norm in float32, also of a tensor whose squares leave its range; ()."""
    if tensor.device.type == "cpu":
        return norms([_at_least_float32(tensor)])[0]
    return scaled_norm(tensor)


def spread(tensor: Tensor) -> Tensor:
    """The standard deviation over all entries in float32, as safe as `norm`; ()."""
    if tensor.device.type == "cpu":
        return spreads([_at_least_float32(tensor)])[0]
    return scaled_spread(tensor)


def scaled_norm(tensor: Tensor) -> Tensor:
    """`norm` without a look at any value, for which a GPU would have to be waited for; ()."""
    size = torch.linalg.vector_norm(tensor, math.inf, dtype=torch.float32)
    scale = size.clamp(SMALLEST, LARGEST)
    scaled: Tensor = torch.linalg.vector_norm(tensor / scale, dtype=torch.float32) * scale
    return scaled


def scaled_spread(tensor: Tensor) -> Tensor:
    """`spread` without a look at any value; ()."""
    exact = _at_least_float32(tensor)
    return scaled_norm(exact - exact.mean()) / math.sqrt(max(tensor.numel(), 1))


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.element_size() < 4 else tensor

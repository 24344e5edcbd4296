"""Random numbers and initial weights of an exported program, as in explorer.init."""

from explorer.exports.program.source import Section, indented
from explorer.spec import RunSpec

GENERATOR = '''\
def generator_for(seed, name):
    """A random stream of its own for every (seed, name): nothing else can shift it."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
'''
SCHEMES = {  # how a weight is drawn: in words, and in code
    "he": (
        "He et al. 2015, arXiv 1502.01852: normal, variance 2 / fan_in",
        "layer.weight.normal_(0, math.sqrt(2 / fan_in), generator=generator)",
    ),
    "xavier": (
        "Glorot & Bengio 2010: normal, variance 2 / (fan_in + fan_out)",
        "layer.weight.normal_(0, math.sqrt(2 / (fan_in + fan_out)), generator=generator)",
    ),
    "lecun": (
        "LeCun et al. 1998: normal, variance 1 / fan_in",
        "layer.weight.normal_(0, math.sqrt(1 / fan_in), generator=generator)",
    ),
    "torch_default": (
        "PyTorch's own: uniform within 1 / sqrt(fan_in), variance 1 / (3 fan_in)",
        "layer.weight.uniform_(-bound, bound, generator=generator)",
    ),
    "orthogonal": (
        "Saxe et al. 2013, arXiv 1312.6120: orthogonal, times sqrt 2",
        "nn.init.orthogonal_(layer.weight, math.sqrt(2), generator=generator)",
    ),
    "delta_orthogonal": (
        "Xiao et al. 2018, arXiv 1806.05393: orthogonal at the centre",
        "delta_orthogonal(layer.weight, generator)",
    ),
}
DELTA = '''\
def delta_orthogonal(weight, generator):
    """An orthogonal matrix at the centre of every kernel, times sqrt 2; zero around it."""
    matrix = weight if weight.dim() == 2 else torch.empty(weight.shape[:2])
    nn.init.orthogonal_(matrix, math.sqrt(2), generator=generator)
    if weight.dim() == 4:
        weight.zero_()
        weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2] = matrix
'''


def random_section() -> Section:
    """Where every random number comes from."""
    note = (
        "Every weight tensor and every epoch draws from a stream of its own, named by the seed "
        "and its name. So two networks that differ in a shortcut share all other numbers."
    )
    return Section("Random numbers", note, GENERATOR, ("import hashlib", "import torch"))


def init_section(spec: RunSpec) -> Section:
    """How the weights begin."""
    scheme = spec.network.init
    source, draw = SCHEMES[scheme]
    kinds = "nn.Conv2d | nn.Linear" if spec.network.family == "resnet" else "nn.Linear"
    body = ["for name, layer in network.named_modules():"]
    body += [f"    if not isinstance(layer, {kinds}):", "        continue"]
    body += ["    fan_in = layer.weight[0].numel()"] if "orthogonal" not in scheme else []
    if scheme == "xavier":
        body += ["    fan_out = len(layer.weight) * layer.weight[0][0].numel()"]
    if scheme == "torch_default":
        body += ["    bound = 1 / math.sqrt(fan_in)"]
    body += ['    generator = generator_for(SEED, f"{name}.weight")', f"    {draw}"]
    body += ["    if layer.bias is not None:"] if not spec.network.bias else []
    deeper = "    " if not spec.network.bias else ""
    if scheme == "torch_default":
        body += [f'    {deeper}generator = generator_for(SEED, f"{{name}}.bias")']
        body += [f"    {deeper}layer.bias.uniform_(-bound, bound, generator=generator)"]
    else:
        body += [f"    {deeper}layer.bias.zero_()"]
    biases = "" if scheme == "torch_default" else " Biases begin at zero."
    head = f'@torch.no_grad()\ndef initialise(network):\n    """{source}.{biases}"""\n'
    code = head + indented(body, 1)
    if scheme == "delta_orthogonal":
        code = f"{DELTA}\n\n{code}"
    return Section("Initial weights", f"{source}.", code, ("import math", "from torch import nn"))

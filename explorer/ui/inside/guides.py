"""How to read the pages on the inside of blocks, and where their measures come from."""

import streamlit as st

from explorer.comparison import held_fixed as shared
from explorer.ui.panels import escaped
from explorer.weights import Weights


def held_fixed(weights: tuple[Weights, ...], mode: str = "evaluation mode") -> None:
    """What the networks on show share, where they differ, and at which step each is."""
    specs = [one.spec for one in weights]
    labels = [one.label for one in weights]
    fixed, differences = shared(specs, labels)
    steps = ", ".join(f"{one.label} after {one.step} steps" for one in weights)
    said = [fixed] if len(specs) > 1 else []
    said += [f"Differs: {line.replace('->', '→')}." for line in differences]
    st.markdown(escaped(" ".join([*said, f"Weights: {steps}; {mode}."])))


BLOCKS = """
**x, F(x) and the output.** A residual block computes ReLU(F(x) + x). `x` is what the shortcut
adds, `F(x)` what the residual branch adds, the output what the next block reads. A plain block
adds nothing: its output is ReLU(F(x)). Blue is positive, red negative, and 0 has the page's
colour. On a **local** scale every map is as bright as its own largest value; on a **global** one
all maps of a kind share a scale, so that a block that adds little looks pale.

**Size of responses.** The standard deviation of every weighted layer's output, after its norm and
before ReLU or addition, over examples, channels and pixels: figure 7 of He et al. 2015.

**‖F(x)‖ / ‖x‖ and cos(x, F(x)).** How much a block adds, and in which direction. A cosine below 0
takes away from x. In a plain network x is the block's input, though it is not added.

**Effective rank.** exp of the entropy of the singular values of the block's output, channels by
(examples and pixels). 1: all channels say the same. **Dead units**: no test image lifts them
above 0.

**Linear probe.** The accuracy of a linear classifier on the channel means of a block's output.
Where it stops rising, depth adds nothing that a linear reader can use.

**If it ended here.** The head of this network reads an earlier block, which it was not trained
for; only blocks with as many channels as the last can be read so. Low values say that the head
does not understand the block, not that the block knows nothing: compare with the linear probe.
"""

BLOCKS_SOURCES = """
Responses: He et al. 2015, arXiv 1512.03385, fig. 7. Linear probes: Alain & Bengio 2016, arXiv
1610.01644 (theirs are trained by gradient descent; here a ridge regression in closed form). The
head on earlier blocks: nostalgebraist 2020, "interpreting GPT: the logit lens". Dead ReLU: Lu et
al. 2019, arXiv 1903.06733. Effective rank: Roy & Vetterli 2007, EUSIPCO. Blocks that refine one
estimate: Greff et al. 2017, arXiv 1612.07771.
"""

ATTRIBUTIONS = """
**Integrated gradients**: the gradient's mean on the way from the baseline to the image, times the
difference. Its sum is the change of the logit, and the error says how far it is from it; more
steps make it smaller. **Occlusion**: how far the logit falls where a square is covered.
**Grad-CAM**: a block's maps, weighted by their mean gradients; what speaks against the class is
cut off. **Conductance**: what of the change flows through each unit of a block's output; it is
complete at every block, so what differs by depth is how much is added and taken away again.
**Neuron gradient**: the gradient of the block's strongest unit by the image.

Blue speaks for the class, red against it; each map has a scale of its own, whose peak it names.
The baseline is the mean training image. A map is a statement about this network at this image,
and not yet an explanation: a small change of the image may change it much.

**Not offered**: methods that rewrite how ReLU modules pass gradients back. In these networks the
ReLU after the sum is a function and no module, so they would miss it without a word.
"""

ATTRIBUTIONS_SOURCES = """
Computed by Captum (captum.ai). Integrated gradients: Sundararajan et al. 2017, arXiv 1703.01365.
Conductance: Dhamdhere et al. 2018, arXiv 1805.12233. Grad-CAM: Selvaraju et al. 2017, arXiv
1610.02391. Occlusion: Zeiler & Fergus 2014, arXiv 1311.2901.
"""

SIMILARITY = """
**Linear CKA** compares two blocks by which test images each finds alike: 1 is the same up to
rotation and scale, 0 nothing in common. **Debiased** estimates subtract what chance gives and may
leave [0, 1]; the **biased** one is near 1 for anything at all once there are more features than
examples. **Channel means** are what the head reads; **every pixel** is what Kornblith et al.
took.

**What to look for.** A block of one colour along the diagonal is depth over which little changes.
Steps stand where the resolution changes. In the map of two networks a bright line says that block
i of the one sees what block j of the other sees. CKA is moved by outliers and by directions of
large variance: a high value does not mean that two blocks compute the same.
"""

SIMILARITY_SOURCES = """
Kornblith et al. 2019, arXiv 1905.00414. Minibatch estimate: Nguyen et al. 2021, arXiv 2010.15327,
with the unbiased estimate of Song et al. 2012 (JMLR 13). Bias: Murphy et al. 2024, arXiv
2405.01012. Sensitivity: Davari et al. 2022, arXiv 2210.16156.
"""

PATHS = """
**Written out.** x₁ = x₀ + F₁(x₀), and so on: for any F the output is x₀ plus what every block
adds to what it reads (the first line). Only if every F is linear does the product (1 + Fₙ) … (1 +
F₁) come apart into 2ⁿ terms, one a path. The share of a path is measured with random linear F, in
8 dimensions: it is the term's part along the output, and all shares sum to 1. The graph is right
for any F, but then a path is not a term: F₂ reads the sum x + F₁(x) whole.

**By length.** With n blocks, C(n, k) of the 2ⁿ paths pass through F in k of them: most are near
n/2 long. The middle curve is measured: the forward pass is complete; in the backward pass k
blocks drawn at random pass the gradient on through F alone, all others through the shortcut
alone. The product of both says how much of the gradient comes along paths of each length. It adds
norms, so paths that cancel count as much as paths that agree.

**What it does not say.** Paths share weights and ReLU masks; they are no independent networks.
That short paths carry most of the gradient does not show that long ones could be left out of
training.
"""

PATHS_SOURCES = """
Veit, Wilber & Belongie 2016, arXiv 1605.06431: the unravelled view, and the gradient by path
length. They measured a network of 54 blocks and found that paths of 5 to 17 blocks carry the
gradient.
"""

LESIONS = """
**Deleted.** A residual block becomes its shortcut: ReLU(x). A plain block is left out, its input
handed on; where the shape changes, by every second pixel and channels of zeros. **Swapped**: two
blocks of one shape in one stage change places. **Damaged**: the block's output is set to 0, or
noise of its own standard deviation is added. Nothing is trained again.

**BatchNorm.** Its stored statistics were taken with all blocks there. Estimated anew from the
training set, without training, they tell how much of a loss is only that: both are drawn.

**Blocks that change the shape** are marked, for there the shortcut halves the resolution and adds
channels of zeros. A dot is the accuracy with that block alone gone. The bands hold 80 % of the
random draws.

**What it does not say.** That a block can be deleted after training does not show that the
network could have been trained without it.
"""

LESIONS_SOURCES = """
Veit, Wilber & Belongie 2016, arXiv 1605.06431 (deleting and reordering blocks of a trained
ResNet-110 and layers of VGG; they did not estimate BatchNorm's statistics anew). Blocks of one
stage that refine one estimate: Greff et al. 2017, arXiv 1612.07771.
"""

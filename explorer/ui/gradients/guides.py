"""How to read the pages of the gradient laboratory, and where their formulas come from."""

PROFILE = """
**The gradient.** ‖dL/dx‖ is the L2 norm over the batch of the loss's gradient with respect to a
block's output. The loss is on the right, so a line that falls towards the left vanishes, and one
that rises explodes. The factor in the sentences is on G = ‖dL/dx‖², per weighted layer.

**Theory** is about wide networks at initialisation. Each formula says where it holds; narrower
networks fall short of it, and there it is a guide and no target. It is set equal to the measured
value at the last block.

**After the first steps.** Choose a run of your own, or one of the program's, and a later step.
With BatchNorm the gradients of plain networks, which explode at initialisation, level off after a
few steps: what theory says of the start is no prophecy.

**What to try.** `plain-56,norm=none,init=xavier,width=64`: a factor of one half a layer.
`plain-56,norm=none,init=he,width=64`: about 1. `resnet-56,norm=none,block=preact,width=64`: 2 a
block. `resnet-1202,width=8`.
"""

PROFILE_SOURCES = """
ReLU and its initialisation: He et al. 2015, arXiv 1502.01852. Plain networks with BatchNorm: Yang
et al. 2019, arXiv 1902.08129. Residual networks: Hanin & Rolnick 2018, arXiv 1803.01719; De &
Smith 2020, arXiv 2002.10444. Each sentence names the formula and the source of its own
prediction.
"""

FACTORS = """
**The walk.** A random gradient of length 1 starts at the output, on the right, and goes back
layer by layer; the axis counts powers of ten. Thin lines are single networks, the bold one is
their mean, the dotted one is the prediction for infinite width. In the shaded part float32 keeps
nothing.

**The factors.** What each layer multiplied G, the squared length, by. If all were equal, the walk
would be a straight line. They are not: a ReLU network of finite width scatters, and its walk
wanders off by about the square root of the number of layers over the width, which is why a
product of factors is a good picture and no law.

**The signal** on its way up is multiplied likewise. For ReLU both factors are s/2, so He's s = 2
keeps both. For tanh they differ: the signal settles at a size that makes its factor 1, and the
gradient's factor is then what matters.

**Where the picture stops being true.** It has no skip connections, no normalisation, and weights
that are independent of the signal, as they are before the first step. Trained networks have none
of this. And a gradient of good size is not yet a network that learns: see He init without a norm
in the Playground.
"""

FACTORS_SOURCES = """
ReLU: He et al. 2015, arXiv 1502.01852. tanh, its fixed points and depth scales: Poole et al.
2016, arXiv 1606.05340; Schoenholz et al. 2017, arXiv 1611.01232. Finite width: Hanin & Rolnick
2018, arXiv 1803.01719.
"""

DEPTHS = """
**A point** is the ratio of ‖dL/dx‖ at the stem's output to that at the last block's, for a
network of that depth with all else as it is written above; dots are seeds. Both axes are
logarithmic.

**Leaving the zone** is no verdict: it says that the first layer's gradient is a thousand times
smaller or larger than the last one's, which one learning rate for all layers does not suit.
Networks with a ratio near 1 may still fail to train, and some outside the zone train.

**The upright line** is the depth to which mean-field theory lets such a network train, where it
says so. It is about wide networks.
"""

DEPTHS_SOURCES = """
Depth scales without a norm: Schoenholz et al. 2017, arXiv 1611.01232 (6 xi_c). With BatchNorm:
Yang et al. 2019, arXiv 1902.08129 (16 xi). Predicted curves: as on the Gradient profile's page.
"""

SHATTERING = """
**The networks** are functions of one number: a linear stem, blocks of one layer, h becomes skip h
+ beta W ReLU(BN(h)), width 200, He initialisation, and a linear readout. 256 points from -2 to 2
are the batch. The pictures show df/dx, centred and of length 1, for the first seed.

**Autocorrelation**: how alike df/dx is to itself some points further on. White noise has none;
brown noise, the sum of white noise, has much. The band is one standard deviation over the seeds.

**Across two inputs**: the correlation of df/dx at two orthogonal inputs, by depth. Dotted is what
theory expects of wide networks; beyond the depth to which that holds at this width it is drawn
fainter.

**What to know.** BatchNorm's statistics are held fixed in the derivative, as the paper's figures
do not say; differentiated too, the residual network with beta = 1 comes out nearly as white as
the plain one at 50 blocks. Without a norm the plain network's gradient is *not* white: shattering
needs normalisation, or something else that keeps the signal's correlation from growing to 1.
"""

SHATTERING_SOURCES = """
Balduzzi et al. 2017, arXiv 1702.08591. Their short laws 2^-L, (3/4)^L and L^-1/2 stand for one
half in every block; the curves here follow the correlation from block to block.
"""

JACOBIANS = """
**A singular value** says by how much a small change of the input is stretched in one direction.
The gradient goes back through the same matrix, transposed. The first chart has all of
d(logits)/d(input) for one example; as many as there are logits.

**From the stem**: the largest and the smallest singular value of d(block's output)/d(stem's
output). Where they lie far apart, some directions arrive a million times smaller than others, and
one learning rate cannot suit both. **Each block alone**: a residual block adds the identity to
F's Jacobian, so its singular values start around 1; a plain block's are those of F alone.

After a ReLU some units are off, and whatever moves only them is lost: the smallest singular value
of a block that ends in a ReLU is 0. Pre-activation blocks end in the sum; try
`resnet-56,block=preact,width=8` against `resnet-56,width=8`. Where a matrix is too large to be
written out, the largest and smallest few are found by products alone, and the smallest may not be
known.
"""

JACOBIANS_SOURCES = """
Saxe et al. 2014, arXiv 1312.6120, for dynamical isometry; Tarnowski et al. 2019, arXiv
1809.08848, for residual networks; Xiao et al. 2018, arXiv 1806.05393, for delta-orthogonal
initialisation. Computed with torch.func, and SciPy's svds on products where the matrix is large.
"""

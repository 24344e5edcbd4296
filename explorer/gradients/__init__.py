"""The gradient laboratory: why signals vanish, explode, shatter or arrive, measured beside theory.

Every function leaves a network as it found it, bit for bit: its mode, gates, buffers, gradients
and the random numbers of torch. What takes long calls `report(done, total)` now and then, which
may raise to cancel it.
"""

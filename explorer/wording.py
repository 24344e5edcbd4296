"""Numbers and places as they stand in a sentence: short, and never rounder than the truth."""

import math


def number(value: float) -> str:
    """`value` in two digits, or whole: 0.0000003 is "3e-7", 0.37 "0.37", 320.4 "320"."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 9999.5:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.0f}" if abs(value) >= 99.5 else f"{float(f'{value:.2g}'):g}"


def times(ratio: float) -> str:
    """`ratio` as it stands before a quantity: "320 x", "0.37 of", "1/430 of", "3e-7 of"."""
    if ratio >= 0.995:
        return f"{number(ratio)} x"
    if 1e-4 <= ratio <= 0.1:
        return f"1/{float(f'{1 / ratio:.3g}'):.0f} of"
    return f"{number(ratio)} of"


def percent(share: float) -> str:
    """A share as whole percent: "98 %"; only 1 itself is "100 %"."""
    return f"{min(round(100 * share), 99) if share < 1 else 100} %"


def place(site: str) -> str:
    """A site inside a sentence: "the stem", "block 3"."""
    return "the stem" if site == "stem" else site


def capital(text: str) -> str:
    """`text` with its first letter large, as a sentence begins."""
    return text[:1].upper() + text[1:]

"""A slow, obvious evaluator of the .wmap language, used as the oracle of the property tests.

It shares nothing with the compiler: own lexer, own parser, and an evaluation that names every element of every
tensor by numpy index arrays.  It favours being plainly right over being fast, and it does not look for mistakes that
only a static check could find.

    from wmapref import load, run, Tensor
    out = run(load(text), inputs, config={...}, params={...}, backward=False)
"""

from .errors import WmapError
from .dtypes import Tensor
from .evaluate import load, run

__all__ = ["WmapError", "Tensor", "load", "run"]

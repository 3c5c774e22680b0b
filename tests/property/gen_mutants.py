"""Ill-formed maps: a random well-formed map with one wrong statement in it, or with an input that does not fit.

    mutant = make_mutant(seed)   mutant.codes: which diagnostics are right; mutant.lines: where they may point (map
                                 text, from 1), or None for faults of the input
"""

import random
from dataclasses import dataclass

import numpy as np

from gen_maps import Case, make_case
from wmapref.dtypes import Tensor


@dataclass
class Mutant:
    case: Case
    what: str
    codes: set
    lines: range


# what: (codes, statements, {key: shape}); A, B, C, D are fresh axes, K a fresh stem, N a random size.
STATEMENTS = {
    "axis twice in a product": ({"E0402"}, '"K.x" [A A] <-> "K.y" [A A] where A = N', {"K.x": "NN"}),
    "axis on one side": ({"E0408", "E0405"}, '"K.x" [A B] <-> "K.y" [A] where B = 2', {"K.x": "N2"}),
    "equal products": ({"E0405"}, '"K.x" [A B], "K.z" [A B] <-> "K.y" [(A + A) B]', {"K.x": "NN", "K.z": "NN"}),
    "sum against product": ({"E0405", "E0408"}, '"K.x" [(A + B)] <-> "K.y" [(A B)] where A = N, B = 2', {"K.x": "N"}),
    "one product lacks": ({"E0405", "E0408"}, '"K.x" [A C], "K.z" [B C] <-> "K.y" [A C]',
                          {"K.x": "NN", "K.z": "NN"}),
    "unsolvable product": ({"E0411"}, '"K.x" [A B] <-> "K.y" [(A B)]', {"K.x": "NN"}),
    "unsolvable forwards": ({"E0411"}, '"K.x" [(A B)] <-> "K.y" [A B]', {"K.x": "N"}),
    "unsolvable sum": ({"E0411"}, '"K.x" [(A + B) C] <-> "K.y" [C A], "K.z" [C B]', {"K.x": "NN"}),
    "broadcast of unknown size": ({"E0411"}, '"K.x" [A] <-> "K.y" [A B] broadcast B', {"K.x": "N"}),
    "broadcast of nothing": ({"E0427", "E0205"}, '"K.x" [A] <-> "K.y" [A] broadcast B', {"K.x": "N"}),
    "no index": ({"E0305"}, '"K.{A}" <-> "K.y.{A}"', {"K.x": "N"}),
    "index on one side": ({"E0321", "E0408"}, 'index A < 2\n"K.{A}.x" [B] <-> "K.y" [B]', {"K.0.x": "N", "K.1.x": "N"}),
    "index on one side, no pattern": ({"E0321", "E0408"}, 'index A < 2\n"K.{A}.x" <-> "K.y"',
                                      {"K.0.x": "N", "K.1.x": "N"}),
    "capture on one side": ({"E0317"}, '"K.{A*}" <-> "K.y"', {"K.x": "N"}),
    "ambiguous key": ({"E0308"}, 'index A < 2\nindex B < 2\n"K.{A}{B}" <-> "K.{A}.{B}"', {}),
    "ambiguous captures": ({"E0308"}, '"K.{A*}.{B*}" <-> "K.y.{A*}.z.{B*}"', {}),
    "two word lists": ({"E0314"}, '"K.{A in u|v}" <-> "K.y.{A in u|v|w}"', {"K.u": "N", "K.v": "N"}),
    "key of two rules": ({"E0311", "E0614"}, '"K.x" <-> "K.y"\n"K.z" <-> "K.y"', {"K.x": "N", "K.z": "N"}),
    "key read by two rules": ({"E0311", "E0614"}, '"K.x" <-> "K.y"\n"K.x" <-> "K.z"', {"K.x": "N"}),
    "key of a template": ({"E0311", "E0614"}, 'index A < 3\n"K.{A}" <-> "K.y.{A}"\n"K.1" <-> "K.z"',
                          {"K.0": "N", "K.1": "N", "K.2": "N"}),
    "unknown name": ({"E0205"}, '"K.x" [A B] <-> "K.y" [B A] where A = nowhere', {"K.x": "NN"}),
    "unknown function": ({"E0211"}, 'let A = cube(3)\n"K.x" [A] <-> "K.y" [A]', {"K.x": "N"}),
    "arity": ({"E0214"}, 'let A = align(3)\n"K.x" [A] <-> "K.y" [A]', {"K.x": "N"}),
    "cycle": ({"E0208"}, 'let A = B + 1\nlet B = A - 1\n"K.x" [A] <-> "K.y" [A]', {"K.x": "N"}),
    "overflow": ({"E0221", "E0118"}, 'let A = 9223372036854775807 + 1\n"K.x" [A] <-> "K.y" [A]', {"K.x": "N"}),
    "division": ({"E0224"}, 'let A = 7 / 2\n"K.x" [A] <-> "K.y" [A]', {"K.x": "N"}),
    "division by zero": ({"E0224"}, 'let A = 7 / 0\n"K.x" [A] <-> "K.y" [A]', {"K.x": "N"}),
    "absent": ({"E0227"}, '"K.x" [A] <-> "K.y" [A] where A = config.absent_K', {"K.x": "N"}),
    "type": ({"E0217"}, 'let A = true + 1\n"K.x" [A] <-> "K.y" [A]', {"K.x": "N"}),
    "condition": ({"E0217"}, 'if 1 { "K.x" [A] <-> "K.y" [A] }', {"K.x": "N"}),
    "negative size": ({"E0237"}, 'let A = 2 - 3\n"K.x" [A] <-> "K.y" [A]', {"K.x": "N"}),
    "declared twice": ({"E0203"}, 'let A = 2\nlet A = 3\n"K.x" [A] <-> "K.y" [A]', {"K.x": "2"}),
    "not ascending": ({"E0302"}, 'index A in [2, 1]\n"K.{A}" <-> "K.y.{A}"', {"K.1": "N", "K.2": "N"}),
    "two terms": ({"E0414"}, '"K.x", "K.z" <-> "K.y"', {"K.x": "N", "K.z": "N"}),
    "no operation": ({"E0503"}, '"K.x" <-> rotate(0) <-> "K.y"', {"K.x": "N"}),
    "operation arity": ({"E0509", "E0514"}, '"K.x" <-> transpose(0) <-> "K.y"', {"K.x": "NN"}),
    "no dimension": ({"E0551", "E0546"}, '"K.x" <-> transpose(0, 5) <-> "K.y"', {"K.x": "NN"}),
    "slice both ways": ({"E0532"}, '"K.x" <-> slice(0, 0, 1) <-> "K.y"', {"K.x": "NN"}),
    "flatten without sizes": ({"E0532"}, '"K.x" <-> flatten(0, 1) <-> "K.y"', {"K.x": "NN"}),
    "cast that loses": ({"E0538"}, '"K.x" <-> cast(f32, bf16) <-> "K.y"', {"K.x": "N"}),
    "no dtype": ({"E0521"}, '"K.x" <-> cast(f33, bf16) <-> "K.y"', {"K.x": "N"}),
    "structure with patterns": ({"E0527"}, '"K.x" [A B] <-> transpose(0, 1) <-> "K.y" [A B]', {"K.x": "NN"}),
    "uneven chunk": ({"E0558"}, '"K.x" <-> chunk(0) <-> "K.y", "K.z"', {"K.x": "7"}),
    "wrong split": ({"E0558", "E0546"}, '"K.x" <-> split(0, [2, 9]) <-> "K.y", "K.z"', {"K.x": "7"}),
    "wrong count": ({"E0563"}, '"K.x" <-> split(0, [2, 5]) <-> "K.y"', {"K.x": "7"}),
    "wrong unflatten": ({"E0546", "E0558"}, '"K.x" <-> unflatten(0, [2, 4]) <-> "K.y"', {"K.x": "7"}),
    "squeeze of seven": ({"E0546"}, '"K.x" <-> squeeze(0) <-> "K.y"', {"K.x": "7"}),
    "condition on one side": ({"E0337"}, 'index A < 2\nif A == 0 { "K.{A}.x" [B] <-> "K.y" [A B] }',
                              {"K.0.x": "N", "K.1.x": "N"}),
    "wrong shape": ({"E0608", "E0617"}, '"K.x" [A B] <-> "K.y" [B A] where A = 5, B = 6', {"K.x": "56".replace("5", "7")}),
    "wrong rank": ({"E0608", "E0617"}, '"K.x" [A B] <-> "K.y" [B A] where A = 7', {"K.x": "777"}),
    "does not divide": ({"E0608", "E0617"}, '"K.x" [(A B)] <-> "K.y" [B A] where A = 2', {"K.x": "7"}),
    "syntax": ({"E0127"}, '"K.x" [A B) <-> "K.y" [B A]', {"K.x": "NN"}),
    "no right side": ({"E0127"}, '"K.x" [A B] <-> \nlet A = 3', {"K.x": "NN"}),
    "open string": ({"E0110"}, '"K.x" <-> "K.y\n', {"K.x": "NN"}),
    "escape": ({"E0113"}, '"K.x" <-> "K.\\\\q"'.replace("\\\\", "\\"), {"K.x": "NN"}),
    "brace": ({"E0131"}, '"K.x" <-> "K.{y"', {"K.x": "NN"}),
    "character": ({"E0107"}, '"K.x" <-> "K.y" where A = 2 $ 3', {"K.x": "NN"}),
    "arrows": ({"E0147", "E0127"}, '"K.x" <-> neg -> "K.y"', {"K.x": "NN"}),
}


def base_case(seed):
    """A case without files (where every rule would have to mention the rank), that starts on the left."""
    for k in range(1000):
        case = make_case(seed * 1000 + k)
        if not case.backward and "file " not in case.text:
            return case
    raise AssertionError("no case")


def unfit_input(r, case):
    """A fault of the input: (what, codes)."""
    if r.random() < 0.3:
        case.inputs[None, "surely.unexpected"] = Tensor("U8", np.zeros(3, np.uint8))
        return "a tensor that nothing names", {"E0602"}
    if r.random() < 0.3 and len(case.inputs) > 1:  # the last one is needed for there to be a file
        del case.inputs[None, "keep"]
        return "a tensor less", {"E0605"}
    case.inputs[None, "bad.keep"] = case.inputs.pop((None, "keep"))
    return "a tensor by another name", {"E0602", "E0605"}


def make_mutant(seed):
    r = random.Random(seed)
    case = base_case(seed)
    if r.random() < 0.1:
        return Mutant(case, *unfit_input(r, case), None)
    what = r.choice(list(STATEMENTS))
    codes, text, tensors = STATEMENTS[what]
    names = {c: f"{c.lower()}bad" for c in "ABCD"} | {"K": "bad"}
    size = r.choice([2, 3, 4])

    def fill_in(s):
        for c, name in names.items():
            s = "".join(name if s[i:i + 1] == c and not s[i - 1:i].isalpha() and not s[i + 1:i + 2].isalpha()
                        and s[i - 1:i] not in ("E",) else s[i] for i in range(len(s)))
        return s.replace("where abad = N", f"where abad = {size}").replace("= N", f"= {size}")
    lines = fill_in(text).split("\n")
    old = case.text.split("\n")
    # in front of the rules, or at the end: never inside a block
    at = 2 if r.random() < 0.5 else len(old) - 1
    case.text = "\n".join(old[:at] + lines + old[at:])
    for key, shape in tensors.items():
        dims = [size if d == "N" else int(d) for d in shape]
        case.inputs[None, fill_in(key)] = Tensor("F32", np.zeros(dims, "<u4"))
    return Mutant(case, what, codes, range(at + 1, at + 1 + len(lines) + 1))


if __name__ == "__main__":
    import sys
    m = make_mutant(int(sys.argv[1]))
    print(m.what, m.codes, m.lines)
    print(m.case.text)

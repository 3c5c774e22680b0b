"""Expressions to values.

A scope knows the names; integers are Python's, checked against 64 bits after every operation.  Absent configuration
values are None, and None is refused wherever something is computed with it.
"""

import math

from .errors import fail

FUNCTIONS = {"min", "max", "len", "align", "ceil_div", "floor_div", "sqrt", "has", "exists"}


def is_number(v):
    return isinstance(v, (int, float)) and not isinstance(v, bool)


def checked(v):
    if isinstance(v, int) and not isinstance(v, bool) and not -2 ** 63 <= v < 2 ** 63:
        fail("overflow", "integer overflow")
    return v


def numbers(op, *values):
    for v in values:
        if v is None:
            fail("value", f"`{op}` on an absent value")
        if not is_number(v):
            fail("type", f"`{op}` needs numbers, not {v!r}")


def boolean(v):
    if v is None:
        fail("value", "an absent value as a condition")
    if not isinstance(v, bool):
        fail("type", f"a condition must be true or false, not {v!r}")
    return v


def size(v, what):
    """A value that is to be a size: a non-negative integer, or a float that is one."""
    if v is None:
        fail("value", f"{what} is absent")
    if not is_number(v):
        fail("type", f"{what} is not a number")
    if isinstance(v, float):
        if not v.is_integer():
            fail("type", f"{what} is {v}, not an integer")
        v = int(v)
    if v < 0:
        fail("value", f"{what} is negative")
    return v


def equal(a, b):
    if isinstance(a, bool) or isinstance(b, bool):
        return isinstance(a, bool) and isinstance(b, bool) and a == b
    if is_number(a) and is_number(b):
        return a == b
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def arithmetic(op, a, b):
    numbers(op, a, b)
    integers = isinstance(a, int) and isinstance(b, int)
    if op == "+":
        return checked(a + b)
    if op == "-":
        return checked(a - b)
    if op == "*":
        return checked(a * b)
    if b == 0:
        fail("value", "division by zero")
    if op == "/":
        if not integers:
            return a / b
        if a % b:
            fail("value", f"{a} / {b} is not an integer")
        return checked(a // b)
    if not integers:
        return math.fmod(a, b)
    return int(math.fmod(a, b)) if abs(a) < 2 ** 52 else a - b * int(a / b)


def compare(op, a, b):
    if op == "==":
        return equal(a, b)
    if op == "!=":
        return not equal(a, b)
    if op == "in":
        if isinstance(b, (list, range)):
            return any(equal(a, x) for x in b)
        fail("type", "`in` needs a list")
    if not (isinstance(a, str) and isinstance(b, str)):
        numbers(op, a, b)
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]


def evaluate(e, scope):
    """The value of an expression; `scope` has name(n), config, exists(template text)."""
    op = e[0]
    if op in ("number", "string", "bool"):
        return str(e[1]) if op == "string" else e[1]
    if op == "null":
        return None
    if op == "config":
        return scope.config
    if op == "name":
        return scope.name(e[1])
    if op == "list":
        return [evaluate(x, scope) for x in e[1]]
    if op == "field":
        if e[1][0] == "name" and scope.is_import(e[1][1]):
            return scope.imported(e[1][1], e[2])
        return field(evaluate(e[1], scope), e[2])
    if op == "item":
        return item(evaluate(e[1], scope), evaluate(e[2], scope))
    if op == "call":
        return call(e[1], e[2], scope)
    if op == "??":
        a = evaluate(e[1], scope)
        return evaluate(e[2], scope) if a is None else a
    if op == "?:":
        return evaluate(e[2] if boolean(evaluate(e[1], scope)) else e[3], scope)
    if op == "&&":
        return boolean(evaluate(e[1], scope)) and boolean(evaluate(e[2], scope))
    if op == "||":
        return boolean(evaluate(e[1], scope)) or boolean(evaluate(e[2], scope))
    if op == "not":
        return not boolean(evaluate(e[1], scope))
    if op == "neg":
        v = evaluate(e[1], scope)
        numbers("-", v)
        return checked(-v)
    if op == "..":
        a, b = evaluate(e[1], scope), evaluate(e[2], scope)
        numbers("..", a, b)
        return range(integer(a), integer(b))
    if op in ("+", "-", "*", "/", "%"):
        return arithmetic(op, evaluate(e[1], scope), evaluate(e[2], scope))
    return compare(op, evaluate(e[1], scope), evaluate(e[2], scope))


def integer(v):
    if isinstance(v, float) and v.is_integer():
        return int(v)
    if not isinstance(v, int) or isinstance(v, bool):
        fail("type", f"{v!r} is not an integer")
    return v


def field(value, name):
    if value is None:
        return None
    if not isinstance(value, dict):
        fail("type", f"`.{name}` of something that is not an object")
    return value.get(name)


def item(value, i):
    if value is None:
        return None
    if i is None:
        fail("value", "an absent value as an index")
    if isinstance(value, dict):
        if not isinstance(i, str):
            fail("type", "an object is indexed by a string")
        return value.get(i)
    if not isinstance(value, (list, range)):
        fail("type", "`[]` of something that is not a list")
    i = integer(i)
    if not 0 <= i < len(value):
        fail("value", f"index {i} of a list of {len(value)}")
    return value[i]


def call(name, args, scope):
    if name not in FUNCTIONS:
        fail("name", f"no function `{name}`")
    if name == "exists":
        if len(args) != 1 or args[0][0] != "string":
            fail("type", "exists needs a key")
        return scope.exists(args[0][1])
    if name == "len" and len(args) == 1 and args[0][0] == "name" and scope.is_index(args[0][1]):
        return scope.index_size(args[0][1])
    values = [evaluate(a, scope) for a in args]
    if name == "has":
        return values[0] is not None
    if name == "len":
        if not isinstance(values[0], (list, range, str)):
            fail("type", "len of something without a length")
        return len(values[0])
    if name in ("min", "max"):
        if len(values) == 1 and isinstance(values[0], (list, range)):
            values = list(values[0])
        numbers(name, *values)
        if not values:
            fail("value", f"{name} of nothing")
        return (min if name == "min" else max)(values)
    numbers(name, *values)
    if name == "sqrt":
        if values[0] < 0:
            fail("value", "sqrt of a negative number")
        return math.sqrt(values[0])
    a, b = values
    if b == 0:
        fail("value", f"{name} by zero")
    if name == "align":
        return checked(-(-a // b) * b)
    return checked(-(-a // b) if name == "ceil_div" else a // b)

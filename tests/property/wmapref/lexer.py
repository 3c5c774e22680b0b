"""Text to tokens.  A token is (kind, value, line); strings keep which of their characters were escaped."""

import re
from typing import NamedTuple

from .errors import fail

PUNCTUATION = ["<->", "...", "<-", "->", ">>", "<=", ">=", "==", "!=", "&&", "||", "??", "..",
               "<", ">", "=", "!", "?", ":", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", ",", ".", "|",
               "~"]
NUMBER = re.compile(r"[0-9][0-9_]*(\.[0-9][0-9_]*)?([eE][+-]?[0-9]+)?")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}


class Token(NamedTuple):
    kind: str     # name int float string punct end
    value: object
    line: int


class Text(str):
    """A string literal; `escaped[i]` tells whether character i came from an escape (and so is literal)."""

    escaped: list


def read_string(text, pos, line):
    """The literal that starts with the quote at `pos`; returns it and the position behind it."""
    chars, escaped = [], []
    pos += 1
    while True:
        if pos >= len(text) or text[pos] == "\n":
            fail("syntax", f"line {line}: a string does not end on its line")
        c = text[pos]
        if c == '"':
            break
        if c == "\\":
            e = text[pos + 1:pos + 2]
            if e in ESCAPES and e:
                chars.append(ESCAPES[e])
                pos += 2
            elif m := re.match(r"\\u\{([0-9a-fA-F]{1,6})\}", text[pos:]):
                chars.append(chr(int(m.group(1), 16)))
                pos += m.end()
            else:
                fail("syntax", f"line {line}: unknown escape")
            escaped.append(True)
        else:
            chars.append(c)
            escaped.append(False)
            pos += 1
    if "\0" in chars:
        fail("syntax", f"line {line}: NUL in a string")
    s = Text("".join(chars))
    s.escaped = escaped
    return s, pos + 1


def read_number(text, pos, line):
    """An integer or a float; `1..n` is an integer and a range."""
    m = NUMBER.match(text, pos)
    word = m.group().replace("_", "")
    if m.group(1) is None and m.group(2) is None:
        value = int(word)
        if value >= 2 ** 63:
            fail("overflow", f"line {line}: integer too large")
        return Token("int", value, line), m.end()
    return Token("float", float(word), line), m.end()


def tokens(text):
    """All tokens of a text, the last of kind `end`."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    out, pos, line = [], 0, 1
    while pos < len(text):
        c = text[pos]
        if c == "\n":
            line += 1
            pos += 1
        elif c in " \t\r":
            pos += 1
        elif c == "#":
            while pos < len(text) and text[pos] != "\n":
                pos += 1
        elif c == '"':
            s, pos = read_string(text, pos, line)
            out.append(Token("string", s, line))
        elif c.isascii() and c.isdigit():
            token, pos = read_number(text, pos, line)
            out.append(token)
        elif m := NAME.match(text, pos):
            out.append(Token("name", m.group(), line))
            pos = m.end()
        else:
            for p in PUNCTUATION:
                if text.startswith(p, pos):
                    out.append(Token("punct", p, line))
                    pos += len(p)
                    break
            else:
                fail("syntax", f"line {line}: unexpected character {c!r}")
    out.append(Token("end", None, line))
    return out

"""A Pygments lexer for wmap's maps.

Words are keywords by position in the language; a lexer that sees one word at a time takes each of them as one, except
behind a point and where a name is being given.  What stands in a string in braces is lexed as the language does: an
index with a width or a shift, a capture, or a list of words."""

from pygments.lexer import RegexLexer, bygroups, include, words
from pygments.token import (Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace)

__all__ = ["WmapLexer"]

RESERVED = ("in", "fill", "config", "if")
CONSTANTS = ("true", "false", "null")
STATEMENTS = ("wmap", "map", "param", "let", "index", "source", "target", "shard", "override", "within", "import",
              "use")
ITEMS = ("format", "file", "alias", "ignore", "carry", "emit", "lora", "scales")
CLAUSES = ("else", "where", "when", "optional", "broadcast", "pick", "pad", "holds", "as", "root", "into", "scale",
           "rounding", "stepwise", "of", "blocks", "dequant", "on", "split", "at", "replicate", "parts", "groups", "unit",
           "size", "each", "checked", "uneven", "width", "lossy")
FUNCTIONS = ("min", "max", "len", "align", "ceil_div", "floor_div", "sqrt", "has", "exists",
             "text", "json", "files", "without")
OPERATIONS = ("concat", "chunk", "split", "stack", "unstack", "unflatten", "flatten", "permute", "transpose",
              "reshape", "squeeze", "unsqueeze", "slice", "pad", "repeat", "unrepeat", "repeat_interleave",
              "unrepeat_interleave", "cast", "uncast", "add", "mul", "neg", "exp", "log")
DTYPES = ("bool", "f4", "f6_e2m3", "f6_e3m2", "u8", "i8", "f8_e5m2", "f8_e4m3", "f8_e8m0", "f8_e4m3fnuz",
          "f8_e5m2fnuz", "i16", "u16", "f16", "bf16", "i32", "u32", "f32", "c64", "f64", "i64", "u64",
          "float4_e2m1fn_x2", "float6_e2m3", "float6_e3m2", "uint8", "int8", "float8_e5m2", "float8_e4m3fn",
          "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz", "int16", "uint16", "float16", "bfloat16", "int32",
          "uint32", "float32", "complex64", "float64", "int64", "uint64")

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
DIGITS = r"[0-9](?:_?[0-9])*"
ESCAPE = r'\\(?:["\\nt]|u\{[0-9A-Fa-f]{1,6}\})'


def any_case(names):
    return r"\b(?:" + "|".join("".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in n)
                               for n in sorted(names, key=len, reverse=True)) + r")\b"


class WmapLexer(RegexLexer):
    """Lexer for maps between checkpoint layouts."""

    name = "wmap"
    aliases = ["wmap"]
    filenames = ["*.wmap"]
    mimetypes = ["text/x-wmap"]

    tokens = {
        "root": [
            (r"\ufeff", Whitespace),
            include("space"),
            # where a name is given
            (rf"(param|let|index|map|use|shard)([ \t]+)({NAME})\b",
             bygroups(Keyword.Declaration, Whitespace, Name.Variable)),
            (rf"(as)([ \t]+)({NAME})\b", bygroups(Keyword, Whitespace, Name.Namespace)),
            (rf"(format)([ \t]+)({NAME})\b", bygroups(Keyword, Whitespace, Name.Builtin.Pseudo)),
            (rf"(\.)({NAME})", bygroups(Operator, Name.Attribute)),
            (words(OPERATIONS, prefix=r"\b", suffix=r"\b(?=\s*(?:\(|\||<->|->|<-(?!>)))"), Name.Function),
            (words(FUNCTIONS, prefix=r"\b", suffix=r"\b(?=\s*\()"), Name.Builtin),
            (words(STATEMENTS, prefix=r"\b", suffix=r"\b"), Keyword.Declaration),
            (words(RESERVED, prefix=r"\b", suffix=r"\b"), Keyword.Reserved),
            (words(CONSTANTS, prefix=r"\b", suffix=r"\b"), Keyword.Constant),
            (words(ITEMS + CLAUSES, prefix=r"\b", suffix=r"\b"), Keyword),
            (any_case(DTYPES), Keyword.Type),
            (NAME, Name),
            include("numbers"),
            (r'"', String.Double, "string"),
            (r"<->|->|<-", Operator.Word),
            (r">>|\?\?|\.\.\.?|[=!<>]=|&&|\|\||[~<>=+\-*/%!?:.|]", Operator),
            (r"[\[\](){},]", Punctuation),
        ],
        "space": [
            (r"\s+", Whitespace),
            (r"#[^\n]*", Comment.Single),
        ],
        "numbers": [
            (rf"{DIGITS}\.{DIGITS}(?:[eE][+-]?{DIGITS})?\b", Number.Float),
            (rf"{DIGITS}[eE][+-]?{DIGITS}\b", Number.Float),
            (rf"{DIGITS}\b", Number.Integer),
        ],
        "string": [
            # a pattern stands behind its key
            (r'(")(\s*)(\[)', bygroups(String.Double, Whitespace, Punctuation), ("#pop", "pattern")),
            (r'"', String.Double, "#pop"),
            (ESCAPE, String.Escape),
            (r"\{\{|\}\}", String.Escape),
            (rf"(\{{)([ \t]*)({NAME})([ \t]*)(\*)([ \t]*)(\}})",
             bygroups(String.Interpol, Whitespace, Name.Variable.Magic, Whitespace, Operator, Whitespace,
                      String.Interpol)),
            (rf'(\{{)([ \t]*)({NAME})([ \t]+)(in)([ \t]+)(?=[^"{{}}\\\n]*\}})',
             bygroups(String.Interpol, Whitespace, Name.Variable, Whitespace, Keyword.Reserved, Whitespace), "words"),
            (r'\{(?=[^"{}\\\n]*\})', String.Interpol, "hole"),
            (r'[^"\\{}\n]+', String.Double),
            (r"[{}]", String.Double),
        ],
        "words": [
            (r"\}", String.Interpol, "#pop"),
            (r"\|", Operator),
            (r"[ \t]+", Whitespace),
            (r'[^|"{} \t\n]+', String.Symbol),
        ],
        "hole": [
            (r"\}", String.Interpol, "#pop"),
            (r"(:)(0[0-9]+)", bygroups(Operator, Number.Integer)),
            (r"[ \t]+", Whitespace),
            (rf"(\.)({NAME})", bygroups(Operator, Name.Attribute)),
            (words(FUNCTIONS, prefix=r"\b", suffix=r"\b(?=\s*\()"), Name.Builtin),
            (words(RESERVED, prefix=r"\b", suffix=r"\b"), Keyword.Reserved),
            (NAME, Name.Variable),
            include("numbers"),
            (r"\?\?|[=!<>]=|&&|\|\||[<>+\-*/%!?:.]", Operator),
            (r"[\[\](),]", Punctuation),
        ],
        "pattern": [
            include("space"),
            (r"\]", Punctuation, "#pop"),
            (r"[()]", Punctuation),
            (r"\.\.\.|\+", Operator),
            (rf"{DIGITS}\b", Number.Integer),
            (NAME, Name.Variable),
        ],
    }

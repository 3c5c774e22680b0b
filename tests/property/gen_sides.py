"""The files of the other side: placed by keys, one for each rank with rules that mention the rank, or sharded."""

from gen_common import Index


def degree(g, name, n):
    """The size of a rank index: a number, or a param."""
    if g.chance(0.5):
        g.declarations.append(f'param {name}_n = {n if g.chance(0.5) else 1} "degree"')
        g.params[f"{name}_n"] = n
        return f"{name}_n"
    return str(n)


def rank_files(g):
    """Every tensor of the other side is in the file of each rank; each rule says how (file_bases)."""
    if g.chance(0.5):
        n = g.r.choice([1, 2, 3, 4])
        rank = Index("rank", list(range(n)))
        g.declarations.append(f"index rank < {degree(g, 'rank', n)}")
        g.file_bases = [rank]
    else:
        parts = [Index(name, list(range(g.r.choice([1, 2, 3])))) for name in ("rep", "slot")]
        for p in parts:
            g.declarations.append(f"index {p.name} < {degree(g, p.name, p.n)}")
        order = parts if g.chance(0.5) else parts[::-1]
        g.declarations.append(f"index rank = ({order[0].name} {order[1].name})")
        g.file_bases = parts
    path = g.r.choice(["rank{rank}.safetensors", "model.r{rank:02}.safetensors", "d/r{rank + 1}.safetensors"])
    g.target.append(f'file "{path}"')


def mention(g):
    """Clauses by which a rule without patterns mentions the rank."""
    if not g.file_bases:
        return ""
    out = []
    for b in g.file_bases:
        if g.chance(0.8):
            out.append(f"broadcast {b.name}")
        else:
            out.append(f"pick {b.name} = {g.r.choice(b.values)}")
    if all(c.startswith("broadcast") for c in out) and g.chance(0.3):
        out = ["broadcast rank"]
    return " " + " ".join(out)


def placed_files(g):
    """Files that hold keys by their form."""
    k = g.r.randrange(3)
    if k == 0:
        g.target.append('file "all.safetensors"')
        return
    lines = []
    for prefix, ix in g.placed:
        width = g.r.choice(["", ":03"])
        name = g.fresh("f")
        lines.append(f'file "{name}.{{{ix.name}{width}}}.safetensors" holds "{prefix}/{{{ix.name}}}/{{name*}}"'
                     + (' as "{name}"' if g.chance(0.6) else ""))
    if k == 1:
        lines.append('file "t/{n}.safetensors" holds "t{n*}"')
    lines.append('file "rest.safetensors"' + (' holds "{rest*}"' if g.chance(0.5) else ""))
    g.target += lines


class Shards:
    """Shard blocks over the tensors that the rules make."""

    def __init__(self, g):
        self.g = g
        self.blocks = []
        names = ["tr"] if g.chance(0.75) else ["tr", "er"]
        for name in names:
            n = g.r.choice([1, 2, 2, 3, 4])
            g.declarations.append(f"index {name} < {degree(g, name, n)}")
            self.blocks.append((name, n))
        file = ".".join(f"{{{name}}}" for name in names)
        g.target.append(f'file "s{file}.safetensors"')

    def text(self, side):
        out = []
        for name, n in self.blocks:
            lines = []
            for output in self.g.outputs:
                if self.g.chance(0.7) and output.shapes:
                    line = self.line(output, name, n)
                    if line:
                        lines.append(f"{output.text} {line}")
            lines.append('"{rest*}" replicate')
            out.append(f"shard {name} on {side} {{\n  " + "\n  ".join(lines) + "\n}")
        return out

    def line(self, output, name, n):
        """A line that all tensors of a template allow; the shapes become those of the pieces."""
        g, shapes = self.g, output.shapes
        rank = min(len(s) for s in shapes)
        if len(self.blocks) == 1 and g.chance(0.15):
            at = g.r.randrange(n)
            return f"at {at}" if not output.index or g.chance(0.5) else f"at ({output.index} + {at}) % {n}"
        if rank == 0 or len({len(s) for s in shapes}) > 1:
            return g.r.choice([None, "replicate"])
        d = g.r.randrange(rank)
        dim = g.r.choice([str(d), str(d - rank)])
        sizes = sorted({s[d] for s in shapes})
        forms = ["uneven"] if len(self.blocks) == 1 else []
        if all(x % n == 0 for x in sizes):
            forms += ["plain"] * 3
        if len(sizes) == 1:
            forms += ["pad", "groups", "parts", "list"]
            if len(self.blocks) == 1:
                forms.append("width")
        form = g.r.choice(forms) if forms else None
        text = self.cut(form, sizes[0], n, len(sizes) == 1, name) if form else None
        if text is None:
            return None
        extra, new = text
        for s in shapes:
            s[d] = new if new is not None else s[d] // n
        return f"split {dim}{extra}"

    def cut(self, form, size, n, one, name):
        """(clauses, size of a piece or None for size / n)"""
        g = self.g
        if form == "uneven":
            return " uneven", None
        if form == "width":
            return self.width(size, n, name), None
        if form == "plain":
            units = [u for u in range(1, size // n + 1) if (size // n) % u == 0] if one else []
            if units and g.chance(0.3):
                return f" unit {g.r.choice(units)}", None
            return "", None
        if form == "pad":
            multiple = n * g.r.choice([1, 2, 3])
            padded = -(-size // multiple) * multiple
            return (f" size {g.number(size)} pad align({size}, {multiple})"
                    + g.r.choice(["", " fill 0"]), padded // n)
        if form == "groups":
            options = [k for k in range(1, size + 1) if size % k == 0 and (k % n == 0 or n % k == 0)]
            if not options:
                return None
            k = g.r.choice(options)
            return f" groups {k}", size // min(k, n)
        if form == "parts":
            options = [k for k in (1, 2, 3) if size % (k * n) == 0]
            return (f" parts {g.r.choice(options)}", size // n) if options else None
        cuts = sorted(g.r.randint(0, size) for _ in range(g.r.randint(0, 2)))
        parts = [b - a for a, b in zip([0] + cuts, cuts + [size])]
        texts, piece = [], 0
        for p in parts:
            if p % n == 0 and g.chance(0.6):
                texts.append(str(p))
                piece += p // n
                continue
            options = [k for k in range(1, p + 1) if p % k == 0 and (k % n == 0 or n % k == 0)]
            if not options:
                if p % n:
                    return None
                texts.append(str(p))
                piece += p // n
                continue
            k = g.r.choice(options)
            texts.append(f"{p} groups {k}")
            piece += p // min(k, n)
        return f" parts [{', '.join(texts)}]", piece

    def width(self, size, n, name):
        """What each rank has, as an expression of its number."""
        g = self.g
        cuts = sorted(g.r.randint(0, size) for _ in range(n - 1))
        widths = [b - a for a, b in zip([0] + cuts, cuts + [size])]
        text = str(widths[-1])
        for r in reversed(range(n - 1)):
            text = f"{name} == {r} ? {widths[r]} : {text}"
        if g.chance(0.3):
            return f" parts [{size} width {text}]"
        return f" width {text}"

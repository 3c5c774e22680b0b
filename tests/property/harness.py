"""Runs a random map through the `wmap` program, there and back, and compares every byte with the evaluator."""

import json
import os
import random
import re
import shutil
import subprocess
import zlib

import st
from wmapref import Tensor, WmapError, load, run


class Difference(Exception):
    """What the program did that it should not have done; the text has seed and map."""


def program():
    return os.environ.get("WMAP_BIN")


def has_jit():
    return os.path.exists(os.path.join(os.path.dirname(os.path.abspath(program() or "")), "wmap-jit.so"))


def engine(arguments):
    """One run in eight compiles all that can be, where the JIT is built: by the text of the map, so that a seed says the
    same again."""
    if arguments[0] not in ("run", "verify") or "--engine" in arguments or not has_jit():
        return []
    try:
        with open(arguments[1], "rb") as f:
            return ["--engine", "jit" if zlib.crc32(f.read()) % 8 == 0 else "interp"]
    except OSError:
        return []


def wmap(arguments, timeout=120):
    arguments = [*arguments, *engine(arguments)]
    env = dict(os.environ, NO_COLOR="1", ASAN_OPTIONS="detect_leaks=1:exitcode=99", UBSAN_OPTIONS="halt_on_error=1")
    return subprocess.run([program(), *map(str, arguments)], capture_output=True, text=True, errors="replace",
                          timeout=timeout, env=env)


def explain(case, what, detail=""):
    return (f"seed {case.seed}: {what}\n{detail}\n--- map (start on the {'right' if case.backward else 'left'}, "
            f"config {json.dumps(case.config)}, params {case.params})\n{case.text}\n--- inputs\n"
            + "\n".join(f"{k} {t}" for k, t in case.inputs.items()))


def compare(case, got, expected, what):
    for key in expected:
        if key not in got:
            raise Difference(explain(case, f"{what}: {key} is missing"))
    for key in got:
        if key not in expected:
            raise Difference(explain(case, f"{what}: {key} should not be there"))
    for key, t in expected.items():
        g = got[key]
        if (g.dtype, g.shape) != (t.dtype, t.shape):
            raise Difference(explain(case, f"{what}: {key} is {g}, not {t}"))
        if not g.same(t):
            raise Difference(explain(case, f"{what}: {key} differs", f"got\n{g.data}\nexpected\n{t.data}"))


def arguments(case, map_path, config_path, source, target, backward, r):
    out = ["run", map_path, "-i", source, "-o", target, "--config", config_path, "--quiet"]
    for name, value in case.params.items():
        out += ["-D", f"{name}={value}"]
    threads = r.choice([0, 1, 1, 2, 3, 5])
    if threads:
        out += ["--threads", threads]
        if r.random() < 0.5:
            out += ["--max-memory", r.choice([f"{threads * 320}KiB", "2MB", "16MB"])]
    return out + (["--reverse"] if backward else [])


def reshard(case, module, r, state):
    """A composition that the state of the other side can go through: (expression, with M for the map; its result)."""
    degrees = {n: r.choice([1, 2, 3, 4]) for n in case.params}
    old, new = ("(" + ", ".join(f"{n} = {v}" for n, v in p.items()) + ")" if p else ""
                for p in (case.params, degrees))
    first, second = ("", "~") if case.backward else ("~", "")
    expression = f"{first}M{old} >> {second}M{new}"
    try:
        return expression, run(module, state, case.config, expression=expression.replace("M", module.name))
    except WmapError:
        return None


def printed(case, command, map_path, place):
    """The map as `fmt` or `invert` prints it, in a file of its own; printing it again changes nothing."""
    done = wmap([command, map_path])
    path = place / f"{command}.wmap"
    if done.returncode != 0:
        raise Difference(explain(case, f"{command}: exit status {done.returncode}", done.stderr))
    path.write_text(done.stdout)
    again = wmap(["fmt", path])
    if again.returncode != 0 or again.stdout != done.stdout:
        raise Difference(explain(case, f"fmt of what {command} printed: exit status {again.returncode}",
                                 f"{again.stderr}\n{done.stdout}\n--- again\n{again.stdout}"))
    return path


def has_files(module, backward_output):
    return bool(module.sides["source" if backward_output else "target"].files)


def check(case, place):
    """Convert the inputs of a case, and convert the result back; a Difference if anything is not as it should be."""
    r = random.Random(case.seed)
    place.mkdir(parents=True, exist_ok=True)
    map_path, config_path = place / "map.wmap", place / "config.json"
    map_path.write_text(case.text)
    config_path.write_text(json.dumps(case.config))
    for name, text in case.files.items():
        (place / name).write_text(text)
    module = load(case.text, case.files.get)
    state, source = case.inputs, place / "start"
    st.write(source, state)
    for step, backward in enumerate((case.backward, not case.backward)):
        what = f"{'way back' if step else 'way there'} ({'backward' if backward else 'forward'})"
        try:
            expected = run(module, state, case.config, case.params, backward)
        except WmapError as e:
            raise Difference(explain(case, f"{what}: the evaluator refuses: {e}")) from e
        target = place / ("back" if step else "there")
        spec, reverse, how = map_path, backward, r.random()
        if how < 0.1:
            spec = printed(case, "fmt", map_path, place)
        elif how < 0.3 and not case.files:
            spec, reverse = printed(case, "invert", map_path, place), not backward
        convert(case, arguments(case, spec, config_path, source, target, reverse, r), target,
                has_files(module, backward), expected, what)
        if r.random() < 0.15:
            verified(case, arguments(case, spec, config_path, source, target, reverse, r), 0, what)
        if step == 0 and r.random() < (0.7 if case.params else 0.1):
            composed = reshard(case, module, r, expected)
            if composed:
                expression = composed[0].replace("M", str(map_path))
                args = arguments(case, expression, config_path, target, place / "composed", False, r)
                args = [a for k, a in enumerate(args) if a != "-D" and args[k - 1] != "-D"]
                convert(case, args, place / "composed", has_files(module, backward), composed[1], composed[0])
        if step == 0 and r.random() < 0.3 and "cast" not in case.text and "lossy" not in case.text:
            damaged(case, module, r, expected, place, map_path, config_path)
        state, source = expected, target


def flipped(t, r):
    """A tensor with one bit turned over."""
    flat = t.data.copy().reshape(-1)
    flat[r.randrange(flat.size)] ^= 1
    return Tensor(t.dtype, flat.reshape(t.shape))


def damaged(case, module, r, state, place, map_path, config_path):
    """One bit of one tensor turns over: copies, padding or filled tensors may now be refused, and only then."""
    full = [k for k in sorted(state, key=str) if state[k].data.size]
    options = {o: r.random() < 0.2 for o in ("trust_replicas", "strict_pad")}
    expected = None
    for _ in range(6 if full else 0):  # preferably one that is refused
        key = r.choice(full)
        changed = {**state, key: flipped(state[key], r)}
        try:
            expected = run(module, changed, case.config, case.params, not case.backward, **options)
        except WmapError as e:
            expected = e
            break
    if expected is None:
        return
    shutil.copytree(place / "there", place / "damaged")
    for path in sorted((place / "damaged").rglob("*.safetensors")):
        tensors = st.read_file(path)
        if key[1] in tensors and key[0] in (None, str(path.relative_to(place / "damaged"))):
            tensors[key[1]] = changed[key]
            st.write_file(path, tensors, {"format": "pt"})
    if r.random() < 0.3:
        verified(case, arguments(case, map_path, config_path, place / "start", place / "damaged", case.backward, r),
                 1, f"after a change of {key}")
    args = arguments(case, map_path, config_path, place / "damaged", place / "mended", not case.backward, r)
    args += ["--" + o.replace("_", "-") for o, on in options.items() if on]
    what = f"way back after a change of {key} with {options}"
    if not isinstance(expected, WmapError):
        convert(case, args, place / "mended", has_files(module, not case.backward), expected, what)
        return
    done = wmap(args)
    if done.returncode != 1 or (place / "mended").exists():
        raise Difference(explain(case, f"{what}: exit status {done.returncode}, the evaluator refuses: {expected}",
                                 done.stderr))


def verified(case, args, status, what):
    """`wmap verify` says the same of a run's output."""
    done = wmap(["verify", *args[1:]])
    if done.returncode != status:
        raise Difference(explain(case, f"{what}: verify: exit status {done.returncode}, not {status}", done.stderr))


def convert(case, args, target, by_file, expected, what):
    done = wmap(args)
    if done.returncode != 0:
        raise Difference(explain(case, f"{what}: exit status {done.returncode}", done.stderr))
    compare(case, st.read(target, by_file), expected, what)


DIAGNOSTIC = re.compile(r"^(?:(?P<file>[^\n:]*):(?P<line>\d+):\d+: )?.*?error\[(?P<code>E\d{4})\]", re.M)


def check_mutant(mutant, place):
    """An ill-formed map must be refused, with the right code at the right place, and leave no output."""
    case = mutant.case
    place.mkdir(parents=True, exist_ok=True)
    map_path, config_path, target = place / "map.wmap", place / "config.json", place / "out"
    map_path.write_text(case.text)
    for name, text in case.files.items():
        (place / name).write_text(text)
    config_path.write_text(json.dumps(case.config))
    st.write(place / "start", case.inputs)
    done = wmap(arguments(case, map_path, config_path, place / "start", target, case.backward, random.Random(0)))
    found = [(m["code"], int(m["line"] or 0)) for m in DIAGNOSTIC.finditer(done.stderr)]
    what = f"{mutant.what}: expected {sorted(mutant.codes)}"
    if done.returncode != 1:
        raise Difference(explain(case, f"{what}, exit status {done.returncode}", done.stderr))
    if target.exists():
        raise Difference(explain(case, f"{what}: something was written", done.stderr))
    right = [line for code, line in found if code in mutant.codes]
    if not right:
        raise Difference(explain(case, f"{what}, found {found}", done.stderr))
    if mutant.lines is not None and not any(line in mutant.lines for line in right):
        raise Difference(explain(case, f"{what} at lines {mutant.lines}, found {found}", done.stderr))

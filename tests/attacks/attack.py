"""What every attack is held against: `wmap inspect` gives the right verdict and one clear line, in time and memory,
executes nothing and writes nothing; and never anything but a verdict on files with random changes."""

import os
import random
import subprocess
from pathlib import Path

WMAP = os.environ.get("WMAP_BIN", str(Path(__file__).resolve().parents[2] / "build" / "release" / "wmap"))
SECONDS = float(os.environ.get("WMAP_SECONDS", "4"))  # of processor time; more for a build with sanitizers
GIB = float(os.environ.get("WMAP_GIB", "1"))  # the same
CHANGES = int(os.environ.get("WMAP_CHANGES", "150"))


def inspect(path):
    """Status, standard error, seconds of processor time, peak memory in bytes."""
    run = subprocess.Popen([WMAP, "inspect", path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    err = run.stderr.read()
    _, status, usage = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    run.stderr.close()
    return run.returncode, err.decode("utf-8"), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def verdict(folder, path, status, needle):
    """The file at `path`, in `folder`, gets this status and a line with `needle`, and the folder stays as it is."""
    before = sorted(Path(folder).rglob("*"))
    code, err, took, memory = inspect(path)
    assert code == status, err[:3000]
    assert took < SECONDS
    assert memory < GIB * 2**30
    assert sorted(Path(folder).rglob("*")) == before, "something was written or executed"
    if status == 0:
        assert err == ""
        return
    lines = err.splitlines()
    assert len(lines) == 1 and len(lines[0].encode()) <= 2100
    shown = path.encode("unicode_escape").decode().replace("\\n", "\\x0a").rstrip("/")
    assert shown in lines[0], "the message names the file"
    assert needle is None or needle in lines[0], lines[0]
    assert not any(ord(c) < 32 and c != "\n" or ord(c) == 127 for c in err)


def changed(draw, whole):
    """A few flipped, cut, repeated and swapped bytes."""
    data = bytearray(whole)
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(data))
        how = draw.randrange(4)
        if how == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif how == 1:
            data[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, *b'.(Rb"{['))
        elif how == 2:
            del data[at:at + draw.randrange(1, 9)]
        else:
            data[at:at] = data[at:at + draw.randrange(1, 9)]
    return bytes(data)


def random_changes(path, file, seed):
    """Inspects `path` with changes of one of its files: accepted or refused, never a crash or a sanitizer's report."""
    whole, draw, seen = Path(file).read_bytes(), random.Random(seed), set()
    for _ in range(CHANGES):
        Path(file).write_bytes(changed(draw, whole))
        code, err, _, _ = inspect(path)
        assert code in (0, 2) and "anitizer" not in err and "runtime error" not in err, err[:3000]
        assert code == 0 or path in err
        seen.add(code)
    assert seen == {0, 2}

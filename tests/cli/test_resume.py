"""After kill -9 the same command goes on where it stopped; any other run sweeps the rest away."""

import random
import stat
import subprocess
import time

import pytest

from conftest import BIN, ENV, Wmap, contents

LESS = ["--threads", "2", "--max-memory", "2MiB", "--progress", "never"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Some 60 MB, several files, and what an undisturbed run makes of them."""
    w = Wmap(tmp_path_factory.mktemp("resume"))
    w.ok("gen", "--family", "llama", "-o", "hf", "-D", "hidden_size=512", "-D", "num_hidden_layers=8",
         "-D", "intermediate_size=1408", "-D", "vocab_size=8000", "--max-shard-size", "20MB")
    w.ok("run", "olmo_core/llama", "-i", "hf", "-o", "plain")
    w.ok("run", "olmo_core/llama", "-i", "hf", "-o", "plain.safetensors")
    w.path("sums").mkdir()
    w.ok("run", "olmo_core/llama", "-i", "hf", "-o", "sums/b.pth")
    return w


def rest(w):
    return [p.name for p in w.cwd.iterdir() if p.name.startswith(".")]


def killed(w, out, seconds, *more, size=None):
    """After so many seconds, or when its journal has this size."""
    p = subprocess.Popen([BIN, "run", "olmo_core/llama", "-i", "hf", "-o", out, *LESS, *more], cwd=w.cwd, env=ENV,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if size is None:
        time.sleep(seconds)
    while size is not None and p.poll() is None and journal_size(w) < size:
        pass
    p.kill()
    p.wait()


def journal_size(w):
    """Temporaries are the lock, the journal, and what is much larger; or a directory."""
    sizes = [0]
    for name in rest(w):
        try:
            s = w.path(name).lstat()
        except FileNotFoundError:
            continue
        sizes += [s.st_size] if stat.S_ISREG(s.st_mode) and s.st_size < 10000 else []
    return max(sizes)


@pytest.mark.parametrize("out, plain", [("a", "plain"), ("b.safetensors", "plain.safetensors"), ("b.pth", "sums/b.pth")])
def test_killed_at_random_times(model, out, plain):
    rnd = random.Random(5)
    want, gone_on, rounds = contents(model.path(plain)), 0, 0
    while rounds < 6 or (gone_on == 0 and rounds < 100):  # a slow machine may be too late with its kills
        for _ in range(rnd.randint(0, 2)):
            killed(model, out, rnd.uniform(0.005, 0.12), "--force")
        killed(model, out, 0, "--force", size=56 + 24 * rnd.randint(1, 20))
        r = model("run", "olmo_core/llama", "-i", "hf", "-o", out, *LESS, "--force")
        assert r.status == 0, r
        gone_on += "from a run that was killed" in r.err
        assert contents(model.path(out)) == want
        assert rest(model) == []
        rounds += 1
    assert gone_on > 0, "no kill came while data were written"


def test_another_run_sweeps(model):
    for tries in range(1000):
        killed(model, "c", 0, "--force", size=56 + 24 * (1 + tries % 8))
        if rest(model):
            break
    assert rest(model), "no kill came while data were written"
    r = model("run", "olmo_core/llama", "-i", "plain", "-o", "c", "--reverse", "--config", "hf/config.json", *LESS, "--force")
    assert r.status == 0 and "killed" not in r.err, r
    assert rest(model) == []


def test_a_damaged_rest_is_not_taken(model):
    """A journal without its files, files without their journal, another size: everything is made anew."""
    want = contents(model.path("plain.safetensors"))
    for damage in range(3):
        out = "d.safetensors"
        for tries in range(1000):
            model.path(out).unlink(missing_ok=True)  # of a run that was faster than its end
            killed(model, out, 0, size=56 + 24 * (1 + tries % 8))
            if len(rest(model)) == 3:  # more: data of an earlier try, which are not what the journal is of
                break
        assert len(rest(model)) == 3, "no kill came while data were written"
        files = sorted((p for p in model.cwd.iterdir() if p.name.startswith(".") and "lock" not in p.name),
                       key=lambda p: p.stat().st_size)
        if damage == 2:
            with files[-1].open("ab") as f:
                f.write(b"x")
        else:
            files[-damage].unlink()
        r = model("run", "olmo_core/llama", "-i", "hf", "-o", out, *LESS)
        assert r.status == 0 and "killed" not in r.err, r
        assert model.path(out).read_bytes() == want and rest(model) == []
        model.path(out).unlink()

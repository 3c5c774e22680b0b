"""`--task i/n`: processes that know nothing of each other make one output, whatever their order, number and fate."""

import itertools
import random
import subprocess
import time
import zipfile

import pytest

from conftest import BIN, ENV, Wmap, write_safetensors

RUN = ["run", "litgpt/llama", "-i", "hf", "--progress", "never"]
OUTPUTS = ["plain.safetensors", "sharded", "plain.pth"]
LARGE = ["plain", "plain.pth"]
MORE = {"plain": ["--format", "safetensors"], "sharded": ["--max-shard-size", "700kB", "--format", "safetensors"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Some 3 MB in two files, with a tied head (copies are checked), and what plain runs make of them."""
    w = Wmap(tmp_path_factory.mktemp("task"))
    w.ok("gen", "--family", "llama", "-o", "hf", "-D", "hidden_size=128", "-D", "num_hidden_layers=4",
         "-D", "intermediate_size=352", "-D", "vocab_size=2000", "--max-shard-size", "1500kB")
    for out in OUTPUTS:
        w.ok(*RUN, "-o", out, *MORE.get(out, []))
    return w


def contents(path):
    if path.is_file():
        return path.read_bytes()
    return {p.name: p.read_bytes() for p in sorted(path.iterdir())}


def rest(w):
    return sorted(p.name for p in w.cwd.rglob(".*"))


def target(w, plain, name):
    """The same name in a directory of its own: a .pth speaks of its name."""
    w.path(name).mkdir(exist_ok=True)
    return f"{name}/{plain}"


def check_whole(w, out, plain):
    assert contents(w.path(out)) == contents(w.path(plain))
    assert rest(w) == []


@pytest.mark.parametrize("plain", OUTPUTS)
def test_in_any_order(model, plain):
    for k, order in enumerate(itertools.permutations([1, 2, 3])):
        out = target(model, plain, f"order{k}")
        for step, i in enumerate(order):
            # windows, threads and slabs of each differ: shares must not depend on them
            r = model.ok(*RUN, "-o", out, *MORE.get(plain, []), "--task", f"{i}/3", "--threads", i,
                         "--max-memory", ["1MiB", "2MiB", "64MiB"][i - 1])
            if step < 2:
                assert not model.path(out).exists() and f"{2 - step} task" in r.err, r
                assert ", ".join(str(x) for x in sorted(order[step + 1:])) in r.err, r
        assert "all tasks are done" in r.err
        check_whole(model, out, plain)


@pytest.mark.parametrize("plain", OUTPUTS)
@pytest.mark.parametrize("n", [1, 2, 7, 70])
def test_numbers(model, plain, n):
    """70: more tasks than windows, most of which have nothing to do; the shares are equal to 64 KiB."""
    out, written = target(model, plain, f"number{n}"), []
    for i in range(1, n + 1):
        r = model.ok(*RUN, "-o", out, *MORE.get(plain, []), "--task", f"{i}/{n}", "--json", "-q")
        written.append(r.json()["bytes_written"])
        assert r.json()["tasks_left"] == n - i
    check_whole(model, out, plain)
    mean = sum(written) / n
    assert all(abs(x - mean) <= 2 * 65536 for x in written), written


@pytest.mark.parametrize("plain", OUTPUTS)
def test_at_the_same_time(model, plain):
    for k in range(6):
        out = target(model, plain, f"together{k}")
        jobs = [subprocess.Popen([BIN, *RUN, "-o", out, *MORE.get(plain, []), "--task", f"{i}/8"], cwd=model.cwd, env=ENV,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for i in range(1, 9)]
        errs = [p.communicate()[1].decode() for p in jobs]
        assert all(p.returncode == 0 for p in jobs), errs
        check_whole(model, out, plain)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Some 60 MB: a task takes long enough to be killed in its midst."""
    w = Wmap(tmp_path_factory.mktemp("large"))
    w.ok("gen", "--family", "llama", "-o", "hf", "-D", "hidden_size=512", "-D", "num_hidden_layers=8",
         "-D", "intermediate_size=1408", "-D", "vocab_size=8000", "--max-shard-size", "20MB")
    for out in LARGE:
        w.ok(*RUN, "-o", out, *MORE.get(out, []))
    return w


@pytest.mark.parametrize("plain", LARGE)
def test_killed_and_repeated(large, plain):
    rnd, killed, gone_on = random.Random(3), 0, 0
    for k in range(8):
        out = target(large, plain, f"killed{k}")
        for i in rnd.sample([1, 2, 3], 3):
            args = [*RUN, "-o", out, *MORE.get(plain, []), "--task", f"{i}/3", "--threads", "2", "--max-memory", "2MiB"]
            for _ in range(rnd.randint(0, 2)):
                p = subprocess.Popen([BIN, *args], cwd=large.cwd, env=ENV, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
                time.sleep(rnd.uniform(0.01, 0.06))
                p.kill()
                killed += p.wait() != 0
                if large.path(out).exists():
                    break
            if large.path(out).exists():  # the kill came too late for the last task
                break
            r = large.ok(*args)
            gone_on += "from a run that was killed" in r.err
        check_whole(large, out, plain)
    assert killed > 0 and gone_on > 0, "no kill came while data were written"


def test_commit(model):
    task = [*RUN, "-o", "commit.safetensors", "--task"]
    r = model(*task, "commit")
    assert r.status == 2 and "no task of this plan has been run into this place" in r.err
    assert rest(model) == []
    model.ok(*task, "3/4")
    r = model(*task, "commit")
    assert r.status == 2 and "tasks are not done yet: 1, 2, 4" in r.err, r
    model.ok(*task, "1/4")
    model.ok(*task, "3/4")  # once more: nothing to do
    model.ok(*task, "4/4")
    r = model(*task, "commit")
    assert r.status == 2 and "tasks are not done yet: 2\n" in r.err, r
    assert not model.path("commit.safetensors").exists()
    model.ok(*task, "2/4")
    check_whole(model, "commit.safetensors", "plain.safetensors")


def test_others_are_refused(model):
    out = ["-o", "other.safetensors"]
    model.ok(*RUN, *out, "--task", "1/2")
    before = rest(model)
    for more in ([], ["--task", "1/2", "--only", "lm_head.weight"]):  # a run alone; tasks of another plan
        r = model(*RUN, *out, *more)
        assert r.status == 2 and "tasks of another run into this place are unfinished; --force removes" in r.err, r
    r = model(*RUN, *out, "--task", "1/3")
    assert r.status == 2 and "it is being written by 2 tasks, not 3; --force begins anew" in r.err, r
    assert rest(model) == before
    model.ok(*RUN, *out, "--task", "1/3", "--force")
    assert "2, 3" in model.ok(*RUN, *out, "--task", "1/3").err
    model.ok(*RUN, *out, "--task", "1/2", "--only", "lm_head.weight", "--force")
    model.ok(*RUN, *out, "--force")
    check_whole(model, "other.safetensors", "plain.safetensors")


def test_one_process_a_task(large):
    """The same task twice at a time, or a whole run beside a task."""
    args = [*RUN, "-o", "twice", *MORE["plain"], "--task", "1/1", "--threads", "1", "--max-memory", "300kB"]
    refused = set()
    for _ in range(40):
        p = subprocess.Popen([BIN, *args, "--force"], cwd=large.cwd, env=ENV, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        while p.poll() is None and not any(".task-" in n for n in rest(large)):
            time.sleep(0.001)
        r, alone = large(*args, "--force"), large(*RUN, "-o", "twice", *MORE["plain"], "--force")
        for x in (r, alone):
            assert x.status == 0 or "is running" in x.err or "another run is writing" in x.err, x
            if x.status:
                refused.add("is running" in x.err)
        p.wait()
        if refused == {True, False}:
            break
    assert refused == {True, False}
    for name in rest(large):
        assert "lock" in name or "guard" in name or ".task" in name or len(name.rsplit("-", 1)[1]) == 16
    large.ok(*RUN, "-o", "twice", *MORE["plain"], "--force")
    check_whole(large, "twice", "plain")


def test_interrupted_by_a_signal(large):
    """What is written stays for the others, and for the next try."""
    args = [*RUN, "-o", "signal", *MORE["plain"], "--task", "1/2", "--threads", "1", "--max-memory", "300kB"]
    for _ in range(40):
        p = subprocess.Popen([BIN, *args], cwd=large.cwd, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while p.poll() is None and not any(".task-1" in n for n in rest(large)):
            time.sleep(0.001)
        p.terminate()
        err = p.communicate()[1].decode()
        if p.returncode == -15 and "stays for the other tasks" in err:
            break
    assert p.returncode == -15, "no signal came in time"
    assert any(n.endswith(".tasks") for n in rest(large))
    large.ok(*args)
    large.ok(*RUN, "-o", "signal", *MORE["plain"], "--task", "2/2")
    check_whole(large, "signal", "plain")


def test_a_check_fails_its_task(wmap):
    """Copies that differ: exactly the task whose share has the difference says so, and nothing appears."""
    two = {f"k.{r}": ("U8", [8], bytes([1, 2, 3, 4, 5, 6 + r, 7, 8])) for r in range(2)}
    write_safetensors(wmap.path("in.safetensors"), {**two, "q": ("U8", [4], b"abcd")})
    wmap.path("m.wmap").write_text("""wmap 1
index rank < 2
"k.{rank}" [e] <-> "k" [e] broadcast rank
"q" <-> "q"
""")
    task = ["run", "m.wmap", "-i", "in.safetensors", "-o", "out.safetensors", "--task"]
    for i in range(1, 5):
        r = wmap(*task, f"{i}/4")
        assert r.status == (1 if i == 3 else 0), r
        assert ("differ" in r.err) == (i == 3)
    r = wmap(*task, "commit")
    assert r.status == 2 and "tasks are not done yet: 3\n" in r.err
    assert not wmap.path("out.safetensors").exists()


def test_a_check_sum_fails_one_task(model, tmp_path):
    """Each sum of the input is looked at by one task."""
    w, failed = Wmap(tmp_path), []
    data = bytearray(model.path("plain.pth").read_bytes())
    with zipfile.ZipFile(model.path("plain.pth")) as z:
        entry = max(z.infolist(), key=lambda e: e.file_size)
    data[entry.header_offset + entry.file_size // 2] ^= 1
    w.path("bad.pth").write_bytes(data)
    for i in range(1, 6):
        r = w("run", "litgpt/llama", "--reverse", "-i", "bad.pth", "--config", model.path("hf/config.json"), "-o", "out",
              "--task", f"{i}/5")
        assert r.status == 0 or "CRC-32" in r.err, r
        failed += [i] if r.status else []
    assert len(failed) == 1 and not w.path("out").exists()


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", "1/70000", "-1/2", ""])
def test_usage(models, text):
    r = models("run", "litgpt/llama", "-i", "tiny", "-o", "no", f"--task={text}")
    assert r.status == 2 and "--task" in r.err and not models.path("no").exists(), r


def test_no_stream(models):
    r = models("run", "litgpt/llama", "-i", "tiny", "-o", "-", "--task", "1/2")
    assert r.status == 2 and "not a stream" in r.err
    r = models("run", "litgpt/llama", "-i", "-", "--config", "tiny/config.json", "-o", "no.safetensors", "--task", "1/2",
               stdin=models.path("tiny/model.safetensors").read_bytes())
    assert r.status == 2 and "can't come from a stream" in r.err, r

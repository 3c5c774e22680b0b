"""`--task i/n`: processes that know nothing of each other make one output, whatever their order, number and fate."""

import fcntl
import itertools
import resource
import signal
import subprocess
import time
import zipfile

import pytest

from conftest import BIN, ENV, Wmap, contents, write_safetensors

RUN = ["run", "litgpt/llama", "-i", "hf", "--progress", "never"]
OUTPUTS = ["plain.safetensors", "sharded", "plain.pth"]
MORE = {"sharded": ["--max-shard-size", "700kB", "--format", "safetensors"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Some 3 MB in two files, with a tied head (copies are checked), and what plain runs make of them."""
    w = Wmap(tmp_path_factory.mktemp("task"))
    w.ok("gen", "--family", "llama", "-o", "hf", "-D", "hidden_size=128", "-D", "num_hidden_layers=4",
         "-D", "intermediate_size=352", "-D", "vocab_size=2000", "--max-shard-size", "1500kB")
    for out in OUTPUTS:
        w.ok(*RUN, "-o", out, *MORE.get(out, []))
    return w


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


@pytest.mark.parametrize("plain, n", [(p, n) for p in OUTPUTS for n in (1, 7)] + [("sharded", 70)])
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
    for k in range(3):
        out = target(model, plain, f"together{k}")
        jobs = [subprocess.Popen([BIN, *RUN, "-o", out, *MORE.get(plain, []), "--task", f"{i}/8"], cwd=model.cwd, env=ENV,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for i in range(1, 9)]
        errs = [p.communicate()[1].decode() for p in jobs]
        assert all(p.returncode == 0 for p in jobs), errs
        check_whole(model, out, plain)


@pytest.mark.parametrize("plain", OUTPUTS)
def test_killed_and_repeated(model, plain):
    """Ended without warning where it writes behind some place of a file; then run once more."""
    out = target(model, plain, "killed")
    task = [*RUN, "-o", out, *MORE.get(plain, []), "--threads", "1", "--max-memory", "500kB", "--task"]
    whole = model.path(plain)
    size = max(p.stat().st_size for p in whole.iterdir()) if whole.is_dir() else whole.stat().st_size
    gone_on = 0
    model.ok(*task, "1/3")  # all files have their sizes now
    for i, places in [(3, [0.72, 0.8, 0.95]), (2, [0.4, 0.5])]:
        for place in places:
            limit = int(place * size)
            r = subprocess.run([BIN, *task, f"{i}/3"], cwd=model.cwd, env=ENV, capture_output=True,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
            assert r.returncode == -signal.SIGXFSZ, r
            assert not model.path(out).exists()
        gone_on += "from a run that was killed" in model.ok(*task, f"{i}/3").err
    assert gone_on == 2
    check_whole(model, out, plain)


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


def locked(path, how=fcntl.LOCK_EX):
    f = path.open("ab")
    fcntl.flock(f, how)
    return f


def test_one_process_a_task(model):
    """While a task runs it has its journal locked, and shares the lock of the output."""
    task = [*RUN, "-o", "twice.safetensors", "--task"]
    model.ok(*task, "1/2")
    [journal] = model.cwd.glob(".twice.safetensors.wmap-*.task-1")
    lock = model.path(".twice.safetensors.wmap-lock")
    with locked(journal), locked(lock, fcntl.LOCK_SH):
        r = model(*task, "1/2", "--force")
        assert r.status == 2 and "task 1 is running" in r.err, r
        for other in (model(*RUN, "-o", "twice.safetensors", "--force"), model(*task, "1/3", "--force")):
            assert other.status == 2 and "writing this output" in other.err, other
        model.ok(*task, "2/2")  # it is known what is on the disk
    assert contents(model.path("twice.safetensors")) == contents(model.path("plain.safetensors"))
    model.ok(*RUN, "-o", "twice.safetensors")
    check_whole(model, "twice.safetensors", "plain.safetensors")


def test_interrupted_by_a_signal(model):
    """What is written stays for the others, and for the next try.  (It waits meanwhile: another sets up or commits.)"""
    task = [*RUN, "-o", "signal.safetensors", "--task"]
    model.ok(*task, "1/2")
    for seconds in (0.1, 0.5, 2, 10):  # until it waits for the other, and has not ended by itself
        with locked(model.path(".signal.safetensors.wmap-guard")):
            p = subprocess.Popen([BIN, *task, "2/2"], cwd=model.cwd, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(seconds)
            p.terminate()
            said = p.stderr.readline() + p.stderr.readline()  # all of it, if it was too early
        assert p.wait() == -signal.SIGTERM
        if b"stays for the other tasks" in said:
            break
    assert b"stays for the other tasks" in said
    assert any(n.endswith(".tasks") for n in rest(model))
    model.ok(*task, "2/2")
    check_whole(model, "signal.safetensors", "plain.safetensors")


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

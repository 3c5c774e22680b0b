"""Statuses, messages, help, options: what is promised about the command line as such."""

import os
import re
import shlex
import subprocess

import pytest

from conftest import BIN, ROOT, Wmap

COMMANDS = re.findall(r"^WM_COMMAND\((\w+),", (ROOT / "cli/commands.def").read_text(), re.M)


def options_of(wmap, command):
    text = wmap.ok(command, "--help").out
    return re.findall(r"--([a-z-]+)", text.split("options:")[1].split("\nexample")[0])


def examples_of(wmap, command):
    text = wmap.ok(command, "--help").out
    return [line.strip() for line in re.split(r"\nexamples?:\n", text)[1].splitlines()]


def one_line(r, *parts):
    """The first line of standard error stands alone and has these parts."""
    first = r.err.splitlines()[0]
    assert len(first.encode()) <= 2200 and first.isprintable(), r
    for part in parts:
        assert part in first, r


def test_commands():
    assert set(COMMANDS) >= set("run check plan invert inspect diff verify trace fmt explain maps "
                                "dump gen".split())


def test_every_example_works(tmp_path):
    """In one place, those of gen first: each example may use what the ones before it made."""
    w = Wmap(tmp_path)
    w.path("my.wmap").write_text('wmap 1\nmap my "x"\n"a"<->"b"\n')
    # some need two outputs of `run`; the rest reads them
    order = ["gen", "run"] + [c for c in COMMANDS if c not in ("gen", "run")]
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "wmap").symlink_to(BIN)
    for command in order:
        for line in examples_of(w, command):
            assert shlex.split(line)[:2] == ["wmap", command]
            done = subprocess.run(["bash", "-c", f"PATH={bin_dir}:$PATH; {line}"], cwd=tmp_path,
                                  capture_output=True)
            assert done.returncode == 0, (line, done)
    assert w.ok("diff", "tiny", "back")


def test_help_and_version(wmap):
    assert re.fullmatch(r"wmap \d+\.\d+\.\d+\n", wmap.ok("--version").out)
    for args in (["--help"], ["-h"], ["help"]):
        out = wmap.ok(*args).out
        for command in COMMANDS:
            assert re.search(rf"^  {command} ", out, re.M)
    for command in COMMANDS:
        out = wmap.ok(command, "--help").out
        assert out == wmap.ok("help", command).out == wmap.ok(command, "-h").out
        assert out.startswith(f"usage: wmap {command}")
        assert max(map(len, out.splitlines())) <= 110
    r = wmap()
    assert r.status == 2 and "usage:" in r.out


def test_unknown_words(wmap):
    for args, part in [
        (["frobnicate"], '"frobnicate"'),
        (["rum"], "did you mean run?"),
        (["help", "inspekt"], "did you mean inspect?"),
        (["--frob"], "--frob"),
        (["run", "--forse"], "did you mean --force?"),
        (["inspect", "--force", "x"], "inspect has no option --force"),
        (["run", "-z"], "-z"),
        (["run", "m", "-i"], "-i needs a value"),
        (["run", "m", "--config"], "--config needs a value"),
        (["run", "--force=yes"], "--force takes no value"),
        (["check"], "argument is missing"),
        (["check", "a", "b"], 'unexpected argument "b"'),
        (["diff", "a"], "argument is missing"),
        (["run", "m", "-i", "x"], "-o OUT"),
        (["run", "m", "-o", "x"], "-i IN"),
        (["verify", "m", "-i", "x"], "-o OUT"),
        (["gen", "-o", "x"], "--family"),
        (["gen", "--family", "llama"], "-o DIR"),
        (["dump", "m", "--stage", "soup"], "soup"),
        (["--completions", "tcsh"], "bash, zsh or fish"),
        (["diff", "a", "b", "--atol", "much"], "tolerance"),
        (["diff", "a", "b", "--rtol", "-1"], "tolerance"),
        (["run", "m", "--max-memory", "lots"], "lots"),
        (["run", "m", "--max-shard-size", "0"], "0"),
        (["run", "m", "--threads", "0"], "--threads"),
        (["run", "m", "--threads", "2x"], "--threads"),
        (["run", "m", "--progress", "maybe"], "--progress"),
    ]:
        r = wmap(*args)
        assert r.status == 2 and r.out == "", (args, r)
        one_line(r, "wmap: ", part)


def test_every_option_is_parsed(wmap):
    """What --help lists is accepted: the message is about something else."""
    value = {"threads": "1", "max-memory": "1MiB", "max-shard-size": "1kB", "progress": "never",
             "atol": "0", "rtol": "0", "define": "a=1"}
    for command in COMMANDS:
        for option in options_of(wmap, command):
            takes = re.search(rf"--{option} [A-Z]", wmap.ok(command, "--help").out)
            args = [f"--{option}"] + ([value.get(option, "x")] if takes else [])
            r = wmap(command, *args, stdin=b"")
            assert "unknown option" not in r.err and "no option" not in r.err, (command, option, r)
            assert r.status in (0, 1, 2)


def test_option_forms(models):
    """-o VALUE, -oVALUE, --name VALUE, --name=VALUE; options anywhere; -- ends them."""
    a = models.ok("plan", "litgpt/llama", "-i", "tiny", "--max-shard-size", "50kB").out
    b = models.ok("plan", "-itiny", "--max-shard-size=50kB", "litgpt/llama").out
    c = models.ok("plan", "--input=tiny", "--max-shard-size=50kB", "--", "litgpt/llama").out
    assert a == b == c


def test_sizes(models):
    """Decimal unless they say iB."""
    def files(size):
        r = models.ok("plan", "litgpt/llama", "-i", "tiny", "--max-shard-size", size, "--json")
        return len(r.json()["files"])

    assert files("100kB") == files("100K") == files("100000") == files("0.1MB")
    assert files("64KiB") == files("65536")
    assert files("1GB") == 1 < files("100kB")


def test_man_and_completions(wmap):
    man = wmap.ok("--man").out
    assert man.startswith(".TH WMAP 1")
    for shell in ("bash", "zsh", "fish"):
        text = wmap.ok("--completions", shell).out
        for command in COMMANDS:
            assert command in text
        for option in ("max-shard-size", "allow-unmapped", "atol"):
            assert option in text and option.replace("-", "\\-") in man
    bash = wmap.ok("--completions", "bash").out
    script = bash + '\nCOMP_WORDS=(wmap run --allow-); COMP_CWORD=2; _wmap; echo "${COMPREPLY[*]}"\n'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--allow-unmapped", "--allow-missing"]


def test_full_standard_output(wmap):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BIN, "gen", "--families"], cwd=wmap.cwd, stdout=full,
                              stderr=subprocess.PIPE)
    assert done.returncode == 2 and done.stderr.startswith(b"wmap: standard output: ")


def test_quiet(copy):
    r = copy.ok("run", "litgpt/llama", "-i", "tiny", "-o", "o", "--quiet")
    assert r.out == r.err == ""
    r = copy("run", "litgpt/llama", "-i", "absent", "-o", "p", "--quiet")
    assert r.status == 2 and r.err
    assert copy.ok("check", "litgpt/llama", "-q").out == ""


def test_last_line(copy):
    r = copy.ok("run", "litgpt/llama", "-i", "tiny", "-o", "o")
    assert re.fullmatch(r"wrote 17 tensors, 259 kB in \d+\.\d\d s \([\d.]+ [kMG]?B/s\) -> "
                        r"o/model\.safetensors\n", r.err)
    assert r.out == ""


def test_no_colours_in_pipes(wmap):
    wmap.path("bad.wmap").write_text("wmap 1\nmap bad\n\"a\" <->\n")
    r = wmap("check", "bad.wmap")
    assert r.status == 1 and "\x1b" not in r.err


def test_map_lookup(wmap):
    wmap.path("mine/some").mkdir(parents=True)
    wmap.path("mine/some/thing.wmap").write_text('wmap 1\nmap thing "my own"\n"a" <-> "b"\n')
    r = wmap("check", "some/thing")
    assert r.status == 2 and "some/thing" in r.err
    env = {"WMAP_PATH": f"/nonexistent::{wmap.path('mine')}"}
    assert wmap.ok("check", "some/thing", env=env).out.startswith("thing")
    assert re.search(r"^some/thing +my own +", wmap.ok("maps", env=env).out, re.M)
    assert "litgpt/llama" in wmap.ok("maps", env=env).out
    # one of the same name in WMAP_PATH comes before the installed one
    wmap.path("mine/litgpt").mkdir()
    wmap.path("mine/litgpt/llama.wmap").write_text('wmap 1\nmap other\n"a" <-> "b"\n')
    assert wmap.ok("check", "litgpt/llama", env=env).out.startswith("other")
    assert len(re.findall(r"^litgpt/llama ", wmap.ok("maps", env=env).out, re.M)) == 1


def test_maps_through_pipes(wmap):
    """What the user names may be a pipe; what a map imports is a file, and nothing waits for a pipe there."""
    text = b'wmap 1\nmap piped\n"a" <-> "b"\n'
    assert wmap.ok("check", "/dev/stdin", stdin=text).out == "piped: sound\n"
    assert wmap.ok("check", "/dev/stdin >> ~/dev/stdin", stdin=text).out.endswith(": sound\n")
    r = wmap("check", "/dev/stdin", stdin=b"#" * (65 << 20))
    assert r.status == 2 and "67108864 bytes" in r.err, r
    assert "E0101" in wmap("check", "/dev/stdin", stdin=b"").err
    os.mkfifo(wmap.path("pipe.wmap"))
    wmap.path("m.wmap").write_text('wmap 1\nimport "pipe.wmap" as p\nuse p\n')
    r = wmap("check", "m.wmap")
    assert r.status == 1 and "pipe.wmap: is not a regular file" in r.err, r
    wmap.ok("gen", "--family", "llama", "-o", "tiny")
    r = wmap("run", "litgpt/llama", "-i", "/dev/stdin", "-o", "out", stdin=wmap.path("tiny/model.safetensors").read_bytes())
    assert r.status == 2 and "not a regular file" in r.err, r


@pytest.mark.parametrize("spec, name", [("neuron/granite", "neuron_granite"), ("neuron/llama", "neuron_llama"),
                                        ("sepweight/llama:dumped", "dumped"), ("~meta/llama", "~meta/llama"),
                                        ("meta/llama(tp = 2)", "meta/llama(tp = 2)")])
def test_names_of_maps(wmap, spec, name):
    """A map is called what it was asked for as."""
    assert wmap.ok("check", spec).out == f"{name}: sound\n"
    assert wmap.ok("check", spec, "--json").json()["map"] == name


@pytest.mark.parametrize("command", ["check", "invert", "dump", "plan", "run", "verify", "trace"])
def test_bad_maps(models, command):
    """Broken and hostile maps: a status of 1 or 2, a first line that names the place."""
    extra = {"plan": ["-i", "tiny"], "run": ["-i", "tiny", "-o", "never"],
             "verify": ["-i", "tiny", "-o", "lit"], "trace": ["-i", "tiny"]}.get(command, [])
    last = ["x[0]"] if command == "trace" else []
    cases = {
        "empty": b"",
        "junk": bytes(range(256)) * 50,
        "nul": b"wmap 1\nmap x\n\0",
        "brackets": b"wmap 1\nmap x\n" + b"(" * 1_000_000,
        "nested": b"wmap 1\nlet a = " + b"[" * 100_000,
        "long": b"wmap 1\nmap " + b"a" * 1_000_000 + b"\n",
        "version": b"wmap 99\nmap x\n",
        "cycle": b"wmap 1\nmap x\nlet a = b\nlet b = a\nindex l < a\n\"x{l}\" <-> \"y{l}\"\n",
        "large": b"wmap 1\nmap x\nlet a = 9223372036854775808\nindex l < a\n\"x{l}\" <-> \"y{l}\"\n",
    }
    if extra:  # values are known when the map is bound
        cases["overflow"] = cases["large"].replace(b"808", b"807 + 1")
    for name, text in cases.items():
        path = models.path(f"{name}.wmap")
        path.write_bytes(text)
        r = models(command, path.name, *extra, *last)
        assert r.status in (1, 2), (name, r)
        one_line(r, f"{name}.wmap")
        assert len(r.err) < 40_000, name
        assert not models.path("never").exists()


def test_bad_checkpoints(models):
    cases = {
        "short.safetensors": b"\x08\0\0",
        "liar.safetensors": b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
        "text.safetensors": b"\x10\0\0\0\0\0\0\0this is no json!",
    }
    for name, data in cases.items():
        models.path(name).write_bytes(data)
        for args in (["inspect", name], ["diff", "tiny", name], ["diff", name, "tiny"],
                     ["plan", "litgpt/llama", "-i", name],
                     ["run", "litgpt/llama", "-i", name, "-o", "never"],
                     ["verify", "litgpt/llama", "-i", "tiny", "-o", name]):
            r = models(*args)
            assert r.status == 2 and r.out == "", (args, r)
            one_line(r, name)
            assert not models.path("never").exists()


def test_bad_configs(models):
    for name, text, part in [
        ("lacks.json", '{"model_type": "llama"}', "num_hidden_layers"),
        ("types.json", '{"model_type": "llama", "num_hidden_layers": "two"}', ""),
        ("twice.json", '{"a": 1, "a": 2}', "twice.json"),
        ("broken.json", '{"a": ', "broken.json"),
        ("array.json", "[1]", "array.json"),
    ]:
        models.path(name).write_text(text)
        r = models("plan", "litgpt/llama", "-i", "tiny", "--config", name)
        assert r.status in (1, 2) and r.out == "", (name, r)
        one_line(r, part)


def test_signals(wmap):
    """SIGTERM and SIGINT: temporary files are gone, and the process dies by the signal."""
    import os
    import signal
    import time
    for sig in (signal.SIGTERM, signal.SIGINT):
        p = subprocess.Popen([BIN, "gen", "--family", "llama", "-D", "preset=8b", "-o", "huge",
                              "--threads", "1"], cwd=wmap.cwd, stderr=subprocess.PIPE,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        end = time.time() + 20
        while not any(n.startswith(".huge.wmap-") for n in os.listdir(wmap.cwd)):
            assert p.poll() is None and time.time() < end
            time.sleep(0.002)
        p.send_signal(sig)
        _, err = p.communicate(timeout=60)
        assert p.returncode == -sig, err
        assert b"interrupted" in err
        assert os.listdir(wmap.cwd) == []

"""Processes without their start: for tests that need many of one program.

    python warm.py MODULE:FUNCTION PRELOAD ...        (started by `run_warm`, below; MODULE may be a file)

One process imports the program once; every call is a fork of it that runs the program's own entry with arguments,
folder, environment and limits of its own, so that a crash or a hang is still one call's alone. What is saved is the
start: 0.1 to 0.2 s of a parser, 1.1 s of Snakemake.
"""

import contextlib
import functools
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

PARSERS = ("cv2", "scipy.io", "h5py")  # what children of `formats.child` import
PLANNING = ("mousefacelift.inputs", "mousefacelift.planning", "mousefacelift.schema", "mousefacelift.experiment.config")


@functools.cache
def server_of(entry: str, preload: tuple[str, ...]) -> subprocess.Popen:
    """The warm process, started when first asked for; it ends with this one, whose pipe it reads."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    env = os.environ | {"PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}
    command = [sys.executable, __file__, entry, *preload]
    return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def run_warm(entry, arguments, preload=(), timeout=120.0, env=None):
    """What `subprocess.run([program, *arguments], capture_output=True)` gives, of a fork of the warm program.

    Raises:
        subprocess.TimeoutExpired: it takes longer than `timeout` seconds; it is killed.
    """
    server = server_of(entry, tuple(preload))
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/stdout", f"{folder}/stderr"]
        request = [list(arguments), os.getcwd(), dict(os.environ if env is None else env), timeout, *names]
        server.stdin.write(json.dumps(request).encode() + b"\n")
        server.stdin.flush()
        code = json.loads(server.stdout.readline())
        output = [open(name, "rb").read() for name in names]
    if code is None:
        raise subprocess.TimeoutExpired([entry, *arguments], timeout)
    return subprocess.CompletedProcess([entry, *arguments], code, *output)


def run_snakemake(arguments):
    """`python -m snakemake ARGUMENTS`, with text for its output."""
    done = run_warm("snakemake.cli:main", ["snakemake", *arguments], PLANNING)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@contextlib.contextmanager
def warm_children(monkeypatch):
    """Let `formats.child` take its children from one warm process; yields the list of their exit codes."""
    from mousefacelift.formats import child

    codes = []

    def run(command, timeout, env, **_):
        main = str(child.MAIN)
        done = run_warm(f"{main}:main", command[command.index(main) :], PARSERS, timeout, env)
        codes.append(done.returncode)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(child, "subprocess", SimpleNamespace(run=run, TimeoutExpired=subprocess.TimeoutExpired))
        yield codes


def serve(entry: str, *preload: str) -> None:
    """Answer every request of standard input by the exit code of its fork, or null for one that was too slow."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "SILENT"}
    place, _, name = entry.rpartition(":")
    if place.endswith(".py"):
        spec = importlib.util.spec_from_file_location("entry", place)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    for other in preload:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(other)
    for line in sys.stdin.buffer:
        sys.stdout.write(json.dumps(fork(getattr(module, name), *json.loads(line))) + "\n")
        sys.stdout.flush()


def fork(main, arguments, folder, environment, seconds, stdout, stderr) -> int | None:
    """Exit code of `main` in a process of its own (negative: the signal that killed it; None: too slow)."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            for number, path in ((1, stdout), (2, stderr)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = arguments
            main()
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    deadline = time.monotonic() + seconds
    while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return None
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    serve(*sys.argv[1:])

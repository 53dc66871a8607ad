"""Child processes of `formats.child` without their start: for tests that need thousands of them.

    python warm_children.py child_main.py        (started by `warm_children`, below)

One process imports the parsers once; every call is a fork of it that runs child_main's own `main` with its own limits,
so that a crash, a hang or a hunger for memory is still one input's alone. What a start costs is saved: 0.1 to 0.2 s.
"""

import contextlib
import functools
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
from types import SimpleNamespace


@functools.cache
def server_of(path: str) -> subprocess.Popen:
    """The warm process, started when first asked for; it ends with this one, whose pipe it reads."""
    return subprocess.Popen(
        [sys.executable, "-I", __file__, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


@contextlib.contextmanager
def warm_children(monkeypatch):
    """Let `formats.child` take its children from one warm process; yields the list of their exit codes."""
    from mousefacelift.formats import child

    codes = []

    def run(command, timeout, **_):
        server = server_of(str(child.MAIN))
        server.stdin.write(json.dumps([command[command.index(str(child.MAIN)) :], timeout]).encode() + b"\n")
        server.stdin.flush()
        code, size = json.loads(server.stdout.readline())
        codes.append(code)
        output = server.stdout.read(size)
        if code is None:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, code, output, b"")

    with monkeypatch.context() as patch:
        patch.setattr(child, "subprocess", SimpleNamespace(run=run, TimeoutExpired=subprocess.TimeoutExpired))
        yield codes


def serve(path: str) -> None:
    """Answer every line [arguments, seconds] of standard input by [exit code or null, size] and the output."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "SILENT"}
    spec = importlib.util.spec_from_file_location("child_main", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("cv2", "scipy.io", "h5py"):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    for line in sys.stdin.buffer:
        arguments, seconds = json.loads(line)
        code, output = fork(module.main, arguments, seconds)
        sys.stdout.buffer.write(json.dumps([code, len(output)]).encode() + b"\n" + output)
        sys.stdout.buffer.flush()


def fork(main, arguments, seconds) -> tuple[int | None, bytes]:
    """Exit code (negative: the signal; None: too slow) and output of `main` in a process of its own."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.dup2(writing, 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            sys.argv = arguments
            main()
            sys.stdout.flush()
            code = 0
        except SystemExit as left:
            code = left.code
        finally:
            os._exit(code)
    os.close(writing)
    output, deadline, late = b"", time.monotonic() + seconds, False
    while not late:
        late = not select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]
        part = b"" if late else os.read(reading, 1 << 16)
        if not late and not part:
            break
        output += part
    os.close(reading)
    if late:
        os.kill(process, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return (None if late else code), output


if __name__ == "__main__":
    serve(sys.argv[1])

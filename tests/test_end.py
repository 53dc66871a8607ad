"""How a command ends: at once, with all that it printed, its exit code, and whoever asked to be is told."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = """
import atexit, sys
sys.path.insert(0, {root!r})
import mousefacelift.__main__ as command

class Slow:
    def __del__(self):
        print("taken apart", flush=True)

kept = Slow()

def main():
    atexit.register(lambda: print("told"))
    print("x" * 100_000)
    {body}

command.main = main
command.run()
"""


def end(body: str) -> subprocess.CompletedProcess:
    """What a process leaves whose command does `body`."""
    code = COMMAND.format(root=str(ROOT), body=body)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_all_that_was_printed_is_out_and_nothing_is_taken_apart():
    done = end("return 3")
    assert done.returncode == 3
    assert done.stdout.splitlines() == ["x" * 100_000, "told"]


def test_a_thread_that_still_writes_is_waited_for(tmp_path):
    path = tmp_path / "written"
    done = end(
        "import threading, time\n"
        f"    threading.Thread(target=lambda: (time.sleep(0.5), open({str(path)!r}, 'w').write('all'))).start()\n"
        "    return 0"
    )
    assert done.returncode == 0 and path.read_text() == "all"


def test_an_error_ends_the_process_as_python_does():
    done = end("raise ValueError('no')")
    assert done.returncode == 1 and "ValueError: no" in done.stderr
    assert done.stdout.splitlines()[-2:] == ["told", "taken apart"]


def test_the_command_itself_ends_so(tmp_path):
    command = [sys.executable, "-m", "mousefacelift", "dataset", "verify", str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2 and done.stderr.startswith("DataError")

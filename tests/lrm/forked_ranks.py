"""The ranks of a training job, forked from a warm process: what torchrun starts, without its starts.

    tests.warm.run_warm("tests.lrm.forked_ranks:main", ["", "2", "lrm", "train", ...], IMPORTS)

A rank costs four seconds of imports; that torchrun itself starts them rightly is one test's business (test_launch.py).
The forks start from a process that has computed nothing yet, so that no thread pool is lost in them.
"""

import os
import signal
import socket
import sys

IMPORTS = ("torch._dynamo", "torch.distributed", "matplotlib.pyplot", "mousefacelift.lrm.train", "mousefacelift.cli")


def main() -> None:
    """Run `mousefacelift ARGUMENTS` in so many ranks; exit with the first code that is not 0, ending the others."""
    count, arguments = int(sys.argv[1]), sys.argv[2:]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [_start(rank, count, port, arguments) for rank in range(count)]
    while ranks:
        rank, status = os.wait()
        ranks.remove(rank)
        if code := os.waitstatus_to_exitcode(status):  # the others wait for it: end them, as torchrun does
            for other in ranks:
                os.kill(other, signal.SIGKILL)
            sys.exit(code)


def _start(rank: int, count: int, port: int, arguments: list[str]) -> int:
    """Process id of a rank; a single one is told of no others."""
    from mousefacelift.cli import main as run

    process = os.fork()
    if process:
        return process
    code = 1
    try:
        if count > 1:
            numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
            os.environ |= {name: str(value) for name, value in numbers.items()}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        sys.argv = ["mousefacelift", *arguments]
        code = run(arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

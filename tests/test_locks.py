import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from mousefacelift.errors import DataError
from mousefacelift.locks import one_writer

HOLD = (
    "import sys,time; from mousefacelift.locks import one_writer\nwith one_writer(sys.argv[1]):"
    " print('mine', flush=True); time.sleep(60)"
)


def holder(out):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "mine\n"
    return process


def test_a_second_writer_waits_until_the_first_is_dead(tmp_path, capfd):
    first = holder(tmp_path / "out.json")
    with pytest.raises(DataError, match="another process"):
        with one_writer(tmp_path / "out.json", wait_s=0.3):
            pass
    with one_writer(tmp_path / "other.json", wait_s=0):
        pass
    assert capfd.readouterr().err.count("waiting for another process") == 1
    first.send_signal(signal.SIGKILL)
    first.wait()
    with one_writer(tmp_path / "out.json", wait_s=0):
        pass


def test_an_output_has_one_lock_whatever_the_working_folder(tmp_path, monkeypatch):
    first = holder(tmp_path / "out.json")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError):
        with one_writer("out.json", wait_s=0):
            pass
    first.kill(), first.wait()


def test_nothing_is_left_beside_the_output(tmp_path):
    with pytest.raises(ValueError):
        with one_writer(tmp_path / "out.json"):
            assert os.listdir(tmp_path) == [".out.json.lock"]
            raise ValueError
    assert os.listdir(tmp_path) == []


def test_a_chunk_its_index_and_a_link_to_it_have_one_lock(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "chunk")
    first = holder(tmp_path / "chunk/index.json")
    for other in ("chunk", "link", "link/index.json"):
        with pytest.raises(DataError):
            with one_writer(tmp_path / other, wait_s=0):
                pass
    first.kill(), first.wait()


def test_the_holder_may_ask_again(tmp_path):
    with one_writer(tmp_path / "out"), one_writer(tmp_path / "out", wait_s=0):
        pass
    with one_writer(tmp_path / "out", wait_s=0):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(DataError, match="cannot be written"):
        with one_writer(tmp_path / "out"):
            pass


def _write(out, log):
    for _ in range(30):
        with one_writer(out):
            with open(log, "a") as stream:
                stream.write(f"in {os.getpid()}\n")
            time.sleep(0.001)
            with open(log, "a") as stream:
                stream.write(f"out {os.getpid()}\n")


def test_writers_never_overlap(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(tmp_path / "out", tmp_path / "log.txt")) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    lines = (tmp_path / "log.txt").read_text().split("\n")[:-1]
    assert len(lines) == 240
    assert all(a.split()[1] == b.split()[1] and (a[:2], b[:2]) == ("in", "ou") for a, b in zip(lines[::2], lines[1::2]))

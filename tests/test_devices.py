"""Leases are tested with fake device names: the mechanism is names of sockets and never touches CUDA."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mousefacelift import devices
from mousefacelift.errors import ConfigError

HOLD = (
    "import sys,time; from mousefacelift import devices;"
    "print(','.join(devices.acquire(int(sys.argv[1]))), flush=True); time.sleep(float(sys.argv[2]))"
)


@pytest.fixture
def environment(tmp_path):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "MFL_", "CUDA_"))}
    return clean | {"MFL_LEASES": f"{tmp_path.name}-{os.getpid()}", "MFL_GPUS": "0,1"}  # of this run alone


def hold(environment, count, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(count), str(seconds)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_jobs_never_share_a_device(environment):
    jobs = [hold(environment, 1, 1.0) for _ in range(2)]
    assert sorted(job.stdout.readline().strip() for job in jobs) == ["0", "1"]
    for job in jobs:
        job.wait()


def test_a_killed_job_frees_its_device(environment):
    first = hold(environment | {"MFL_GPUS": "0"}, 1, 60)
    assert first.stdout.readline().strip() == "0"
    second = hold(environment | {"MFL_GPUS": "0"}, 1, 0)
    time.sleep(0.3)
    assert second.poll() is None  # waits
    first.send_signal(signal.SIGKILL)
    assert second.stdout.readline().strip() == "0"
    first.wait(), second.wait()


def test_a_job_that_wants_two_is_not_starved(environment):
    small = hold(environment, 1, 0.8)
    small.stdout.readline()
    large = hold(environment, 2, 0)
    time.sleep(0.4)
    late = hold(environment, 1, 0)
    assert large.stdout.readline().strip() == "0,1"
    assert late.stdout.readline().strip() in ("0", "1")
    for job in (small, large, late):
        job.wait()


def test_no_overlap_under_stress_with_killed_jobs(environment, tmp_path):
    log = tmp_path / "log.txt"
    code = (
        "import sys,time,os; from mousefacelift import devices; d=devices.acquire(int(sys.argv[1]));"
        "f=open(sys.argv[2],'a',buffering=1); f.write(f'+ {os.getpid()} {\",\".join(d)}\\n'); time.sleep(0.05);"
        "f.write(f'- {os.getpid()} {\",\".join(d)}\\n')"
    )
    jobs = [
        subprocess.Popen([sys.executable, "-c", code, str(1 + i % 2), str(log)], env=environment) for i in range(16)
    ]
    time.sleep(0.4)
    killed = {job.pid for job in jobs[:4] if job.poll() is None}
    for job in jobs[:4]:
        job.kill()
    assert all(job.wait(timeout=60) in (0, -9) for job in jobs)
    holders: dict[str, int] = {}
    for line in log.read_text().splitlines():
        sign, pid, names = line.split()
        for name in names.split(","):
            if sign == "+":
                assert holders.get(name) in (None, *killed), f"device {name} leased twice"
                holders[name] = int(pid)
            elif holders.get(name) == int(pid):
                del holders[name]


def test_what_slurm_gave_is_kept_and_nothing_else(environment, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("MFL_GPUS", "0,1,2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert devices.acquire(1) == ["3"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with pytest.raises(ConfigError, match="SLURM gave"):
        devices.acquire(1)


def test_no_device_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("MFL_LEASES", tmp_path.name)
    monkeypatch.setenv("MFL_GPUS", "")
    with pytest.raises(ConfigError, match="jobs.gpus"):
        devices.acquire(1)


def test_a_cpu_job_sees_no_device(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert devices.acquire(0) == [] and os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_the_wrapper_keeps_the_lease_through_exec(environment):
    only = environment | {"MFL_GPUS": "0"}
    wrapped = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mousefacelift.devices",
            "-n",
            "1",
            "--",
            "sh",
            "-c",
            "echo $CUDA_VISIBLE_DEVICES; sleep 1",
        ],
        env=only,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert wrapped.stdout.readline().strip() == "0"
    started = time.monotonic()
    other = hold(only, 1, 0)
    assert other.stdout.readline().strip() == "0" and time.monotonic() - started > 0.5
    wrapped.wait(), other.wait()


def test_no_file_can_be_deleted_under_a_lease(environment, tmp_path):
    """Cleaners of /tmp once deleted lock files, and a device was leased twice."""
    first = hold(environment | {"MFL_GPUS": "0", "TMPDIR": str(tmp_path)}, 1, 60)
    assert first.stdout.readline().strip() == "0"
    opened = [os.readlink(link) for link in Path(f"/proc/{first.pid}/fd").iterdir()]
    assert not [path for path in opened if "mousefacelift" in path or "lock" in path]
    second = hold(environment | {"MFL_GPUS": "0"}, 1, 0)
    time.sleep(0.5)
    assert second.poll() is None
    first.kill(), first.wait(), second.wait()


def test_one_device_by_number_and_by_uuid_is_one_device(environment, tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho '0, GPU-aaaa-1'\necho '1, GPU-bbbb-2'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    environment = environment | {"PATH": f"{tmp_path}:{environment['PATH']}"}
    first = hold(environment | {"MFL_GPUS": "1"}, 1, 60)
    assert first.stdout.readline().strip() == "1"
    second = hold(environment | {"MFL_GPUS": "GPU-bbbb"}, 1, 0)
    other = hold(environment | {"MFL_GPUS": "GPU-aaaa-1"}, 1, 0)
    assert other.stdout.readline().strip() == "GPU-aaaa-1"
    assert second.poll() is None  # waits for device 1
    first.kill()
    assert second.stdout.readline().strip() == "GPU-bbbb"
    for names in ("1,GPU-bbbb", "GPU-cccc", "GPU-"):
        refused = hold(environment | {"MFL_GPUS": names}, 1, 0)
        assert "ConfigError" in refused.communicate()[1]
    first.wait(), second.wait(), other.wait()


@pytest.mark.parametrize("names", ["0,0", "0,00", "a", "0;1", "0 1", "-2", "1e3", "../x", "0,1,0"])
def test_names_that_are_no_devices_or_twice_are_refused(monkeypatch, names):
    for variable in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MFL_GPUS", names)
    with pytest.raises(ConfigError, match="MFL_GPUS names"):
        devices.acquire(1)


@pytest.mark.parametrize("text", ["0", "-1", "", "two", "1.5", "100"])
def test_a_number_of_jobs_per_device_that_is_none_is_refused(monkeypatch, tmp_path, text):
    for name, value in (("MFL_GPUS", "0,1"), ("MFL_JOBS_PER_GPU", text), ("MFL_LEASES", tmp_path.name)):
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="MFL_JOBS_PER_GPU"):
        devices.acquire(1)


def test_a_time_out_names_who_holds_the_devices(environment, monkeypatch):
    first = hold(environment, 2, 60)
    first.stdout.readline()
    for name in ("MFL_LEASES", "MFL_GPUS"):
        monkeypatch.setenv(name, environment[name])
    with pytest.raises(ConfigError, match="no 1 free GPU") as error:
        devices.acquire(1, timeout_s=0.2)
    assert f"gpu0-slot0: process {first.pid} " in str(error.value) and "gpu1-slot0" in str(error.value)
    first.kill(), first.wait()


def test_two_jobs_share_a_device_where_that_is_said(environment):
    shared = environment | {"MFL_GPUS": "0", "MFL_JOBS_PER_GPU": "2"}
    jobs = [hold(shared, 1, 60) for _ in range(2)]
    assert [job.stdout.readline().strip() for job in jobs] == ["0", "0"]
    third = hold(shared, 1, 0)
    time.sleep(0.3)
    assert third.poll() is None
    for job in jobs:
        job.kill(), job.wait()
    third.wait()

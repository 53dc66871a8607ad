import subprocess
import sys

import pytest

from mousefacelift import doctor


def test_every_finding_has_its_line():
    lines = doctor.findings()
    assert len(lines) == 1 + len(doctor.REQUIRED) + 4
    assert all(line.startswith(("ok    ", "note  ", "bad   ")) for line in lines)


@pytest.mark.parametrize("missing", ["torch", "numpy", "snakemake"])
def test_it_works_where_a_package_does_not_import_and_tells_the_others(tmp_path, missing):
    (tmp_path / missing).mkdir()
    (tmp_path / missing / "__init__.py").write_text("raise ImportError('libcuda is broken')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from mousefacelift.cli import main; main(['doctor'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [
        line for line in done.stdout.splitlines() if line.startswith(("ok    ", "note  ", "bad   "))
    ]  # not OpenCV's
    assert f"bad   {missing} does not import: ImportError: libcuda is broken" in lines
    assert len(lines) == 1 + len(doctor.REQUIRED) + 4


def test_a_check_that_fails_is_a_finding(monkeypatch):
    def fail():
        raise OSError("no driver")

    monkeypatch.setattr(doctor, "_gpu", fail)
    assert "bad   GPU cannot be checked: OSError: no driver" in doctor.findings()

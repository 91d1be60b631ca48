"""A test that always skips cannot fail, so a skip that is not on the list fails the run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = {
    "a skip in a test": ("def test_x():\n    pytest.skip('not yet')", False),
    "a mark": ("@pytest.mark.skip(reason='later')\ndef test_x(): pass", False),
    "a condition": ("@pytest.mark.skipif(True, reason='old')\ndef test_x(): pass", False),
    "an expected failure": ("@pytest.mark.xfail\ndef test_x(): assert False", False),
    "a missing library": ("pytest.importorskip('no_such_library')\ndef test_x(): pass", False),
    "no case at all": ("@pytest.mark.parametrize('x', [])\ndef test_x(x): pass", False),
    "a corpus": ("def test_x():\n    pytest.skip('the folder ../shared/data is not there')", True),
    "nothing": ("def test_x(): pass", True),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_fails_when_a_test_is_skipped_for_a_reason_that_is_not_listed(
    tmp_path: Path, case: str
) -> None:
    code, passes = CASES[case]
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path / "conftest.py")
    (tmp_path / "test_case.py").write_text(f"import pytest\n{code}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is passes, done.stdout
    assert passes or "cannot fail" in done.stdout

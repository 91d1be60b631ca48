"""How worked examples are put to work."""

from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform_tests.worked_examples import change


def test_an_example_that_no_longer_fits_the_code_fails(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("first = 0\na = 1\na = 1\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"some\.py has 0 places"):
        change(tmp_path / "some.py", "@@\n a = 2\n+b = 1\n")
    with pytest.raises(AssertionError, match=r"some\.py has 2 places"):
        change(tmp_path / "some.py", "@@\n a = 1\n+b = 1\n")

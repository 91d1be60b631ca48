"""The browser that tests of the pages drive: the Chromium of the system.

Belongs here: finding it, installing it where that is possible (`make browser`), and starting it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, sync_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
# Nobody's home: no look for updates, no account, no first page.
OPTIONS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoBrowser(Exception):
    """The pages cannot be looked at on this machine."""

    def __init__(self) -> None:
        super().__init__(
            f"no browser: none of {', '.join(NAMES)} is installed, and CHROMIUM names none. "
            "`make browser` installs Debian's as root; elsewhere, set CHROMIUM to the program"
        )


def program() -> str:
    """Where the browser is.

    Raises:
        NoBrowser: Nowhere.
    """
    named = os.environ.get("CHROMIUM")
    found = next(filter(None, map(shutil.which, (named,) if named else NAMES)), None)
    if found is None:
        raise NoBrowser
    return found


@contextmanager
def opened() -> Iterator[Browser]:
    """A browser that nobody sees, as new as on its first day."""
    executable = program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


def install() -> None:
    """Install the browser from the packages of the system, where that may be done."""
    try:
        program()
    except NoBrowser as error:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            sys.exit(f"{error}. Tests of the pages fail until then")
        for words in (("update", "-q"), ("install", "-yq", "--no-install-recommends", NAMES[0])):
            subprocess.run(
                ["apt-get", *words],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdout=subprocess.DEVNULL,
                check=True,
            )


if __name__ == "__main__":
    install()

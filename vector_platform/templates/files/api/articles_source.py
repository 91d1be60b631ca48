"""Articles of a JSON API that answers in pages. The sample reads pages of the folder `pages`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from urllib.request import Request, urlopen

from vector_platform.sources.base import DayWindow, Reject, Source, SourceRow

TIMEOUT_SECONDS = 30


class Articles(Source):
    """All articles of an API: each page has `items`, and `next` while there are more."""

    def __init__(self, url: str) -> None:
        """Take the address of the first page; nothing is connected to before `read`."""
        here = Path(__file__).parent.as_uri() + "/"
        self.url = urljoin(here, url)

    def read(self, window: DayWindow) -> Iterator[SourceRow | Reject]:
        """Give every article; what does not come any more is taken as removed."""
        url: str | None = self.url
        while url:
            page = fetch(url)
            for number, item in enumerate(page["items"], start=1):
                yield SourceRow(item, place=f"{url}, item {number}", uri=self.url)
            url = urljoin(url, page["next"]) if page.get("next") else None


def fetch(url: str) -> dict[str, Any]:
    """One page. An error of the network raises, so that nothing is taken as removed."""
    request = Request(url)
    if token := os.environ.get("ARTICLES_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        page: dict[str, Any] = json.load(answer)
    return page

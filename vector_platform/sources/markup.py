"""Plain text of HTML, with its structure kept as lines.

Belongs here: HTML to text. Does not belong here: where the HTML comes from. Paragraphs are
separated by empty lines, list items and table rows are lines, headings carry Markdown's `#`, so
that a splitter still sees the structure that the tags meant.
"""

from __future__ import annotations

from dataclasses import dataclass

from bs4 import BeautifulSoup
from bs4.element import NavigableString, PreformattedString, Tag

_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_PARAGRAPHS = {
    "p", "div", "section", "article", "main", "header", "footer", "aside", "blockquote", "figure",
    "ul", "ol", "dl", "table", "pre", "form", "fieldset", "details", "hr", "note", "important",
    *_HEADINGS,
}  # fmt: skip
_LINES = {"li", "dt", "dd", "tr", "br", "caption", "option", "figcaption", "summary"}
_INVISIBLE = {"script", "style", "template", "noscript", "head", "svg"}
_BREAK, _PARAGRAPH = "\x1e", "\x1d"


@dataclass(frozen=True)
class HtmlText:
    """The text of an HTML document.

    Attributes:
        title: `<title>`, else the first heading, else empty.
        text: The visible text.
        is_faithful: False when bytes could not be decoded and were replaced.
    """

    title: str
    text: str
    is_faithful: bool


def html_to_text(markup: str) -> str:
    """The visible text of an HTML fragment."""
    return _visible(BeautifulSoup(markup, "html.parser"))


def read_html(content: bytes) -> HtmlText:
    """Title and visible text of an HTML file; the encoding is the one it declares, else UTF-8."""
    soup = BeautifulSoup(content, "html.parser")
    heading = soup.title or soup.find(list(_HEADINGS))
    title = " ".join(heading.get_text(" ").split()) if heading else ""
    return HtmlText(title, _visible(soup), not soup.contains_replacement_characters)


def _visible(soup: Tag) -> str:
    pieces: list[str] = []
    _collect(soup, pieces)
    paragraphs = (
        "\n".join(filter(None, (" ".join(line.split()) for line in block.split(_BREAK))))
        for block in "".join(pieces).split(_PARAGRAPH)
    )
    return "\n\n".join(filter(None, paragraphs))


def _collect(tag: Tag, pieces: list[str]) -> None:
    for child in tag.children:
        if isinstance(child, NavigableString):
            if not isinstance(child, PreformattedString):
                pieces.append(str(child))
        elif isinstance(child, Tag) and child.name not in _INVISIBLE:
            edge = (
                _PARAGRAPH if child.name in _PARAGRAPHS else _BREAK if child.name in _LINES else ""
            )
            pieces.append(edge)
            pieces.append(_HEADINGS.get(child.name, ""))
            _collect(child, pieces)
            pieces.append(" " if child.name in {"td", "th"} else edge)

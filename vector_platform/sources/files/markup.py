"""Plain text of HTML, with its structure kept as lines.

Belongs here: HTML to text. Paragraphs are separated by empty lines, list items and table rows are
lines, headings carry Markdown's `#`, so that a splitter still sees the structure that the tags
meant.

The markup is read once from its beginning to its end, by a reader of our own: that of the standard
library and the trees built on it take time by the square of tags that are never closed, or by
their third power. What cannot be a tag is text, so that nothing is lost.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_PARAGRAPHS = {
    "p", "div", "section", "article", "main", "header", "footer", "aside", "blockquote", "figure",
    "ul", "ol", "dl", "table", "pre", "form", "fieldset", "details", "hr", "note", "important",
    *_HEADINGS,
}  # fmt: skip
_LINES = {"li", "dt", "dd", "tr", "br", "caption", "option", "figcaption", "summary"}
_INVISIBLE = {"script", "style", "template", "noscript", "head", "svg"}
# Elements that hold nothing, and have no end.
_VOID = {
    "area", "base", "basefont", "bgsound", "br", "col", "command", "embed", "frame", "hr", "image",
    "img", "input", "isindex", "keygen", "link", "menuitem", "meta", "nextid", "param", "source",
    "spacer", "track", "wbr",
}  # fmt: skip
# What a head may hold; anything else ends it, because its own end may be left out.
_IN_HEAD = {
    "base", "basefont", "bgsound", "command", "link", "meta", "noscript", "object", "script",
    "style", "template", "title",
}  # fmt: skip
_BREAK, _PARAGRAPH = "\x1e", "\x1d"

_TAG_NAME = re.compile(r"/?([a-zA-Z][^\t\n\r\f />\x00]*+)")
# The rest of a tag: a value in quotes may hold `>`. No part of it is looked at again.
_TAG_REST = re.compile(r"""(?:[^>=]++|=\s*+"[^"]*+"|=\s*+'[^']*+'|=)*+>""")
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style")}

_DECLARED_WITHIN = 4096
_DECLARED = re.compile(
    rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)|<meta[^>]{0,500}?charset\s*=\s*["']?\s*([\w.:-]+)""",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class HtmlText:
    """The text of an HTML document.

    Attributes:
        title: `<title>`, else the first heading, else empty.
        text: The visible text.
    """

    title: str
    text: str


def html_to_text(markup: str) -> str:
    """The visible text of an HTML fragment."""
    return _Page(markup).text()


def declared_encoding(content: bytes) -> str | None:
    """The encoding that a page names in its first lines."""
    found = _DECLARED.search(content[:_DECLARED_WITHIN])
    return (found[1] or found[2]).decode("ascii", "replace") if found is not None else None


def read_html(markup: str) -> HtmlText:
    """Title and visible text of a page."""
    page = _Page(markup)
    return HtmlText(page.title(), page.text())


class _Page:
    """One reading of a markup: the visible pieces, and what may be its title."""

    def __init__(self, markup: str) -> None:
        self._pieces: list[str] = []
        self._open: list[str] = []
        self._count: Counter[str] = Counter()
        self._hidden = 0
        # Name of the element that is being heard as a title, and what it has said so far.
        self._heard: dict[str, list[str]] = {}
        self._hearing: str | None = None
        for kind, value in _events(markup):
            if kind == "text":
                self._text(unescape(value))
            elif kind == "raw":
                self._text(value)
            elif kind == "end":
                self._close(value)
            else:
                self._start(value)
                if kind == "empty" or value in _VOID:
                    self._close(value, is_void=True)
        while self._open:
            self._end(self._open.pop())

    def text(self) -> str:
        """The visible text."""
        paragraphs = (
            "\n".join(filter(None, (" ".join(line.split()) for line in block.split(_BREAK))))
            for block in "".join(self._pieces).split(_PARAGRAPH)
        )
        return "\n\n".join(filter(None, paragraphs))

    def title(self) -> str:
        """`<title>`, else the first heading, else empty."""
        said = self._heard.get("title") or self._heard.get("heading") or []
        return " ".join(" ".join(said).split())

    def _text(self, text: str) -> None:
        if self._hearing is not None:
            self._heard[self._hearing].append(text)
        if not self._hidden:
            self._pieces.append(text)

    def _start(self, name: str) -> None:
        if name not in _IN_HEAD and self._open and self._open[-1] == "head":
            self._close("head")
        role = "title" if name == "title" else "heading" if name in _HEADINGS else None
        if role is not None and role not in self._heard and self._hearing is None:
            self._heard[role], self._hearing, self._hearing_from = [], role, len(self._open)
        if not self._hidden and name not in _INVISIBLE:
            self._pieces += (_edge(name), _HEADINGS.get(name, ""))
        self._hidden += name in _INVISIBLE
        self._open.append(name)
        self._count[name] += 1

    def _close(self, name: str, *, is_void: bool = False) -> None:
        # The end of what is not open, or has none, means nothing.
        if not self._count[name] or (name in _VOID and not is_void):
            return
        while (last := self._open.pop()) != name:
            self._end(last)
        self._end(last)

    def _end(self, name: str) -> None:
        self._count[name] -= 1
        if self._hearing is not None and len(self._open) == self._hearing_from:
            self._hearing = None
        self._hidden -= name in _INVISIBLE
        if not self._hidden and name not in _INVISIBLE:
            self._pieces.append(" " if name in {"td", "th"} else _edge(name))


def _edge(name: str) -> str:
    return _PARAGRAPH if name in _PARAGRAPHS else _BREAK if name in _LINES else ""


def _events(markup: str) -> Iterator[tuple[str, str]]:
    """Texts, raw texts, starts, empty elements and ends, in order."""
    at, last = 0, markup.rfind(">")
    comments = sections = True
    # How far tags that never end may be looked for in vain before quotes are no longer heeded.
    patience = 4 * len(markup)
    kept = 0  # Text from here on has not been given yet.
    while 0 <= (at := markup.find("<", at)) < last:
        behind = -1
        event: tuple[str, str] | None = None
        if markup.startswith("<!--", at):
            if comments:
                behind = markup.find("-->", at + 2)
                comments = behind >= 0
                behind += 3 if comments else 0
        elif markup.startswith("<![CDATA[", at):
            if sections:
                behind = markup.find("]]>", at)
                sections = behind >= 0
                behind += 3 if sections else 0
        elif markup.startswith(("<!", "<?"), at):
            behind = markup.find(">", at) + 1
        elif (named := _TAG_NAME.match(markup, at + 1)) is not None:
            name = named[1].lower()
            rest = _TAG_REST.match(markup, named.end()) if patience > 0 else None
            if rest is None and patience > 0:
                patience -= len(markup) - at
            behind = rest.end() if rest is not None else markup.find(">", named.end()) + 1
            is_end = markup[at + 1] == "/"
            is_empty = markup[behind - 2] == "/"
            event = ("end" if is_end else "empty" if is_empty else "start", name)
        if behind < 0:
            at += 1
            continue
        if kept < at:
            yield "text", markup[kept:at]
        if event is not None:
            yield event
            raw = _RAW_END.get(event[1]) if event[0] == "start" else None
            if raw is not None:
                ended = raw.search(markup, behind)
                until = ended.start() if ended is not None else len(markup)
                yield "raw", markup[behind:until]
                behind = until
        at = kept = behind
    if kept < len(markup):
        yield "text", markup[kept:]

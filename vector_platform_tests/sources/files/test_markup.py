"""HTML to text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.sources.files.markup import html_to_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One</p><p>Two\n   lines</p>", "One\n\nTwo lines"),
        ("in<b>side</b> a word", "inside a word"),
        ("<ul><li>a</li><li><p>b</p></li></ul>after", "a\n\nb\n\nafter"),
        ("one<br>two", "one\ntwo"),
        ("<h2>Head</h2>text", "## Head\n\ntext"),
        ("<table><tr><th>a</th><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<style>p{}</style><script>x</script><!-- no -->&lt;p&gt; &amp;amp;", "<p> &amp;"),
        ("plain text", "plain text"),
        ("", ""),
    ],
)
def test_structure_becomes_lines_and_tags_go(markup: str, text: str) -> None:
    assert html_to_text(markup) == text


@given(st.text(alphabet="<>/pbli &;!-\n ab"))
def test_any_markup_gives_text_without_blank_edges(markup: str) -> None:
    text = html_to_text(markup)
    assert text == text.strip() and "\n\n\n" not in text

"""No secret that stands in an address or a connection string is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.cli import main
from vector_platform.errors import TransientError
from vector_platform.masking import masked, masked_values

SECRET = "hunt3r-2_X"
SHOWN_WITHOUT = [
    "postgresql+psycopg://reader:{}@db.example.org/support",
    "postgresql://reader:{}@one:5432,two:5432/x",
    "mysql://reader:a/{}@host:3306/db?charset=utf8",
    "mongodb+srv://reader:12@45{}@host",
    "redis://:{}@host",
    "https://{}@code.example.org/x.git",
    "http://milvus:{}@127.0.0.1:19530",
    "abfss://lake@account/x?sig={}&se=2027",
    "https://store/x?X-Amz-Signature={}&X-Amz-Expires=9",
    "s3://bucket/key?token={}",
    "host=db user=reader password={} port=5432",
    "host=db PASSWORD = '{} and more' port=5432",
    "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={};EndpointSuffix=y",
    "mssql://h/db?odbc_connect=Driver=x;Uid=y;Pwd={}",
    "postgresql://db/x?user=reader&password={}&sslmode=require",
]


@pytest.mark.parametrize("text", SHOWN_WITHOUT)
@pytest.mark.parametrize("around", ["{}", "the store at {} did not answer", 'url "{}", 3 times'])
def test_a_secret_within_an_address_is_masked_wherever_the_address_stands(
    text: str, around: str
) -> None:
    shown = masked(around.format(text.format(SECRET)))
    assert SECRET not in shown and "***" in shown
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg://reader:${TICKETS_PASSWORD}@db.example.org/support",
        "https://store/x?token=${STORE_TOKEN}&a=1",
        "http://127.0.0.1:19530/documents@g0002",
        "sqlite:///notes.db",
        "s3://bucket/lake",
        "mail ann@example.org about max_tokens=256 and the tokenizer: at 12:30",
    ],
)
def test_what_is_no_secret_is_shown_as_it_is(text: str) -> None:
    assert masked(text) == text


@given(st.text(st.sampled_from("abXY12-_.~%"), min_size=4).filter(lambda text: "%%" not in text))
def test_any_password_of_an_address_is_masked(password: str) -> None:
    assert masked(f"postgresql://u:{password}@h/db") == "postgresql://u:***@h/db"


def test_an_error_of_the_platform_shows_no_secret_of_an_address() -> None:
    assert SECRET not in str(TransientError(f"http://u:{SECRET}@host did not answer"))


def test_settings_are_shown_without_secrets_and_options_of_a_class_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"key": "id", "text": "text", "attributes": {"token": "token_column"}}
    described: dict[str, Any] = {
        "start_date": "2026-01-01",
        "lake": {"uri": f"abfss://lake@account/x?sig={SECRET}"},
        "models": {"m.v1": {"package": "wordllama", "kind": "static"}},
        "indexes": {"milvus": {"uri": f"http://u:{SECRET}@host:19530"}},
        "sources": {
            "tickets": {
                "kind": "sql",
                "url": f"postgresql://reader:{SECRET}@db/x",
                "query": "SELECT 1",
                "fields": fields,
            },
            "forum": {
                "kind": "python",
                "class": "forum:Forum",
                "options": {"api_key": SECRET, "deep": [{"password": SECRET}], "max_tokens": 9},
                "fields": fields,
            },
            "files": {"kind": "files", "path": f"ftp://u:{SECRET}@host/*.md"},
        },
    }
    (tmp_path / "platform.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    monkeypatch.setenv("VECTOR_PLATFORM_CONFIG", str(tmp_path / "platform.yaml"))
    check = ["config", "check", "--offline"]
    for verb, code in ((["config", "show", "--json"], 0), (check, 1), ([*check, "--json"], 1)):
        monkeypatch.setattr("sys.argv", ["vector-platform", *verb])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        assert stopped.value.code == code and SECRET not in printed.out + printed.err
        if verb[:2] == ["config", "show"]:
            shown = json.loads(printed.out)
    forum = shown["sources"]["forum"]
    assert forum["options"] == {"api_key": "***", "deep": [{"password": "***"}], "max_tokens": 9}
    assert forum["fields"]["attributes"] == {"token": "token_column"}
    assert shown["sources"]["tickets"]["url"] == "postgresql://reader:***@db/x"


def test_values_that_are_no_texts_stay_what_they_are() -> None:
    values = {"a": [1, None, True, 2.5], "options": {"token": None, "n": {"key": 1}}}
    assert masked_values(values) == values

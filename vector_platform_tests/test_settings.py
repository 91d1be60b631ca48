from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform.settings import SettingsError, expand_secrets, secret
from vector_platform.wiring import load_settings

GOOD = """
start_date: 2026-01-01
sources:
  docs:
    kind: files
    path: docs/*.md
models:
  tiny.v1:
    package: wordllama
    kind: static
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "platform.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(folder, text), environ or {})
    for problem in caught.value.problems:
        assert problem in str(caught.value)
    return caught.value.problems


def test_a_small_file_is_enough_and_paths_start_at_the_file(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD), {})
    assert settings.root == tmp_path
    assert settings.data_dir == tmp_path / ".vector_platform"
    assert settings.lake_uri == str(tmp_path / ".vector_platform" / "lake")
    assert settings.indexes.backends == ("milvus", "pinecone")


@pytest.mark.parametrize(
    ("added", "path", "why"),
    [
        ("surprise: 1", "surprise", "no such setting"),
        ("root: /somewhere", "root", "no such setting"),
        ("quality: {drift_least_mass: 0.1}", "quality.drift_least_mass", "no such setting"),
        ("quality: {drift_least_novel_share: 2}", "quality.drift_least_novel_share", "less than 1"),
        ("quality: {evaluation_metric: MAP}", "quality.evaluation_metric", "nDCG@10"),
        ("releases: {keep_generations: 0}", "releases.keep_generations", "greater than or equal"),
        ("guard: {max_delete_share: 1.5}", "guard.max_delete_share", "less than or equal to 1"),
        ("chunking: {max_tokens: many}", "chunking.max_tokens", "integer"),
        ("chunking: {max_tokens: 20, overlap_tokens: 20}", "chunking", "must be smaller"),
        ("indexes: {name: Documents}", "indexes.name", "pattern"),
        ("indexes: {milvus: {index_type: MAGIC}}", "indexes.milvus.index_type", "AUTOINDEX"),
        ("indexes: {pinecone: {batch_rows: 0}}", "indexes.pinecone.batch_rows", "greater than"),
        ("golden_queries: {g: {source: nowhere}}", "golden_queries.g", "'nowhere' is not in"),
        ("golden_queries: {g: {source: docs, kind: beir}}", "golden_queries.g", "beir needs it"),
        ("golden_queries: {g: {source: docs, path: x}}", "golden_queries.g", "path is for kind"),
    ],
    ids=lambda value: value if isinstance(value, str) and ":" in value else "",
)
def test_each_bad_setting_is_refused_with_its_path(
    tmp_path: Path, added: str, path: str, why: str
) -> None:
    (problem,) = problems(tmp_path, f"{GOOD}\n{added}\n")
    assert problem.startswith(f"{path}:")
    assert why in problem


@pytest.mark.parametrize(
    ("old", "new", "path", "why"),
    [
        ("start_date: 2026-01-01", "start_date: someday", "start_date", "date"),
        ("start_date: 2026-01-01", "", "start_date", "required"),
        ("docs:", "My-Docs:", "sources.My-Docs", "pattern"),
        ("kind: files", "kind: fax", "sources.docs", "fax"),
        ("path: docs/*.md", "glob: x", "sources.docs", "required"),
        ("tiny.v1:", "Tiny V1:", "models.Tiny V1", "pattern"),
        ("package: wordllama", "description: x", "models.tiny.v1", "exactly one of"),
        ("package: wordllama", "package: x\n    hub: y", "models.tiny.v1", "exactly one of"),
        ("kind: static", "kind: static\n    backend: openvino", "models.tiny.v1", "no other"),
        ("kind: static", "kind: static\n    retired: true", "models", "every model is retired"),
    ],
)
def test_each_bad_source_or_model_is_refused_with_its_path(
    tmp_path: Path, old: str, new: str, path: str, why: str
) -> None:
    found = problems(tmp_path, GOOD.replace(old, new))
    assert any(line.startswith(path) and why in line for line in found), found


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    text = GOOD + "surprise: 1\nquality: {drift_least_novel_share: 2}\nchunking: {max_tokens: 1}\n"
    found = problems(tmp_path, text)
    paths = [problem.partition(":")[0] for problem in found]
    assert sorted(paths) == ["chunking.max_tokens", "quality.drift_least_novel_share", "surprise"]


def test_every_duplicate_name_is_listed_with_its_line_beside_the_other_problems(
    tmp_path: Path,
) -> None:
    text = GOOD.replace("    path: docs/*.md", "    path: a\n    path: b") + (
        "  tiny.v1:\n    hub: y\nsurprise: 1\nstart_date: 2026-01-02\n"
    )
    found = "\n".join(problems(tmp_path, text))
    assert "line 7: the name 'path' is given twice" in found
    assert "line 12: the name 'tiny.v1' is given twice" in found
    assert "the name 'start_date' is given twice" in found
    assert "surprise: there is no such setting" in found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must hold a mapping"),
        ("- a\n- b\n", "must hold a mapping"),
        ("just words", "must hold a mapping"),
        ("a: [1, 2", "not readable as YAML"),
        ("? [a, b]\n: c\n", "a key must be a plain name"),
        ("a: !!python/object:os.system x", "not readable as YAML"),
    ],
    ids=["empty", "list", "text", "broken", "list as key", "python tag"],
)
def test_what_is_no_settings_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    assert why in "\n".join(problems(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    path.write_bytes(b"start_date: \xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(path, {})


def test_a_missing_file_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="VECTOR_PLATFORM_CONFIG"):
        load_settings(tmp_path / "absent.yaml", {})


def test_the_environment_names_the_file_and_overrides_keys(tmp_path: Path) -> None:
    environ = {
        "VECTOR_PLATFORM_CONFIG": str(write(tmp_path, GOOD)),
        "VECTOR_PLATFORM_LAKE__URI": "s3://bucket/lake",
        "VECTOR_PLATFORM_QUALITY__DRIFT_LEAST_NOVEL_SHARE": "0.01",
        "VECTOR_PLATFORM_INDEXES__PINECONE": "null",
        "OTHER": "x",
    }
    settings = load_settings(None, environ)
    assert settings.lake_uri == "s3://bucket/lake"
    assert settings.quality.drift_least_novel_share == 0.01
    assert settings.indexes.backends == ("milvus",)


def test_an_override_keeps_its_neighbours_in_the_file(tmp_path: Path) -> None:
    text = GOOD + "quality: {drift_min_rows: 77}\n"
    environ = {"VECTOR_PLATFORM_QUALITY__DRIFT_LEAST_NOVEL_SHARE": "0.01"}
    settings = load_settings(write(tmp_path, text), environ)
    assert (settings.quality.drift_min_rows, settings.quality.drift_least_novel_share) == (77, 0.01)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        (
            "VECTOR_PLATFORM_QUALITY__DRIFT_LEAST_NOVEL_SHARE",
            "high",
            "quality.drift_least_novel_share",
        ),
        ("VECTOR_PLATFORM_QUALTY__DRIFT_LEAST_NOVEL_SHARE", "0.1", "qualty"),
        ("VECTOR_PLATFORM_ROOT", "/somewhere", "root"),
        ("VECTOR_PLATFORM_LAKE__URI", "[1, 2", "VECTOR_PLATFORM_LAKE__URI"),
    ],
)
def test_a_bad_override_is_refused(tmp_path: Path, name: str, value: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        load_settings(write(tmp_path, GOOD), {name: value})


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "hunter2")
    found = secret("SOME_KEY")
    assert found is not None and found.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(found) + str(found)
    monkeypatch.setenv("SOME_KEY", "")
    assert secret("SOME_KEY") is None
    monkeypatch.delenv("SOME_KEY")
    assert secret("SOME_KEY") is None


def test_secrets_in_a_url_are_filled_in_or_all_missing_ones_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DB_USER", "ada")
    monkeypatch.setenv("DB_PASSWORD", "a$b\\1")
    assert expand_secrets("db://${DB_USER}:${DB_PASSWORD}@host") == "db://ada:a$b\\1@host"
    with pytest.raises(SettingsError) as caught:
        expand_secrets("db://${ABSENT_ONE}:${ABSENT_TWO}@${DB_USER}")
    assert len(caught.value.problems) == 2
    assert "ada" not in str(caught.value)

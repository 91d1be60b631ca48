"""Dagster's web server as the pages of the UI reach it: through GraphQL.

Belongs here: what is asked, and what is read out of the answers.
"""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

REPOSITORY = {
    "repositoryName": "__repository__",
    "repositoryLocationName": "vector_platform",
}
DEFAULTS = """
query($selector: PipelineSelector!) { runConfigSchemaOrError(selector: $selector) {
  __typename ... on RunConfigSchema { rootDefaultYaml } } }
"""
LAUNCH = """
mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on RunConfigValidationInvalid { errors { message } }
  ... on PythonError { message } } }
"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


@dataclass(frozen=True)
class Launched:
    """What became of a launch.

    Attributes:
        run_ids: The run; none where it was refused.
        refused: What was said instead.
    """

    run_ids: tuple[str, ...] = ()
    refused: str = ""


class WebServer:
    """A web server that is being started, or has been, on a port that was free."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, query: str, **variables: Any) -> Any:
        """The answer to a query; None when nobody answers, or not well."""
        request = urllib.request.Request(
            f"{self.address}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer).get("data")
        except (OSError, urllib.error.URLError):
            return None

    def defaults(self, job: str) -> dict[str, Any] | None:
        """The run configuration that a launchpad opens with; None when nobody answers."""
        answer = self.ask(DEFAULTS, selector={**REPOSITORY, "pipelineName": job})
        text = ((answer or {}).get("runConfigSchemaOrError") or {}).get("rootDefaultYaml")
        return None if text is None else yaml.safe_load(text) or {}

    def launch(
        self,
        job: str,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Launched:
        """Launch a job, as the button of the UI does."""
        answer = self.ask(
            LAUNCH,
            params={
                "selector": {**REPOSITORY, "jobName": job},
                "runConfigData": dict(config or {}),
                "executionMetadata": {
                    "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]
                },
            },
        )
        told = (answer or {}).get("launchRun") or {"message": f"no answer: {answer}"}
        if "run" in told:
            return Launched((told["run"]["runId"],))
        errors = [error["message"] for error in told.get("errors") or [told]]
        return Launched(refused="; ".join(errors))

    def status(self, run_id: str) -> str | None:
        answer = self.ask(STATUS, id=run_id)
        return ((answer or {}).get("runOrError") or {}).get("status")

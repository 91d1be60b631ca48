"""The embedded servers as background processes: real processes, ports and deaths."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from vector_platform.errors import TransientError
from vector_platform.local import service_processes, services
from vector_platform.local.service_errors import (
    ServiceDiedError,
    ServiceNotRunningError,
    ServiceRecordError,
    ServiceStartError,
)
from vector_platform.local.service_records import ServiceName
from vector_platform_tests.tiers import sampled

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    services.down(tmp_path)


def alive(endpoint: services.Endpoint) -> bool:
    return service_processes.is_healthy(endpoint.name, endpoint.uri, endpoint.pid)


def kill(endpoint: services.Endpoint) -> None:
    process = psutil.Process(endpoint.pid)
    process.kill()
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def listening(pid: int) -> set[str]:
    connections = psutil.Process(pid).net_connections("tcp")
    return {c.laddr.ip.removeprefix("::ffff:") for c in connections if c.status == "LISTEN"}


def test_up_starts_both_servers_on_loopback_and_again_finds_them(folder: Path) -> None:
    first = services.up(folder)
    assert [e.name for e in first] == ["milvus", "pinecone"]
    assert all(alive(e) and listening(e.pid) == {"127.0.0.1"} for e in first)
    assert services.up(folder) == first
    assert services.endpoint(folder, "pinecone") == first[1]
    states = services.status(folder)
    assert [(s.name, s.state, s.pid) for s in states] == [(e.name, "running", e.pid) for e in first]
    assert all(s.uptime_seconds is not None and 0 <= s.uptime_seconds < 60 for s in states)
    assert all(e.data_dir.is_dir() and e.data_dir.parent == folder.resolve() for e in first)


def test_the_servers_outlive_the_process_that_started_them(folder: Path) -> None:
    program = (
        "import pathlib, sys; from vector_platform.local import services;"
        "services.up(pathlib.Path(sys.argv[1]), names=['pinecone'])"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True)
    endpoint = services.endpoint(folder, "pinecone")
    assert alive(endpoint)
    key = {"Api-Key": services.pinecone_api_key(folder)}
    assert httpx.get(f"{endpoint.uri}/indexes", headers=key).status_code == 200
    assert httpx.get(f"{endpoint.uri}/indexes", headers={"Api-Key": "no"}).status_code == 401


def test_down_stops_cleanly_and_again_has_nothing_to_do(folder: Path) -> None:
    endpoints = services.up(folder)
    processes = [psutil.Process(e.pid) for e in endpoints]
    assert services.down(folder) == ["milvus", "pinecone"]
    assert not any(process.is_running() for process in processes)
    assert services.down(folder) == []
    assert {s.state for s in services.status(folder)} == {"stopped"}
    with pytest.raises(ServiceNotRunningError, match="vector-platform services up") as raised:
        services.endpoint(folder, "milvus")
    assert isinstance(raised.value, TransientError)


def test_down_of_a_folder_that_never_ran_anything_does_nothing(tmp_path: Path) -> None:
    assert services.down(tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


@pytest.mark.deep
def test_a_taken_port_is_left_to_its_owner_and_another_is_used(folder: Path) -> None:
    taken = []
    for program in service_processes.PROGRAMS.values():
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("127.0.0.1", program.default_port))
            holder.listen()
        except OSError:
            pass  # somebody else on this machine has it: as taken as can be
        taken.append(holder)
    endpoints = services.up(folder)
    ports = [int(e.uri.rsplit(":", 1)[1]) for e in endpoints]
    defaults = {program.default_port for program in service_processes.PROGRAMS.values()}
    assert defaults.isdisjoint(ports)
    assert all(alive(e) for e in endpoints)
    for holder in taken:
        holder.close()


def test_a_port_that_a_server_has_claimed_and_does_not_serve_yet_is_left_to_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as claim:
        claim.bind(("127.0.0.1", 0))
        port = claim.getsockname()[1]
        assert service_processes.free_port(port) != port
    assert service_processes.free_port(port) == port


def test_a_free_port_is_looked_for_more_than_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([None, None, 4711])
    monkeypatch.setattr(service_processes, "_bindable", lambda port: next(found))
    assert service_processes.free_port(0) == 4711


@pytest.mark.deep
def test_deployments_that_start_at_once_have_servers_of_their_own(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys; from vector_platform.local import services;"
        "print(services.up(pathlib.Path(sys.argv[1]), names=['milvus'])[0].uri)"
    )
    folders = [tmp_path / name for name in ("one", "two", "three")]
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True
        )
        for folder in folders
    ]
    uris = [start.communicate()[0].strip() for start in starts]
    try:
        assert [start.returncode for start in starts] == [0, 0, 0]
        assert len(set(uris)) == 3
        for folder, uri in zip(folders, uris, strict=True):
            (found,) = [each for each in services.status(folder) if each.name == "milvus"]
            assert (found.state, found.uri) == ("running", uri)
    finally:
        for folder in folders:
            services.down(folder)


@pytest.mark.deep
def test_the_server_of_another_deployment_is_not_taken_for_this_one(folder: Path) -> None:
    endpoints = services.up(folder)
    assert {endpoint.name for endpoint in endpoints} == set(services.SERVICE_NAMES)
    for endpoint in endpoints:
        assert service_processes.is_healthy(endpoint.name, endpoint.uri, endpoint.pid)
        assert not service_processes.is_healthy(endpoint.name, endpoint.uri, os.getpid())


@pytest.mark.parametrize("name", sampled(services.SERVICE_NAMES, fast=["pinecone"]))
def test_a_server_that_died_is_reported_with_its_log_and_replaced(
    folder: Path, name: ServiceName
) -> None:
    (endpoint,) = services.up(folder, names=[name])
    kill(endpoint)
    (state,) = [s for s in services.status(folder) if s.name == name]
    assert state.state == "died"
    assert any("serving" in line for line in state.log_tail)
    with pytest.raises(ServiceDiedError, match="serving"):
        services.endpoint(folder, name)
    (again,) = services.up(folder, names=[name])
    assert again.pid != endpoint.pid
    assert again.uri == endpoint.uri
    assert alive(again)


def test_a_server_that_does_not_answer_is_told_from_a_dead_one_and_replaced(folder: Path) -> None:
    (endpoint,) = services.up(folder, names=["pinecone"])
    os.kill(endpoint.pid, signal.SIGSTOP)
    try:
        (state,) = [s for s in services.status(folder) if s.name == "pinecone"]
        assert state.state == "unresponsive"
    finally:
        os.kill(endpoint.pid, signal.SIGCONT)
    assert services.up(folder, names=["pinecone"]) == [endpoint]


def test_a_reused_process_id_is_not_taken_for_the_server(folder: Path) -> None:
    (endpoint,) = services.up(folder, names=["pinecone"])
    path = folder / "services" / "pinecone.json"
    path.write_text(path.read_text().replace(str(endpoint.pid), str(os.getpid())))
    (state,) = [s for s in services.status(folder) if s.name == "pinecone"]
    assert state.state == "died"
    assert services.down(folder) == ["pinecone"]
    psutil.Process(endpoint.pid).terminate()


def test_a_server_that_cannot_start_says_why_and_is_not_left_behind(folder: Path) -> None:
    (folder / "pinecone").write_text("a file where the data folder should be")
    with pytest.raises(ServiceStartError, match="FileExistsError"):
        services.up(folder, names=["pinecone"])
    assert {s.state for s in services.status(folder)} == {"stopped"}


def test_two_ups_at_once_start_one_server(folder: Path) -> None:
    program = (
        "import pathlib, sys; from vector_platform.local import services;"
        "print(services.up(pathlib.Path(sys.argv[1]), names=['pinecone'])[0].pid)"
    )
    command = [sys.executable, "-c", program, str(folder)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    pids = {process.communicate()[0].strip() for process in both}
    assert pids == {str(services.endpoint(folder, "pinecone").pid)}


def test_the_key_is_generated_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    key = services.pinecone_api_key(tmp_path)
    assert len(key) >= 32
    assert services.pinecone_api_key(tmp_path) == key
    (path,) = [p for p in (tmp_path / "services").iterdir() if p.read_text() == key]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_key_is_in_no_command_line_and_no_record(folder: Path) -> None:
    (endpoint,) = services.up(folder, names=["pinecone"])
    key = services.pinecone_api_key(folder)
    assert key not in " ".join(psutil.Process(endpoint.pid).cmdline())
    assert key not in (folder / "services" / "pinecone.json").read_text()


@pytest.mark.deep
def test_a_second_milvus_server_never_shares_the_port_of_the_first(folder: Path) -> None:
    (endpoint,) = services.up(folder, names=["milvus"])
    port = endpoint.uri.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "vector_platform.local.milvus_server"]
    second = subprocess.run(
        [*command, "--data", str(folder / "second"), "--port", port],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert second.returncode == 1
    assert port in second.stderr
    assert alive(endpoint)


def test_a_record_that_cannot_be_read_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    path = tmp_path / "services" / "milvus.json"
    path.write_text('{"pid": 1}')
    with pytest.raises(ServiceRecordError, match=r"milvus\.json.*delete the file"):
        services.status(tmp_path)

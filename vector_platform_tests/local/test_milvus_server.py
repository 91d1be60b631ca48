"""The embedded Milvus server and the clients of others: many of them, open for long."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc
import pytest
from pymilvus import MilvusClient

from vector_platform_tests.integration.conftest import MilvusProcess

pytestmark = pytest.mark.integration

CLIENTS = 40
# A stock client pings every ten seconds; these do it as often as gRPC lets them.
STOCK = {"keepalive_timeout_ms": 5000, "keepalive_permit_without_calls": 1}
PINGS_EVERY_MS = 1000
# gRPC's own server hangs up at the third ping.
PATIENCE_SECONDS = 4.5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusProcess]:
    process = MilvusProcess(tmp_path_factory.mktemp("milvus"))
    yield process
    process.stop()


def test_clients_that_stay_open_and_ping_are_never_hung_up_on(server: MilvusProcess) -> None:
    options = [(f"grpc.{name}", value) for name, value in STOCK.items()]
    options += [
        ("grpc.keepalive_time_ms", PINGS_EVERY_MS),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    hung_up = threading.Event()
    ready = [threading.Event() for _ in range(CLIENTS)]
    channels = []
    for mine in ready:
        channel = grpc.insecure_channel(server.url.removeprefix("http://"), options=options)

        def note(state: grpc.ChannelConnectivity, mine: threading.Event = mine) -> None:
            if state is grpc.ChannelConnectivity.READY:
                mine.set()
            elif mine.is_set():
                hung_up.set()

        channel.subscribe(note, try_to_connect=True)
        channels.append(channel)
    assert all(mine.wait(30) for mine in ready)
    assert not hung_up.wait(PATIENCE_SECONDS)
    for channel in channels:
        channel.close()


def test_stock_clients_opened_often_in_one_process_are_all_answered(
    server: MilvusProcess,
) -> None:
    # Each asks, and stays open beside those that follow.
    clients = [MilvusClient(server.url) for _ in range(CLIENTS)]
    for _ in range(3):
        assert [client.list_collections() for client in clients] == [[]] * CLIENTS
    for client in clients:
        client.close()

"""A proxy before a Milvus server that fails calls as servers and networks do.

Belongs here: forwarding gRPC calls as bytes, and doing to them what a test says. Milvus Lite has
no quotas, no load balancer before it and no network; this stands in for them, and knows nothing of
collections.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import grpc
from pymilvus.grpc_gen.common_pb2 import Status
from pymilvus.grpc_gen.milvus_pb2 import MutationResult

# Every answer about rows has its status in the same place, so this is an answer to all of them.
BUSY = MutationResult(
    status=Status(error_code="RateLimit", code=8, reason="request is rejected by limiter: rate")
).SerializeToString()
ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# Headers of the hop from the adapter to the proxy.
HOP = ("user-agent", "grpc-")
CALLS_AT_ONCE = 8


@dataclass
class Fault:
    """What happens to calls.

    Attributes:
        match: Pattern of the method, `/milvus.proto.milvus.MilvusService/Upsert`.
        answer: `busy`: the server's own refusal under a quota; `lost`: the connection breaks;
            None: the server's answer.
        after: Whether the call is applied before that.
        delay_seconds: Silence before the answer.
        probability: Of each matching call.
        skip: Matching calls that are let through first.
        times: Most often it strikes; None for always.
        hits: How often it has struck.
    """

    match: str
    answer: Literal["busy", "lost"] | None = None
    after: bool = False
    delay_seconds: float = 0.0
    probability: float = 1.0
    skip: int = 0
    times: int | None = None
    hits: int = 0

    def strikes(self, method: str, rng: random.Random) -> bool:
        if not re.search(self.match, method) or rng.random() >= self.probability:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True


class MilvusProxy(grpc.GenericRpcHandler):
    """Listens on a port of its own and forwards to a server.

    Args:
        server: URL of the server.
    """

    def __init__(self, server: str) -> None:
        self._channel = grpc.insecure_channel(server.removeprefix("http://"), options=ANY_SIZE)
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._rng = random.Random(0)
        self._port = 0

    def __enter__(self) -> MilvusProxy:
        self._listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.stop(grace=0).wait()
        self._channel.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def turn(self, *faults: Fault, seed: int = 0) -> None:
        """Do these things from now on; nothing at all without any."""
        with self._lock:
            self._faults, self._rng = list(faults), random.Random(seed)

    def tear(self) -> None:
        """Break every connection in the middle of whatever it does, and listen again."""
        self._listener.stop(grace=0).wait()
        self._listen()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """How grpc asks for the handler of a method: all of them are forwarded."""
        method = handler_call_details.method
        forward: Callable[[bytes, grpc.ServicerContext], bytes]
        forward = lambda request, context: self._forward(method, request, context)  # noqa: E731
        return grpc.unary_unary_rpc_method_handler(forward)

    def _listen(self) -> None:
        self._listener = grpc.server(ThreadPoolExecutor(CALLS_AT_ONCE), [self], options=ANY_SIZE)
        self._port = self._listener.add_insecure_port(f"127.0.0.1:{self._port}")
        self._listener.start()

    def _forward(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        with self._lock:
            found = next((one for one in self._faults if one.strikes(method, self._rng)), None)
        fault = found or Fault(match="")
        answer = b""
        if fault.after or fault.answer is None:
            # Silence before a call is applied comes first, after it last.
            time.sleep(0 if fault.after else fault.delay_seconds)
            answer = self._applied(method, request, context)
        time.sleep(fault.delay_seconds if fault.after else 0)
        if fault.answer == "lost":
            context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset by peer")
        return BUSY if fault.answer == "busy" else answer

    def _applied(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        headers = [(k, v) for k, v in context.invocation_metadata() if not k.startswith(HOP)]
        try:
            answer: bytes = self._channel.unary_unary(method)(request, metadata=headers)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        return answer

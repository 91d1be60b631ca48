"""`python -m` this package: the server as a foreground process.

The key comes from the environment and never from the command line, which other users of the
machine can read.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from .errors import PineconeServerError
from .http.server import LOOPBACK, PineconeServer

#: The variable the SDK reads its key from too.
API_KEY_VARIABLE = "PINECONE_API_KEY"
DEFAULT_PORT = 5080


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped by a signal.

    Returns:
        The exit status: 1 when the server could not start.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}",
        description="Serve the Pinecone API (version 2026-07) from a local folder.",
        epilog=f"The API key is read from ${API_KEY_VARIABLE}; unset, any key is accepted.",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the indexes")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free port")
    parser.add_argument("--host", default=LOOPBACK, help="address to bind (default: loopback)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    api_key = os.environ.get(API_KEY_VARIABLE) or None
    try:
        server = PineconeServer(options.data, options.port, api_key, host=options.host)
    except PineconeServerError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"serving {options.data} on {server.url}", flush=True)
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

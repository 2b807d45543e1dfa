"""Open the built book in a browser, served from this machine only."""

import functools
import http.server
import sys
import webbrowser
from pathlib import Path

PAGES = Path(__file__).resolve().parents[1] / "_build" / "html"


def main() -> int:
    """Serve until interrupted; return the exit status."""
    if not (PAGES / "index.html").exists():
        print("There is no built book yet: run make book", file=sys.stderr)
        return 1
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=PAGES)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        print(f"The book is at {address} until you press Ctrl-C.", flush=True)
        webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A headless Chromium with no network but this machine, and the built pages."""

import functools
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
HTML = Path(os.environ.get("COMPANION_SITE") or ROOT / "_build" / "html").resolve()

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NO_BROWSER = (
    "there is no Chromium or Chrome for the site tests: install one with "
    "`sudo apt install chromium` or `.venv/bin/playwright install chromium`"
)
PATIENCE = 120_000  # milliseconds; a busy machine is no fault of the page


def find_browser(own: str) -> str | None:
    """Return the system's Chromium or Chrome, else Playwright's `own`, else None."""
    found = [path for path in map(shutil.which, PROGRAMS) if path]
    found += [path for path in (*PLACES, own) if Path(path).is_file()]
    return found[0] if found else None


@dataclass
class Visit:
    """An open page and everything that went wrong on it."""

    page: object
    problems: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def html() -> Path:
    if not (HTML / "index.html").is_file():
        pytest.fail(f"there is no built book at {HTML}: run make book")
    return HTML


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    playwright_api = pytest.importorskip("playwright.sync_api", reason=NO_BROWSER)
    with playwright_api.sync_playwright() as playwright:
        program = find_browser(playwright.chromium.executable_path)
        if program is None:
            pytest.skip(NO_BROWSER)
        running = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield running
        running.close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def server(html: Path) -> Iterator[str]:
    handler = functools.partial(QuietHandler, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def visit(browser, html, server):
    """Return a context manager that opens `path` and watches it.

    Nothing but this server and files may be asked for: any other request is stopped and noted.
    """

    @contextmanager
    def opened(path: str, *, scheme: str = "http", width: int = 1280, dark: bool = False):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write"],
            service_workers="block",
        )
        context.set_default_timeout(PATIENCE)
        found = Visit(context.new_page())
        _watch(context, found, server)
        base = server if scheme == "http" else html.as_uri()
        try:
            found.page.goto(f"{base}/{path}", wait_until="load")
            _settle(found.page)
            yield found
        finally:
            context.close()

    return opened


def _watch(context, found: Visit, server: str) -> None:
    allowed = (server, "file:", "data:", "blob:", "about:")

    def route(handle, request) -> None:
        if request.url.startswith(allowed):
            handle.continue_()
        else:
            found.problems.append(f"asks the network for {request.url}")
            handle.abort()

    def console(message) -> None:
        if message.type in ("error", "warning"):
            found.problems.append(f"console {message.type}: {message.text}")

    def response(answer) -> None:
        if answer.status >= 400:
            found.problems.append(f"{answer.status} for {answer.url}")

    context.route("**/*", route)
    found.page.on("console", console)
    found.page.on("pageerror", lambda error: found.problems.append(f"script error: {error}"))
    found.page.on("requestfailed", lambda r: found.problems.append(f"failed request {r.url}"))
    found.page.on("response", response)


def _settle(page) -> None:
    """Wait until formulas are typeset and every picture has arrived."""
    page.wait_for_function(
        "() => !document.querySelector('script[src*=mathjax]')"
        " || (window.MathJax && MathJax.startup && MathJax.startup.promise)"
    )
    page.evaluate("() => window.MathJax && MathJax.startup && MathJax.startup.promise")
    page.evaluate(
        "() => { document.querySelectorAll('img').forEach(i => i.loading = 'eager');"
        " return Promise.all([...document.images].filter(i => !i.complete)"
        ".map(i => new Promise(done => { i.onload = i.onerror = done; }))) }"
    )

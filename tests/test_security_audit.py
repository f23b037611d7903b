"""`make audit`: what is a finding ends it, and what could not be asked is said aloud."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import ROOT

PYTHON = ROOT / ".venv-audit" / "bin" / "python"
LOCKS = [ROOT / "requirements.lock", ROOT / ".ci/audit.lock", *ROOT.glob("*-cluster.lock")]
HASH = "sha256:" + "0" * 64

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="`make audit` was not run here")


class _Advisories(BaseHTTPRequestHandler):
    """A server of the OSV protocol that knows one bad package."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = asked["package"]["name"]
        events = [{"introduced": "0"}, {"fixed": "999"}]
        advisory = {
            "id": "TEST-2025-1",
            "modified": "2025-01-01T00:00:00Z",
            "published": "2025-01-01T00:00:00Z",
            "summary": "made up",
            "details": "made up",
            "affected": [
                {
                    "package": {"name": name, "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": events}],
                }
            ],
        }
        body = json.dumps({"vulns": [advisory]} if name == "typer" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture(scope="module")
def advisories() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Advisories)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


@pytest.fixture
def offline(tmp_path: Path) -> Mapping[str, str]:
    """No index and no service but those of this machine."""
    nowhere = "http://127.0.0.1:9"
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    cache = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_OFFLINE": "1"}
    return {"NO_PROXY": "127.0.0.1", **cache, **dict.fromkeys(names, nowhere)}


def audit(lock: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, ROOT / ".ci/audit.py", lock],
        env=os.environ | dict(env),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_package_with_an_advisory_is_a_finding(
    tmp_path: Path, advisories: str, offline: Mapping[str, str]
) -> None:
    lock = tmp_path / "a.lock"
    lock.write_text(f"typer==0.1.0 --hash={HASH}\nrich==1.0.0 --hash={HASH}\n")
    done = audit(lock, {**offline, "AUDIT_OSV_URL": advisories})
    assert "FINDING: typer 0.1.0: TEST-2025-1, fixed in 999" in done.stdout
    assert "rich 1.0.0" not in done.stdout
    assert done.returncode == 1, done.stdout + done.stderr


def test_without_any_service_the_audit_says_so_and_ends_well(
    tmp_path: Path, offline: Mapping[str, str]
) -> None:
    """A service that is away is no finding, and its silence is no clean bill."""
    lock = tmp_path / "a.lock"
    lock.write_text(f"typer==0.1.0 --hash={HASH}\n")
    done = audit(lock, {**offline, "AUDIT_OSV_URL": "http://127.0.0.1:9/v1/query"})
    assert "NOT CHECKED: KNOWN VULNERABILITIES" in done.stdout
    assert "NOT CHECKED: yanked releases" in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_requirement_without_version_or_hash_is_a_finding(
    tmp_path: Path, advisories: str, offline: Mapping[str, str]
) -> None:
    lock = tmp_path / "a.lock"
    wrong = ["a", "b>=0.1", "c @ https://host/c.whl", "d==0.1.0", "e==1.*"]
    good = f"# a comment\nrich==1.0.0 \\\n    --hash={HASH}\n"
    lock.write_text(good + "".join(f"{line}\n" for line in wrong))
    done = audit(lock, {**offline, "AUDIT_OSV_URL": advisories})
    found = re.findall(r"FINDING: a.lock: (\w+)\S* .*(?:is not pinned|has no sha256)", done.stdout)
    assert found == ["a", "b", "c", "d", "e"]
    assert done.returncode == 1


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_the_locks_name_no_index_and_no_file(lock: Path) -> None:
    """They serve any machine: a host in one of them would be asked by everybody."""
    assert not re.search(
        r"://|^\s*-(i|f|e)\b|--(extra-)?index|--find-links", lock.read_text(), re.M
    )

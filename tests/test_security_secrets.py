"""Credentials are nowhere in what a run leaves: canaries go in, and every file is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.errors import DataError, UsageError, WarehouseError
from ray_backfill.record.failures import describe, kind_of
from ray_backfill.redact import CleanedError, cleaned, is_secret, redacted, url
from ray_backfill.warehouse import Warehouse, open_warehouse
from tests.conftest import ROOT, environment, sales
from tests.leaky_job import CODE, DATA, HIDDEN, LAST, LOST, URL
from tests.nodes import Cluster, free_ports
from tests.rolling_job import SALES

LEAKY = "tests.leaky_job:JOB"
SCRIPT = Path(sys.executable).parent / "ray-backfill"


# -- the run that fails in every way -------------------------------------------------------------
@pytest.fixture(scope="module")
def secrets_of(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The canaries, as variables."""
    (port,) = free_ports(1)
    key = tmp_path_factory.mktemp("keys") / "canary-key.json"
    key.write_text(
        json.dumps(
            {
                "type": "service_account",
                "client_email": "me@example.com",
                "token_uri": "http://127.0.0.1:9/",
                "private_key_id": "canary-of-a-key-id",
                "private_key": "-----BEGIN KEY-----\ncanary-of-a-key\n-----END KEY-----",
            }
        )
    )
    return {
        "DATABASE_PASSWORD": "canary-of-a-password",
        "AWS_ACCESS_KEY_ID": "canary-of-an-id",
        "AWS_SECRET_ACCESS_KEY": "canary/of+a/secret==",
        "AWS_SESSION_TOKEN": "canary-of-a-session",
        "AWS_REGION": "us-east-1",
        "GOOGLE_APPLICATION_CREDENTIALS": str(key),
        "RAY_BACKFILL_NOTIFY": f"http://127.0.0.1:{port}/canary-of-a-webhook",
        "RAY_BACKFILL_API_TOKEN": "canary-of-a-token",
        "RAY_BACKFILL_PROXY": "http://me:canary-of-a-proxy@127.0.0.1:9",
    }


@pytest.fixture(scope="module")
def cluster(secrets_of: Mapping[str, str]) -> Iterator[Cluster]:
    """A Ray whose every process has the canaries in its environment."""
    path = f"{SCRIPT.parent}:{os.environ['PATH']}"
    with Cluster(env={**secrets_of, "PATH": path}) as running:
        running.add_node(2)
        yield running


class Seen:
    """Command lines of all processes of this machine that held a canary while a block ran."""

    def __init__(self) -> None:
        self.lines: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    self.lines.update(line for line in [path.read_bytes()] if b"canary" in line)

    def __enter__(self) -> Seen:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def call(env: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [SCRIPT, *words],
        cwd=ROOT,
        env=environment() | dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert_clean(done.stdout, done.stderr)
    return done


def assert_clean(*texts: str) -> None:
    for text in texts:
        assert "canary-of" not in text
        assert "canary/of" not in text
        assert os.environ["RAY_AUTH_TOKEN"] not in text


def leaks(*folders: Path) -> dict[str, str]:
    """File -> where a canary or Ray's token stands in it; but for this code, which is shipped."""
    found = {}
    token = os.environ["RAY_AUTH_TOKEN"].encode()
    for folder in folders:
        for path in folder.rglob("*"):
            ours = "working_dir_files" in path.parts and path.suffix == ".py"
            if path.is_file() and not path.is_symlink() and not ours:
                data = path.read_bytes()
                for secret in (b"canary-of", b"canary/of", b"canary%2Fof", token):
                    at = data.find(secret)
                    if at >= 0:
                        found[str(path)] = data[max(0, at - 200) : at + 50].decode(errors="replace")
    return found


@pytest.fixture(scope="module")
def failed(
    cluster: Cluster, secrets_of: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Warehouse, subprocess.CompletedProcess[str], Seen]:
    house = open_warehouse(str(tmp_path_factory.mktemp("lakes") / "lake"))
    house.append(SALES, sales((CODE, URL, HIDDEN, DATA, LOST, LAST)).to_arrow())
    with Seen() as seen:
        done = call(
            secrets_of,
            "run",
            LEAKY,
            "-w",
            house.uri,
            "--address",
            cluster.address,
            "--workers",
            "2",
        )
    return house, done, seen


def test_a_run_that_fails_in_every_way_writes_no_secret(
    failed: tuple[Warehouse, subprocess.CompletedProcess[str], Seen], cluster: Cluster
) -> None:
    house, done, seen = failed
    assert done.returncode == 1, done.stderr
    (key,) = house.list_objects("reports/")
    report = json.loads(house.get_object(key) or b"")
    assert set(report["published"]) == {str(LAST)}
    assert set(report["failed"]) == {str(day) for day in (CODE, URL, HIDDEN, DATA, LOST)}
    assert seen.lines == set()
    assert len(cluster.logs()) > 10
    assert leaks(Path(house.uri), cluster.temp) == {}


def test_ray_s_dashboard_shows_the_errors_of_tasks_without_secrets(
    failed: object, cluster: Cluster
) -> None:
    """It keeps the traceback of each task that failed, for whoever may look."""
    shown = asked(cluster, "api/v0/tasks?detail=1&limit=1000")
    assert "$DATABASE_PASSWORD" in shown
    assert "what came before says it" in shown


def asked(cluster: Cluster, path: str) -> str:
    """What the dashboard answers, which holds no secret."""
    token = {"Authorization": f"Bearer {os.environ['RAY_AUTH_TOKEN']}"}
    answer = requests.get(f"{cluster.dashboard}/{path}", headers=token, timeout=60)
    assert answer.status_code == 200
    assert_clean(answer.text)
    return answer.text


def test_a_submitted_run_that_fails_writes_no_secret(
    cluster: Cluster, secrets_of: Mapping[str, str], tmp_path: Path
) -> None:
    """Neither here nor in Ray's files, nor in what its dashboard says of the job."""
    house = open_warehouse(str(tmp_path / "lake"))
    house.append(SALES, sales((CODE, LAST)).to_arrow())
    words = ["submit", LEAKY, "-w", house.uri, "--address", cluster.dashboard, "--workers", "2"]
    with Seen() as seen:
        done = call(secrets_of, *words, "--secret", "DATABASE_PASSWORD")
    assert done.returncode == 1, done.stderr
    assert "$DATABASE_PASSWORD" in done.stdout + done.stderr, done.stderr
    assert seen.lines == set()
    assert leaks(tmp_path, cluster.temp) == {}
    assert "DATABASE_PASSWORD" in asked(cluster, "api/jobs/")


# -- the commands that fail before there is a run ------------------------------------------------
class _Refusing(BaseHTTPRequestHandler):
    """An object store that knows no such key, and says which."""

    def do_GET(self) -> None:
        name = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        body = (
            "<Error><Code>InvalidAccessKeyId</Code><Message>The key does not exist: "
            f"{name}</Message><AWSAccessKeyId>{name}</AWSAccessKeyId></Error>"
        ).encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://me:canary-of-an-endpoint@127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("command", ["plan", "run", "status", "tables"])
def test_a_store_that_refuses_its_key_is_named_without_it(
    secrets_of: Mapping[str, str], refusing: str, command: str
) -> None:
    """Its message repeats the key, and the endpoint holds a password."""
    env = {**secrets_of, "AWS_ENDPOINT_URL": refusing, "AWS_ALLOW_HTTP": "true"}
    words = [command, *([LEAKY] if command in ("plan", "run") else []), "-w", "s3://bucket/lake"]
    done = call(env, *words)
    assert done.returncode == 1
    assert "$AWS_ACCESS_KEY_ID" in done.stderr


def test_a_key_of_google_s_that_is_none_is_not_shown(secrets_of: Mapping[str, str]) -> None:
    done = call(secrets_of, "tables", "-w", "bigquery://some-project")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "uri",
    [
        "s3://me:canary-of-a-url@bucket/lake",
        "s3://canary-of-a-url@bucket/lake",
        "gs://bucket/lake?X-Goog-Signature=canary-of-a-url",
        "abfss://c:canary-of-a-url@account.dfs.core.windows.net/lake",
        "az://container/lake#canary-of-a-url",
        "bigquery://me:canary-of-a-url@project",
        "bigquery://project?token=canary-of-a-url",
        "https://me:canary-of-a-url@host/lake?sig=canary-of-a-url",
    ],
)
def test_a_warehouse_s_url_with_credentials_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(UsageError) as refused:
        open_warehouse(uri)
    assert_clean(str(refused.value))


def test_places_of_azure_are_no_credentials() -> None:
    uri = "abfss://container@account.dfs.core.windows.net/lake"
    assert open_warehouse(uri).uri == uri
    assert redacted(uri, {}) == uri


# -- what is taken for a secret ------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    [
        "RAY_AUTH_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SESSION_TOKEN",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "RAY_BACKFILL_NOTIFY",
        "RAY_BACKFILL_API_KEY",
        "PGPASSWORD",
        "SLACK_WEBHOOK_URL",
        "SENTRY_DSN",
        "MYSQL_PWD",
        "SMTP_PASS",
        "HTTP_BEARER",
        "GITHUB_PAT",
        "REDIS_AUTH",
        "SESSION_COOKIE",
        "my_secret",
    ],
)
def test_the_name_of_a_variable_says_that_it_is_a_secret(name: str) -> None:
    assert is_secret(name)
    assert redacted("it said hush-hush!", {name: "hush-hush!"}) == f"it said ${name}"


@pytest.mark.parametrize(
    "name",
    [
        *("RAY_BACKFILL_WAREHOUSE", "RAY_BACKFILL_JOBS", "RAY_AUTH_MODE", "PATH", "KEYBOARD"),
        *("MONKEY", "PWD", "OLDPWD", "SSH_AUTH_SOCK", "PYTHONPATH"),
    ],
)
def test_others_are_shown_as_they_are(name: str) -> None:
    assert not is_secret(name, "s3://bucket/lake")
    assert redacted("it said hush-hush!", {name: "hush-hush!"}) == "it said hush-hush!"


def test_a_variable_whose_value_is_a_url_with_a_password_is_a_secret() -> None:
    assert is_secret("RAY_BACKFILL_PROXY", "http://me:pw@127.0.0.1:9")
    assert is_secret("HTTPS_PROXY", "https://host/?X-Amz-Signature=abc")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://me:p@ss@host/x failed", "GET https://***@host/x failed"),
        ("https://h/p?a=1&X-Amz-Signature=abc&b=2", "https://h/p?a=1&X-Amz-Signature=***&b=2"),
        ("https://h/p?sv=1&sig=a%2Bb%3D)", "https://h/p?sv=1&sig=***)"),
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer ***"),
        ("x-api-key: abcdefghijkl was refused", "x-api-key: *** was refused"),
        ("write to me@example.com", "write to me@example.com"),
        ("s3://bucket/a@b/c", "s3://bucket/a@b/c"),
        ("the key=value of a dict", "the key=value of a dict"),
    ],
)
def test_credentials_are_known_by_their_form(text: str, shown: str) -> None:
    assert redacted(text, {}) == shown


def test_a_url_is_shown_without_user_query_and_fragment() -> None:
    assert url("https://me:pw@host/x?sig=abc#d") == "https://***@host/x?***"
    assert url("s3://bucket/x") == "s3://bucket/x"


words = st.text(min_size=8, max_size=30).filter(lambda text: len(text.strip()) >= 8)


@given(words, st.text(max_size=30), st.text(max_size=30))
def test_no_text_shows_the_value_of_a_secret(secret: str, before: str, after: str) -> None:
    """Wherever it stands, and however short what stands around it."""
    env = {"SOME_TOKEN": secret}
    assert secret not in redacted(f"{before}{secret}{after}", env).replace("$SOME_TOKEN", "")


@given(words)
def test_a_text_is_redacted_once_and_for_all(secret: str) -> None:
    env = {"SOME_TOKEN": secret}
    once = redacted(f"x {secret} y", env)
    assert redacted(once, env) == once or "TOKEN" in secret or "SOME" in secret


def test_lines_of_a_key_are_known_one_by_one() -> None:
    env = {"PRIVATE_KEY": "-----BEGIN KEY-----\nabcdefghijkl\nmnopqrstuvwx\n-----END KEY-----\n"}
    assert redacted("at line mnopqrstuvwx", env) == "at line $PRIVATE_KEY"
    assert redacted("%3A", {"A_KEY": "short"}) == "%3A"


# -- errors --------------------------------------------------------------------------------------
def test_errors_keep_their_meaning_when_they_lose_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver treats what came from a worker by its kind, and names its type."""
    monkeypatch.setenv("SOME_TOKEN", "hush-hush!")
    for error, kind, told in (
        (DataError("hush-hush!", "ask hush-hush!"), "data", "$SOME_TOKEN ask $SOME_TOKEN"),
        (WarehouseError("hush-hush!"), "infrastructure", "$SOME_TOKEN"),
        (PermissionError(13, "hush-hush!"), "infrastructure", "OSError: [Errno 13] $SOME_TOKEN"),
        (MemoryError("hush-hush!"), "infrastructure", "MemoryError: $SOME_TOKEN"),
        (KeyError("hush-hush!"), "code", "KeyError: '$SOME_TOKEN'"),
    ):
        clean = cleaned(error)
        assert "hush" not in f"{clean!r} {clean} {clean.args}"
        assert (kind_of(clean), describe(clean)) == (kind, told)
        assert describe(error).endswith(told.rpartition(": ")[2])


def test_an_error_without_secrets_stays_itself() -> None:
    error = KeyError("x")
    assert cleaned(error) is error


def test_what_came_before_an_error_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray writes the whole history of an error."""
    monkeypatch.setenv("SOME_TOKEN", "hush-hush!")
    error = RuntimeError("no luck")
    error.__cause__ = ValueError("hush-hush!")
    clean = cleaned(error)
    assert isinstance(clean, CleanedError)
    assert clean.__cause__ is clean.__context__ is None
    assert describe(clean) == "RuntimeError: no luck"

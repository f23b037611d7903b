"""`submit`, `jobs`, `watch` and `cancel` against a real cluster, by the real command line."""

from __future__ import annotations

import http.server
import json
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from ray_backfill.record.journal import read_journal, run_ids
from ray_backfill.warehouse import Warehouse
from tests.conftest import DAYS, ROOT, environment
from tests.engine import ROLLING, content, ran
from tests.nodes import Cluster, Node, until
from tests.test_cli import SCRIPT


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head and a worker node, started from an environment that is not activated: the `python`
    on their path is another. Nothing of this checkout is there but what is shipped.
    """
    with Cluster(env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ""}) as made:
        made.add_node(2)
        yield made


def start(cluster: Cluster, *words: str, **variables: str) -> subprocess.Popen[str]:
    """`ray-backfill …` in a process of its own, with the cluster as its address."""
    return subprocess.Popen(
        [SCRIPT, *words],
        cwd=ROOT,
        env=environment() | {"RAY_BACKFILL_CLUSTER": cluster.dashboard} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def call(cluster: Cluster, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The same, to its end."""
    process = start(cluster, *words, **variables)
    out, err = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def submission(cluster: Cluster, lake: Warehouse, gate: Path, *words: str) -> str:
    """The id of a job that computes nothing until the gate is there."""
    words = ("submit", ROLLING, "-w", lake.uri, "-o", f"wait_for={gate}", *words)
    done = call(cluster, *words, "--no-wait", "--json")
    assert done.returncode == 0, done.stderr
    until(Path(f"{gate}.here").exists, "the job computes")
    return str(json.loads(done.stdout)["submission"])


# -- shipping ----------------------------------------------------------------------------------
SHOP = '''
"""A job that notes, where it computes, which files it finds beside itself."""

import json
import os
from dataclasses import replace
from pathlib import Path

from tests.rolling_job import JOB as ROLLING


def compute(frames, dates, context):
    here = Path(__file__).parent
    found = sorted(str(p.relative_to(here)) for p in here.rglob("*") if p.suffix != ".pyc")
    Path(os.environ["ARRIVED"]).write_text(json.dumps(found))
    return ROLLING.compute(frames, dates, context)


JOB = replace(ROLLING, name="shop", compute=compute, modules=("shop_job",))
'''


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a job, junk that git ignores, and the job's package installed here."""
    folder = tmp_path / "checkout"
    installed = tmp_path / "site" / "shop_job-1.0.dist-info"
    for path, text in (
        (folder / "shop_job.py", SHOP),
        (folder / ".gitignore", "*.log\n/data/\n"),
        (folder / "junk.log", "x"),
        (folder / "data" / "big.bin", "x"),
        (folder / ".venv" / "pyvenv.cfg", "x"),
        (installed / "METADATA", "Metadata-Version: 2.1\nName: shop-job\nVersion: 1.0\n"),
        (installed / "entry_points.txt", "[ray_backfill.jobs]\nshop = shop_job:JOB\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    return folder


def test_a_checkout_is_shipped_run_and_followed_to_its_end(
    cluster: Cluster, lake: Warehouse, checkout: Path, tmp_path: Path
) -> None:
    """Exit 0 and the content of a local run; what git ignores stays here; the job's name, which
    an installed package gives here, is known there, and so are variables that were named.
    """
    path = f"{checkout}:{tmp_path / 'site'}:{ROOT}"
    arrived, there = tmp_path / "arrived.json", {"PYTHONPATH": path}
    words = ("submit", "shop", "--ship", str(checkout), "-w", lake.uri, "--env", "ARRIVED")
    done = call(cluster, *words, "--json", ARRIVED=str(arrived), **there)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["submission"].startswith("shop-all-")
    assert (found["status"], found["exit_code"], found["found"]) == ("SUCCEEDED", 0, False)
    assert (found["published"], found["rows"]) == (len(DAYS), len(DAYS) * 5)
    assert json.loads(arrived.read_text()) == [
        ".gitignore",
        "shop_job-1.0.dist-info",
        "shop_job-1.0.dist-info/METADATA",
        "shop_job-1.0.dist-info/entry_points.txt",
        "shop_job.py",
    ]
    there_rows = content(lake)
    ran(lake)
    assert content(lake).equals(there_rows)
    assert read_journal(lake, run_ids(lake)[0])[0]["submission"] == found["submission"]


def test_too_much_is_refused_before_the_cluster_is_asked(checkout: Path, lake: Warehouse) -> None:
    """Exit 3 with the largest files, though no cluster is there."""
    (checkout / "shop_job.bin").write_bytes(b"x" * (2 * 2**20))
    words = ["submit", ROLLING, "-w", lake.uri, "--ship", checkout, "--max-ship-mib", "1"]
    done = subprocess.run(
        [SCRIPT, *words, "--address", "127.0.0.1:9"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "Largest: shop_job.bin 2.0 MiB" in done.stderr.replace("\n", " ")


# -- following ---------------------------------------------------------------------------------
def test_a_running_job_is_found_and_followed_while_the_dashboard_starts_anew(
    cluster: Cluster, lake: Warehouse, tmp_path: Path
) -> None:
    """A second submission follows the first; it says when nobody answers, goes on by itself,
    repeats no line, and ends with the run's own exit code.
    """
    gate, poison = tmp_path / "gate", f"raise_on={DAYS[8]}"
    first = submission(cluster, lake, gate, "-o", poison)
    words = ("submit", ROLLING, "-w", lake.uri, "-o", f"wait_for={gate}", "-o", poison)
    second = start(cluster, *words)
    assert second.stderr is not None
    seen = list(lines_until(second.stderr, '"event":"phase"'))
    restart_dashboard(cluster, seen, second.stderr)
    listed = json.loads(call(cluster, "jobs", "list", "--json").stdout)["jobs"]
    watched = call(cluster, "watch", "--address", cluster.dashboard, "--once")
    gate.touch()
    _, rest = second.communicate()
    text = "".join(seen) + rest
    assert second.returncode == 1, text
    assert f"{first} is submitted already" in text
    assert "it goes on with the options that it was given then" in text.replace("\n", " ")
    assert "Connected again." in text
    records = [line for line in text.splitlines() if line.startswith("{")]
    assert len(records) == len(set(records)) > len(DAYS)
    assert [job["status"] for job in listed if job["id"] == first] == ["RUNNING"]
    assert f"0/{len(DAYS)} dates" in watched.stderr
    there_rows = content(lake)
    ran(lake)
    assert there_rows.equals(content(lake).filter(pl.col("day") != DAYS[8]))


def lines_until(stream: Iterator[str], text: str) -> Iterator[str]:
    for line in stream:
        yield line
        if text in line:
            return
    raise AssertionError(f"ended without {text}")


def restart_dashboard(cluster: Cluster, seen: list[str], stream: Iterator[str]) -> None:
    """End it and start the same command; in between the follower has said that it is alone.

    With SIGTERM: where it is killed, `ray start --block` ends its whole node.
    """
    head = cluster.head.process.pid
    children = Path(f"/proc/{head}/task/{head}/children").read_text().split()
    (old,) = (pid for pid in children if any("dashboard.py" in w for w in words(pid, "cmdline")))
    command, variables = words(old, "cmdline"), words(old, "environ")
    os.kill(int(old), signal.SIGTERM)
    seen += lines_until(stream, "The connection is lost")
    new = subprocess.Popen(
        command,
        text=True,
        env=dict(word.split("=", 1) for word in variables if "=" in word),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    cluster.nodes.append(Node("dashboard", new, ""))  # ended with the cluster
    seen += lines_until(stream, "Connected again.")


def words(pid: str, what: str) -> list[str]:
    """What a process was started with."""
    return Path(f"/proc/{pid}/{what}").read_text().split("\0")[:-1]


def test_a_job_is_stopped_gently_and_submitted_again(
    cluster: Cluster, lake: Warehouse, tmp_path: Path
) -> None:
    """`jobs stop` lets running spans finish; the same command then has the next number, and
    goes on with what is left; the first one's log is there to be read.
    """
    gate, one = tmp_path / "gate", ("--workers", "1")  # so that the second span has not begun
    first = submission(cluster, lake, gate, *one)
    stopping = start(cluster, "jobs", "stop", first)
    until(lambda: signalled(cluster, first), "the driver was told")
    gate.touch()
    _, err = stopping.communicate()
    assert (stopping.returncode, f"{first}: STOPPED" in err) == (0, True), err
    words = ("submit", ROLLING, "-w", lake.uri, "-o", f"wait_for={gate}", *one, "--json")
    again = call(cluster, *words)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["submission"] == f"{first}-2"
    assert content(lake).height == len(DAYS) * 5
    assert [run["exit_code"] for run in ends(lake)] == [130, 0]
    followed = call(cluster, "jobs", "logs", first, "--follow")
    assert followed.returncode == 0
    assert '"exit_code":130' in followed.stdout
    assert f"{first}: STOPPED, exit 130" in followed.stderr


def signalled(cluster: Cluster, submission_id: str) -> bool:
    return "Stopping: running spans finish" in call(cluster, "jobs", "logs", submission_id).stdout


def ends(lake: Warehouse) -> list[dict[str, object]]:
    return [read_journal(lake, run_id)[-1] for run_id in run_ids(lake)]


def test_a_job_is_cancelled_through_its_warehouse(
    cluster: Cluster, lake: Warehouse, tmp_path: Path
) -> None:
    """By the submission's id, without any address; who follows it ends with 130 too."""
    gate = tmp_path / "gate"
    found = submission(cluster, lake, gate)
    following = start(cluster, "submit", ROLLING, "-w", lake.uri, "-o", f"wait_for={gate}")
    assert following.stderr is not None
    seen = list(lines_until(following.stderr, f"{found} is submitted already"))
    cancelled = call(cluster, "cancel", found, "--now", "-w", lake.uri)
    assert cancelled.returncode == 0, cancelled.stderr
    assert "has ended with exit 130" in cancelled.stderr
    _, err = following.communicate()
    assert following.returncode == 130, "".join(seen) + err
    assert content(lake).is_empty()


# -- secrets and refusals ----------------------------------------------------------------------
def test_a_secret_that_the_cluster_lacks_stops_the_run_before_it_begins(
    cluster: Cluster, lake: Warehouse
) -> None:
    """Exit 3 with its name, also where nothing else is shown; its value is nowhere: not here, not
    in the log, not with the job. So it is with a webhook, which is a secret that nobody named.
    """
    value = secrets.token_hex(16)
    words = ("submit", ROLLING, "-w", lake.uri, "--secret", "SHOP_TOKEN", "--quiet")
    notify = f"http://127.0.0.1:9/{value}"
    done = call(cluster, *words, SHOP_TOKEN=value, RAY_BACKFILL_NOTIFY=notify)
    assert done.returncode == 3, done.stderr
    assert "no variable SHOP_TOKEN" in done.stderr
    assert "say --secret RAY_BACKFILL_NOTIFY" in done.stderr.replace("\n", " ")
    assert run_ids(lake) == []
    listed = call(cluster, "jobs", "list", "--all", "--json")
    assert value not in done.stdout + done.stderr + listed.stdout
    logs = b"".join(path.read_bytes() for path in cluster.logs())
    assert value.encode() not in logs


def test_what_cannot_be_submitted_says_why(cluster: Cluster, lake: Warehouse) -> None:
    """A wrong token, no cluster, something else that answers, an unknown job: no traceback."""
    wrong = call(cluster, "jobs", "list", RAY_AUTH_TOKEN="0123abcd" * 8)
    absent = call(cluster, "jobs", "list", RAY_AUTH_MODE="disabled")
    nobody = call(cluster, "jobs", "list", "--address", "http://127.0.0.1:9")
    unknown = call(cluster, "jobs", "logs", "no-such-job")
    with answering(b"<html>Sign in</html>") as address:
        proxy = call(cluster, "jobs", "list", "--address", address)
    with answering(b'{"version": "4", "ray_version": "2.9.3"}') as address:
        old = call(cluster, "jobs", "list", "--address", address)
    for done, said in (
        (wrong, "refuses the request"),
        (absent, "RAY_AUTH_MODE=token"),
        (nobody, "Nothing answers at http://127.0.0.1:9"),
        (proxy, "is not Ray's Job API"),
        (old, "runs Ray 2.9.3; at least 2.60 is needed"),
        (unknown, "knows no job 'no-such-job'"),
    ):
        assert said in done.stderr.replace("\n", " ")
        assert done.returncode == (2 if done is unknown else 3)
        assert "Traceback" not in done.stderr
        assert os.environ["RAY_AUTH_TOKEN"] not in done.stdout + done.stderr
        assert "0123abcd" not in done.stdout + done.stderr


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """A server that gives the same answer to whatever it is asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ship", ".", "--installed"), "--ship and --installed exclude each other"),
        (("--image", "x", "--installed"), "--installed and --image exclude each other"),
        (("--env", "MY_TOKEN=abc"), "MY_TOKEN is given with a value"),
        (("--env", "RAY_AUTH_TOKEN"), "RAY_AUTH_TOKEN looks like a secret"),
        (("--start-date", "2025-02-30"), "is not a date"),
        (("-o", "nothing=1"), "not an option of rolling"),
        (("--address", "ray://head:10001"), "not the address of a Job API"),
    ],
)
def test_a_wrong_submission_is_refused_here(
    lake: Warehouse, words: tuple[str, ...], said: str
) -> None:
    """Before anything is sent: exit 2 and a sentence."""
    done = subprocess.run(
        [SCRIPT, "submit", ROLLING, "-w", lake.uri, "--address", "http://127.0.0.1:9", *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr.replace("\n", " ")

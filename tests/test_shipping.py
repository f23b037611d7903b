"""What of a folder is shipped: git's rules, never more than allowed, and what it declares."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from ray_backfill.cluster.shipping import Shipment, default_folder, gather, packed
from ray_backfill.errors import RefusedError, UsageError
from tests.conftest import ROOT


def write(folder: Path, *names: str, text: str = "x") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)


def shipped(folder: Path) -> set[str]:
    return set(gather(folder, 100).files)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with ignored files, nested rules, and one that was added all the same."""
    folder = tmp_path / "checkout"
    write(folder, "a.py", "package/b.py", "package/kept.log", "junk.log", "data/big.bin")
    write(folder, "package/.gitignore", text="!kept.log\n")
    write(folder, ".gitignore", text="*.log\n/data/\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--force", "a.py", "data/big.bin")
    return folder


def test_a_checkout_ships_by_gits_own_rules(checkout: Path) -> None:
    """Tracked and new files, by nested rules too; what was added by force, not what is deleted."""
    write(checkout, "gone.py")
    git(checkout, "add", "gone.py")
    (checkout / "gone.py").unlink()
    assert shipped(checkout) == {
        ".gitignore",
        "a.py",
        "data/big.bin",
        "package/.gitignore",
        "package/b.py",
        "package/kept.log",
    }


def test_a_folder_without_a_repository_ships_by_the_same_rules(checkout: Path) -> None:
    """Its `.gitignore` files are read by git too; there is nothing that was added by force."""
    with_git = shipped(checkout)
    subprocess.run(["rm", "-r", checkout / ".git"], check=True)
    assert shipped(checkout) == with_git - {"data/big.bin"}


def test_environments_lakes_and_secrets_stay_here(checkout: Path) -> None:
    """Whatever git says of them; secrets are named."""
    write(checkout, "env/pyvenv.cfg", "env/lib/x.py", "here/_ray_backfill/runs/r.ndjson")
    write(checkout, "here/shop/sales/day=1/x.parquet", "table/_delta_log/0.json", "table/x.parquet")
    write(checkout, ".env", "deploy/server.pem", "package/__pycache__/b.pyc")
    found = gather(checkout, 100)
    assert {name.split("/")[0] for name in found.files} == {".gitignore", "a.py", "data", "package"}
    assert "package/__pycache__/b.pyc" not in found.files
    assert [text.split(" ")[0] for text in found.left_out] == [".env", "deploy/server.pem"]


@pytest.mark.parametrize(
    "name",
    [
        *("ID_RSA", "keys/id_ed25519.pub", "Service-Account-prod.json", ".pypirc", "auth_token"),
        *("a.P12", "my_token.json", "db-password.txt", "application_default_credentials.json"),
        *(
            ".aws/credentials",
            ".aws/config",
            "home/.ssh/config",
            ".kube/config",
            ".docker/config.json",
        ),
        *(".config/gcloud/access_tokens.db", ".terraform/terraform.tfstate", ".dbt/profiles.yml"),
        *("prod.env", ".env.production", "prod.env.bak", ".envrc", ".pgpass", "kubeconfig"),
        *("prod.kubeconfig", "kubeconfig-eu.yaml", "terraform.tfstate.backup", "prod.auto.tfvars"),
        *(
            "credentials",
            "credentials.toml",
            "aws_credentials.csv",
            "my_accessKeys.csv",
            "rootkey.csv",
        ),
        *(
            "secrets.yaml",
            "app.secrets.yml",
            ".streamlit/secrets.toml",
            "api_keys.ini",
            "db.creds.cfg",
        ),
        *(
            "deploy_rsa",
            "signing.p8",
            "store.jks",
            "vault.kdbx",
            "client_secret_1.json",
            "pip.conf",
        ),
    ],
)
def test_files_that_are_secrets_by_name_are_named_and_stay_here(checkout: Path, name: str) -> None:
    """However they are spelt, and also where they were committed."""
    write(checkout, name)
    git(checkout, "add", "--force", name)
    found = gather(checkout, 100)
    assert name not in found.files
    assert [text.split(" ")[0] for text in found.left_out] == [name]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "tokens.py",
            "secrets.py",
            "credentials.pyi",
            "package/tokenizer.json",
            "environment.yml",
        ),
        *("secretary.txt", "keys/readme.md", "monkey.csv", "aws/main.tf", "profiles.yml", "env.py"),
        *(
            "docs/credentials.md",
            "kubeconfig.py",
            "token_counts.parquet",
            "config.json",
            ".gitignore",
        ),
    ],
)
def test_what_only_sounds_like_a_secret_is_shipped(checkout: Path, name: str) -> None:
    """A job without a module of its own, or without its data, would fail on the cluster."""
    write(checkout, name)
    assert name in gather(checkout, 100).files


def test_a_checkout_that_is_itself_a_lake_is_refused_for_that_reason(checkout: Path) -> None:
    """As after `-w .`: git ignores none of it."""
    write(checkout, "_ray_backfill/runs/x.jsonl")
    with pytest.raises(RefusedError, match="itself a lake"):
        gather(checkout, 100)


def test_links_go_as_what_they_lead_to_inside_and_not_outside(checkout: Path) -> None:
    """A link that leaves the folder would carry files that nobody looked at."""
    write(checkout.parent, "outside.txt")
    (checkout / "in.py").symlink_to("a.py")
    (checkout / "out.txt").symlink_to(checkout.parent / "outside.txt")
    found = gather(checkout, 100)
    assert "in.py" in found.files
    assert "out.txt" not in found.files
    assert any("out.txt" in text for text in found.left_out)


def test_links_to_what_stays_here_stay_here(checkout: Path) -> None:
    """Whatever they are called, and over any number of links; each is named with its reason."""
    write(checkout, ".env", "env/pyvenv.cfg", "env/bin/tool", ".git/config", "package/deep/c.py")
    links = {
        "settings.txt": ".env",
        "again.txt": "settings.txt",
        "key.txt": "named.pem",
        "named.pem": "a.py",
        "tool": "env/bin/tool",
        "remote": ".git/config",
        "folder": "package/deep",
        "nothing": "gone.py",
        "circle": "circle",
        "good.py": "package/../package/deep/c.py",
    }
    for name, target in links.items():
        (checkout / name).symlink_to(target)
    found = gather(checkout, 100)
    assert set(links) & set(found.files) == {"good.py"}
    said = dict(text.removesuffix(")").split(" (", 1) for text in found.left_out)
    assert said == {
        ".env": "a secret by its name",
        "named.pem": "a secret by its name",
        **dict.fromkeys(["settings.txt", "again.txt", "key.txt"], "a link to a secret by its name"),
        **dict.fromkeys(["tool", "remote"], "a link into what is never shipped"),
        "folder": "a link to a folder",
        **dict.fromkeys(["nothing", "circle"], "a link to nothing"),
    }


def test_a_repository_inside_ships_by_its_own_rules(checkout: Path) -> None:
    """Like a submodule: its files, without what it ignores."""
    write(checkout, "inner/c.py", "inner/d.tmp")
    write(checkout, "inner/.gitignore", text="*.tmp\n")
    git(checkout / "inner", "init", "--quiet")
    found = shipped(checkout)
    assert "inner/c.py" in found
    assert "inner/d.tmp" not in found


def test_too_much_is_refused_with_the_largest_files(checkout: Path) -> None:
    """Before anything is packed or sent."""
    write(checkout, "package/large.bin", text="x" * 3 * 2**20)
    with pytest.raises(RefusedError) as refused:
        gather(checkout, 2)
    assert "3.0 MiB to ship in 7 files, more than --max-ship-mib 2" in str(refused.value)
    assert "package/large.bin 3.0 MiB" in str(refused.value)


def test_nothing_and_no_folder_are_refused(tmp_path: Path) -> None:
    """Each with its own sentence."""
    with pytest.raises(RefusedError, match="nothing to ship"):
        gather(tmp_path, 1)
    with pytest.raises(UsageError, match="no folder"):
        gather(tmp_path / "none", 1)


def test_the_same_files_make_the_same_bytes(checkout: Path, tmp_path: Path) -> None:
    """Times and the order of listing do not matter; content and executability do."""
    first = bytes_of(gather(checkout, 100))
    os.utime(checkout / "a.py", (1, 1))
    assert bytes_of(gather(checkout, 100)) == first
    (checkout / "a.py").chmod(0o755)
    assert bytes_of(gather(checkout, 100)) != first


def bytes_of(shipment: Shipment) -> bytes:
    with packed(shipment) as path:
        return path.read_bytes()


def test_the_default_is_the_root_of_the_checkout(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From anywhere inside; a home folder is never taken for one."""
    monkeypatch.chdir(checkout / "package")
    assert default_folder() == checkout
    monkeypatch.setenv("HOME", str(checkout))
    with pytest.raises(UsageError, match="no checkout to ship"):
        default_folder()


def test_this_project_ships_with_what_it_declares() -> None:
    """Its jobs and commands are found in the shipped folder alone, by Python's own means."""
    shipment = gather(ROOT, 100)
    assert {"ray_backfill/__main__.py", "tests/rolling_job.py"} <= set(shipment.files)
    version = distribution("ray-backfill").version
    with packed(shipment) as path, zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        archive.extractall(path.parent / "there")
        found = subprocess.run(
            [sys.executable, "-S", "-c", _ENTRY_POINTS],
            cwd=path.parent / "there",
            env={"PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert f"ray_backfill-{version}.dist-info/METADATA" in names
    assert not any(name.startswith((".git/", ".venv")) for name in names)
    assert found.splitlines() == [
        "demo = ray_backfill_nba.demo_league.command:app",
        "player_context = ray_backfill_nba.player_context:JOB",
    ]


_ENTRY_POINTS = """
from importlib.metadata import entry_points
for group in ("ray_backfill.commands", "ray_backfill.jobs"):
    for e in sorted(entry_points(group=group)):
        print(e.name, "=", e.value)
"""


def test_sources_below_src_become_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray imports from the top of what is shipped, so what is imported from here goes there."""
    write(tmp_path, "src/shop_jobs/__init__.py", "README.txt")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    assert shipped(tmp_path) == {"shop_jobs/__init__.py", "README.txt"}

"""Machines that are folders: what the launcher does over SSH happens in a home of their own.

A machine is Ubuntu as far as the launcher's commands need it: a login shell, Python, sudo, and a
systemd that starts a unit with nothing but the environment that it was given.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_PYTHON = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))

_SSH = """#!/bin/bash
printf '%s\\n' "$*" >> {root}/ssh.log
while [[ $1 == -* ]]; do
    if [[ $1 == -[iLo] ]]; then shift; fi
    shift
done
home=$(realpath "{root}/${{1#*@}}")
shift
cd "$home" && exec env -i {settings} HOME="$home" USER=ubuntu PATH=/usr/bin:/bin bash -c "$*"
"""

_SUDO = """#!/bin/bash
# Clears the environment unless told otherwise, and has a path of its own.
export PATH={root}/bin:/usr/bin:/bin
if [[ $1 == -E ]]; then shift; exec "$@"; fi
exec env -i HOME="$HOME" PATH="$PATH" "$@"
"""

_SYSTEMCTL = """#!/bin/bash
case "$*" in
"stop ray") [[ -e $HOME/unit.json ]] && exit 0; exit 5 ;;
"is-active --quiet ray") [[ -e $HOME/unit.json ]] && exit 0; exit 3 ;;
esac
exit 1
"""

_JOURNALCTL = """#!/bin/bash
cat "$HOME/unit.log"
"""

_RSYNC = """
import argparse, pathlib, shutil
options = argparse.ArgumentParser(allow_abbrev=False)
options.add_argument("--rsh", required=True)
options.add_argument("-avz", action="store_true", required=True)
options.add_argument("--exclude", action="append", default=[])
options.add_argument("source", type=pathlib.Path)
options.add_argument("target")
asked = options.parse_args()
machine, place = asked.target.split("@")[1].split(":")
target = (pathlib.Path("{root}") / machine).resolve() / place.removeprefix("~/")
if asked.source.is_dir():
    ignored = shutil.ignore_patterns(*asked.exclude)
    shutil.copytree(asked.source, target, dirs_exist_ok=True, ignore=ignored)
else:
    shutil.copy2(asked.source, target)
"""

_SYSTEMD_RUN = """
import argparse, json, os, pathlib, subprocess
options = argparse.ArgumentParser(allow_abbrev=False)
for flag in ("--quiet", "--collect"):
    options.add_argument(flag, action="store_true")
for option in ("--unit", "--uid", "--gid", "--service-type"):
    options.add_argument(option, required=True)
for option in ("--property", "--setenv"):
    options.add_argument(option, action="append", default=[])
options.add_argument("command", nargs=argparse.REMAINDER)
asked = options.parse_args()
given = [pair.split("=", 1) for pair in asked.setenv]
environment = {{pair[0]: pair[1] if len(pair) > 1 else os.environ[pair[0]] for pair in given}}
home = pathlib.Path(environment["HOME"])
with (home / "unit.log").open("wb") as log:
    unit = subprocess.Popen(
        asked.command, env=environment, stdin=subprocess.DEVNULL, stdout=log,
        stderr=subprocess.STDOUT, start_new_session=True)
(home / "unit.json").write_text(json.dumps(
    {{"pid": unit.pid, "type": asked.service_type, "properties": asked.property,
      "command": asked.command, "environment": environment}}))
"""


class Unit:
    """What systemd was told to run on a machine."""

    def __init__(self, home: Path) -> None:
        self._home = home
        told = json.loads((home / "unit.json").read_text())
        self.pid: int = told["pid"]
        self.command: list[str] = told["command"]
        self.environment: dict[str, str] = told["environment"]
        self.text = "\n".join(
            ["[Service]", f"Type={told['type']}", "ExecStart=/usr/bin/true"]
            + [p for p in told["properties"] if not p.startswith("After=")]
            + ["[Unit]", *(p for p in told["properties"] if p.startswith("After="))]
        )
        """The unit as a file of systemd."""

    def log(self) -> str:
        """What it printed."""
        return (self._home / "unit.log").read_text()

    def stop(self) -> None:
        """What `KillMode=mixed` does first: SIGTERM to the main process alone."""
        os.kill(self.pid, signal.SIGTERM)


class Machines:
    """Folders under `root` by name and by address; `bin` are the programs that they have.

    `settings` are variables of every machine, such as where its pip finds packages.
    """

    def __init__(self, root: Path, settings: dict[str, str]) -> None:
        self.root = root.resolve()
        self.bin = self.root / "bin"
        self.bin.mkdir(parents=True)
        words = " ".join(shlex.quote(f"{key}={value}") for key, value in settings.items())
        for name, text in (
            ("ssh", _SSH),
            ("sudo", _SUDO),
            ("systemctl", _SYSTEMCTL),
            ("journalctl", _JOURNALCTL),
            ("python3", f'#!/bin/bash\nexec {_PYTHON} "$@"\n'),
            ("rsync", f"#!{_PYTHON}{_RSYNC}"),
            ("systemd-run", f"#!{_PYTHON}{_SYSTEMD_RUN}"),
        ):
            filled = text if name == "python3" else text.format(root=self.root, settings=words)
            self.add_program(name, filled)

    def add_program(self, name: str, text: str) -> None:
        """Put a program on every machine's path."""
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def start(self, name: str, address: str) -> None:
        """A machine with an empty home, reached by both."""
        home = self.root / name
        home.mkdir()
        (home / ".bashrc").write_text(f"export PATH={self.bin}:/usr/bin:/bin\n")
        (self.root / address).symlink_to(home)

    def unit(self, name: str) -> Unit:
        """The unit that runs there."""
        return Unit(self.root / name)

    def connections(self) -> list[str]:
        """The arguments of every SSH connection so far."""
        return (self.root / "ssh.log").read_text().splitlines()

    def close(self) -> None:
        """End all units, each with all that it started."""
        for told in self.root.glob("*/unit.json"):
            with suppress(ProcessLookupError):
                os.killpg(json.loads(told.read_text())["pid"], signal.SIGKILL)


def run_as_launcher(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run one command in a login shell of its own, the way the launcher words it."""
    from ray.autoscaler._private.command_runner import _with_interactive

    return subprocess.run(
        ["bash", "-c", " ".join(_with_interactive(command))],  # sshd has a shell read it as well
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )


def has(program: str) -> bool:
    """Whether this machine has a program."""
    return shutil.which(program) is not None

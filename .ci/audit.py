"""Audits what the project installs: `make audit`.

A finding ends it with 1. A service that cannot be reached is said loudly and is no finding: what
it would have told is unknown, and whoever reads the log must not take that for a clean bill.
`AUDIT_OSV_URL` names another server of the OSV protocol than the public one. An advisory that
cannot be followed stands in `audit-ignore.txt` beside this file, with the reason behind it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
SECONDS = 120
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def main(arguments: list[str]) -> int:
    """Lock files to audit, and with `--installed PYTHON` an environment that one made."""
    installed = []
    if "--installed" in arguments:
        at = arguments.index("--installed")
        installed = arguments[at + 1 : at + 2]
        del arguments[at : at + 2]
    locks = [Path(name) for name in arguments]
    findings = [finding for lock in locks for finding in (*unpinned(lock), *withdrawn(lock))]
    findings += vulnerable(locks)
    for python in installed:
        findings += broken(python)
    for finding in findings:
        say(f"FINDING: {finding}")
    say(f"{len(findings)} findings" if findings else "no finding")
    return 1 if findings else 0


def say(text: str) -> None:
    print(f"audit: {text}", flush=True)


def unpinned(lock: Path) -> list[str]:
    """Requirements without an exact version or without a hash."""
    found = []
    entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n?", "", lock.read_text()).strip())
    for entry in entries:
        name = entry.split("\n")[0].rstrip(" \\")
        if not _PIN.match(entry):
            found.append(f"{lock.name}: {name} is not pinned to one version")
        elif not _HASH.search(entry):
            found.append(f"{lock.name}: {name} has no sha256 hash")
    say(f"{lock.name}: {len(entries)} packages, each to be pinned and hashed")
    return found


def withdrawn(lock: Path) -> list[str]:
    """Releases that the package index calls yanked, or does not have.

    Hashes are not compared here: pip does that with each file, wherever the lock is installed.
    """
    command = [str(BIN / "uv"), "pip", "install", "--dry-run", "--reinstall", "--no-deps"]
    command += ["--require-hashes", "--color=never", "--python", sys.executable]
    if index := run([sys.executable, "-m", "pip", "config", "get", "global.index-url"]):
        # uv reads none of pip's settings.
        command += ["--default-index", index.stdout.strip()] if index.returncode == 0 else []
    done = run([*command, "--requirement", str(lock)])
    if done is None or done.returncode:
        text = "no answer in time" if done is None else done.stderr
        if found := re.search(r"there is no version of \S+|\S+ was not found in the package", text):
            return [f"{lock.name}: the package index says: {found[0]}"]
        unknown(f"yanked releases of {lock.name}", text)
        return []
    found = re.findall(r"warning: (.* is yanked.*)", done.stderr)
    say(f"{lock.name}: the index has every release; {len(found)} are yanked")
    return [f"{lock.name}: {line}" for line in found]


def vulnerable(locks: list[Path]) -> list[str]:
    """Known vulnerabilities, by the first service that knows the packages."""
    other = os.environ.get("AUDIT_OSV_URL")
    services = {"pypi": [], "osv": ["--osv-url", other] if other else []}
    command = [str(BIN / "pip-audit"), "--disable-pip", "--format", "json", "--desc", "off"]
    command += ["--progress-spinner", "off", "--timeout", "10"]
    for lock in locks:
        command += ["--requirement", str(lock)]
    for advisory in ignored():
        command += ["--ignore-vuln", advisory]
    why = []
    for service, more in services.items():
        done = run([*command, "--vulnerability-service", service, *more])
        answers = answered(done.stdout if done else "")
        if answers:
            return told(service, answers)
        text = "no answer in time" if done is None else done.stderr
        errors = re.findall(r"\b[A-Za-z]+(?:Error|Timeout)\b", last(text))
        why.append(f"{service} {'fails with ' + errors[-1] if errors else 'knows none of them'}")
    unknown("KNOWN VULNERABILITIES of any package", "; ".join(why))
    return []


def ignored() -> list[str]:
    """Ids of advisories that are known and cannot be followed."""
    listed = Path(__file__).with_name("audit-ignore.txt")
    lines = listed.read_text().splitlines() if listed.exists() else []
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def answered(text: str) -> list[dict[str, object]]:
    """What a service said of each package; empty where it knew none."""
    try:
        packages = json.loads(text)["dependencies"]
    except (ValueError, KeyError):
        return []
    return packages if any("skip_reason" not in package for package in packages) else []


def told(service: str, packages: list[dict[str, object]]) -> list[str]:
    skipped = [str(package["name"]) for package in packages if "skip_reason" in package]
    say(f"{service} knows {len(packages) - len(skipped)} packages and their vulnerabilities")
    if skipped:
        unknown(f"vulnerabilities of {', '.join(skipped)}", f"{service} does not know them")
    found = []
    for package in packages:
        for each in package.get("vulns", ()):  # type: ignore[attr-defined]
            fixed = ", ".join(each.get("fix_versions") or ()) or "no version yet"
            found.append(f"{package['name']} {package['version']}: {each['id']}, fixed in {fixed}")
    return found


def broken(python: str) -> list[str]:
    """What `pip check` says of an environment."""
    done = run([python, "-m", "pip", "check", "--disable-pip-version-check"])
    if done is None:
        unknown("broken requirements", "no answer in time")
        return []
    if done.returncode:
        return [f"installed: {line}" for line in done.stdout.splitlines() if line.strip()]
    say("installed: no requirement is broken")
    return []


def run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(  # noqa: S603 - programs of this environment, no shell
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return None


def unknown(what: str, why: str) -> None:
    say(f"!!! NOT CHECKED: {what}: {last(why)}")


def last(text: str) -> str:
    """The last line that says something, without the hosts that it may name."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no answer"]
    return re.sub(r"host='[^']*'|https?://[^\s'\")]+", "<host>", lines[-1])[:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The processor time that a server has used: what benches/compare/run and its loads are about."""

from __future__ import annotations

import os
from pathlib import Path


def process_tree(root: int) -> list[int]:
    """The process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := stat_fields(int(entry))):
            children.setdefault(int(fields[1]), []).append(int(entry))
    tree = [root]
    for pid in tree:
        tree.extend(children.get(pid, []))
    return tree


def stat_fields(pid: int) -> list[str] | None:
    """/proc/PID/stat from its third field on (the state), or None when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def cpu_seconds(root: int) -> tuple[float, float]:
    """User and system time of all threads of the process tree so far, in seconds."""
    tick = os.sysconf("SC_CLK_TCK")
    user = system = 0
    for pid in process_tree(root):
        if fields := stat_fields(pid):
            user, system = user + int(fields[11]), system + int(fields[12])
    return user / tick, system / tick

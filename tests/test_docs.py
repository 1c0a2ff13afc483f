"""What the pages say is run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

from groot_bench.cli import _parser
from groot_bench.cli_ckpt import with_verb

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])


def test_policy_of_the_page_runs_and_succeeds(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "policy.md").read_text(), re.S)
    policy = code.partition("run = ")[0].partition("class")[2]
    assert len([line for line in policy.splitlines() if line.strip()]) <= 12
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.match(r"\d+ of 20 in results/toy-diagonal-[0-9a-f]{10}\n", done.stdout)


@pytest.mark.sim
def test_checkpoint_of_the_page_is_made_and_runs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    page = (ROOT / "docs" / "checkpoints.md").read_text()
    tiny = re.findall(r"^    groot-bench (ckpt tiny .*)$", page, re.M)[0]
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    for command in ([sys.executable, "-m", "groot_bench", *shlex.split(tiny)], [sys.executable, "-c", code]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_pages_are_understood(page: Path) -> None:
    for line in page.read_text().splitlines():
        match = re.match(r"^    groot-bench ([^#]+)", line)
        if match and "..." not in match[1].split()[:2]:
            words = [word for word in shlex.split(match[1]) if word != "..."]
            if words[0] == "eval" and not {"--policy", "--ckpt"} & set(words):
                words += ["--suite", "toy", "--policy", "zero"]
            _parser().parse_args(with_verb(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_in_the_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_make_targets_in_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        assert set(re.findall(r"^    make ([a-z-]+)", page.read_text(), re.M)) <= targets


def test_makefile_says_what_it_needs(cli: Callable[..., object], tmp_path: Path) -> None:
    """An interpreter that is too old is refused by name, before anything is made."""
    old = tmp_path / "python2"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    done = subprocess.run(["make", f"PYTHON={old}", "demo"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "groot-bench needs Python 3.10 to 3.12" in done.stderr
    assert not (tmp_path / ".venv").exists()

"""Machine code on disk is read only where nobody else could have written it."""

import os
import stat
from pathlib import Path

import pytest

from fastnn.backends import private

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners and modes of files here")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    private._note.cache_clear()
    tmp_path.chmod(0o755)
    path = tmp_path / "code"
    path.write_bytes(b"code")
    path.chmod(0o644)
    return path


def test_own_files_are_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert private.read(file) == b"code"
    assert private.folder(file.parent) == str(file.parent)
    assert not capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        private.read(file.parent / "missing")


@pytest.mark.parametrize("mode", [stat.S_IWGRP, stat.S_IWOTH])
@pytest.mark.parametrize("where", ["file", "folder"])
def test_what_others_can_write_to_is_not_read(file: Path, where: str, mode: int, capsys: pytest.CaptureFixture[str]) -> None:
    changed = file if where == "file" else file.parent
    changed.chmod(changed.stat().st_mode | mode)
    assert private.read(file) is None and private.read(file) is None
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "writable by others" in said and str(file.parent) in said
    if where == "folder":
        assert private.folder(file.parent) == str(file.parent / f"fastnn-{os.geteuid()}")


@pytest.mark.parametrize("where", ["file", "folder"])
def test_what_another_user_owns_is_not_read(
    file: Path, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    me = os.geteuid()
    if me == 0:
        os.chown(file if where == "file" else file.parent, 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    assert private.read(file) is None
    assert "owned by another user" in capsys.readouterr().err


def test_links_and_devices_are_not_read(file: Path) -> None:
    (file.parent / "link").symlink_to(file)
    with pytest.raises(OSError):
        private.read(file.parent / "link")
    os.mkfifo(file.parent / "fifo", 0o600)
    assert private.read(file.parent / "fifo") is None

"""A disk of a test's own, which it may fill up."""

import os
import subprocess
from pathlib import Path


class Disk:
    """A file system in memory, small enough to be filled. Only root can mount one."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)]
        self.is_small = os.geteuid() == 0 and _runs(mount)

    def fill(self) -> None:
        room = os.statvfs(self.folder)
        with (self.folder / "ballast").open("wb") as ballast:
            try:
                os.posix_fallocate(ballast.fileno(), 0, room.f_bfree * room.f_bsize)
            except OSError:
                pass  # somebody else was writing: full it is

    def clear(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)

    def unmount(self) -> None:
        if self.is_small:
            _runs(["umount", "-l", str(self.folder)])


def _runs(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False

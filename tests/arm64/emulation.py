"""Runs a command whose programs may be arm64's, in a user namespace of its own that knows an emulator for them.

The kernel keeps such rules (binfmt_misc) by user namespace since Linux 6.7, so the machine itself learns nothing.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from arm64 import emulator

RULES = "/proc/sys/fs/binfmt_misc"
HEADER = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
"""How a program of arm64 begins: ELF, 64 bits, little-endian, executable, machine 183."""
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
EVERYBODY = "0 0 4294967295"
"""Each user of the namespace is the same one outside, so that files keep their owners."""


def command(*words: str | Path) -> tuple[str, ...]:
    """The command under emulation; its exit code is passed on."""
    return (sys.executable, "-m", "arm64.emulation", *map(str, words))


def _script(program: Path) -> str:
    # F: the kernel opens the emulator now, so that it is found from within every root.
    rule = f":aarch64:M::{HEADER}:{MASK}:{program}:F"
    return f"""
set -e
echo unshared >&"$1"
read -r _ <&"$2"
shift 2
mount -t binfmt_misc none {RULES}
printf %s {shlex.quote(rule)} > {RULES}/register
exec setpriv --pdeathsig KILL -- "$@"
"""


def main(words: Sequence[str]) -> int:
    """Enter the namespace, fill in who is who, and run the command."""
    heard, said = os.pipe()
    waited, told = os.pipe()
    entered = (
        "unshare",
        "--user",
        "--mount",
        "--",
        "sh",
        "-c",
        _script(emulator.program()),
        "sh",
        str(said),
        str(waited),
    )
    with subprocess.Popen([*entered, *words], pass_fds=(said, waited)) as child:
        os.close(said)
        if os.read(heard, 9):
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{child.pid}/{name}").write_text(EVERYBODY)
            os.write(told, b"go\n")
        return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

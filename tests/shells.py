"""Real shells at a terminal: what bash and zsh make of a line where Tab is pressed."""

import os
import pty
import select
import shlex
import subprocess
import termios
import time
from pathlib import Path
from typing import Self

LONGEST_WAIT_S = 20.0
_SHOW, _CLEAR = "\x14", "\x15"  # Ctrl-T, bound below; Ctrl-U


class Shell:
    """One shell without anybody's settings, in a folder of its own, that has loaded a completion script."""

    def __init__(self, name: str, script: Path, *, folder: Path) -> None:
        self._line = folder.parent / f"{name}-line"
        self._terminal, its = pty.openpty()
        termios.tcsetwinsize(its, (40, 120))
        words = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[name]
        env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        self._process = subprocess.Popen(
            words, stdin=its, stdout=its, stderr=its, cwd=folder, env=env, start_new_session=True
        )
        os.close(its)
        self.told = ""
        for command in self._setup(name, script):
            self._send(f"{command}\n")
        self._send("echo rea''dy\n")
        self._wait(lambda: "ready" in self.told)

    def _setup(self, name: str, script: Path) -> list[str]:
        line = shlex.quote(str(self._line))
        if name == "bash":
            return [
                f"source {shlex.quote(str(script))}",
                f"""bind -x '"\\C-t": printf "%s\\n" "$READLINE_LINE" > {line}'""",
            ]
        return [
            f"fpath=({shlex.quote(str(script.parent))} $fpath); autoload -Uz compinit; compinit -u -D",
            f'show() {{ print -r -- "$BUFFER" > {line} }}; zle -N show',
            "bindkey '^T' show; bindkey '^U' kill-whole-line",
        ]

    def tab(self, line: str) -> str:
        """The line after Tab."""
        self._line.unlink(missing_ok=True)
        self._send(f"{line}\t")
        self._send(_SHOW)
        self._wait(lambda: self._line.is_file() and self._line.read_text().endswith("\n"))
        self._send(_CLEAR)
        return self._line.read_text().removesuffix("\n")

    def _send(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _wait(self, done: object) -> None:
        assert callable(done)
        end_s = time.monotonic() + LONGEST_WAIT_S
        while not done():
            if time.monotonic() > end_s:
                raise TimeoutError(self.told[-2000:])
            if select.select([self._terminal], [], [], 0.05)[0]:
                self.told += os.read(self._terminal, 1 << 16).decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

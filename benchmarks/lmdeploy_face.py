"""The `lmdeploy` command of release 0.18 on a machine without a GPU; run by the Python of its environment.

`PYTHON benchmarks/lmdeploy_face.py serve api_server MODEL …` takes the words of `lmdeploy`. Its command line, HTTP
server, protocol, chat templates, parsers, sessions, tokenizer, metrics and the Python side of its TurboMind engine are
its own. Two things stand in for a GPU: its compiled module `_turbomind`, which schedules and computes, and the reading
of weights into it. MODEL is a folder with configuration and tokenizer.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from face_script import STEP_S, TEXT, Script

RUNNING, FINISHED, CANCELLED, TOO_LONG = 0, 7, 8, 6
"""States of a request, as `TurboMindInstance.errcode_map` reads them."""


class _Answer:
    """One request in the engine: its output buffer and how far that is written."""

    def __init__(self, prompt: torch.Tensor, told: SimpleNamespace, room: int, signal: Callable[[], None]) -> None:
        self.input_tokens = len(prompt)
        self.ids = torch.zeros(room, dtype=torch.int32)
        self.ids[: self.input_tokens] = prompt
        self.length = self.input_tokens
        self.last = min(room, self.input_tokens + told.max_new_tokens)
        self.told = told
        self.status = RUNNING
        self.signal = signal
        self.cancelled = False
        self.metrics = SimpleNamespace(cached_tokens=0, enqueue_time=_now_us(), scheduled_time=0)

    def consume(self) -> SimpleNamespace:
        return SimpleNamespace(status=self.status, seq_len=self.length)

    def end(self, status: int) -> None:
        self.status = status
        self.signal()


class _Comm:
    """The engine: requests wait for one of `max_batch_size` places; a step gives each that has one a token."""

    def __init__(self, config: SimpleNamespace, script: Script) -> None:
        self.config = config
        self.script = script
        self.waiting: list[_Answer] = []
        self.active: list[_Answer] = []
        self.ticks = 0
        self.wake = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    def create_request(self) -> "_Request":
        return _Request(self)

    def get_schedule_metrics(self, rank: int) -> SimpleNamespace:
        del rank
        with self.wake:
            held = sum(answer.length for answer in self.active)
            whole = self.config.max_batch_size * self.config.session_len
            return SimpleNamespace(
                active_seqs=len(self.active),
                waiting_seqs=len(self.waiting),
                cache_usage=held / whole,
                prefix_cache_hit_rate=0.0,
                scheduler_tick=self.ticks,
            )

    def add(self, answer: _Answer) -> None:
        with self.wake:
            self.waiting.append(answer)
            self.wake.notify()

    def _work(self) -> None:
        while True:
            with self.wake:
                self.wake.wait_for(lambda: self.waiting or self.active)
            time.sleep(STEP_S)
            with self.wake:
                self._step()

    def _step(self) -> None:
        self.ticks += 1
        while self.waiting and len(self.active) < self.config.max_batch_size:
            answer = self.waiting.pop(0)
            answer.metrics.scheduled_time = _now_us()
            self.active.append(answer)
        for answer in self.active:
            self._next(answer)
        self.waiting = [answer for answer in self.waiting if not self._gone(answer)]
        self.active = [answer for answer in self.active if answer.status == RUNNING]

    def _gone(self, answer: _Answer) -> bool:
        if answer.cancelled:
            answer.end(CANCELLED)
        return answer.cancelled

    def _next(self, answer: _Answer) -> None:
        if self._gone(answer):
            return
        if answer.input_tokens >= len(answer.ids):
            answer.end(TOO_LONG)
            return
        said = answer.length - answer.input_tokens
        token = self.script.token(said, may_end=said >= answer.told.min_new_tokens)
        answer.ids[answer.length] = token
        answer.length += 1
        stopped = token in answer.told.stop_ids[0]
        answer.end(FINISHED if stopped or answer.length >= answer.last else RUNNING)


class _Request:
    """What `create_request` gives: a place to put one answer after the other through."""

    def __init__(self, comm: _Comm) -> None:
        self._comm = comm
        self._answer: _Answer | None = None

    def forward(
        self,
        inputs: dict[str, torch.Tensor],
        multimodal: object,
        session: object,
        told: SimpleNamespace,
        stream: bool,
        metrics: bool,
        signal: Callable[[], None],
    ) -> tuple[dict[str, torch.Tensor], _Answer, SimpleNamespace]:
        del multimodal, session, stream, metrics
        answer = self._answer = _Answer(inputs["input_ids"], told, self._comm.config.session_len, signal)
        self._comm.add(answer)
        return {"output_ids": _Tensor(answer.ids)}, answer, answer.metrics

    def cancel(self) -> None:
        if self._answer is not None:
            self._answer.cancelled = True


class _Tensor:
    """A tensor that says its type the way the compiled module's do."""

    def __init__(self, held: torch.Tensor) -> None:
        self._held = held
        self.type = _DataType.TYPE_INT32

    def __dlpack__(self, **words: Any) -> Any:
        return self._held.__dlpack__(**words)

    def __dlpack_device__(self) -> Any:
        return self._held.__dlpack_device__()


class _DataType(Enum):
    TYPE_INT32 = "int32"
    TYPE_UINT32 = "uint32"


def _now_us() -> int:
    return int(time.time() * 1e6)


def _generation() -> SimpleNamespace:
    return SimpleNamespace(max_new_tokens=0, min_new_tokens=0, stop_ids=((), ()))


def _no_weights(self: Any, model_path: str, engine_config: Any, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """In place of TurboMind._from_hf: an engine that is told all that the real one is but holds no weights."""
    from lmdeploy.tokenizer import Tokenizer

    tokenizer = Tokenizer(model_path, trust_remote_code=trust_remote_code)
    script = Script(tokenizer.encode(TEXT, add_bos=False), tokenizer.eos_token_id)
    self.engine_config = engine_config
    return _Engine(engine_config, script), SimpleNamespace(model=None, export=lambda: None)


class _Engine(_Comm):
    def is_dummy_node(self) -> bool:
        return False

    def process_weight(self, rank: int) -> None:
        pass

    def create_engine(self, rank: int) -> None:
        pass


def _stand_in() -> None:
    """Put the stand-in where LMDeploy imports its compiled module."""
    module = ModuleType("lmdeploy.turbomind._turbomind")
    module.TensorMap = dict
    module.from_dlpack = lambda tensor: tensor
    module.DataType = _DataType
    module.GenerationConfig = _generation
    module.SessionParam = SimpleNamespace
    module.RequestMetrics = module.TokenizerInfo = SimpleNamespace
    sys.modules[module.__name__] = module
    import lmdeploy.turbomind.turbomind as turbomind

    turbomind.TurboMind._from_hf = _no_weights  # noqa: SLF001
    torch.cuda.device_count = lambda: 1
    torch.cuda.device = contextlib.nullcontext
    torch.cuda.get_device_name = lambda *_: "none"


if __name__ == "__main__":
    _stand_in()
    from lmdeploy.cli import run

    sys.argv[0] = "lmdeploy"
    run()

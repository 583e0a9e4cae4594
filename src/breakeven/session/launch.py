"""The engine of a run that is started here: the embedded one, or any that the plan names."""

import os
from pathlib import Path
from typing import Any, Final

from breakeven.engine.detect import adapter
from breakeven.errors import UsageError, one_line
from breakeven.launch.cards import check_gpus
from breakeven.launch.embedded import MAX_SLOTS, MIN_CONTEXT_PER_SLOT, embedded_settings, start_embedded
from breakeven.launch.gguf import SUFFIX, chosen_file, quantization_of
from breakeven.launch.launched import Launched
from breakeven.launch.models import EMBEDDED, models_folder
from breakeven.launch.start import start, start_lines
from breakeven.plan import Plan
from breakeven.report.live import Live
from breakeven.serving import Launch, hardware_problem, launch_problem
from breakeven.session.defaults import context_tokens, output_tokens, slots

ENGINE_LOG: Final = "engine.log"


def check_launch(plan: Plan) -> None:
    """Whatever of starting can be found wrong before anything is started; UsageError."""
    problem = launch_problem(plan.launch or Launch())
    if problem is None and plan.hardware is not None:
        problem = hardware_problem(plan.hardware)
    if problem is not None:
        raise UsageError(problem)
    if plan.url is not None and plan.launch is not None:
        raise UsageError("url and launch: an engine either runs at a URL or is started here; give one of the two")
    if plan.is_embedded:
        embedded_settings((plan.launch or Launch()).settings)
        _check_model(plan)
    if plan.url is not None or plan.is_embedded:
        return
    if plan.engine is None:
        raise _needs_engine("--model" if plan.model is not None else "--engine-command, --via or --image")
    if plan.model is None:
        raise UsageError(f"--engine {plan.engine} needs --model to be started here, or --url URL of a running server")
    start_lines(plan.engine, plan.model, launch=plan.launch or Launch(), environment=os.environ)


def _needs_engine(what: str, *, more: str = "") -> UsageError:
    return UsageError(
        f"{what} needs --engine NAME to start, or --url URL; without them the embedded model is measured{more}"
    )


def _check_model(plan: Plan) -> None:
    """What the embedded engine is to serve is here; UsageError where a model is neither a GGUF file nor a folder."""
    if plan.model is not None and not (Path(plan.model).is_dir() or _is_gguf(Path(plan.model))):
        raise _needs_engine("--model", more=f", or a GGUF file, which {one_line(plan.model, limit=80)} is not")
    own_model(plan)


def _is_gguf(path: Path) -> bool:
    return path.suffix == SUFFIX and path.is_file()


def own_model(plan: Plan) -> Path | None:
    """The GGUF file that the plan wants the embedded engine to serve; None: the one that it brings.

    UsageError, with those that are there, for a quantization of which there is none.
    """
    said, folder = (plan.launch or Launch()).settings.quantization, models_folder()
    wanted = None if said is None else said.lower()
    if plan.model is not None:
        return chosen_file(Path(plan.model), wanted)
    brought = quantization_of(folder / EMBEDDED.name)
    if wanted in (None, brought):
        return None
    if not folder.is_dir():
        raise UsageError(f"quantization: the embedded engine brings {brought}; {wanted} is taken from a --model FOLDER")
    return chosen_file(folder, wanted)


def model_name(plan: Plan) -> str:
    """What the embedded engine serves."""
    found = own_model(plan)
    return EMBEDDED.name if found is None else found.name


def launch_label(plan: Plan) -> str:
    """What the run folder is called after the date."""
    if plan.is_embedded:
        found = own_model(plan)
        return "llamacpp-smollm2" if found is None else f"llamacpp-{found.stem}"
    return f"{plan.engine}-{(plan.model or '').rstrip('/').rpartition('/')[2]}"


def log_name(repeat: int | None) -> str:
    """The engine's log in the run folder; one a round in a study."""
    return ENGINE_LOG if repeat is None else f"engine-r{repeat}.log"


def embedded_told(plan: Plan) -> dict[str, Any]:
    """What the embedded engine is started with: the plan's settings; a slot for each user, unless they say others."""
    needed = {"slots": min(slots(plan), MAX_SLOTS), "context_tokens": max(context_tokens(plan), MIN_CONTEXT_PER_SLOT)}
    return needed | embedded_settings((plan.launch or Launch()).settings)


def launch_engine(plan: Plan, *, model_path: Path | None, log_path: Path, live: Live) -> Launched:
    """Start the engine of a plan without a URL and wait until it serves.

    `model_path` is the embedded engine's.
    """
    if model_path is not None:
        live.say(f"starting llama.cpp with {model_path.stem} …")
        told = {name: value for name, value in embedded_told(plan).items() if name != "quantization"}
        launched = start_embedded(
            context_per_slot=told.pop("context_tokens"), model_path=model_path, log_path=log_path, **told
        )
    else:
        assert plan.engine is not None
        assert plan.model is not None
        check_gpus(adapter(plan.engine), plan.launch or Launch(), environment=os.environ)
        live.say(f"starting {adapter(plan.engine).name} with {plan.model}; its log is {log_path} …")
        launched = start(
            plan.engine,
            plan.model,
            launch=plan.launch or Launch(),
            log_path=log_path,
            environment=os.environ,
            on_wait=live.waiting,
        )
    most = output_tokens(plan)
    side_by_side = f" ({len(launched.replicas)} engines side by side)" if launched.beside else ""
    live.say(
        f"ready in {launched.start_s:.1f} s{side_by_side}"
        + ("" if most is None else f"; answers of at most {most} tokens")
    )
    return launched

"""The commands that answer without a run: fit."""

import argparse
from typing import TYPE_CHECKING, Final

from breakeven.cli.command import JSON, WRITABLE, Command
from breakeven.cli.money import FLOOR, SLO
from breakeven.errors import UsageError
from breakeven.options import COUNT, COUNTS, NAMES, NUMBERS, PATH, SWITCH, TEXTS, TOKENS, WHOLE, Option

if TYPE_CHECKING:
    from breakeven.app.predict import Asked

DEFAULT_ENGINE: Final = "vllm"
_MODEL: Final = Option("MODEL", "name of a model, such as llama-3.1-8b, or a folder with its config.json")
_NAMED: Final = _MODEL._replace(name="--model", unit="MODEL", is_needed=True)
GPUS: Final = Option(
    "--gpus", "cards, such as h100,a100-80,l40s,rtx4090 (default: all that have a quote)", "LIST", kind=NAMES
)
PRECISION: Final = Option(
    "--precision", "of the weights: bf16, fp16, fp8, int8, int4, mxfp4, nvfp4 (default: the model's own)", "NAME"
)
KV_BITS: Final = Option(
    "--kv-bits",
    "bits of a number in the key-value cache (default: the model's own, mostly 16)",
    kind=WHOLE,
    choices=(16, 8),
)
CARDS: Final = Option(
    "--cards", "cards that serve together (default: as few of 1, 2, 4, 8 as hold the model)", "N", kind=COUNT
)


def _fit(arguments: argparse.Namespace) -> int:
    from breakeven.app.fit import fit

    return fit(
        arguments.model,
        gpu_names=arguments.gpus or (),
        context_tokens=arguments.context,
        cards=arguments.cards,
        precision=arguments.precision,
        kv_bits=arguments.kv_bits,
        json_to=arguments.json,
    )


def _asked(arguments: argparse.Namespace) -> "Asked":
    from breakeven.app.predict import Asked

    return Asked(
        model=arguments.model,
        gpus=arguments.gpus or (),
        engine=arguments.engine or DEFAULT_ENGINE,
        precision=arguments.precision,
        kv_bits=arguments.kv_bits,
        cards=arguments.cards,
        told=(arguments.input_tokens, arguments.output_tokens),
        runs=tuple(arguments.runs or ()),
    )


def _predict(arguments: argparse.Namespace) -> int:
    if arguments.validate or arguments.refit:
        from breakeven.app.validate import validate

        return validate(
            model=arguments.model,
            gpus=arguments.gpus or (),
            engine=arguments.engine,
            runs=arguments.runs or (),
            refit=arguments.refit,
            json_to=arguments.json,
        )
    from breakeven.app.predict import Loads, predict

    if arguments.model is None:
        raise UsageError("predict: the following arguments are required: --model, or --validate")

    load = Loads(
        users=arguments.users or (),
        rates=arguments.rate or (),
        arrivals=arguments.arrivals,
        replicas=arguments.replicas,
        routing=arguments.routing,
    )
    return predict(_asked(arguments), load, out=arguments.out, json_to=arguments.json)


def _choose(arguments: argparse.Namespace) -> int:
    from breakeven.app.choose import choose
    from breakeven.app.level import Level

    level = Level(floors=arguments.floor or (), slo=arguments.slo)
    return choose(
        _asked(arguments),
        level,
        users=arguments.users,
        load=arguments.load,
        prices=arguments.prices,
        json_to=arguments.json,
        html_to=arguments.html,
    )


_SHAPE: Final = (
    Option("--engine", f"what serves it: vllm, sglang, lmdeploy, llamacpp, trtllm (default: {DEFAULT_ENGINE})", "NAME"),
    PRECISION,
    KV_BITS,
    CARDS,
    Option(
        "--input-tokens",
        "of a prompt; drawn as `run` draws them by normal:MEAN,SD, lognormal:MEDIAN,SIGMA, uniform:LOW,HIGH or "
        "file:PATH (default: 512)",
        "N",
        kind=TOKENS,
    ),
    Option("--output-tokens", "of an answer, or drawn likewise (default: 256)", "N", kind=TOKENS),
    Option(
        "--from",
        "a run of your own, which stands for its card and wins over all other measurements",
        "RUN",
        kind=TEXTS,
        field="runs",
    ),
)

COMMANDS: Final = (
    Command(
        "fit",
        "on which cards a model fits, and how many users they hold",
        _fit,
        (
            _MODEL,
            GPUS._replace(name="--gpu", field="gpus"),
            Option("--context", "tokens of a user's context, prompt and answer (default: 8192)", "N", kind=COUNT),
            CARDS,
            PRECISION,
            KV_BITS,
            JSON,
        ),
        "Work out what a model's weights and its users' contexts take, and on how many cards they fit.",
        "  breakeven fit llama-3.1-70b --gpu h100,a100-80,l40s,rtx4090\n  breakeven fit ./my-model --context 32768\n",
    ),
    Command(
        "predict",
        "what a card would do that nobody has measured",
        _predict,
        (
            _NAMED._replace(is_needed=False),
            GPUS._replace(name="--gpu", field="gpus"),
            Option(
                "--users",
                "users at once, one level each (default: 1,5,10,50,100)",
                "LIST",
                kind=COUNTS,
            ),
            Option("--rate", "open loop: requests per second, one level each", "LIST", kind=NUMBERS),
            Option("--arrivals", "of the open loop: constant, poisson or gamma:CV (default: poisson)", "KIND"),
            Option("--replicas", "engines side by side, each on --cards (default: 1)", "N", kind=COUNT, default=1),
            Option(
                "--routing",
                "which of them gets a request (default: round-robin)",
                choices=("round-robin", "least-loaded"),
                default="round-robin",
            ),
            *_SHAPE,
            Option(
                "--out",
                "keep each curve as a run in this folder, for compare, cost, report and mix",
                "FOLDER",
                kind=PATH,
            ),
            Option(
                "--validate",
                "show how wrong predictions were on measurements that they had not seen, of all cards, engines and "
                "models or of those that are named, or of the runs of --from",
                kind=SWITCH,
            ),
            Option("--refit", "the same by fits that are made now, in a minute or two", kind=SWITCH),
            JSON,
        ),
        "Predict throughput and latency by load, with an interval, what holds them back, and where that comes from.",
        "  breakeven predict --model llama-3.1-8b --gpu h100-80-sxm,l40s,rtx4090 --engine vllm --out runs\n"
        "  breakeven predict --model llama-3.1-8b --gpu l40s --rate 2,8 --replicas 2 --routing least-loaded\n"
        "  breakeven predict --validate --gpu h100\n",
    ),
    Command(
        "choose",
        "which card to rent for a model, before anything is rented",
        _choose,
        (
            _NAMED,
            GPUS,
            FLOOR,
            SLO,
            Option("--users", "users of all nodes together: the ranking is then by month", "N", kind=COUNT),
            Option(
                "--load",
                "or what they ask, as `mix` takes it: length classes with users or req/s each (TOML)",
                "FILE",
                kind=PATH,
            ),
            *_SHAPE,
            Option("--prices", "quotes of your own, besides those that are known", "CSV", kind=PATH),
            Option("--html", "the first of the ranking as one page, with charts", "FILE", kind=WRITABLE),
            JSON,
        ),
        "Rank every card that can serve a model by cost at its own newest price: measured where there is a run,\n"
        "predicted where not; and name the one run that would tell most.",
        "  breakeven choose --model llama-3.1-8b --floor 25 --gpus h100,a100-80,l40s,rtx4090\n"
        "  breakeven choose --model llama-3.1-70b --floor 25 --users 500\n"
        "  breakeven choose --model llama-3.1-8b --slo ttft_p50=1s,tpot_p50=40ms --load load.toml\n",
    ),
)

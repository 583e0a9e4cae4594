"""Makes prompts that have a wished number of tokens on the server at hand, chat template included."""

from collections.abc import Sequence
from statistics import median_high
from typing import Final, NamedTuple

from breakeven.caution import Caution, Value
from breakeven.errors import UsageError
from breakeven.workload.base import Ask, Server
from breakeven.workload.meter import Meter, single_tokens
from breakeven.workload.text import Piece, Source, TokenIds, Words, resource_lines

_FEW: Final = 8
_SLOPE_WORDS: Final = 24
_PROBED_WORDS: Final = 256
"""Where words can be checked only by sending them, this many are sent and used at most."""
_LEAST_WORDS: Final = 32
_SEE: Final = "see docs/WORKLOADS.md"
_CHECK_AT_MOST: Final = 2_048
_KEPT_PROBES: Final = 2
"""Questions that the search for words leaves for the check."""
_CHECK_AT: Final = ((3, 5), (7, 11))
"""Nonce and place of the prompts that check the promise."""


class Fit(NamedTuple):
    """What was found about one server."""

    source: Source
    overhead_tokens: int
    """Tokens that the server adds to our text: chat template, system prompt, begin-of-text."""
    doubt: str | None
    """Why lengths are an estimate; None: they were found exact."""


class Filler:
    """Prompts of a wished length. Before `prepare` it counts one token a word and no template."""

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self.chat = True
        self._use(Fit(Words(resource_lines("words.txt"), seed=seed), 0, "the server was not asked"))

    async def prepare(self, meter: Meter, *, check_tokens: int) -> list[Caution]:
        """Find what the server adds and which words are single tokens, and check the promise at `check_tokens`."""
        self.chat = meter.chat
        self._use(await self.fit(meter, check_tokens=check_tokens))
        if self.doubt is None:
            return []
        return [unverified("{doubt}; " + self._estimate(), doubt=self.doubt, overhead=self.overhead_tokens)]

    async def prepare_for(self, server: Server, wished: Sequence[int]) -> list[Caution]:
        """`prepare` for prompts of these lengths, at their median; and a caution where some cannot be so short."""
        cautions = await self.prepare(Meter(server), check_tokens=min(_CHECK_AT_MOST, median_high(wished)))
        return [*cautions, *_short_inputs(wished, least=self.least_tokens)]

    async def fit(self, meter: Meter, *, check_tokens: int) -> Fit:
        """Token ids where the server takes them, else words."""
        fit = None if meter.chat else await _fit_ids(meter, seed=self._seed, check_tokens=check_tokens)
        return fit or await _fit_words(meter, seed=self._seed, check_tokens=check_tokens)

    @property
    def least_tokens(self) -> int:
        """The shortest prompt there is: what the server adds, and the nonce."""
        return self.overhead_tokens + self.source.nonce_tokens

    def content(self, nonce: int, at: int, *, input_tokens: int) -> Piece:
        """The user text of a prompt of `input_tokens`, or of the least there is."""
        return _content(self.source, nonce, at, count=input_tokens - self.overhead_tokens)

    def ask(self, content: Piece, *, input_tokens: int, output_tokens: int, name: str | None = None) -> Ask:
        """The request that asks `content` in the server's API."""
        messages = [{"role": "user", "content": content}] if self.chat and isinstance(content, str) else None
        return Ask(
            messages=messages,
            prompt=None if messages else content,
            output_tokens=output_tokens,
            exact_length=True,
            input_tokens=input_tokens,
            name=name,
        )

    def describe(self) -> dict[str, object]:
        """What was found about the server, for the run's facts."""
        return {
            "prompt_form": self.source.form,
            "overhead_tokens": self.overhead_tokens,
            "nonce_tokens": self.source.nonce_tokens,
            "input_length_exact": self.doubt is None,
        }

    def _use(self, fit: Fit) -> None:
        self.source, self.overhead_tokens, self.doubt = fit

    def _estimate(self) -> str:
        if self.overhead_tokens:
            return "prompts are made at one token a word and {overhead} for the template"
        return "prompts are made at one token a word, and what the template adds comes on top"


def capped(output_tokens: int, limit: int | None) -> int:
    """`output_tokens`, but at most `limit` where there is one."""
    return output_tokens if limit is None or limit > output_tokens else limit


def unverified(seen: str, **values: Value) -> Caution:
    """The caution where nobody knows whether prompts have the lengths that they should have."""
    return Caution(id="input_length_unverified", seen=seen, advice=_SEE, values=values)


def _short_inputs(wished: Sequence[int], *, least: int) -> list[Caution]:
    """A caution where prompts were wished shorter than any prompt can be."""
    short = sum(tokens < least for tokens in wished)
    if not short:
        return []
    short_ones = "{percent:one} % of the prompts should have fewer than the {least} tokens that template and nonce take"
    values = {"percent": 100 * short / len(wished), "least": least}
    seen = f"{short_ones}; they are sent with that many"
    return [Caution(id="short_inputs", seen=seen, advice=_SEE, values=values)]


def check_replay(speed: float, **most: int | None) -> None:
    """UsageError where a recording cannot be played at this pace, or so little of it; `most` by the options' names."""
    if not 0 < speed < float("inf"):
        raise UsageError(f"speed: {speed} is no pace; 1 replays as recorded, 2 twice as fast")
    for name, value in most.items():
        if value is not None and value < 1:
            raise UsageError(f"{name.replace('_', '-')}: {value} is too few; give at least 1, or leave it out")


def left_out(count: int, *, of: int, why: str) -> list[Caution]:
    """A caution where rows of the workload's file are not asked."""
    if not count:
        return []
    values = {"count": count, "of": of}
    seen = f"{{count}} of {{of}} rows of the file are not asked: {why}"
    return [Caution(id="left_out", seen=seen, advice="see whether what is left is your mix", values=values)]


def shared_prefixes(share: float) -> list[Caution]:
    """A caution where the workload itself repeats what stood at the start of an earlier prompt."""
    if share == 0:
        return []
    repeated = "{percent:whole} % of the input repeats the start of an earlier prompt, as the workload wants"
    values = {"percent": 100 * share}
    seen = f"{repeated}; a prefix cache may answer that part"
    return [Caution(id="shared_prefixes", seen=seen, advice=_SEE, values=values)]


def _content(source: Source, nonce: int, at: int, *, count: int) -> Piece:
    return source.join((source.nonce(nonce), source.take(at, count=max(0, count - source.nonce_tokens))))


async def _fit_ids(meter: Meter, *, seed: int, check_tokens: int) -> Fit | None:
    """Token ids, where the server counts them one for one but for what it puts in front."""
    source = TokenIds(seed=seed)
    count = max(check_tokens, source.nonce_tokens)
    found = await meter.prompt_tokens(meter.ask(source.take(0, count=count)))
    if found is None or not 0 <= found - count <= _FEW:
        return None
    fit = Fit(source, found - count, None)
    return fit if found == count or await _deviation(meter, fit, check_tokens, 0) == 0 else None


async def _fit_words(meter: Meter, *, seed: int, check_tokens: int) -> Fit:
    """Words, with all that can be found out about them."""
    words = resource_lines("words.txt")
    counted = await single_tokens(words, lambda block: meter.count_tokens(" ".join(block)))
    if counted is not None and len(counted) >= _LEAST_WORDS:
        return await _fit_overhead(meter, counted, seed=seed, check_tokens=check_tokens)
    return await _fit_by_probes(meter, words, seed=seed, check_tokens=check_tokens)


async def _fit_overhead(meter: Meter, words: Sequence[str], *, seed: int, check_tokens: int) -> Fit:
    """Words are known to be single tokens: two probes give what the server adds, and that it counts at all."""
    few = await _probe(meter, words[:_FEW])
    more = await _probe(meter, words[:_SLOPE_WORDS])
    if few is None or more is None:
        return _doubtful(seed, meter.trouble)
    if more - few != _SLOPE_WORDS - _FEW:
        return _doubtful(seed, f"{_SLOPE_WORDS - _FEW} words more made a prompt {more - few} tokens longer")
    return await _checked(meter, Fit(Words(words, seed=seed), few - _FEW, None), check_tokens=check_tokens)


async def _fit_by_probes(meter: Meter, words: Sequence[str], *, seed: int, check_tokens: int) -> Fit:
    """No /tokenize: words are sent in one prompt and kept if it grows by one token a word."""
    few = await _probe(meter, words[:_FEW])
    if few is None:
        return _doubtful(seed, meter.trouble)
    overhead = few - _FEW
    sent = words[_FEW : _FEW + min(_PROBED_WORDS, max(2 * _LEAST_WORDS, check_tokens))]

    async def count(block: Sequence[str]) -> int | None:
        enough = len(block) >= _LEAST_WORDS and meter.probes_left > _KEPT_PROBES
        tokens = await _probe(meter, block) if enough else None
        return None if tokens is None else tokens - overhead

    kept = await single_tokens(sent, count) or ()
    if len(kept) < _LEAST_WORDS:
        return _doubtful(seed, meter.trouble or "the server's count of tokens does not follow the words sent")
    return await _checked(meter, Fit(Words(kept, seed=seed), overhead, None), check_tokens=check_tokens)


async def _checked(meter: Meter, fit: Fit, *, check_tokens: int) -> Fit:
    """Ask for `check_tokens` and look; a constant difference is put right once and looked at again."""
    if fit.overhead_tokens < 0:
        return fit._replace(overhead_tokens=0, doubt="the server counts fewer tokens than words sent")
    if check_tokens < fit.overhead_tokens + fit.source.nonce_tokens:
        return fit
    deviation = await _deviation(meter, fit, check_tokens, 0)
    if deviation and fit.overhead_tokens + deviation >= 0:
        fit = fit._replace(overhead_tokens=fit.overhead_tokens + deviation)
        deviation = await _deviation(meter, fit, check_tokens, 1)
    if deviation is None:
        return fit._replace(doubt=meter.trouble)
    return fit if deviation == 0 else fit._replace(doubt=f"a prompt was {deviation:+d} tokens off in the last check")


async def _deviation(meter: Meter, fit: Fit, check_tokens: int, turn: int) -> int | None:
    """Tokens that a prompt made by `fit` has more than was wished; None where the server does not say."""
    nonce, at = _CHECK_AT[turn]
    content = _content(fit.source, nonce, at, count=check_tokens - fit.overhead_tokens)
    found = await meter.prompt_tokens(meter.ask(content))
    return None if found is None else found - check_tokens


async def _probe(meter: Meter, words: Sequence[str]) -> int | None:
    return await meter.prompt_tokens(meter.ask(" ".join(words)))


def _doubtful(seed: int, reason: str | None) -> Fit:
    return Fit(Words(resource_lines("words.txt"), seed=seed), 0, reason)

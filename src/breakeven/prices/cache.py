"""What the last refresh found, kept in the user's cache folder so that other commands use it: every row has its day."""

from pathlib import Path
from typing import Final

from breakeven.cachefolder import cache_folder
from breakeven.errors import UsageError, one_line
from breakeven.prices.file import quotes_csv, read_quotes
from breakeven.prices.quote import Fetched, Quote

FILE: Final = "prices.csv"
LARGEST_BYTES: Final = 16 * 1024 * 1024


def cached_quotes() -> Fetched:
    """Quotes of the last refresh; none without one. A file that cannot be read is one note, never an error."""
    path = cache_path()
    try:
        if not path.exists():
            return Fetched(quotes=())
        if path.stat().st_size > LARGEST_BYTES:
            raise UsageError(f"it is larger than {LARGEST_BYTES >> 20} MiB")
        return Fetched(quotes=read_quotes(path.read_text(encoding="utf-8"), where=FILE))
    except (OSError, UnicodeDecodeError, UsageError) as error:
        why = one_line(str(error), limit=200)
        return Fetched(
            quotes=(),
            notes=(f"the prices kept in {path} are not used ({why}); `breakeven prices --refresh` mends that",),
        )


def keep_quotes(fresh: tuple[Quote, ...]) -> str | None:
    """Keep what was fetched, and of earlier refreshes what it does not replace; a reason where the disk refuses.

    A refresh replaces a market as a whole, so that what is no longer let does not stay.
    """
    markets = {quote.provider for quote in fresh}
    kept = [quote for quote in cached_quotes().quotes if quote.provider not in markets]
    path = cache_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(quotes_csv([*kept, *fresh]), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        return f"the prices could not be kept in {path}: {error.strerror or error}"
    return None


def cache_path() -> Path:
    """Where they are kept."""
    return cache_folder() / FILE

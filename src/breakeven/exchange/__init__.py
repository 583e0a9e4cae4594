"""Result files of other tools: read as runs, and runs written as theirs or sent to their servers."""

from breakeven.exchange.imported import Imported
from breakeven.exchange.tables import EXPORTERS, IMPORTERS, SENDERS, export_run, import_file, merge, send_run

__all__ = ["EXPORTERS", "IMPORTERS", "SENDERS", "Imported", "export_run", "import_file", "merge", "send_run"]

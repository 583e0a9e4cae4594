"""Result files of other tools: read as runs, and runs written as theirs."""

from breakeven.exchange.imported import Imported
from breakeven.exchange.tables import EXPORTERS, IMPORTERS, export_run, import_file, merge

__all__ = ["EXPORTERS", "IMPORTERS", "Imported", "export_run", "import_file", "merge"]

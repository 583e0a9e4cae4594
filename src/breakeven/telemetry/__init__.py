"""What the machine did meanwhile: one small file a source, sampled by a process of its own."""

from typing import Final

SOURCES: Final = {
    "nvml": "breakeven.telemetry.nvml:Nvml",
    "exporter": "breakeven.telemetry.exporter:Exporter",
    "rapl": "breakeven.telemetry.rapl:Rapl",
    "host": "breakeven.telemetry.procfs:Host",
    "company": "breakeven.telemetry.company:Company",
    "engine": "breakeven.telemetry.scrape:Engine",
}

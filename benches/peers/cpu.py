"""Names this machine's CPU: /proc/cpuinfo of virtual machines often gives the same name for several generations."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from pathlib import Path

AMD = {
    23: [(0x2F, "Zen"), (0x4F, "Zen 2"), (0x5F, "Zen"), (0xFF, "Zen 2")],
    25: [(0x0F, "Zen 3"), (0x1F, "Zen 4"), (0x5F, "Zen 3"), (0xAF, "Zen 4")],
    26: [(0x4F, "Zen 5"), (0x5F, "Zen 6"), (0x7F, "Zen 5"), (0xCF, "Zen 6")],
}
"""Generations of AMD by family, as ranges of models: the last model of each range and its generation."""

INTEL = {
    0x3F: "Haswell",
    0x4F: "Broadwell",
    0x55: "Skylake",
    0x6A: "Ice Lake",
    0x6C: "Ice Lake",
    0x7E: "Ice Lake",
    0x8C: "Tiger Lake",
    0x8D: "Tiger Lake",
    0x8F: "Sapphire Rapids",
    0x97: "Alder Lake",
    0x9A: "Alder Lake",
    0xB7: "Raptor Lake",
    0xBA: "Raptor Lake",
    0xCF: "Emerald Rapids",
    0xAA: "Meteor Lake",
    0xAD: "Granite Rapids",
    0xAE: "Granite Rapids",
}
"""Generations of Intel by model, in family 6."""

ARM = {
    (0x41, 0xD0C): "Arm Neoverse N1",
    (0x41, 0xD40): "Arm Neoverse V1",
    (0x41, 0xD49): "Arm Neoverse N2",
    (0x41, 0xD4F): "Arm Neoverse V2",
}
"""Names by implementer and part."""


def info(path: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Return the fields of the first processor of Linux's /proc/cpuinfo; empty on another system."""
    if not path.exists():
        return {}
    pairs = (line.partition(":") for line in path.read_text().partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def generation(fields: Mapping[str, str]) -> str:
    """Return the name of the CPU's generation, such as "Zen 4", or "" if the tables do not have it."""
    family, model = (_number(fields.get(key, "")) for key in ("cpu family", "model"))
    if fields.get("vendor_id") == "AuthenticAMD":
        return next((name for last, name in AMD.get(family, []) if 0 <= model <= last), "")
    if fields.get("vendor_id") == "GenuineIntel" and family == 6:
        if model == 0x55 and _number(fields.get("stepping", "")) >= 5:  # the same model has two later generations
            return "Cooper Lake" if _number(fields["stepping"]) >= 10 else "Cascade Lake"
        return INTEL.get(model, "")
    return ""


def name(fields: Mapping[str, str]) -> str:
    """Return the name of the CPU: "AMD EPYC (Zen 4)", or with the numbers of family and model if the generation is unknown."""
    part = _number(fields.get("CPU implementer", "")), _number(fields.get("CPU part", ""))
    given = re.sub(r"\((R|TM|r|tm)\)|@.*$|\b(CPU|Processor)\b|\b\d+-Core\b", "", fields.get("model name", ""))
    given = " ".join(given.split()) or ARM.get(part) or platform.processor() or platform.machine()
    which = generation(fields) or ("" if part in ARM else numbers(fields))
    return f"{given} ({which})" if which else given


def numbers(fields: Mapping[str, str]) -> str:
    """Return the numbers of family and model, "family 25 model 17"; "" if the system does not give them."""
    if "CPU part" in fields:
        return f"implementer {fields.get('CPU implementer', '?')} part {fields['CPU part']}"
    return f"family {fields['cpu family']} model {fields['model']}" if {"cpu family", "model"} <= set(fields) else ""


def slug(cpu: str) -> str:
    """Return a file name for a CPU's name: "amd-epyc-zen-4"."""
    return re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-")


def amx() -> bool:
    """Return whether this CPU multiplies bfloat16 matrices by AMX."""
    return "amx_bf16" in info().get("flags", "").split()


def _number(text: str) -> int:
    """Return a decimal or hexadecimal number; -1 if the text is not a number."""
    try:
        return int(text, 0)
    except ValueError:
        return -1

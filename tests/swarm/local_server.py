"""A small model of this machine behind the Messages API, on a free port of 127.0.0.1, while standard input stays open.

    python -m tests.swarm.local_server MODEL.gguf NAME CONTEXT_TOKENS        prints its URL once it answers
"""

import os
import sys

import xllamacpp


def serve(gguf: str, name: str, context: int) -> xllamacpp.Server:
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = gguf, {name}
    params.n_ctx, params.n_parallel = context, 1
    params.hostnames, params.port = ["127.0.0.1"], 0
    # More threads would wait for each other where the processors are shared.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.sampling.temp, params.sampling.seed = 0.0, 1
    params.verbosity, params.warmup, params.ui = 0, False, False
    return xllamacpp.Server(params)


if __name__ == "__main__":
    server = serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # whatever it is still writing

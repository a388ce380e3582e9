"""A search strategy of one's own, as a service that KubeNAS asks: `algorithm: external`, see docs/llm-and-external.md.

Draws at random, then changes one decision of the best result. Run it with `python external_strategy.py`, and set
search.settings.baseUrl to http://HOST:8000.
"""

from __future__ import annotations

import json
import math
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any


def draw(decision: dict[str, Any], rng: Random) -> Any:
    """A value of one decision."""
    if "values" in decision:
        return rng.choice(decision["values"])
    low, high = decision["min"], decision["max"]
    if decision["type"] == "int":
        return rng.randint(int(low), int(high))
    if decision["scale"] == "log":
        return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
    return rng.uniform(low, high)


def propose(request: dict[str, Any], number: int) -> dict[str, Any]:
    """Candidate `number`: a function of the request alone, so that this service can restart at any time."""
    rng = Random(f"{request['seed']}/{number}")
    kept: dict[str, Any] = {}
    scored = [result for result in request["observations"] if not result["failed"]]
    if len(scored) >= 10:
        best = max(scored, key=lambda result: (-result["violation"], result["values"][0]))
        changed = rng.choice(list(best["architecture"]))
        kept = {name: value for name, value in best["architecture"].items() if name != changed}
    architecture: dict[str, Any] = {}
    for decision in request["space"]["decisions"]:
        when, name = decision.get("when"), decision["name"]
        if when is None or architecture.get(when["decision"]) in when["values"]:
            architecture[name] = kept[name] if name in kept else draw(decision, rng)
    return architecture


class Handler(BaseHTTPRequestHandler):
    """Answers POST /ask."""

    def do_POST(self) -> None:
        """One request."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        numbers = range(request["number"], request["number"] + request["count"])
        body = json.dumps({"architectures": [propose(request, number) for number in numbers]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8000), Handler).serve_forever()

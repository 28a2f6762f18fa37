"""`python -m appliance.agent '{"home": "…", "json": true}'`: the agent without the libraries of the command line.

`dccn agent run` becomes this process (`agent.command`), so that what reads options and draws help does not stay in the
memory of a program that runs for months.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import traceback
from pathlib import Path

from appliance.agent.agent import run
from appliance.agent.settings import load
from appliance.agent.status import say_failure
from chain.errors import DccnError, Malformed

SHOW_FAILURE_S = 30.0


def main(arguments: list[str]) -> int:
    """Run the agent with the settings in the one argument, a JSON object; the exit code of the error otherwise."""
    as_json, face = False, None
    try:
        document = _document(arguments)
        as_json = bool(document.get("json"))
        face = document.get("face_folder")
        return run(load(Path(str(document.pop("home"))), **document))
    except DccnError as error:
        if as_json:
            failure = {"ok": False, "code": error.code, "error": error.message, "remedy": error.remedy}
            print(json.dumps(failure), flush=True)
        print(f"dccn: {error} {error.remedy}", file=sys.stderr)
        if face is not None:
            # The folder goes with the process, so it stays as long as a person needs to read why it could not start.
            say_failure(Path(str(face)), error)
            time.sleep(SHOW_FAILURE_S)
        return error.exit_code
    except Exception as error:  # a fault of ours: the traceback goes to a file, the owner gets one sentence
        with tempfile.NamedTemporaryFile("w", prefix="dccn-fault-", suffix=".txt", delete=False) as report:
            traceback.print_exc(file=report)
        what = f"unforeseen {type(error).__name__}: {error}"
        print(f"dccn: {what}. Please report it with {report.name}.", file=sys.stderr)
        return 1


def _document(arguments: list[str]) -> dict[str, object]:
    try:
        document = json.loads(arguments[0]) if len(arguments) == 1 else None
    except ValueError:
        document = None
    if not isinstance(document, dict) or "home" not in document:
        raise Malformed("usage", 'give the settings as one JSON object with "home"')
    return document


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m sandbox.attempts CONFIG` makes the attempts that the JSON object CONFIG names."""
import json
import sys

from sandbox.attempts import main

if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

"""Run on any machine: read films as the box does and print as JSON {file: [a logit a finding] or a refusal}."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from cxrbox.errors import RefusedError
from cxrbox.reading import make_reader
from cxrbox.settings import Settings

settings = replace(Settings(), allow_unsigned=True, tpu="cpu")
if len(sys.argv) > 2:
    settings = replace(settings, bundle=Path(sys.argv[2]))
reader = make_reader(settings)
answers = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        answers[path.name] = [float(logit) for logit in reader.read(path).logits]
    except RefusedError as refusal:
        answers[path.name] = refusal.code
print(json.dumps({"backend": reader.body.backend, "films": answers}))

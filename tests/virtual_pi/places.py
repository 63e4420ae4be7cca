"""Where things lie."""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BIN = REPOSITORY / ".venv/bin"
ANSIBLE = REPOSITORY / "ansible"
OFFLINE = REPOSITORY / "offline"
# Real films, where a checkout has them beside it; never copied into the repository.
SHARED_FILMS = REPOSITORY.parent / "shared/cxr"
# All work happens here; git ignores it.
WORK = Path(os.environ.get("CXR_VPI_DIR", REPOSITORY / "build/virtual-pi")).resolve()

"""What a network is to tell apart: the findings it scores, and the films it learns them from."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from cxrbundle.labels import FINDINGS

from cxrtrain.data.films import Film
from cxrtrain.recipe import LossSettings, TaskSettings

Array = TypeVar("Array")


@dataclass(frozen=True)
class Task:
    """A task; its methods take arrays of numpy and of torch alike.

    Attributes
    ----------
    findings : tuple of str
        What is scored: all 14 findings, or one against all others.
    outputs : int
        Logits of the network: one for each finding; two, "without" and "with", for cross-entropy (eq. 1.2).
    normal_films : bool
        Whether films without a finding are learnt from. The paper left them out (its future work).
    """

    findings: tuple[str, ...]
    outputs: int
    normal_films: bool

    @classmethod
    def of(cls, task: TaskSettings, loss: LossSettings) -> "Task":
        """Return the task of these settings."""
        findings = FINDINGS if task.kind == "multi-label" else (task.finding,)
        outputs = 2 if loss.kind == "cross-entropy" else len(findings)
        return cls(tuple(findings), outputs, task.normal_films)

    def keeps(self, film: Film) -> bool:
        """Return whether the film belongs to the task."""
        return self.normal_films or any(film.labels)

    def targets(self, labels: Array) -> Array:
        """Return the truth to learn: float32, shape (n, findings of the task), of labels (n, 14)."""
        own = labels[:, [FINDINGS.index(finding) for finding in self.findings]]
        return own.astype(np.float32) if isinstance(own, np.ndarray) else own.float()

    def scores(self, logits: Array) -> Array:
        """Return a logit of each finding, shape (n, findings of the task), of the network's (n, outputs).

        Of two logits it is the difference: the softmax of both is the sigmoid of it.
        """
        return logits if self.outputs == len(self.findings) else logits[:, 1:] - logits[:, :1]

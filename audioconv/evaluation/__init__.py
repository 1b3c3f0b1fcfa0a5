"""Evaluation of a classifier: accuracy, rejection, calibration, ROC and DET curves, speed."""

from audioconv.evaluation.curves import Detection
from audioconv.evaluation.intervals import Share, percent
from audioconv.evaluation.long_recordings import LongPoint, LongResult
from audioconv.evaluation.reliability import Calibration
from audioconv.evaluation.result import Evaluation
from audioconv.evaluation.scores import ClassScore, Outcomes, Scored
from audioconv.evaluation.speed import Speed

__all__ = [
    "Calibration",
    "ClassScore",
    "Detection",
    "Evaluation",
    "LongPoint",
    "LongResult",
    "Outcomes",
    "Scored",
    "Share",
    "Speed",
    "percent",
]

"""Which groups of customers there are, what sets them apart, how they change; or that there are none.

`usual_features` says what customers are usually like, `fit` finds, judges and names segments,
`SegmentationModel.assign` places persons without fitting, `save_model` and `load_model` keep the pipeline.
"""

from mining.segmentation.clustering import (
    SegmentationModel,
    SegmentationResult,
    Settings,
    fit,
    load_model,
    save_model,
)
from mining.segmentation.history import usual_features
from mining.segmentation.identity import PreviousSegments
from mining.segmentation.selection import SelectionSettings
from mining.segmentation.themes import BANK_THEMES, Theme

__all__ = [
    "BANK_THEMES",
    "PreviousSegments",
    "SegmentationModel",
    "SegmentationResult",
    "SelectionSettings",
    "Settings",
    "Theme",
    "fit",
    "load_model",
    "save_model",
    "usual_features",
]

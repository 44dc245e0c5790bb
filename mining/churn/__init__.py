"""Who is about to leave, by which definition, how surely, and why; or why that cannot be said.

`label_months` gives labels under a versioned definition, `departed_at` who can no longer leave, `with_history` compares
customers with their own past, `drawn_persons` bounds how many, `training_rows` joins labels and features month by
month, `fit` judges and publishes or refuses, `score` gives probabilities with reasons, `save_model` and `load_model`
keep the model.
"""

from mining.churn.definitions import (
    EXCLUSIONS_ZH,
    ClosureOrDrop,
    Definition,
    Dormancy,
    compare_definitions,
    departed_at,
    label_months,
    training_rows,
)
from mining.churn.history import with_history
from mining.churn.models import BoostingSettings, ChurnModel, load_model, save_model
from mining.churn.scoring import score
from mining.churn.training import ChurnResult, Settings, drawn_persons, fit
from mining.metrics import CampaignValues

__all__ = [
    "EXCLUSIONS_ZH",
    "BoostingSettings",
    "CampaignValues",
    "ChurnModel",
    "ChurnResult",
    "ClosureOrDrop",
    "Definition",
    "Dormancy",
    "Settings",
    "compare_definitions",
    "departed_at",
    "drawn_persons",
    "fit",
    "label_months",
    "load_model",
    "save_model",
    "score",
    "training_rows",
    "with_history",
]

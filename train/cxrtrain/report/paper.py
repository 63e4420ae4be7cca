"""What Elkins, Freitas and Sanz published, to stand beside a run.

J Med Artif Intell 2020;3:8. Their validation films are a fifth of all films with a finding, drawn by image, so that
83 % of them have their patient in training: no figure here is of the films of a run.
"""

from cxrtrain.evaluate.paper_f1 import PUBLISHED

SOURCE = "Elkins, Freitas, Sanz, J Med Artif Intell 2020;3:8"

# Table 1.
AUC = {
    "Atelectasis": 0.76,
    "Cardiomegaly": 0.91,
    "Effusion": 0.83,
    "Infiltration": 0.69,
    "Mass": 0.79,
    "Nodule": 0.71,
    "Pneumonia": 0.67,
    "Pneumothorax": 0.83,
    "Consolidation": 0.71,
    "Edema": 0.86,
    "Emphysema": 0.83,
    "Fibrosis": 0.78,
    "Pleural_Thickening": 0.73,
    "Hernia": 0.89,
}
# Table 2. It scores decisions at 0.5, since probabilities were rounded first: no average precision.
AP_OF_ROUNDED = {
    "Atelectasis": 0.31,
    "Cardiomegaly": 0.21,
    "Effusion": 0.42,
    "Infiltration": 0.46,
    "Mass": 0.13,
    "Nodule": 0.13,
    "Pneumonia": 0.03,
    "Pneumothorax": 0.17,
    "Consolidation": 0.09,
    "Edema": 0.04,
    "Emphysema": 0.07,
    "Fibrosis": 0.03,
    "Pleural_Thickening": 0.07,
    "Hernia": 0.01,
}
# One-vs-all, pneumothorax.
ONE_VS_ALL = {"auc": 0.70, "f1": PUBLISHED}

"""The 14 findings of ChestX-ray14, in the order of the data set's paper (Wang et al., CVPR 2017)."""

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)


def readable(finding: str) -> str:
    """Return the name of a finding as a person writes it ("Pleural thickening")."""
    return finding.replace("_", " ").capitalize()

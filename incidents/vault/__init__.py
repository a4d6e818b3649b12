"""Personal data, sealed: the master key (`master`), and the incident's and people's keys and records (`sealing`)."""

from incidents.record import PersonFields
from incidents.vault.master import CannotOpen, KeyAway, MasterKeyUnreachable, MasterKeyWrong
from incidents.vault.sealing import SealedPerson, Vault, mask, new_incident_key

__all__ = [
    "CannotOpen",
    "KeyAway",
    "MasterKeyUnreachable",
    "MasterKeyWrong",
    "PersonFields",
    "SealedPerson",
    "Vault",
    "mask",
    "new_incident_key",
]

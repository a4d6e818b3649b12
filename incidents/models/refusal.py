"""Refusals, under the name by which the layers above know them; the class itself is plain Python."""

from incidents.refusal import Refused

__all__ = ["Refused"]

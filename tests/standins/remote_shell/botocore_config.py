"""Stands in for botocore.config as far as signing needs it."""


class Config:
    def __init__(self, signature_version=None, **_):
        self.signature_version = signature_version

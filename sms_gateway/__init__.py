"""The SMS gateway behind the faces: rules, store, worker, upstreams and the HTTP face."""

__version__ = "0.2.0.dev0"

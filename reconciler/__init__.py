"""gluster-state: a declarative control plane for GlusterFS."""

__version__ = "0.1.0"

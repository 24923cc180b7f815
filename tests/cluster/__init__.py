"""The Kubernetes that Modelway's demo and tests run on; see README.md beside this file."""

import os

from cluster import choice
from cluster.info import Info
from cluster.kubectl import Kubectl


def info(context: str | None = None) -> Info:
    """Where the cluster is (None: that of $CONTEXT, if set); raises ClusterError when it is not up."""
    return choice.choose(os.environ.get("CONTEXT", "") if context is None else context).info()


def kubectl(*words: str, stdin: str | None = None) -> str:
    """Standard output of kubectl against the cluster; raises ClusterError when it fails."""
    here = info()
    return Kubectl(kubeconfig=here.kubeconfig, context=here.context).run(*words, stdin=stdin)

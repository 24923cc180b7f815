"""Where figures come from: the pods themselves, Prometheus, Alertmanager and services of the user."""

"""TorchServe's worker imports PyTorch for one question, whether a value is a tensor; these are arrays and never are."""


class Tensor:
    """Nothing is one."""

"""What things are called in the report. Pure."""

OURS, NATIVE, UNBATCHED, INLINE = "Modelway", "Modelway, gRPC native", "Modelway, batches of 1", "Modelway, inline"
FLOOR = "uvicorn, constant answer"
MLSERVER, MLSERVER_DEFAULT = "MLServer, no workers", "MLServer, default"
KSERVE, BENTOML, LITSERVE, MLFLOW = "KServe SDK", "BentoML", "LitServe", "MLflow"
TORCHSERVE, TRITON = "TorchServe", "Triton, Python backend"
IRIS, MLP, SLOW = "iris", "mlp", "slow"
JSON, BINARY, GRPC = "REST, JSON", "REST, binary tensors", "gRPC"

"""KServe's SDK: a server of one class of model, started as its documents show it."""

import sys

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from sessions import Session, opened

_DATATYPES = {"float32": "FP32", "int64": "INT64"}


class OnnxModel(Model):
    """One session."""

    def __init__(self, name: str, session: Session) -> None:
        super().__init__(name)
        self._session = session
        self.ready = True

    def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        """All outputs of one request."""
        outputs = []
        for name, values in self._session.run(payload.inputs[0].as_numpy()).items():
            output = InferOutput(name, list(values.shape), _DATATYPES[values.dtype.name])
            output.set_data_from_numpy(values, binary_data=payload.from_grpc)
            outputs.append(output)
        return InferResponse(payload.id or "", self.name, outputs)


if __name__ == "__main__":
    folder, port, grpc_port = sys.argv[1:]
    ModelServer(http_port=int(port), grpc_port=int(grpc_port)).start(
        [OnnxModel(name, session) for name, session in opened(folder)]
    )

"""The messages of the gRPC service, as classes.

They are made at the start from the field numbers of the Open Inference Protocol and of Triton's extensions to it, in a
pool of descriptors of their own. Generated modules would register themselves in the one pool of the process, where two
libraries that bring the same protocol cannot live together, and would ask for the very protobuf that made them.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

_PARAMETERS = "* parameters 4 InferParameter"
_NAMED = ("name 1 string", "version 2 string")

# `NAME NUMBER TYPE`; `+` before a name: repeated, `*`: a map from strings, `|`: one of a choice.
_SCHEMA: dict[str, tuple[str, ...]] = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": ("live 1 bool",),
    "ServerReadyRequest": (),
    "ServerReadyResponse": ("ready 1 bool",),
    "ModelReadyRequest": _NAMED,
    "ModelReadyResponse": ("ready 1 bool",),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": (*_NAMED, "+ extensions 3 string"),
    "ModelMetadataRequest": _NAMED,
    "ModelMetadataResponse": (
        "name 1 string",
        "+ versions 2 string",
        "platform 3 string",
        "+ inputs 4 ModelMetadataResponse.TensorMetadata",
        "+ outputs 5 ModelMetadataResponse.TensorMetadata",
    ),
    "ModelMetadataResponse.TensorMetadata": ("name 1 string", "datatype 2 string", "+ shape 3 int64"),
    "InferParameter": (
        "| bool_param 1 bool",
        "| int64_param 2 int64",
        "| string_param 3 string",
        "| double_param 4 double",
        "| uint64_param 5 uint64",
    ),
    "InferTensorContents": (
        "+ bool_contents 1 bool",
        "+ int_contents 2 int32",
        "+ int64_contents 3 int64",
        "+ uint_contents 4 uint32",
        "+ uint64_contents 5 uint64",
        "+ fp32_contents 6 float",
        "+ fp64_contents 7 double",
        "+ bytes_contents 8 bytes",
    ),
    "ModelInferRequest": (
        "model_name 1 string",
        "model_version 2 string",
        "id 3 string",
        _PARAMETERS,
        "+ inputs 5 ModelInferRequest.InferInputTensor",
        "+ outputs 6 ModelInferRequest.InferRequestedOutputTensor",
        "+ raw_input_contents 7 bytes",
    ),
    "ModelInferRequest.InferInputTensor": (
        "name 1 string",
        "datatype 2 string",
        "+ shape 3 int64",
        _PARAMETERS,
        "contents 5 InferTensorContents",
    ),
    "ModelInferRequest.InferRequestedOutputTensor": ("name 1 string", "* parameters 2 InferParameter"),
    "ModelInferResponse": (
        "model_name 1 string",
        "model_version 2 string",
        "id 3 string",
        _PARAMETERS,
        "+ outputs 5 ModelInferResponse.InferOutputTensor",
        "+ raw_output_contents 6 bytes",
    ),
    "ModelInferResponse.InferOutputTensor": (
        "name 1 string",
        "datatype 2 string",
        "+ shape 3 int64",
        _PARAMETERS,
        "contents 5 InferTensorContents",
    ),
    "ModelConfigRequest": _NAMED,
    "ModelConfigResponse": ("config 1 ModelConfig",),
    "ModelConfig": (
        "name 1 string",
        "platform 2 string",
        "max_batch_size 4 int32",
        "+ input 5 ModelInput",
        "+ output 6 ModelOutput",
        "default_model_filename 8 string",
        "dynamic_batching 11 ModelDynamicBatching",
        "backend 17 string",
    ),
    "ModelInput": ("name 1 string", "data_type 2 DataType", "+ dims 4 int64"),
    "ModelOutput": ("name 1 string", "data_type 2 DataType", "+ dims 3 int64"),
    "ModelDynamicBatching": ("max_queue_delay_microseconds 2 uint64",),
    "ModelStatisticsRequest": _NAMED,
    "ModelStatisticsResponse": ("+ model_stats 1 ModelStatistics",),
    "ModelStatistics": (
        *_NAMED,
        "last_inference 3 uint64",
        "inference_count 4 uint64",
        "execution_count 5 uint64",
        "inference_stats 6 InferStatistics",
        "+ batch_stats 7 InferBatchStatistics",
    ),
    "InferStatistics": (
        "success 1 StatisticDuration",
        "fail 2 StatisticDuration",
        "queue 3 StatisticDuration",
        "compute_input 4 StatisticDuration",
        "compute_infer 5 StatisticDuration",
        "compute_output 6 StatisticDuration",
        "cache_hit 7 StatisticDuration",
        "cache_miss 8 StatisticDuration",
    ),
    "InferBatchStatistics": (
        "batch_size 1 uint64",
        "compute_input 2 StatisticDuration",
        "compute_infer 3 StatisticDuration",
        "compute_output 4 StatisticDuration",
    ),
    "StatisticDuration": ("count 1 uint64", "ns 2 uint64"),
    "RepositoryIndexRequest": ("repository_name 1 string", "ready 2 bool"),
    "RepositoryIndexResponse": ("+ models 1 RepositoryIndexResponse.ModelIndex",),
    "RepositoryIndexResponse.ModelIndex": (*_NAMED, "state 3 string", "reason 4 string"),
    "RepositoryModelLoadRequest": ("repository_name 1 string", "model_name 2 string"),
    "RepositoryModelLoadResponse": (),
    "RepositoryModelUnloadRequest": ("repository_name 1 string", "model_name 2 string"),
    "RepositoryModelUnloadResponse": (),
}
_DATA_TYPES = (
    "INVALID",
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "STRING", "BF16"),
)
_ENUM = "DataType"
_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "bool": _FIELD.TYPE_BOOL,
    "bytes": _FIELD.TYPE_BYTES,
    "double": _FIELD.TYPE_DOUBLE,
    "float": _FIELD.TYPE_FLOAT,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "string": _FIELD.TYPE_STRING,
    "uint32": _FIELD.TYPE_UINT32,
    "uint64": _FIELD.TYPE_UINT64,
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="inference.proto", package=PACKAGE, syntax="proto3")
    types = file.enum_type.add(name=_ENUM)
    for number, name in enumerate(_DATA_TYPES):
        types.value.add(name=f"TYPE_{name}", number=number)
    made: dict[str, descriptor_pb2.DescriptorProto] = {}
    for name, fields in _SCHEMA.items():
        outer, _, own = name.rpartition(".")
        message = made[outer].nested_type.add(name=own) if outer else file.message_type.add(name=own)
        made[name] = message
        for text in fields:
            _add(message, name, text)
    return file


def _add(message: descriptor_pb2.DescriptorProto, path: str, text: str) -> None:
    *mark, name, number, kind = text.split()
    field = message.field.add(name=name, number=int(number), label=_FIELD.LABEL_OPTIONAL)
    if mark == ["|"]:
        if not message.oneof_decl:
            message.oneof_decl.add(name="parameter_choice")
        field.oneof_index = 0
    elif mark:
        field.label = _FIELD.LABEL_REPEATED
    if mark == ["*"]:
        entry = f"{name.title()}Entry"
        pair = message.nested_type.add(name=entry)
        pair.options.map_entry = True
        _add(pair, "", "key 1 string")
        _add(pair, "", f"value 2 {kind}")
        kind = f"{path}.{entry}"
    if kind in _TYPES:
        field.type = _TYPES[kind]
        return
    field.type = _FIELD.TYPE_ENUM if kind == _ENUM else _FIELD.TYPE_MESSAGE
    field.type_name = f".{PACKAGE}.{kind}"


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())


def message(name: str) -> Any:
    """The class of a message, by its name in the protocol."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))

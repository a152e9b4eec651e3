"""etcd's v3 gRPC messages, built at run time, and their registration as ``etcd3.etcdrpc``.

The `etcd3` package (0.12.0) ships generated code that no protobuf since 4.0 can import. This module
describes the messages that we use itself, lets protobuf build the classes in a descriptor pool of their
own (nothing else in the process can collide with them), and registers the result under the name that
etcd3 imports. What is not described here (snapshots, members' changes, users and roles) is not available
through etcd3 either: an attribute error, never a wrong byte.

Field names, numbers and types are those of etcd 3.4 to 3.6, ``api/etcdserverpb/rpc.proto`` and
``api/mvccpb/kv.proto``. All messages live in one package here; only the services' full names travel.

Architecture invariant: no I/O, no thread; `etcd3` must not be imported before `register` was called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGE = "etcdserverpb"
_REGISTERED_AS = "etcd3.etcdrpc"

# "field:number type", "*" after the type for repeated, "union.field" for a member of a oneof.
_MESSAGES = {
    "KeyValue": "key:1 bytes, create_revision:2 int64, mod_revision:3 int64, version:4 int64,"
    " value:5 bytes, lease:6 int64",
    "Event": "type:1 Event.EventType, kv:2 KeyValue, prev_kv:3 KeyValue",
    "ResponseHeader": "cluster_id:1 uint64, member_id:2 uint64, revision:3 int64, raft_term:4 uint64",
    "RangeRequest": "key:1 bytes, range_end:2 bytes, limit:3 int64, revision:4 int64,"
    " sort_order:5 RangeRequest.SortOrder, sort_target:6 RangeRequest.SortTarget, serializable:7 bool,"
    " keys_only:8 bool, count_only:9 bool, min_mod_revision:10 int64, max_mod_revision:11 int64,"
    " min_create_revision:12 int64, max_create_revision:13 int64",
    "RangeResponse": "header:1 ResponseHeader, kvs:2 KeyValue*, more:3 bool, count:4 int64",
    "PutRequest": "key:1 bytes, value:2 bytes, lease:3 int64, prev_kv:4 bool, ignore_value:5 bool,"
    " ignore_lease:6 bool",
    "PutResponse": "header:1 ResponseHeader, prev_kv:2 KeyValue",
    "DeleteRangeRequest": "key:1 bytes, range_end:2 bytes, prev_kv:3 bool",
    "DeleteRangeResponse": "header:1 ResponseHeader, deleted:2 int64, prev_kvs:3 KeyValue*",
    "RequestOp": "request.request_range:1 RangeRequest, request.request_put:2 PutRequest,"
    " request.request_delete_range:3 DeleteRangeRequest, request.request_txn:4 TxnRequest",
    "ResponseOp": "response.response_range:1 RangeResponse, response.response_put:2 PutResponse,"
    " response.response_delete_range:3 DeleteRangeResponse, response.response_txn:4 TxnResponse",
    "Compare": "result:1 Compare.CompareResult, target:2 Compare.CompareTarget, key:3 bytes,"
    " target_union.version:4 int64, target_union.create_revision:5 int64,"
    " target_union.mod_revision:6 int64, target_union.value:7 bytes, target_union.lease:8 int64,"
    " range_end:64 bytes",
    "TxnRequest": "compare:1 Compare*, success:2 RequestOp*, failure:3 RequestOp*",
    "TxnResponse": "header:1 ResponseHeader, succeeded:2 bool, responses:3 ResponseOp*",
    "CompactionRequest": "revision:1 int64, physical:2 bool",
    "CompactionResponse": "header:1 ResponseHeader",
    "WatchRequest": "request_union.create_request:1 WatchCreateRequest,"
    " request_union.cancel_request:2 WatchCancelRequest,"
    " request_union.progress_request:3 WatchProgressRequest",
    "WatchCreateRequest": "key:1 bytes, range_end:2 bytes, start_revision:3 int64, progress_notify:4 bool,"
    " filters:5 WatchCreateRequest.FilterType*, prev_kv:6 bool, watch_id:7 int64, fragment:8 bool",
    "WatchCancelRequest": "watch_id:1 int64",
    "WatchProgressRequest": "",
    "WatchResponse": "header:1 ResponseHeader, watch_id:2 int64, created:3 bool, canceled:4 bool,"
    " compact_revision:5 int64, cancel_reason:6 string, fragment:7 bool, events:11 Event*",
    "LeaseGrantRequest": "TTL:1 int64, ID:2 int64",
    "LeaseGrantResponse": "header:1 ResponseHeader, ID:2 int64, TTL:3 int64, error:4 string",
    "LeaseRevokeRequest": "ID:1 int64",
    "LeaseRevokeResponse": "header:1 ResponseHeader",
    "LeaseKeepAliveRequest": "ID:1 int64",
    "LeaseKeepAliveResponse": "header:1 ResponseHeader, ID:2 int64, TTL:3 int64",
    "LeaseTimeToLiveRequest": "ID:1 int64, keys:2 bool",
    "LeaseTimeToLiveResponse": "header:1 ResponseHeader, ID:2 int64, TTL:3 int64, grantedTTL:4 int64,"
    " keys:5 bytes*",
    "Member": "ID:1 uint64, name:2 string, peerURLs:3 string*, clientURLs:4 string*, isLearner:5 bool",
    "MemberListRequest": "",
    "MemberListResponse": "header:1 ResponseHeader, members:2 Member*",
    "StatusRequest": "",
    "StatusResponse": "header:1 ResponseHeader, version:2 string, dbSize:3 int64, leader:4 uint64,"
    " raftIndex:5 uint64, raftTerm:6 uint64, raftAppliedIndex:7 uint64, errors:8 string*,"
    " dbSizeInUse:9 int64, isLearner:10 bool",
    "AuthenticateRequest": "name:1 string, password:2 string",
    "AuthenticateResponse": "header:1 ResponseHeader, token:2 string",
}

# Values are numbered from 0 in the order given.
_ENUMS = {
    "Event.EventType": "PUT DELETE",
    "RangeRequest.SortOrder": "NONE ASCEND DESCEND",
    "RangeRequest.SortTarget": "KEY VERSION CREATE MOD VALUE",
    "Compare.CompareResult": "EQUAL GREATER LESS NOT_EQUAL",
    "Compare.CompareTarget": "VERSION CREATE MOD VALUE LEASE",
    "WatchCreateRequest.FilterType": "NOPUT NODELETE",
}

# "method request response", "~" before both when they are streams.
_SERVICES = {
    "KV": "Range RangeRequest RangeResponse, Put PutRequest PutResponse,"
    " DeleteRange DeleteRangeRequest DeleteRangeResponse, Txn TxnRequest TxnResponse,"
    " Compact CompactionRequest CompactionResponse",
    "Watch": "Watch ~WatchRequest ~WatchResponse",
    "Lease": "LeaseGrant LeaseGrantRequest LeaseGrantResponse,"
    " LeaseRevoke LeaseRevokeRequest LeaseRevokeResponse,"
    " LeaseKeepAlive ~LeaseKeepAliveRequest ~LeaseKeepAliveResponse,"
    " LeaseTimeToLive LeaseTimeToLiveRequest LeaseTimeToLiveResponse",
    "Cluster": "MemberList MemberListRequest MemberListResponse",
    "Maintenance": "Status StatusRequest StatusResponse",
    "Auth": "Authenticate AuthenticateRequest AuthenticateResponse",
}


def register() -> None:
    """Make ``import etcd3`` use our messages. Idempotent.

    Raises ImportError if somebody imported etcd3 with its own messages before.
    """
    if "etcd3" in sys.modules and sys.modules.get(_REGISTERED_AS) is not etcdrpc:
        raise ImportError("etcd3 was imported before its messages were registered", name="etcd3")
    sys.modules[_REGISTERED_AS] = etcdrpc


def _build() -> ModuleType:
    """Return a module with all message classes and one ``…Stub`` class per service."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file().SerializeToString())
    module = ModuleType(_REGISTERED_AS, __doc__)
    for name in _MESSAGES:
        described = pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")
        setattr(module, name, message_factory.GetMessageClass(described))
    for name, methods in _SERVICES.items():
        setattr(module, f"{name}Stub", _stub_class(module, name, methods))
    return module


def _file() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="etcd.proto", package=_PACKAGE, syntax="proto3")
    messages = {}
    for name, fields in _MESSAGES.items():
        messages[name] = file.message_type.add(name=name)
        for text in filter(None, fields.split(", ")):
            _add_field(messages[name], text.strip())
    for name, values in _ENUMS.items():
        owner, _, enum_name = name.partition(".")
        enum = messages[owner].enum_type.add(name=enum_name)
        for number, value in enumerate(values.split()):
            enum.value.add(name=value, number=number)
    return file


def _add_field(message: Any, text: str) -> None:
    """Add the field that `text` describes, such as ``target_union.mod_revision:6 int64``."""
    place, _, type_name = text.partition(" ")
    path, _, number = place.partition(":")
    union, _, name = path.rpartition(".")
    kinds = descriptor_pb2.FieldDescriptorProto
    repeated = type_name.endswith("*")
    type_name = type_name.removesuffix("*")
    field = message.field.add(name=name, number=int(number))
    field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
    if type_name in _MESSAGES or type_name in _ENUMS:
        field.type = kinds.TYPE_MESSAGE if type_name in _MESSAGES else kinds.TYPE_ENUM
        field.type_name = f".{_PACKAGE}.{type_name}"
    else:
        field.type = kinds.Type.Value(f"TYPE_{type_name.upper()}")
    if union:
        known = [declared.name for declared in message.oneof_decl]
        if union not in known:
            message.oneof_decl.add(name=union)
            known.append(union)
        field.oneof_index = known.index(union)


def _stub_class(module: ModuleType, service: str, methods: str) -> type:
    """Return a class like those of grpc's generator: ``Stub(channel).Method(request, timeout=…)``."""
    calls = [tuple(method.split()) for method in methods.split(", ")]

    def connect(self: object, channel: Any) -> None:
        for method, request, response in calls:
            open_call: Callable[..., Any] = (
                channel.stream_stream if request.startswith("~") else channel.unary_unary
            )
            call = open_call(
                f"/{_PACKAGE}.{service}/{method}",
                request_serializer=getattr(module, request.lstrip("~")).SerializeToString,
                response_deserializer=getattr(module, response.lstrip("~")).FromString,
            )
            setattr(self, method, call)

    return type(f"{service}Stub", (), {"__init__": connect})


etcdrpc: Any = _build()

"""Starts Google's storage test bench on a free port, which gunicorn names on stderr: serve.py CHECKOUT.

The test bench wants Python packages that Debian does not have, for its gRPC side and for descriptions that its
messages only mention. Stand-ins for what the JSON API needs of them are made here, each only where the real
one is missing. Nothing of the test bench is changed.
"""

import ctypes
import enum
import importlib
import importlib.util
import signal
import sys
from importlib.machinery import ModuleSpec


def missing(name):
    try:
        return importlib.util.find_spec(name) is None
    except ModuleNotFoundError:  # its parent is missing
        return True


def provide(name, package=False, **members):
    """A module of that name, and the packages above it."""
    parent, _, last = name.rpartition(".")
    if parent and missing(parent):
        provide(parent, package=True)
    module = importlib.util.module_from_spec(ModuleSpec(name, None, is_package=package))
    module.__dict__.update(members)
    sys.modules[name] = module
    if parent:
        setattr(importlib.import_module(parent), last, module)


# --- protobuf

def provide_runtime_version():
    """Generated code asks whether the library is as new as itself; the wire format has not changed."""

    class Domain(enum.Enum):
        PUBLIC = 0

    provide("google.protobuf.runtime_version", Domain=Domain, ValidateProtobufRuntimeVersion=lambda *_: None)


# Files that the test bench's messages import, and of those only what is a field's type or a method's answer.
MESSAGES = {
    "google/api/annotations.proto": [],
    "google/api/client.proto": [],
    "google/api/field_behavior.proto": [],
    "google/api/field_info.proto": [],
    "google/api/resource.proto": [],
    "google/api/routing.proto": [],
    "google/longrunning/operations.proto": [("Operation", [("string", "name"), ("bool", "done")])],
    "google/rpc/status.proto": [
        ("Status", [("int32", "code"), ("string", "message"), ("google.protobuf.Any", "details")])
    ],
    "google/type/date.proto": [("Date", [("int32", "year"), ("int32", "month"), ("int32", "day")])],
    "google/type/expr.proto": [
        ("Expr", [("string", "expression"), ("string", "title"), ("string", "description"), ("string", "location")])
    ],
    "google/type/interval.proto": [
        ("Interval", [("google.protobuf.Timestamp", "start_time"), ("google.protobuf.Timestamp", "end_time")])
    ],
}


def describe(path, messages):
    from google.protobuf import any_pb2, descriptor_pb2, timestamp_pb2

    kinds = {"int32": 5, "bool": 8, "string": 9}  # FieldDescriptorProto.Type
    file = descriptor_pb2.FileDescriptorProto(name=path, package=path.rpartition("/")[0].replace("/", "."))
    file.syntax = "proto3"
    for needed in (any_pb2, timestamp_pb2):
        file.dependency.append(needed.DESCRIPTOR.name)
    for name, fields in messages:
        message = file.message_type.add(name=name)
        for number, (kind, field) in enumerate(fields, 1):
            label = 3 if field == "details" else 1  # repeated, optional
            f = message.field.add(name=field, number=number, label=label, type=kinds.get(kind, 11))
            if kind not in kinds:
                f.type_name = "." + kind
    return file


def provide_messages():
    from google.protobuf import descriptor_pool
    from google.protobuf.internal import builder

    for path, messages in MESSAGES.items():
        module = path[: -len(".proto")].replace("/", ".") + "_pb2"
        if not missing(module):
            continue
        text = describe(path, messages).SerializeToString()
        members = {"DESCRIPTOR": descriptor_pool.Default().AddSerializedFile(text)}
        builder.BuildMessageAndEnumDescriptors(members["DESCRIPTOR"], members)
        builder.BuildTopDescriptorsAndMessages(members["DESCRIPTOR"], module, members)
        provide(module, **members)


# --- gRPC: its server is never started, but names are looked up when its modules are read

class AnyName(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name


def provide_grpc():
    provide("grpc", package=True, __version__="999.0.0", StatusCode=AnyName("StatusCode", (), {}))
    provide("grpc._utilities", first_version_is_lower=lambda *_: False)


# --- scalpl: a dict by paths such as "items[0].acl"

class Cut:
    def __init__(self, data):
        self.data = data

    def _steps(self, path):
        for name in path.split("."):
            name, *numbers = name.split("[")
            if name:
                yield name
            yield from (int(n.rstrip("]")) for n in numbers)

    def _holder(self, path):
        *way, last = self._steps(path)
        at = self.data
        for step in way:
            at = at[step]
        return at, last

    def get(self, path):
        try:
            holder, last = self._holder(path)
            return holder[last]
        except (KeyError, IndexError, TypeError):
            return None

    def __delitem__(self, path):
        holder, last = self._holder(path)
        del holder[last]


def provide_what_is_missing():
    if missing("google.protobuf.runtime_version"):
        provide_runtime_version()
    provide_messages()
    if missing("grpc"):
        provide_grpc()
    if missing("grpc_status"):
        provide("grpc_status.rpc_status", to_status=None)
    if missing("scalpl"):
        provide("scalpl", Cut=Cut)


def end_with_parent():
    pdeathsig = 1
    ctypes.CDLL(None).prctl(pdeathsig, signal.SIGTERM)


def main():
    sys.path.insert(0, sys.argv[1])
    end_with_parent()
    provide_what_is_missing()
    # As the test bench's own testbench_run.py has it: one process with threads, whose memory is the database.
    sys.argv = ["gunicorn", "--bind=127.0.0.1:0", "--worker-class=sync", "--threads=16", "testbench:run()"]
    from gunicorn.app.wsgiapp import run

    run()


if __name__ == "__main__":
    main()

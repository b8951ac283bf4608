"""Prints TensorBoard event records as TensorBoard's own writer makes them: the expected values of
test/train/tensorboard.test.ts.

    pip install tensorboard==2.21.0 && python scripts/python/make_event_records.py
"""

import io

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.record_writer import RecordWriter


def scalar(tag, value):
    return Summary.Value(tag=tag, simple_value=value)


def text(tag, value):
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, tensor_shape=shape, string_val=[value.encode()])
    plugin = SummaryMetadata.PluginData(plugin_name="text")
    metadata = SummaryMetadata(plugin_data=plugin, data_class=DATA_CLASS_TENSOR)
    return Summary.Value(tag=tag, tensor=tensor, metadata=metadata)


EVENTS = {
    "version": Event(wall_time=1.5, file_version="brain.Event:2"),
    "restart": Event(wall_time=2.25, step=300, session_log=SessionLog(status=SessionLog.START)),
    "scalars": Event(
        wall_time=3.125, step=2**40 + 7, summary=Summary(value=[scalar("loss/train", 2.5), scalar("lr", 1e-3)])
    ),
    "text": Event(wall_time=4.0625, step=9, summary=Summary(value=[text("sample", "    “a” \n    b")])),
    "empty": None,
}

for name, event in EVENTS.items():
    file = io.BytesIO()
    RecordWriter(file).write(event.SerializeToString() if event else b"")
    print(f'  {name}: "{file.getvalue().hex()}",')

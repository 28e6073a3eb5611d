"""onnx_step.py -- inference of the exported net in OpenVINO or ONNX Runtime, one process a measurement.

    onnx_step.py openvino|onnxruntime FILE f32|bf16 BATCH STEPS

Both fold batch norm and fuse for themselves.  OpenVINO in its latency mode, which is also its faster one for a
single batch of 32 on two threads; ONNX Runtime has f32 only.
"""

import os
import sys

import numpy
from clock import report


def openvino(path, precision, x):
    import openvino as ov

    core = ov.Core()
    net = core.read_model(path)
    net.reshape(list(x.shape))
    hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(net, "CPU", hints).create_infer_request()
    return "openvino " + ov.__version__.split("-")[0], lambda: request.infer([x])


def onnxruntime(path, precision, x):
    import onnxruntime as ort

    if precision != "f32":
        sys.exit("onnxruntime: no bf16 on CPUs")
    options = ort.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return "onnxruntime " + ort.__version__, lambda: session.run(None, {"x": x})


which, path, precision, batch, steps = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
x = numpy.random.default_rng(0).standard_normal((batch, 3, 299, 299), dtype=numpy.float32)
program, step = {"openvino": openvino, "onnxruntime": onnxruntime}[which](path, precision, x)
report(program, steps, step)

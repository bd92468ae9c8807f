# Runs a model on images in onnxruntime, by its defaults but for the options given.
import sys

import numpy
import onnxruntime

model, images, out, shape, *options = sys.argv[1:]
session_options = onnxruntime.SessionOptions()
for option in options:
    session_options.add_session_config_entry(*option.split("=", 1))
session = onnxruntime.InferenceSession(model, session_options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
images = numpy.fromfile(images, dtype="<f4").reshape([int(n) for n in shape.split(",")])
parts = [session.run(None, {name: images[i : i + 100]})[0] for i in range(0, len(images), 100)]
numpy.concatenate(parts).astype("<f4").tofile(out)

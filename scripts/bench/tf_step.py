"""tf_step.py -- TensorFlow's side of the bench: Keras' InceptionV3 as a graph, one process a measurement.

    tf_step.py train|infer f32|bf16 BATCH STEPS

Keras' net has no auxiliary head, so its training step does a little less than the others'.  Its policy
mixed_bfloat16 for bf16; XLA was slower on CPUs and is left out.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf  # noqa: E402
from clock import report  # noqa: E402

what, precision, batch, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if precision == "bf16":
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
net = tf.keras.applications.InceptionV3(weights=None, classes=1000)
x = tf.random.normal((batch, 299, 299, 3))
y = tf.random.uniform((batch,), 0, 1000, tf.int32)
optimizer = tf.keras.optimizers.RMSprop(1e-3, rho=0.9, momentum=0.9, epsilon=1.0)
loss_of = tf.keras.losses.SparseCategoricalCrossentropy()


@tf.function
def train():
    with tf.GradientTape() as tape:
        loss = loss_of(y, tf.cast(net(x, training=True), tf.float32))
    gradients = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients(zip(gradients, net.trainable_variables))
    return loss


@tf.function
def infer():
    return net(x, training=False)


if what == "train":
    optimizer.build(net.trainable_variables)
step = train if what == "train" else infer
report("tensorflow " + tf.__version__, steps, lambda: step().numpy())

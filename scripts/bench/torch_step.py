"""torch_step.py -- PyTorch's side of the bench: torchvision's inception_v3, one process a measurement.

    torch_step.py eager|compile train|infer f32|bf16 BATCH STEPS
    torch_step.py export FILE       the net as ONNX, for the programs that run that

channels_last, RMSProp with momentum, auxiliary head and label smoothing, random pictures: what our side does.
Inference has batch norm folded into the convolutions (torch.fx's own pass) where it is eager; the compiler folds
for itself.
"""

import sys
import warnings

import torch
import torchvision

warnings.filterwarnings("ignore")
torch.manual_seed(0)


def model(aux):
    return torchvision.models.inception_v3(weights=None, init_weights=False, aux_logits=aux)


def export(path):
    net = model(False).eval()
    names = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
    torch.onnx.export(net, (torch.randn(1, 3, 299, 299),), path, dynamo=False, opset_version=17, **names)


def training(net, x, batch, autocast, compiled):
    net.train()
    y = torch.randint(0, 1000, (batch,))
    opt = torch.optim.RMSprop(net.parameters(), lr=1e-3, alpha=0.9, eps=1.0, momentum=0.9, weight_decay=4e-5)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)

    def forward(x, y):
        with autocast():
            main, aux = net(x)
            return loss(main.float(), y) + 0.4 * loss(aux.float(), y)

    if compiled:
        forward = torch.compile(forward)

    def step():
        opt.zero_grad(set_to_none=True)
        forward(x, y).backward()
        opt.step()

    return step


def inference(net, x, autocast, compiled):
    from torch.fx.experimental import optimization

    net.eval()
    net = torch.compile(net) if compiled else optimization.fuse(net)

    def step():
        with torch.inference_mode(), autocast():
            net(x)

    return step


def main():
    if sys.argv[1] == "export":
        return export(sys.argv[2])
    from clock import report

    mode, what, precision, batch, steps = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    net = model(what == "train").to(memory_format=torch.channels_last)
    x = torch.randn(batch, 3, 299, 299).to(memory_format=torch.channels_last)

    def autocast():
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")

    compiled = mode == "compile"
    step = training(net, x, batch, autocast, compiled) if what == "train" else inference(net, x, autocast, compiled)
    report("torch " + torch.__version__ + " " + mode, steps, step)


main()

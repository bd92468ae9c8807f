# Writes a MobileNetV2 as PyTorch users do: mobilenet.py OUT.onnx BACKBONE.json RESOLUTION
# BACKBONE is an arch.Backbone; small.onnx was written with small.json at 32 pixels.
import json, sys, torch
from torch import nn

def conv_bn(i, o, k=3, s=1, groups=1):
    return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o), nn.ReLU6())

class Bottleneck(nn.Module):
    def __init__(self, i, o, s, t):
        super().__init__()
        m = i * t
        self.residual = s == 1 and i == o
        expand = [] if t == 1 else [conv_bn(i, m, 1)]
        self.conv = nn.Sequential(*expand, conv_bn(m, m, 3, s, m), nn.Conv2d(m, o, 1, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)

class MobileNetV2(nn.Module):
    def __init__(self, b):
        super().__init__()
        c = b["stem"]["channels"]
        layers = [conv_bn(b["input"], c, b["stem"]["kernel"], b["stem"]["stride"])]
        for g in b["groups"]:
            for j in range(g["n"]):
                layers.append(Bottleneck(c, g["c"], g["s"] if j == 0 else 1, g["t"]))
                c = g["c"]
        layers.append(conv_bn(c, b["head"], 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(b["head"], b["classes"]))

    def forward(self, x):
        x = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))

torch.manual_seed(0)
with open(sys.argv[2]) as f:
    b = json.load(f)
r = int(sys.argv[3])
torch.onnx.export(MobileNetV2(b).eval(), torch.zeros(1, b["input"], r, r), sys.argv[1], opset_version=13)

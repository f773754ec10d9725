"""Writes NAME.pth (a state dict with random values), and for detectors image and raw outputs, into a folder.

usage: torchvision_nets.py NAME FOLDER
"""
import sys

import torch
import torchvision


def randomize(model):
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            tensor.normal_(0, 0.2)
        elif tensor.dim() == 4:
            tensor.normal_(0, (2.0 / tensor[0].numel()) ** 0.5)
        elif tensor.is_floating_point() and "scale" not in name:
            tensor.uniform_(0.5, 1.0) if name.endswith("weight") else tensor.normal_(0, 0.1)


def main():
    name, folder = sys.argv[1], sys.argv[2]
    torch.manual_seed(3)
    torch.set_num_threads(1)
    detector = hasattr(torchvision.models.detection, name)
    if detector:
        build = getattr(torchvision.models.detection, name)
        model = build(weights=None, weights_backbone=None, num_classes=21)
    else:
        model = getattr(torchvision.models, name)(weights=None)
    with torch.no_grad():
        randomize(model)
        model.eval()
        torch.save(model.state_dict(), f"{folder}/{name}.pth")
        if detector:
            side = model.transform.min_size[0]
            image = torch.randn(1, 3, side, side)
            out = model.head(list(model.backbone(image).values()))
            outputs = {"classes": out["cls_logits"], "boxes": out["bbox_regression"]}
        else:
            # Of MobileNet and ResNet what the next convolution sees, at a size that needs little time.
            image = torch.randn(1, 3, 64, 64)
            outputs = {"features": model.features(image)} if hasattr(model, "features") else {}
        torch.save({"image": image, **outputs}, f"{folder}/outputs.pth")


main()

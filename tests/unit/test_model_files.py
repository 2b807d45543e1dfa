"""companion.model_files: what comes back is what went in, for every strategy's kind of model."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from companion import load_backbone, runtime
from companion.adapters import add_lora_
from companion.checks import CompanionError
from companion.heads import CTCHead, LinearHead, Model, TokenHead
from companion.model_files import load_model, save_model
from companion.splits import Split

CLASSES = ("rose", "tulip", "élan")


@pytest.fixture
def model():
    with runtime.fork_seed(0, "test"):
        body = load_backbone("glyphnet", pretrained=False)
        return Model(body, LinearHead(body.feature_dim, 3), CLASSES).eval()


@pytest.fixture
def images():
    return torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def test_a_model_comes_back_bit_equal(model, images, tmp_path, monkeypatch):
    save_model(model, tmp_path / "model.safetensors", notes={"strategy": "probe"})
    monkeypatch.setenv("HOME", str(tmp_path))
    loaded = load_model("~/model.safetensors")
    assert loaded.classes == CLASSES and loaded.backbone.name == "glyphnet"
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(images), model(images))


def test_lora_is_merged_into_the_plain_backbone(model, images, tmp_path):
    add_lora_(model, rank=2)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loaded = load_model(save_model(model, tmp_path / "model.safetensors"))
    assert not any("lora" in name for name, _ in loaded.named_parameters())
    with torch.no_grad():
        assert torch.allclose(loaded(images), model.eval()(images), atol=1e-4)
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "the model was changed"


@pytest.mark.parametrize("head", [LinearHead, TokenHead, CTCHead])
def test_the_kind_of_head_is_kept(model, tmp_path, head):
    model.head = head(model.backbone.feature_dim, 3)
    assert type(load_model(save_model(model, tmp_path / "model.safetensors")).head) is head


def test_a_backbone_of_ones_own_is_used_and_left_as_it_is(model, images, tmp_path):
    path = save_model(model, tmp_path / "model.safetensors")
    own = load_backbone("glyphnet", pretrained=False, seed=7)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    with torch.no_grad():
        assert torch.equal(load_model(path, backbone=own)(images), model(images))
    assert all(torch.equal(before[name], value) for name, value in own.state_dict().items())
    with pytest.raises(CompanionError, match="backbone: got 'resnet18'; expected 'glyphnet'"):
        load_model(path, backbone=load_backbone("resnet18", pretrained=False))


def test_the_image_size_comes_back(model, tmp_path):
    images = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    body = load_backbone("resnet18", pretrained=False, image_size=32)
    small = Model(body, LinearHead(body.feature_dim, 3), CLASSES).eval()
    path = tmp_path / "model.safetensors"
    loaded = load_model(save_model(small, path, notes={"image_size": "notes change no fact"}))
    assert loaded.backbone.image_size == 32
    split = Split("val", images, torch.tensor([0, 1]), ("a", "b"), CLASSES)
    indices = torch.arange(2)
    prepared = [b.prepare(split).batch(indices).inputs for b in (body, loaded.backbone)]
    assert prepared[0].shape[-2:] == (32, 32)
    assert torch.equal(*prepared)
    assert load_model(save_model(model, path)).backbone.image_size is None


def test_an_image_size_that_is_none_is_refused(model, tmp_path):
    path = save_model(model, tmp_path / "model.safetensors")
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(weights, path, metadata=facts | {"image_size": "big"})
    with pytest.raises(CompanionError, match="got the image size 'big'"):
        load_model(path)


def plain_weights(path):
    save_file({"w": torch.ones(1)}, path)


def a_text(path):
    path.write_text("hello")


def another_shape(path):
    body = load_backbone("glyphnet", pretrained=False)
    model = Model(body, LinearHead(body.feature_dim, 2), CLASSES)
    save_model(model, path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "which does not exist"),
        (plain_weights, "got the format None; expected a file that `save_model` wrote"),
        (a_text, "expected a file that `save_model` wrote"),
        (another_shape, "got weights that do not fit: size mismatch"),
    ],
)
def test_what_is_no_saved_model_is_refused(tmp_path, write, message):
    path = tmp_path / "model.safetensors"
    write(path)
    with pytest.raises(CompanionError, match=rf"model.*{message}"):
        load_model(path)

"""Exporting: the file says what the model says, and what it wants; nothing wrong is written."""

import builtins
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import companion
from companion import checks, exporting, heads
from companion.backbones import glyphnet
from companion.exporting import OPSET, export_onnx, load_onnx

CLASSES = ("a", "b", "c")


class Noisy(nn.Module):
    """An encoder whose output is random."""

    def forward(self, inputs):
        flat = inputs.flatten(1)[:, :128]
        return flat + torch.rand_like(flat)


class PerBatch(nn.Module):
    """An encoder that tells an item how many others there are."""

    def forward(self, inputs):
        return inputs.flatten(1)[:, :128] - inputs.flatten(1)[:, :128].mean(dim=0)


class ByValue(nn.Module):
    """An encoder whose way depends on the values."""

    def forward(self, inputs):
        flat = inputs.flatten(1)[:, :128]
        return flat if float(flat.sum()) > 0 else -flat


def model_with(encoder=None, seed=0):
    """Return a small model, with another encoder if one is given."""
    backbone = companion.load_backbone("glyphnet")
    if encoder is not None:
        backbone.encoder = encoder
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = heads.LinearHead(128, len(CLASSES))
    return heads.Model(backbone, head, CLASSES)


def prepared(num=5):
    return torch.randn(num, 1, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def model():
    return model_with()


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("exports") / "deep" / "model.onnx"
    return export_onnx(model.train(), path, prepared(), notes={"strategy": "none"})


@pytest.mark.parametrize("num", [1, 2, 5, 32])
def test_the_file_says_what_the_model_says_for_any_batch(model, file, num):
    inputs = prepared(num)
    with torch.no_grad():
        expected = model.eval()(inputs)
    assert torch.allclose(file(inputs), expected, atol=1e-4)
    plain = onnxruntime.InferenceSession(file.path, providers=["CPUExecutionProvider"])
    (logits,) = plain.run(None, {"inputs": inputs.numpy()})
    assert np.allclose(logits, expected, atol=1e-4)


def test_the_model_stays_as_it_is(tmp_path):
    model = model_with().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    export_onnx(model, tmp_path / "m.onnx", prepared())
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_file_says_what_it_wants(file):
    proto = onnx.load(file.path)
    stored = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(stored["classes"]) == list(CLASSES) == list(file.classes)
    assert stored["inputs"] == "prepared"
    assert json.loads(stored["input_shape"]) == [1, 32, 32]
    assert stored["strategy"] == "none"
    assert stored["backbone"] == "glyphnet"
    assert [entry.version for entry in proto.opset_import if not entry.domain] == [OPSET]
    assert not file.has_preprocessing
    onnx.checker.check_model(proto)


def test_nothing_of_the_machine_is_in_the_file(file):
    content = file.path.read_bytes()
    assert b"stack_trace" not in content
    assert b".py" not in content


def test_weights_keep_their_names(file, model):
    names = {tensor.name for tensor in onnx.load(file.path).graph.initializer}
    assert {"head.linear.weight", "head.linear.bias"} <= names
    assert not any(name.startswith("model.") for name in names)


def test_equal_models_make_equal_files(file, model, tmp_path):
    again = export_onnx(model, tmp_path / "m.onnx", prepared(), notes={"strategy": "none"})
    assert again.path.read_bytes() == file.path.read_bytes()


def test_preprocessing_can_be_in_the_graph(model, tmp_path):
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    own = export_onnx(model, tmp_path / "raw.onnx", images, preprocess=glyphnet.preprocess)
    with torch.no_grad():
        expected = model.eval()(glyphnet.preprocess(images))
    assert own.has_preprocessing
    assert torch.allclose(own(images), expected, atol=1e-4)
    assert torch.allclose(own(images[:1]), expected[:1], atol=1e-4)


def test_a_random_model_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"old")
    with pytest.raises(checks.CompanionError, match=r"logits that differ by .*, batch 1; expected"):
        export_onnx(model_with(Noisy()), path, prepared())
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_the_tolerance_grows_with_the_logits(tmp_path):
    model = model_with()
    with torch.no_grad():
        model.head.linear.weight.mul_(1e4)
        size = float(model(prepared()).abs().max())
    own = export_onnx(model, tmp_path / "m.onnx", prepared())
    with torch.no_grad():
        difference = float((own(prepared()) - model.eval()(prepared())).abs().max())
    assert size > 1e3
    assert difference < 1e-4 * size


def test_a_graph_for_one_number_of_items_is_refused(tmp_path, monkeypatch):
    real = torch.onnx.export

    def fixed(network, args, **options):
        return real(network, args, **(options | {"dynamic_shapes": None}))

    monkeypatch.setattr(torch.onnx, "export", fixed)
    with pytest.raises(checks.CompanionError, match="cannot run on 1: .*in any batch"):
        export_onnx(model_with(), tmp_path / "m.onnx", prepared())
    assert list(tmp_path.iterdir()) == []


def test_a_difference_beyond_the_tolerance_is_refused(model, tmp_path):
    with pytest.raises(checks.CompanionError, match="nothing was written"):
        export_onnx(model, tmp_path / "m.onnx", prepared(), tolerance=1e-12)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_looks_at_the_batch_keeps_doing_so(tmp_path):
    model = model_with(PerBatch())
    own = export_onnx(model, tmp_path / "m.onnx", prepared())
    with torch.no_grad():
        assert torch.allclose(own(prepared(3)), model(prepared(3)), atol=1e-4)


def test_a_model_that_cannot_be_traced_is_refused(tmp_path):
    with pytest.raises(checks.CompanionError, match="export: got .*that PyTorch can trace"):
        export_onnx(model_with(ByValue()), tmp_path / "m.onnx", prepared())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "inputs", [prepared(1), prepared().double(), torch.zeros(5), prepared(2).to(torch.int64)]
)
def test_inputs_to_export_with_are_checked(model, tmp_path, inputs):
    with pytest.raises(checks.CompanionError, match="inputs: got .*at least two items"):
        export_onnx(model, tmp_path / "m.onnx", inputs)


def test_other_things_are_no_model_and_no_inputs(model, tmp_path):
    with pytest.raises(checks.CompanionError, match="(?s)model: .*expected a Model"):
        export_onnx(model.backbone, tmp_path / "m.onnx", prepared())
    with pytest.raises(checks.CompanionError, match="inputs: .*expected a Tensor"):
        export_onnx(model, tmp_path / "m.onnx", [1.0, 2.0])
    with pytest.raises(checks.CompanionError, match="tolerance: got -1"):
        export_onnx(model, tmp_path / "m.onnx", prepared(), tolerance=-1)


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_library_is_named(model, tmp_path, monkeypatch, missing):
    def without(name):
        if name == missing:
            raise ImportError(name)
        return builtins.__import__(name)

    monkeypatch.setattr(exporting.importlib, "import_module", without)
    with pytest.raises(checks.CompanionError, match=rf"^{missing}: .*pip install onnx onnxscript"):
        export_onnx(model, tmp_path / "m.onnx", prepared())


@pytest.mark.parametrize(
    "inputs",
    [prepared(2)[:, :, :8, :8], prepared(2).double(), torch.zeros(0, 1, 32, 32), prepared(2)[0]],
)
def test_a_file_refuses_other_inputs(file, inputs):
    with pytest.raises(checks.CompanionError, match=r"inputs: .*\(batch, 1, 32, 32\)"):
        file(inputs)
    with pytest.raises(checks.CompanionError, match="expected a Tensor"):
        file([1.0])


def test_a_loaded_file_is_the_same(file):
    again = load_onnx(str(file.path))
    assert torch.equal(again(prepared()), file(prepared()))
    assert again.facts == file.facts


def test_files_of_another_origin_are_refused(file, tmp_path):
    with pytest.raises(checks.CompanionError, match="ONNX model: .*does not exist"):
        load_onnx(tmp_path / "none.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    with pytest.raises(checks.CompanionError, match="onnxruntime says .*export the model again"):
        load_onnx(broken)
    foreign = onnx.load(file.path)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(checks.CompanionError, match="the format None"):
        load_onnx(tmp_path / "foreign.onnx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda logits: logits + (len(logits) > 1), "differ by 1 .*batch 5"),
        (lambda logits: logits * float("nan"), "differ by nan"),
        (lambda logits: logits + float("inf"), "differ by inf"),
    ],
)
def test_what_differs_is_refused(model, tmp_path, monkeypatch, change, message):
    run = exporting._run
    monkeypatch.setattr(exporting, "_run", lambda session, items: change(run(session, items)))
    with pytest.raises(checks.CompanionError, match=message):
        export_onnx(model, tmp_path / "m.onnx", prepared())
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_does_not_load_is_refused(model, tmp_path, monkeypatch):
    forget = exporting._forget_origin_

    def spoil(proto):
        forget(proto)
        proto.graph.node[0].op_type = "NoSuchOperator"

    monkeypatch.setattr(exporting, "_forget_origin_", spoil)
    with pytest.raises(checks.CompanionError, match="a graph that onnxruntime cannot run"):
        export_onnx(model, tmp_path / "m.onnx", prepared())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "notes", [{"seed": 77}, {1: "a"}, {"inputs": "x"}], ids=["number", "name", "taken"]
)
def test_notes_are_text_by_names_of_their_own(model, tmp_path, notes):
    with pytest.raises(checks.CompanionError, match="notes: got .*expected text by names other"):
        export_onnx(model, tmp_path / "m.onnx", prepared(), notes=notes)


@pytest.mark.parametrize("path", [None, "model", "model.pt"])
def test_the_file_ends_in_onnx(model, path):
    with pytest.raises(checks.CompanionError, match="path: got .*ends in .onnx"):
        export_onnx(model, path, prepared())


def test_the_preprocessing_that_was_given_stays_as_it_is(model, tmp_path):
    preprocess = nn.Identity().train()
    export_onnx(model, tmp_path / "m.onnx", prepared(), preprocess=preprocess)
    assert preprocess.training

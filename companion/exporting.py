"""Exports a trained model as one ONNX file that says what it wants, and runs such files."""

from __future__ import annotations

import copy
import importlib
import json
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from companion import checks, runtime
from companion.heads import Model

__all__ = ["OPSET", "OnnxModel", "export_onnx", "load_onnx"]

FORMAT = "companion onnx 1"

OPSET = 18
"""The version of ONNX's operators that files are written with; resizing as here came with 18."""

PREPARED, RAW = "prepared", "raw"


@dataclass(frozen=True)
class OnnxModel:
    """An ONNX file, ready to run in onnxruntime, one thread, on the CPU.

    Attributes:
        path: the file.
        classes: names of the labels, in the order of the logits.
        facts: what the file says of itself: `"inputs"` is `"raw"` where the preprocessing is in
            the graph and `"prepared"` where it must come before; `"input_shape"`, `"backbone"`,
            `"opset"`, and the notes that were given.
        session: onnxruntime's session.
    """

    path: Path
    classes: tuple[str, ...]
    facts: Mapping[str, str]
    session: Any = field(repr=False)

    @property
    def has_preprocessing(self) -> bool:
        """Whether the file takes raw inputs."""
        return self.facts["inputs"] == RAW

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return logits, (batch, num_classes), float32.

        Args:
            inputs: prepared or raw inputs as the file wants them, (batch, ...), float32.

        Raises:
            CompanionError: inputs of another shape or type than the file's.
        """
        checks.instance("inputs", inputs, Tensor)
        wanted = tuple(json.loads(self.facts["input_shape"]))
        if tuple(inputs.shape[1:]) != wanted or inputs.dtype != torch.float32 or not len(inputs):
            checks.fail(
                "inputs",
                got=f"{inputs.dtype} of shape {tuple(inputs.shape)}",
                expected=f"torch.float32 of shape (batch, {', '.join(map(str, wanted))})",
                do=f"pass {self.facts['inputs']} inputs of this shape, at least one",
            )
        return _run(self.session, inputs)


def export_onnx(
    model: Model,
    path: str | Path,
    inputs: Tensor,
    *,
    preprocess: Callable[[Tensor], Tensor] | None = None,
    notes: Mapping[str, str] | None = None,
    tolerance: float = 1e-4,
) -> OnnxModel:
    """Write a model as an ONNX file, with its classes and what its inputs must be.

    The number of items is left open. Before anything is written the graph is run by onnxruntime
    on one and on all of the given inputs and compared with the model. Names of files and lines of
    code, which the exporter keeps for each node, are left out.

    Args:
        model: the model; it stays as it is and is exported in evaluation mode. One whose inputs
            have no mask, such as any model of images.
        path: where to; the ending is `.onnx`.
        inputs: real items, at least two, float32: prepared, (batch, ...), or raw where
            `preprocess` is given.
        preprocess: from raw to prepared inputs; it becomes part of the graph. `None`: the file
            takes prepared inputs, and says so.
        notes: anything else to keep in the file, such as how it was trained.
        tolerance: largest difference of a logit that is accepted, as a fraction of the largest
            logit, or of 1 where all are smaller.

    Returns:
        The file, loaded again.

    Raises:
        CompanionError: onnx, onnxscript or onnxruntime is missing; a model of texts; fewer than
            two inputs, or not float32; the exporter refuses the model, or the graph does not say
            what the model says; no permission, or no room. A file that was there is untouched.

    Reference: bai2019onnx; paszke2019pytorch
    """
    checks.instance("model", model, Model)
    checks.instance("inputs", inputs, Tensor)
    checks.finite_positive("tolerance", tolerance)
    _refuse_texts(model)
    if not isinstance(path, (str, Path)) or Path(path).suffix != ".onnx":
        checks.fail(
            "path", got=repr(path), expected="a file name that ends in .onnx", do="name one"
        )
    if inputs.dim() < 2 or len(inputs) < 2 or inputs.dtype != torch.float32:
        checks.fail(
            "inputs",
            got=f"{inputs.dtype} of shape {tuple(inputs.shape)}",
            expected="at least two items, (batch, ...), torch.float32",
            do="pass a few real items; a batch of one would fix the batch size in the graph",
        )
    for name in ("onnx", "onnxscript", "onnxruntime"):
        _library(name)
    network = _Deployed(copy.deepcopy(model), copy.deepcopy(preprocess)).cpu().eval()
    facts = {
        "format": FORMAT,
        "backbone": model.backbone.name,
        "classes": json.dumps(model.classes),
        "inputs": PREPARED if preprocess is None else RAW,
        "input_shape": json.dumps(list(inputs.shape[1:])),
        "opset": str(OPSET),
    }
    facts |= _checked_notes(notes or {}, reserved=facts)
    content = _graph(network, inputs.cpu(), facts)
    _check_equal(network, content, inputs.cpu(), tolerance)
    return load_onnx(runtime.atomic_write(path, content))


def _refuse_texts(model: Model) -> None:
    """Refuse a model of texts: the graph would not be given their mask."""
    if model.backbone.card.modality == "language":
        checks.fail(
            "model",
            got=f"{model.backbone.name!r}, whose inputs are texts with a mask",
            expected="a model whose inputs have no mask, such as one of images",
            do="keep it with companion.model_files.save_model",
        )


def load_onnx(path: str | Path) -> OnnxModel:
    """Load a file that `export_onnx` wrote, or that was made from one by quantisation.

    Args:
        path: the file.

    Returns:
        What can be called with inputs.

    Raises:
        CompanionError: no such file, no ONNX file, one of another origin, or onnxruntime is
            missing.
    """
    path = checks.existing_file("ONNX model", path)
    session, facts, classes = None, {}, None
    try:
        session = _session(path.read_bytes())
        facts = dict(session.get_modelmeta().custom_metadata_map)
        classes = json.loads(facts.get("classes", "null"))
    except checks.CompanionError:
        raise
    except Exception as error:  # onnxruntime has a class of its own for each way to fail
        facts["format"] = f"onnxruntime says {_first_line(error)}"
    if (
        facts.get("format") != FORMAT
        or not {"inputs", "input_shape"} <= facts.keys()
        or not classes
    ):
        checks.fail(
            f"ONNX model {path}",
            got=f"the format {facts.get('format')!r}",
            expected=f"a file that `export_onnx` wrote ({FORMAT})",
            do="export the model again",
        )
    return OnnxModel(path, tuple(classes), facts, session)


def _checked_notes(notes: Mapping[str, str], *, reserved: Mapping[str, str]) -> dict[str, str]:
    """Return notes that a file can keep beside its own facts."""
    for key, value in notes.items():
        if not isinstance(key, str) or not isinstance(value, str) or key in reserved:
            checks.fail(
                "notes",
                got=f"{key!r}: {value!r:.60}",
                expected=f"text by names other than {', '.join(reserved)}",
                do="write str(value), or choose another name",
            )
    return dict(notes)


class _Deployed(nn.Module):
    """A model behind its preprocessing, where that goes into the graph."""

    def __init__(self, model: Model, preprocess: Callable[[Tensor], Tensor] | None):
        super().__init__()
        self.model = model
        self.preprocess = preprocess

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits."""
        prepared = inputs if self.preprocess is None else self.preprocess(inputs)
        logits: Tensor = self.model(prepared)
        return logits


def _graph(network: _Deployed, inputs: Tensor, facts: Mapping[str, str]) -> bytes:
    """Return the ONNX file of a network as bytes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (inputs,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["inputs"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        checks.fail(
            "export",
            got=f"{type(error).__name__}: {_first_line(error.__cause__ or error)}",
            expected="a model and a preprocessing that PyTorch can trace, whatever the batch",
            do="leave out what depends on the values or the number of the inputs",
        )
    assert program is not None
    proto = program.model_proto
    _forget_origin_(proto)
    for key, value in facts.items():
        proto.metadata_props.add(key=key, value=value)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _forget_origin_(proto: Any) -> None:
    """Drop what tells of the machine and the code, and shapes that quantisers trip over.

    Modifies: `proto`.
    """
    graph = proto.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    del graph.metadata_props[:]
    del graph.value_info[:]
    for weight in graph.initializer:
        weight.name = weight.name.removeprefix("model.")
    for node in graph.node:
        renamed = [name.removeprefix("model.") for name in node.input]
        del node.input[:]
        node.input.extend(renamed)


def _check_equal(network: _Deployed, content: bytes, inputs: Tensor, tolerance: float) -> None:
    """Compare the graph in onnxruntime with the network, on one item and on all.

    Raises:
        CompanionError: they differ by more than the tolerance, a logit is not finite, or the graph
            does not run.
    """
    for items in (inputs[:1], inputs):
        with torch.no_grad():
            expected = network(items)
        try:
            session = _session(content)
            difference = float((_run(session, items) - expected).abs().max())
        except checks.CompanionError:
            raise
        except Exception as error:  # onnxruntime has a class of its own for each way to fail
            got = f"a graph that onnxruntime cannot run on {len(items)}: {_first_line(error)}"
        else:
            got = f"logits that differ by {difference:.2g} from the model's, batch {len(items)}"
            if math.isfinite(difference) and difference <= tolerance * max(
                1.0, float(expected.abs().max())
            ):
                continue
        checks.fail(
            "export",
            got=got,
            expected=f"the model's logits, within {tolerance:.2g} of the largest, in any batch",
            do="look for what is random or fixes the number of items; nothing was written",
        )


def _first_line(error: BaseException) -> str:
    """Return how the message of an error begins."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _session(content: bytes) -> Any:
    """Return a session with one thread on the CPU."""
    onnxruntime = _library("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _run(session: Any, inputs: Tensor) -> Tensor:
    """Return the logits of a session."""
    (logits,) = session.run(["logits"], {"inputs": inputs.detach().cpu().contiguous().numpy()})
    return torch.from_numpy(logits)


def _library(name: str) -> Any:
    """Return a library that is needed for exports.

    Raises:
        CompanionError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        checks.fail(
            name,
            got="no such library",
            expected="onnx, onnxscript and onnxruntime",
            do="pip install onnx onnxscript onnxruntime",
        )

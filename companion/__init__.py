"""The tested companion of the book *Transfer Learning, Measured*.

Five calls are enough to start::

    splits = companion.load_dataset("digits", labels_per_class=10, seed=0)
    backbone = companion.load_backbone("glyphnet")
    result = companion.fit(backbone, splits, strategy="lp_ft", seed=0)
    scores = companion.evaluate(result.model, splits.test)
    study = companion.compare(backbone, splits, strategies=["scratch", "lp_ft"], seeds=range(5))

Nothing heavy is loaded by ``import companion``: a name is looked up in its module when it is
first used (PEP 562), and so are the modules themselves (``companion.report``, ...).
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from companion.backbones import load_backbone
    from companion.datasets import load_dataset
    from companion.evaluation import evaluate
    from companion.runtime import scale
    from companion.study import compare
    from companion.training import fit

    __version__: str

__all__ = [
    "__version__",
    "compare",
    "evaluate",
    "fit",
    "load_backbone",
    "load_dataset",
    "scale",
]

_HOME_OF = {
    "compare": "study",
    "evaluate": "evaluation",
    "fit": "training",
    "load_backbone": "backbones",
    "load_dataset": "datasets",
    "scale": "runtime",
}

# In layer order: a module imports only modules that stand before it.
_MODULES = (
    "checks",
    "runtime",
    "registry",
    "assets",
    "splits",
    "boxes",
    "batches",
    "datasets",
    "backbones",
    "heads",
    "layer_groups",
    "adapters",
    "objectives",
    "model_files",
    "evaluation",
    "explanations",
    "transferability",
    "strategies",
    "training",
    "optimisation",
    "language_models",
    "embedding",
    "exporting",
    "fewshot",
    "study",
    "report",
    "exercises",
    "command_line",
)


def __getattr__(name: str) -> Any:
    """Load a public name, or a module of the package, when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("transfer-learning-companion")
    elif name in _HOME_OF:
        value = getattr(importlib.import_module(f"companion.{_HOME_OF[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"companion.{name}")
    else:
        raise AttributeError(f"module 'companion' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})

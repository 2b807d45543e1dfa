"""companion.registry: frozen cards, no duplicates, near misses, overlap."""

import dataclasses

import pytest

from companion.checks import CompanionError
from companion.registry import BackboneCard, DatasetCard, Registry, StrategyCard, overlap


def dataset(name="digits", **fields):
    return DatasetCard(
        name, name.title(), "vision", "classification", ("a", "b"), "MIT", "here", **fields
    )


def backbone(name="glyphnet", **fields):
    return BackboneCard(name, name, "vision", 128, "MIT", "here", **fields)


@pytest.mark.parametrize("card", [dataset(), backbone(), StrategyCard("probe", "Probe", "head")])
def test_cards_are_frozen_and_hashable(card):
    with pytest.raises(dataclasses.FrozenInstanceError):
        card.name = "other"
    assert card in {card}


def test_a_registry_keeps_cards_in_the_order_they_came():
    registry = Registry("dataset")
    first, second = registry.add(dataset("second")), registry.add(dataset("first"))
    assert registry.names() == ("second", "first")
    assert list(registry) == [first, second] and len(registry) == 2
    assert registry.get("first") is second
    assert "first" in registry and "third" not in registry


def test_a_name_is_given_once():
    registry = Registry("dataset")
    registry.add(dataset("digits"))
    with pytest.raises(CompanionError, match=r"dataset name: got 'digits', which is taken"):
        registry.add(dataset("digits"))


def test_an_unknown_name_lists_near_matches():
    registry = Registry("backbone")
    registry.add(backbone("resnet18"))
    with pytest.raises(CompanionError, match=r"backbone: got 'ResNet-18'.*mean 'resnet18'\?"):
        registry.get("ResNet-18")


@pytest.mark.parametrize(
    ("seen_by", "pretrained_on", "named"),
    [
        (("glyphnet",), (), "glyphnet"),
        (("imagenet",), ("imagenet",), "imagenet"),
        ((), ("digits",), "digits"),
        ((), (), None),
        (("another",), ("imagenet",), None),
    ],
)
def test_overlap_names_what_was_seen(seen_by, pretrained_on, named):
    sentence = overlap(dataset(seen_by=seen_by), backbone(pretrained_on=pretrained_on))
    if named is None:
        assert sentence is None
    else:
        assert sentence.startswith("glyphnet saw data of digits in pretraining")
        assert f"(through {named})" in sentence

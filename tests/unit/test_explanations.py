"""Class maps against a closed form; the checks of them against networks whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

from companion import explanations, layer_groups, runtime
from companion.backbones import Backbone, LayerGroup, load_backbone
from companion.batches import TensorSource
from companion.checks import CompanionError
from companion.heads import LinearHead, Model
from companion.registry import BackboneCard

NAMES = ("a", "b", "c")


def glyph_model(seed=0):
    """A glyphnet with a random head."""
    with runtime.fork_seed(seed, "test"):
        head = LinearHead(128, len(NAMES))
    return Model(load_backbone("glyphnet"), head, NAMES).eval()


def images_of(num=4, seed=0, channels=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, channels, 32, 32, generator=generator)


class Pooled(nn.Module):
    """One convolution without activation, and the mean over all places."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        self.tail = nn.ReLU(inplace=True)

    def forward(self, inputs):
        return self.tail(self.conv(inputs)).mean(dim=(2, 3))


def linear_model(kernel, weight):
    """A network whose logits are known: kernel (2,) makes two channels, weight (classes, 2)."""
    card = BackboneCard("pooled", "Pooled", "vision", 2, "MIT", "made in the tests")

    def prepare(split, augment):
        return TensorSource(split.inputs, torch.as_tensor(split.labels), augment)

    backbone = Backbone(card, Pooled, groups=(LayerGroup("conv", ("conv",)),), prepare=prepare)
    head = LinearHead(2, len(weight))
    with torch.no_grad():
        backbone.encoder.conv.weight.copy_(torch.tensor(kernel).view(2, 1, 1, 1))
        head.linear.weight.copy_(torch.tensor(weight))
        head.linear.bias.zero_()
    return Model(backbone, head, tuple(f"c{i}" for i in range(len(weight)))).eval()


# --- Grad-CAM ----------------------------------------------------------------------------------


def test_on_the_last_group_grad_cam_is_the_class_activation_map():
    """Mean pooling and a linear head: the weights of the head, over the number of places."""
    model, images = glyph_model(), images_of()
    classes = torch.tensor([0, 1, 2, 1])
    held = []
    hook = model.backbone.encoder.layer4.register_forward_hook(lambda *a: held.append(a[2]))
    with torch.no_grad():
        model(images)
    hook.remove()
    activations, weights = held[0], model.head.linear.weight.detach()[classes]
    places = activations.shape[2] * activations.shape[3]
    cam = torch.einsum("bk,bkij->bij", weights, activations) / places
    plain = explanations.grad_cam(model, images, classes, group="layer4", rectify=False)
    torch.testing.assert_close(plain, cam)
    cut = explanations.grad_cam(model, images, classes, group="layer4")
    torch.testing.assert_close(cut, cam.clamp(min=0))
    assert plain.shape == (4, 2, 2)
    assert float(cut.min()) == 0


def test_grad_cam_by_finite_differences_in_the_middle():
    """Channel weights are mean derivatives: add a little to a whole channel and see."""
    model, images = glyph_model().double(), images_of(1).double()
    layer2 = model.backbone.encoder.layer2
    change = torch.zeros(32, dtype=torch.float64)
    held = []

    def shifted(_, __, output):
        held.append(output.detach())
        return output + change[None, :, None, None]

    hook = layer2.register_forward_hook(shifted)
    slopes = []
    with torch.no_grad():
        for channel in range(32):
            ends = []
            for step in (1e-5, -1e-5):
                change.zero_()[channel] = step
                ends.append(float(model(images)[0, 1]))
            slopes.append((ends[0] - ends[1]) / 2e-5)
    hook.remove()
    activations = held[0]
    alpha = torch.tensor(slopes, dtype=torch.float64) / activations[0, 0].numel()
    wanted = torch.einsum("k,kij->ij", alpha, activations[0])
    found = explanations.grad_cam(model, images, torch.tensor([1]), group="layer2", rectify=False)
    torch.testing.assert_close(found[0], wanted, atol=1e-6, rtol=1e-4)


def test_each_image_has_its_own_map():
    model, images, classes = glyph_model(), images_of(), torch.tensor([0, 1, 2, 0])
    together = explanations.grad_cam(model, images, classes, group="layer3")
    alone = explanations.grad_cam(model, images[2:3], classes[2:3], group="layer3")
    torch.testing.assert_close(together[2:3], alone)


@pytest.mark.parametrize("group", ["stem", "layer1", "layer2", "layer3", "layer4"])
def test_the_model_is_left_as_it_came(group):
    model, images = glyph_model(), images_of(2)
    layer_groups.freeze_(model, model.backbone.group_names)
    model.head.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    maps = explanations.grad_cam(model, images, torch.tensor([0, 1]), group=group)
    assert bool(maps.isfinite().all())
    assert model.head.training and not model.backbone.encoder.training
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("images", "classes", "group", "message"),
    [
        (images_of(2), torch.tensor([0]), "layer3", "one class id an image"),
        (images_of(2)[0], torch.tensor([0]), "layer3", r"got shapes \(1, 32, 32\)"),
        (images_of(1), torch.tensor([0]), "layer9", "layer group: got 'layer9'"),
        (images_of(1), torch.tensor([0]), "head", "layer group: got 'head'"),
    ],
)
def test_grad_cam_refuses_what_has_no_map(images, classes, group, message):
    with pytest.raises(CompanionError, match=message):
        explanations.grad_cam(glyph_model(), images, classes, group=group)


def test_a_network_whose_map_is_known_points_at_the_bright_square():
    """Channel 0 sees bright, channel 1 dark; class 0 wants bright."""
    model = linear_model([1.0, -1.0], [[1.0, 0.0], [0.0, 1.0]])
    images = torch.full((1, 1, 8, 8), -0.5)
    images[0, 0, 2:4, 5:7] = 2.0
    maps = explanations.grad_cam(model, images, torch.tensor([0]), group="conv")
    # The group is the convolution before its relu, where the gradient passes at bright places
    # only: 4 of 64, each with the weight 1/64.
    alpha = 4 / 64 / 64
    torch.testing.assert_close(maps[0], (alpha * images[0, 0]).clamp(min=0))
    square = torch.tensor([[5 / 8, 2 / 8, 7 / 8, 4 / 8]])
    assert explanations.pointing_hits(maps, square).tolist() == [True]
    assert explanations.share_inside(maps, square).tolist() == [1.0]


# --- sanity ------------------------------------------------------------------------------------


def test_similarity_is_scipys_rank_correlation():
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(5, 4, 6, generator=generator)
    second = (first + torch.rand(5, 4, 6, generator=generator)).mul(5).round()
    found = explanations.map_similarity(first, second)
    wanted = [
        stats.spearmanr(a.flatten(), b.flatten()).statistic
        for a, b in zip(first, second, strict=True)
    ]
    assert found.tolist() == pytest.approx(wanted)


def test_similarity_knows_order_only_and_flat_maps_have_none():
    first = torch.rand(3, 4, 4)
    second = first.exp()
    second[1] = -second[1]
    second[2] = 0.7
    found = explanations.map_similarity(first, second).tolist()
    assert found[:2] == pytest.approx([1, -1])
    assert math.isnan(found[2])
    with pytest.raises(CompanionError, match="twice"):
        explanations.map_similarity(first, second[:2])


def test_the_cascade_randomises_from_the_head_down():
    model = glyph_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    order, changed = [], []
    for name, copy in explanations.randomised_cascade(model, seed=0):
        order.append(name)
        state = copy.state_dict()
        # The first number of a group tells: each of its layers has a weight of its own.
        changed.append(
            {
                group
                for group in layer_groups.group_names(model)
                for module, own in zip(
                    layer_groups.group_modules(copy, group),
                    layer_groups.group_modules(model, group),
                    strict=True,
                )
                if any(
                    not torch.equal(a, b)
                    for a, b in zip(module.parameters(), own.parameters(), strict=True)
                )
            }
        )
        assert state.keys() == before.keys()
    assert order == ["head", "layer4", "layer3", "layer2", "layer1", "stem"]
    assert changed == [set(order[: n + 1]) for n in range(6)]
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_the_last_of_the_cascade_has_nothing_learned_left():
    model = glyph_model()
    *_, (_, last) = explanations.randomised_cascade(model, seed=7)
    fresh = model.backbone.with_random_weights(7).encoder.state_dict()
    state = last.backbone.encoder.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in fresh.items())
    *_, (_, other) = explanations.randomised_cascade(model, seed=8)
    assert not torch.equal(other.head.linear.weight, last.head.linear.weight)


def test_the_sanity_check_compares_with_the_trained_map():
    model, images, classes = glyph_model(), images_of(3), torch.tensor([0, 1, 2])
    rows = explanations.sanity_check(model, images, classes, group="layer2", seed=3)
    assert [row.group for row in rows] == ["head", "layer4", "layer3", "layer2", "layer1", "stem"]
    trained = explanations.grad_cam(model, images, classes, group="layer2", rectify=False)
    for row, (_, randomised) in zip(
        rows, explanations.randomised_cascade(model, seed=3), strict=True
    ):
        maps = explanations.grad_cam(randomised, images, classes, group="layer2", rectify=False)
        wanted = [
            stats.spearmanr(a.flatten(), b.flatten()).statistic
            for a, b in zip(trained, maps, strict=True)
        ]
        assert list(row.similarities) == pytest.approx(wanted, abs=1e-6)
        assert row.mean == pytest.approx(sum(wanted) / 3, abs=1e-6)


def test_the_mean_of_a_row_leaves_flat_maps_out():
    row = explanations.SanityRow("head", (0.5, math.nan, 0.1))
    assert row.mean == pytest.approx(0.3)


def test_adapters_have_no_random_twin():
    model = glyph_model()
    encoder = model.backbone.encoder
    encoder.layer4[0].register_buffer("lora_A", torch.zeros(1))
    with pytest.raises(CompanionError, match="merge the adapters"):
        list(explanations.randomised_cascade(model, seed=0))


# --- faithfulness ------------------------------------------------------------------------------


def test_pointing_counts_the_highest_place():
    maps = torch.zeros(3, 4, 8)
    maps[0, 1, 6] = 1.0
    maps[1, 1, 2] = 1.0
    boxes = torch.tensor([[0.75, 0.25, 0.875, 0.5]] * 3)
    assert explanations.pointing_hits(maps, boxes).tolist() == [True, False, False]
    assert explanations.pointing_hits(maps.flip(1), boxes).tolist() == [False] * 3


def test_a_flat_map_points_nowhere_even_where_the_box_is_everything():
    everything = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    assert explanations.pointing_hits(torch.ones(1, 4, 4), everything).tolist() == [False]


def test_an_even_map_has_the_box_s_share_of_the_area():
    boxes = torch.tensor([[0.25, 0.5, 0.75, 1.0], [0.0, 0.0, 1.0, 0.5]])
    found = explanations.share_inside(torch.ones(2, 8, 8), boxes)
    assert found.tolist() == pytest.approx([0.25, 0.5])
    assert math.isnan(float(explanations.share_inside(torch.zeros(1, 8, 8), boxes[:1])[0]))


def test_shares_and_boxes_are_checked():
    maps, boxes = torch.ones(2, 4, 4), torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    for check in (explanations.pointing_hits, explanations.share_inside):
        with pytest.raises(CompanionError, match="one box an image"):
            check(maps, boxes)
    with pytest.raises(CompanionError, match="leave rectify=True"):
        explanations.share_inside(-maps[:1], boxes)


def test_maps_are_enlarged_evenly():
    maps = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])
    found = explanations.enlarge_maps(maps, (4, 8))
    assert found.shape == (1, 4, 8)
    torch.testing.assert_close(found[0, 0], found[0, 3])
    assert bool((found[0, 0].diff() >= 0).all())
    assert float(found.mean()) == pytest.approx(0.5)


def test_deletion_follows_the_map_from_the_highest_place_on():
    """The score is the mean of the bright pixels: delete them one by one."""
    model = linear_model([1.0, -1.0], [[8.0, 0.0], [0.0, 0.0]])
    images = torch.arange(16.0).view(1, 1, 4, 4) / 16
    curves = {}
    for name, maps in {"best": images[:, 0], "worst": -images[:, 0]}.items():
        curves[name] = explanations.deletion_curve(
            model, images, torch.tensor([0]), maps, fractions=[0, 0.25, 0.5, 1], fill=0.0
        )[:, 0]
    left = [sum(range(n)) / 16 / 16 for n in (16, 12, 8, 0)]
    wanted = [torch.tensor([8 * mean, 0.0]).softmax(0)[0].item() for mean in left]
    assert curves["best"].tolist() == pytest.approx(wanted)
    assert bool((curves["worst"][1:3] > curves["best"][1:3]).all())
    assert curves["worst"][-1] == pytest.approx(0.5)


def test_deletion_wants_maps_of_the_images_size():
    model, images = glyph_model(), images_of(2)
    classes = torch.tensor([0, 1])
    with pytest.raises(CompanionError, match="call enlarge_maps first"):
        explanations.deletion_curve(
            model, images, classes, torch.ones(2, 8, 8), fractions=[0.5], fill=0
        )
    with pytest.raises(CompanionError, match="fraction: got 50"):
        explanations.deletion_curve(
            model, images, classes, torch.ones(2, 32, 32), fractions=[50], fill=0
        )


def test_boxes_in_pixels_are_refused():
    maps, pixels = torch.rand(1, 8, 8), torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    for judge in (explanations.pointing_hits, explanations.share_inside):
        with pytest.raises(CompanionError, match="expected corners as fractions"):
            judge(maps, pixels)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (torch.tensor([0, 3]), r"classes: got class 3; expected class ids .* in 0\.\.2"),
        (torch.tensor([-1, 0]), "classes: got class -1"),
        (torch.tensor([0.0, 1.0]), "classes: got torch.float32"),
        ([0, 1], r"classes: got \[0, 1\], a list; expected a Tensor"),
    ],
)
def test_a_class_that_the_head_does_not_have_has_no_map(classes, message):
    images, maps = images_of(2), torch.zeros(2, 32, 32)
    with pytest.raises(CompanionError, match=message):
        explanations.grad_cam(glyph_model(), images, classes, group="layer3")
    with pytest.raises(CompanionError, match=message):
        explanations.deletion_curve(glyph_model(), images, classes, maps, fractions=[0.1], fill=0)


def test_a_backbone_alone_explains_nothing():
    backbone, classes = load_backbone("glyphnet"), torch.tensor([0])
    with pytest.raises(CompanionError, match="model: got a Backbone; expected a Model"):
        explanations.grad_cam(backbone, images_of(1), classes, group="layer3")
    with pytest.raises(CompanionError, match="model: got a Backbone; expected a Model"):
        next(explanations.randomised_cascade(backbone, seed=0))


def test_images_and_maps_are_tensors_of_the_right_shape():
    one = torch.zeros(1, 2, 2)
    box = torch.tensor([[0.0, 0, 1, 1]])
    model, images, classes = glyph_model(), images_of(1), torch.tensor([0])
    calls = {
        "images: got .*, a list": lambda: explanations.grad_cam(
            model, images.tolist(), classes, group="layer3"
        ),
        "maps: got .*, a list": lambda: explanations.enlarge_maps([[[1.0]]], (2, 2)),
        r"maps: got shape \(2, 2\); .*one map an image": lambda: explanations.enlarge_maps(
            one[0], (2, 2)
        ),
        "size: got 0": lambda: explanations.enlarge_maps(one, (0, 2)),
        "second: got .*, a list": lambda: explanations.map_similarity(one, [[[1.0]]]),
        "boxes: got .*, a list": lambda: explanations.pointing_hits(one, [[0, 0, 1, 1]]),
        "boxes: got a corner outside": lambda: explanations.share_inside(one, box * torch.nan),
        "maps: got None": lambda: explanations.deletion_curve(
            model, images, classes, None, fractions=[0.1], fill=0
        ),
        "fractions: got 0.5": lambda: explanations.deletion_curve(
            model, images, classes, torch.zeros(1, 32, 32), fractions=0.5, fill=0
        ),
    }
    for message, call in calls.items():
        with pytest.raises(CompanionError, match=message):
            call()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_map_is_the_same_where_gradients_are_switched_off(mode):
    model, images, classes = glyph_model(), images_of(2), torch.tensor([0, 2])
    expected = explanations.grad_cam(model, images, classes, group="layer3")
    rows = explanations.sanity_check(model, images, classes, group="layer3")
    with mode():
        found = explanations.grad_cam(model, images * 1, classes * 1, group="layer3")
        same = explanations.sanity_check(model, images * 1, classes * 1, group="layer3")
    assert torch.equal(found, expected)
    assert same == rows


def test_a_model_that_was_made_for_inference_alone_is_refused():
    with torch.inference_mode():
        model = glyph_model()
    with pytest.raises(CompanionError, match=r"model: got one that was made under torch\.infer"):
        explanations.grad_cam(model, images_of(1), torch.tensor([0]), group="layer3")

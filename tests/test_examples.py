"""The examples: each does with few epochs and small files what it says it does."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minitorch_cnn as torch
from minitorch_cnn import nn

from .image_files import CLASSES, cifar_files, mnist_files, write_cifar, write_mnist

pytest.importorskip("sklearn")
image = pytest.importorskip("matplotlib.image")

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = [
    "quickstart",
    "cifar10",
    "resnet_cifar10",
    "lenet_mnist",
    "conv2d_from_scratch",
    "cnn_vs_mlp",
    "binary_sigmoid",
]
HELPERS = ["digits", "evaluation", "pictures", "quickstart"]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a script in this process, with its pictures in `tmp_path`; returns what it prints."""
    monkeypatch.syspath_prepend(EXAMPLES)

    def run_script(name, *options):
        arguments = [str(EXAMPLES / f"{name}.py"), "--out", str(tmp_path), *map(str, options)]
        monkeypatch.setattr(sys, "argv", arguments)
        runpy.run_path(arguments[0], run_name="__main__")
        return capsys.readouterr().out

    yield run_script
    for name in HELPERS:
        sys.modules.pop(name, None)


@pytest.fixture
def cifar(tmp_path):
    write_cifar(tmp_path, cifar_files(records=4)[0])
    return tmp_path


def assert_pictures(folder, output, **sizes):
    """The folder has these pictures, of these (width, height), and the script has said so."""
    assert {path.stem for path in folder.glob("*.png")} == set(sizes)
    for name, (width, height) in sizes.items():
        assert f"Saved {folder / name}.png\n" in output
        pixels = image.imread(folder / f"{name}.png")
        assert pixels.shape[:2] == (height, width)
        drawn = (pixels[..., :3] < 1).any(2)
        assert drawn.mean() > 0.02  # more than titles


def numbers(line):
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", line.replace(",", ""))]


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_says_what_the_script_shows(name, run, capsys):
    with pytest.raises(SystemExit) as ended:
        run(name, "--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"python examples/{name}.py" in text
    assert "--seed" in text
    assert "--out" in text


def test_quickstart_learns_the_digits(run, tmp_path):
    output = run("quickstart", "--epochs", 1, "--seed", 3)
    accuracy = re.search(r"^Accuracy on 359 held-out digits: (\d+\.\d\d)%$", output, re.MULTILINE)
    assert float(accuracy[1]) > 60
    assert re.search(r"^Time: \d+\.\d s$", output, re.MULTILINE)
    assert_pictures(
        tmp_path,
        output,
        quickstart_loss=(960, 600),
        quickstart_filters=(1320, 285),
        quickstart_confusion=(1050, 900),
    )


def test_cifar10_prints_losses_accuracies_and_the_confusion_matrix(run, cifar):
    output = run("cifar10", "--root", cifar)
    lines = output.splitlines()
    assert re.fullmatch(r"\[1,     5\] loss: \d\.\d{3}", lines[0])
    assert re.fullmatch(r"\[2,     5\] loss: \d\.\d{3}", lines[1])
    assert lines[2] == "Finished Training"
    assert re.fullmatch(r"Accuracy on the 4 test images: \d+\.\d\d%", lines[3])
    for name, line in zip(CLASSES, lines[4:14]):
        assert re.fullmatch(rf"Accuracy for class {name:10s}: +\d+\.\d%", line)
    counts = np.array([numbers(line) for line in lines[16:26]])
    labels = cifar_files(records=4)[2][-1]
    np.testing.assert_array_equal(counts.sum(1), np.bincount(labels, minlength=10))
    assert numbers(lines[3])[1] == pytest.approx(100 * counts.trace() / 4, abs=0.005)
    assert re.fullmatch(r"Time: \d+\.\d s", lines[26])
    assert_pictures(cifar, output, cifar10_confusion=(1050, 900))


def test_cifar10_reports_every_2000_batches(run, capsys):
    # Images of zeros give logits of zero whatever the weights are: the loss is log(3).
    batch = torch.zeros(2, 4), torch.tensor([0, 2])
    script = runpy.run_path(str(EXAMPLES / "cifar10.py"))
    script["train"](nn.Linear(4, 3, bias=False), [batch] * 4001, epochs=1)
    assert capsys.readouterr().out == (
        "[1,  2000] loss: 1.099\n[1,  4000] loss: 1.099\nFinished Training\n"
    )


def test_cifar10_limit_takes_the_first_images(run, cifar):
    lines = run("cifar10", "--root", cifar, "--limit", 3, "--batch-size", 2, "--epochs", 1)
    assert re.match(r"\[1,     2\] loss: \d\.\d{3}\nFinished Training\n", lines)
    assert "Accuracy on the 3 test images" in lines


def test_cifar10_repeats_itself_with_equal_seeds(run, cifar):
    def losses(seed):
        return run("cifar10", "--root", cifar, "--seed", seed).splitlines()[:2]

    assert losses(1) == losses(1) != losses(2)


def test_cifar10_takes_its_root_from_the_environment(run, cifar, monkeypatch):
    monkeypatch.setenv("MINITORCH_CNN_DATA", str(cifar))
    assert "Finished Training" in run("cifar10", "--epochs", 1)


def test_resnet_reports_every_epoch(run, cifar):
    lines = run("resnet_cifar10", "--root", cifar, "--limit", 3, "--epochs", 1).splitlines()
    assert re.fullmatch(r"Epoch 1: loss \d\.\d{4}, test accuracy \d+\.\d\d%, time .* s", lines[0])
    assert lines[1:] == [f"Saved {cifar / 'resnet_cifar10.pt'}"]


@pytest.mark.parametrize(
    ("option", "changes"),
    [
        (("--label-smoothing", 0.1), 1),
        (("--nesterov",), 2),
        (("--muon", 0.03), 2),
        (("--schedule", "linear"), 2),
        (("--padding", 8), 1),
        (("--padding-mode", "reflect"), 1),
        (("--alternate",), 1),
        (("--cutout", 1), 2),
        (("--cutout", 2, "--cutout-side", 16), 1),
        (("--enlarged", 1), 2),
        (("--enlarged", 2, "--enlarged-size", 33), 1),
    ],
)
def test_resnet_takes_a_recipe(run, cifar, option, changes):
    def losses(*options):
        printed = run("resnet_cifar10", "--root", cifar, "--limit", 8, "--epochs", 2, *options)
        return re.findall(r"loss (\S+),", printed)

    # An epoch is one step here, whose loss is of the weights before it.
    plain, other = losses(), losses("--mirror", *option)
    assert [a == b for a, b in zip(plain, other, strict=True)] == [changes > 1, False]


def test_images_are_mirrored_in_every_other_epoch(run):
    half_mirrored = runpy.run_path(str(EXAMPLES / "resnet_cifar10.py"))["half_mirrored"]
    images = np.arange(5 * 2 * 3 * 1).reshape(5, 2, 3, 1)
    for first, mirrored in [(0, [0, 2, 4]), (1, [1, 3])]:
        expected = images.copy()
        for n in mirrored:
            expected[n] = np.stack([row[::-1] for row in images[n]])
        np.testing.assert_array_equal(half_mirrored(images, first), expected)


@pytest.mark.parametrize("side", [1, 3, 9])
def test_a_square_is_cut_out_of_each_image(side, run):
    cut_out = runpy.run_path(str(EXAMPLES / "resnet_cifar10.py"))["CutOut"]
    batches = [(torch.ones(50, 2, 5, 5), torch.arange(50)) for _ in range(4)]
    loader = cut_out(batches, side)
    torch.manual_seed(0)
    reached = np.zeros((5, 5), bool)
    for images, labels in loader:
        assert labels.tolist() == [*range(50)]
        for image in images.numpy():
            holes = image[0] == 0
            np.testing.assert_array_equal(image, np.broadcast_to(~holes, image.shape))
            rows, columns = (np.flatnonzero(holes.any(axis)) for axis in (1, 0))
            assert holes[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
            for lines in (rows, columns):  # shorter than the side at an edge alone
                assert len(lines) == side or (len(lines) < side and {0, 4} & {*lines})
            reached |= holes
    assert reached.all()
    assert len(loader) == 4


def test_images_are_enlarged_between_their_pixels(run):
    enlarged = runpy.run_path(str(EXAMPLES / "resnet_cifar10.py"))["Enlarged"]
    batch = torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]]), torch.tensor([3])
    loader = enlarged([batch], 4)
    ((images, labels),) = loader
    rows = torch.tensor([[0.0, 2.0, 6.0, 8.0]]).T
    assert torch.equal(images, (rows + torch.tensor([0.0, 1.0, 3.0, 4.0]))[None, None])
    assert labels.tolist() == [3]
    assert len(loader) == 1


def test_prediction_with_mirror_images_counts_both(run):
    from evaluation import predict

    # The class is the column of the pixel that is not 0; where both count, the brighter of two.
    class Columns(torch.nn.Module):
        def forward(self, images):
            return images[:, 0, 0]

    images = torch.tensor([[[[0.0, 0.0, 5.0]]], [[[1.0, 3.0, 0.0]]], [[[0.0, 2.0, 3.0]]]])
    batches = [(images, torch.tensor([0, 1, 2]))]
    labels, plain = predict(Columns(), batches)
    _, mirrored = predict(Columns(), batches, mirror=True)
    assert labels.tolist() == [0, 1, 2]
    assert plain.tolist() == [2, 1, 2]
    assert mirrored.tolist() == [0, 1, 1]


@pytest.mark.parametrize("recipe", [(), ("--schedule", "linear", "--alternate", "--muon", 0.03)])
def test_resnet_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(recipe, run, cifar, monkeypatch):
    def train(*options):
        start = "--root", cifar, "--batch-size", 8, "--epochs", 2
        run("resnet_cifar10", *start, *recipe, *options)

    def save_and_stop(state, path):
        save(state, path)
        raise KeyboardInterrupt

    train()
    whole = torch.load(cifar / "resnet_cifar10.pt")
    save = torch.save
    with monkeypatch.context() as stopping:
        stopping.setattr(torch, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train()
    assert torch.load(cifar / "resnet_cifar10.pt")["epoch"] == 1
    train("--resume", cifar / "resnet_cifar10.pt", "--seed", 5)
    resumed = torch.load(cifar / "resnet_cifar10.pt")
    assert resumed["epoch"] == 2
    for name, value in whole["model"].items():
        assert torch.equal(resumed["model"][name], value), name
    for optimizer, expected in zip(resumed["optimizers"], whole["optimizers"], strict=True):
        for i, state in expected["state"].items():
            kept = optimizer["state"][i]["momentum_buffer"]
            assert torch.equal(kept, state["momentum_buffer"])
    assert resumed["schedulers"] == whole["schedulers"]


def test_resnet_says_that_a_checkpoint_is_of_other_optimizers(run, cifar, capsys):
    start = "--root", cifar, "--limit", 3, "--epochs", 1
    run("resnet_cifar10", *start)
    with pytest.raises(SystemExit):
        run("resnet_cifar10", *start, "--muon", 0.03, "--resume", cifar / "resnet_cifar10.pt")
    assert "without --muon" in capsys.readouterr().err


def test_resnet_names_a_missing_checkpoint(run, cifar, capsys):
    with pytest.raises(SystemExit):
        run("resnet_cifar10", "--root", cifar, "--resume", cifar / "none.pt")
    assert "none.pt" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cifar10", "resnet_cifar10", "lenet_mnist", "cnn_vs_mlp"])
def test_missing_data_are_named_without_a_traceback(name, run, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        run(name, "--root", tmp_path / "nowhere")
    assert ended.value.code == 2
    assert str(tmp_path / "nowhere") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "name", "folder"),
    [
        ((), "mnist", "mnist"),
        (("--classic", "--fashion"), "fashion_mnist", "fashion-mnist"),
    ],
)
def test_lenet_reports_every_epoch(options, name, folder, run, tmp_path):
    write_mnist(tmp_path / folder, mnist_files(train=70, test=40)[0])
    output = run("lenet_mnist", "--root", tmp_path, "--epochs", 2, *options)
    for epoch, line in enumerate(output.splitlines()[:2], start=1):
        assert re.fullmatch(rf"Epoch {epoch}: loss \d\.\d{{4}}, test accuracy \d+\.\d\d%", line)
    assert re.search(r"^Time: \d+\.\d s$", output, re.MULTILINE)
    assert_pictures(
        tmp_path,
        output,
        **{
            f"{name}_loss": (960, 600),
            f"{name}_confusion": (1050, 900),
            f"{name}_mistakes": (1125, 975),
        },
    )


def test_conv2d_from_scratch_agrees_with_the_library(run, tmp_path):
    output = run("conv2d_from_scratch")
    lines = output.splitlines()
    example = np.array([numbers(line)[-5:] for line in lines[1:6]])
    np.testing.assert_array_equal(
        example,
        [
            [-7, -4, 7, 9, 0],
            [-15, -6, 15, 18, 0],
            [-13, -4, 13, 15, 0],
            [-8, -2, 8, 9, 0],
            [0, 0, 0, 0, 0],
        ],
    )
    table = [numbers(line) for line in lines if "|" in line][1:]
    assert len(table) == 8
    for h, k, p, s, d, size, slip in table:
        places = [top for top in range(0, int(h + 2 * p), int(s)) if top + d * (k - 1) < h + 2 * p]
        assert size == len(places)
        assert slip == h - k + 2 * p // s + 1
    assert_pictures(tmp_path, output, conv2d_edges=(1350, 960))


def test_cnn_vs_mlp_on_digits(run, tmp_path):
    output = run("cnn_vs_mlp", "--epochs", 1)
    for count in "3,072", "75", "14,455,392", "357,504", "456":
        assert f" {count}\n" in output
    sides = [numbers(line)[:2] for line in output.splitlines() if " pixels: rows " in line]
    assert sides == [[5, 5], [6, 6], [14, 14], [16, 16], [28, 28]]
    cnn, mlp = (numbers(line) for line in output.splitlines() if re.match(" +(CNN|MLP)  ", line))
    assert 0.97 * cnn[0] < mlp[0] <= cnn[0]  # equally many parameters
    assert cnn[1] > 50
    assert mlp[1] > 50
    assert_pictures(
        tmp_path,
        output,
        cnn_vs_mlp_receptive_fields=(1650, 420),
        cnn_vs_mlp_moved=(900, 600),
    )


def test_cnn_vs_mlp_on_cifar10(run, cifar):
    output = run("cnn_vs_mlp", "--root", cifar, "--epochs", 1)
    assert "32 x 32 pixels: rows 0 to 31, columns 0 to 31" in output
    assert re.search(r"CNN +62,006 ", output)  # the parameters of the notebook's network


def test_binary_sigmoid_trades_precision_for_recall(run, tmp_path):
    output = run("binary_sigmoid", "--epochs", 4)
    losses = [numbers(line)[0] for line in output.splitlines() if "BCE" in line]
    assert losses[0] == pytest.approx(losses[1], abs=2e-4)
    rows = [numbers(line) for line in output.splitlines() if re.match(r" +0\.\d  ", line)]
    thresholds, accuracy, precision, recall = np.array(rows).T
    np.testing.assert_array_equal(thresholds, [0.1, 0.3, 0.5, 0.7, 0.9])
    assert accuracy.max() > 80
    assert (np.diff(recall) <= 0).all()
    assert precision[-1] > precision[0]
    assert_pictures(tmp_path, output, binary_sigmoid=(1500, 600))


@pytest.mark.parametrize(
    ("package", "name"), [("matplotlib", "cifar10"), ("sklearn", "quickstart")]
)
def test_a_missing_package_names_the_extra(package, name, run, monkeypatch):
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit, match=r'pip install "minitorch-cnn\[examples\]"'):
        run(name)


def test_a_script_runs_from_anywhere(tmp_path):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "binary_sigmoid.py", "--epochs", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "out" / "binary_sigmoid.png").is_file()

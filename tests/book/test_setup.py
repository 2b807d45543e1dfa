"""What a newcomer meets first: the environment, the commands, and the files that repeat a fact."""

import ast
import importlib.metadata
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import setup  # noqa: E402

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
TARGETS = {
    "help", "book", "serve", "check", "test", "test-yolo", "studies", "notebooks", "bench", "clean"
}  # fmt: skip


def requirement_name(requirement: str) -> str:
    """`Some_Package[extra]>=1,<2` -> `some-package`."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def extras_in(text: str) -> set[str]:
    found = re.search(r"\.\[([a-z,]+)\]", text)
    assert found, text
    return set(found.group(1).split(","))


# The lists of dependencies: one source, everything else refers to it.


def test_environment_yml_installs_the_package_and_lists_nothing_itself():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert [item.split("=")[0] for item in conda] == ["python", "pip"]
    assert pip == {"pip": ["-c constraints.txt", "-e .[book,language,test]"]}
    assert extras_in(pip["pip"][1]) <= set(EXTRAS)
    assert environment["name"] == PYPROJECT["project"]["name"]


def test_environment_yml_takes_a_python_that_the_package_accepts():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    version = tuple(map(int, environment["dependencies"][0].removeprefix("python=").split(".")))
    assert version >= setup.OLDEST_PYTHON


def test_the_oldest_python_is_the_same_everywhere():
    oldest = ".".join(map(str, setup.OLDEST_PYTHON))
    assert PYPROJECT["project"]["requires-python"] == f">={oldest}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == oldest
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert f"Python {oldest} or newer" in (ROOT / "README.md").read_text()


def test_constraints_pin_every_direct_dependency_exactly():
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^\s;@]+", line) for line in lines)
    pinned = [requirement_name(line) for line in lines]
    assert len(pinned) == len(set(pinned))
    direct = [*PYPROJECT["project"]["dependencies"], *sum(EXTRAS.values(), [])]
    assert len(direct) > 20
    missing = {requirement_name(item) for item in direct} - set(pinned)
    assert not missing


def test_ranges_of_dependencies_leave_colab_what_it_has():
    for requirement in PYPROJECT["project"]["dependencies"]:
        assert not re.search(r"==|<|~=", requirement), requirement


def imported(folder: str) -> set[str]:
    """Top-level names that the Python files of a folder import, at any depth of the code."""
    names = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add((node.module or "").partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"companion"}


def test_the_package_imports_only_what_it_depends_on():
    distributions = importlib.metadata.packages_distributions()
    declared = {requirement_name(item) for item in PYPROJECT["project"]["dependencies"]}
    # In a notebook IPython is there; glue is used only where the book is built.
    optional = {"IPython", "myst_nb"}
    names = imported("companion") - optional
    assert {"torch", "torchvision"} <= names
    undeclared = {
        name
        for name in names
        if not declared & {requirement_name(item) for item in distributions.get(name, [])}
    }
    assert not undeclared


# tools/setup.py: makes, repairs and extends the environment.


def test_setup_has_no_syntax_newer_than_python_3_6():
    ast.parse((ROOT / "tools" / "setup.py").read_text(), feature_version=(3, 6))


def test_a_python_that_is_too_old_gets_one_sentence(tmp_path):
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    for name in setup.SOURCES:
        shutil.copy(ROOT / name, tmp_path)
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0); sys.argv = ['setup.py'];"
        "runpy.run_path('tools/setup.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", pretend], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Python 3.11 or newer is needed, this is 3.9.2: install it or run make PYTHON=python3.12\n"
    )
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (4, 0, 0)])
def test_a_new_enough_python_gets_no_sentence(version):
    assert setup.too_old_sentence(version) is None


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder in which the environment is made for real, but nothing is installed into it."""
    for name in setup.SOURCES:
        (tmp_path / name).write_text("as it was\n")
    installed = []

    def install(venv, root, extras):
        installed.append(sorted(extras))
        packages = Path(venv) / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"
        record = packages / "tiny-1.0.dist-info"
        record.mkdir(exist_ok=True)
        (packages / "tiny.py").write_text("size = 'known'\n")
        (record / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        (record / "RECORD").write_text("tiny.py,,15\ntiny-1.0.dist-info/METADATA,,\n")

    monkeypatch.setattr(setup, "install", install)
    monkeypatch.setattr(setup, "VENV_OPTIONS", ["--without-pip"])
    return tmp_path, installed


def tiny(root: Path) -> Path:
    (path,) = root.glob(".venv/lib/*/site-packages/tiny.py")
    return path


def test_set_up_installs_once_and_then_leaves_a_sound_environment_alone(project, capsys):
    root, installed = project
    setup.set_up(str(root), ["book", "test"])
    assert "because there is none yet" in capsys.readouterr().out
    setup.set_up(str(root), ["test"])
    assert installed == [["book", "test"]]
    assert capsys.readouterr().out == ""


def test_set_up_adds_an_extra_to_what_is_there(project, capsys):
    root, installed = project
    setup.set_up(str(root), ["book", "test"])
    setup.set_up(str(root), ["book", "test", "bench"])
    setup.set_up(str(root), ["book"])
    assert installed == [["book", "test"], ["bench", "book", "test"]]
    assert "Adding the extras bench" in capsys.readouterr().out


def test_another_environment_is_made_beside_the_first(project, capsys):
    root, installed = project
    setup.set_up(str(root), ["test"])
    setup.set_up(str(root), ["yolo"], ".venv-yolo")
    setup.set_up(str(root), ["yolo"], ".venv-yolo")
    assert installed == [["test"], ["yolo"]]
    assert setup.read_stamp(str(root / ".venv"))["extras"] == ["test"]
    assert setup.read_stamp(str(root / ".venv-yolo"))["extras"] == ["yolo"]
    assert ".venv-yolo is ready" in capsys.readouterr().out


def no_stamp(root: Path) -> None:
    (root / ".venv" / setup.STAMP).unlink()


def half_a_stamp(root: Path) -> None:
    (root / ".venv" / setup.STAMP).write_text('{"inputs": ')


def python_gone(root: Path) -> None:
    Path(setup.venv_python(str(root / ".venv"))).unlink()


def python_replaced(root: Path) -> None:
    python = Path(setup.venv_python(str(root / ".venv")))
    python.unlink()
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)


def package_gone(root: Path) -> None:
    shutil.rmtree(next(root.glob(".venv/lib/*/site-packages/tiny-1.0.dist-info")))


def package_folder_gone(root: Path) -> None:
    tiny(root).unlink()


def file_cut_short(root: Path) -> None:
    tiny(root).write_text("size")


def another_version(root: Path) -> None:
    metadata = next(root.glob(".venv/lib/*/site-packages/tiny-1.0.dist-info/METADATA"))
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 2.0"))


def a_file_in_its_place(root: Path) -> None:
    shutil.rmtree(root / ".venv")
    (root / ".venv").write_text("not a folder")


def a_dead_link_in_its_place(root: Path) -> None:
    shutil.rmtree(root / ".venv")
    (root / ".venv").symlink_to(root / "nowhere")


def constraints_changed(root: Path) -> None:
    (root / "constraints.txt").write_text("as it is now\n")


def pyproject_changed(root: Path) -> None:
    (root / "pyproject.toml").write_text("as it is now\n")


def made_elsewhere(root: Path) -> None:
    path = root / ".venv" / setup.STAMP
    path.write_text(json.dumps({**json.loads(path.read_text()), "root": "/before/it/moved"}))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (no_stamp, "never finished"),
        (half_a_stamp, "never finished"),
        (python_gone, "its Python does not run"),
        (python_replaced, "its Python does not run"),
        (package_gone, "tiny 1.0 is no longer in it"),
        (another_version, "tiny 1.0 is no longer in it"),
        (package_folder_gone, "files are missing or damaged (tiny.py)"),
        (file_cut_short, "files are missing or damaged (tiny.py)"),
        (a_file_in_its_place, "never finished"),
        (a_dead_link_in_its_place, "never finished"),
        (constraints_changed, "pyproject.toml or constraints.txt changed"),
        (pyproject_changed, "pyproject.toml or constraints.txt changed"),
        (made_elsewhere, "the folder was moved"),
    ],
)
def test_a_broken_or_outdated_environment_is_made_afresh(project, capsys, harm, reason):
    root, installed = project
    setup.set_up(str(root), ["test"])
    harm(root)
    capsys.readouterr()
    setup.set_up(str(root), ["test"])
    assert reason in capsys.readouterr().out
    assert installed == [["test"], ["test"]]
    assert setup.why_rebuild(str(root / ".venv"), str(root)) is None


def test_a_set_up_that_was_stopped_is_begun_again(project, monkeypatch):
    root, installed = project
    install = setup.install

    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(setup, "install", stopped)
    with pytest.raises(KeyboardInterrupt):
        setup.set_up(str(root), ["test"])
    monkeypatch.setattr(setup, "install", install)
    assert "never finished" in setup.why_rebuild(str(root / ".venv"), str(root))
    setup.set_up(str(root), ["test"])
    assert installed == [["test"]]


def test_an_extra_that_could_not_be_added_leaves_no_stamp(project, monkeypatch):
    root, _ = project
    setup.set_up(str(root), ["test"])

    def fails(*arguments):
        raise setup.SetupError("no network")

    monkeypatch.setattr(setup, "install", fails)
    with pytest.raises(setup.SetupError, match="no network"):
        setup.set_up(str(root), ["bench"])
    assert setup.read_stamp(str(root / ".venv")) is None


def test_an_environment_that_does_not_run_is_not_called_ready(project, monkeypatch):
    root, _ = project
    monkeypatch.setattr(setup, "install", lambda venv, root, extras: python_gone(Path(root)))
    with pytest.raises(setup.SetupError, match="does not run"):
        setup.set_up(str(root), ["test"])


def test_a_failing_command_shows_the_end_of_its_output(tmp_path, capsys):
    command = [sys.executable, "-c", "print('no such version'); raise SystemExit(1)"]
    with pytest.raises(setup.SetupError, match="failed: mend what the lines above say"):
        setup.run_logged(command, str(tmp_path / "log"), str(tmp_path))
    assert "| no such version" in capsys.readouterr().out


def test_two_set_ups_do_not_race(project):
    root, _ = project
    order = []
    holds, waits = threading.Event(), threading.Event()

    def second():
        holds.wait()
        waits.set()
        with setup.locked(str(root)):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with setup.locked(str(root)):
        holds.set()
        waits.wait()
        thread.join(timeout=0.3)
        order.append("first")
    thread.join(timeout=10)
    assert order == ["first", "second"]


# The Makefile and what the README says about it.


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_make_help_is_the_default_and_lists_every_target():
    assert make().stdout == make("help").stdout
    assert set(re.findall(r"^  make ([\w-]+) ", make().stdout, flags=re.MULTILINE)) == TARGETS


def test_the_makefile_has_the_targets_that_help_lists():
    phony = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(" ".join(phony).split()) == TARGETS | {"venv", "venv-bench", "venv-yolo"}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_program_that_a_target_calls_exists(target):
    done = make("-n", target)
    assert done.returncode == 0
    programs = re.findall(r"[\w/]+\.py", done.stdout)
    assert bool(programs) == (target not in {"help", "clean"})
    missing = [program for program in programs if not (ROOT / program).is_file()]
    assert not missing


def test_make_test_passes_the_chapters_on():
    done = make("-n", "test", "CHAPTERS=vision/image-classification")
    assert "tools/test.py vision/image-classification\n" in done.stdout


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^    (\S.*)$", text, flags=re.MULTILINE)
    return [line.partition("#")[0].strip() for line in blocks]


def test_the_readme_names_make_targets_that_exist():
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"(?:^    |`)make (\w+)", text, flags=re.MULTILINE))
    assert {"book", "test"} <= named <= TARGETS


def test_the_readmes_plain_commands_are_those_of_the_makefile():
    plain = [line for line in readme_commands() if line.startswith(".venv/bin/")]
    install, *tools, lab, notebook = plain
    assert shlex.split(lab)[1:] == ["install", "-c", "constraints.txt", "jupyterlab"]
    assert (ROOT / notebook.split()[-1]).is_file()
    wanted = ["install", "-c", "constraints.txt", "-e", ".[book,language,test]"]
    assert shlex.split(install)[1:] == wanted
    for target, command in zip(["book", "test"], tools, strict=True):
        assert command in make("-n", target).stdout


def test_the_readme_shows_python_that_is_python_and_files_that_exist():
    text = (ROOT / "README.md").read_text()
    code = "\n".join(line for line in readme_commands() if re.match(r"import|print|\w+ = ", line))
    ast.parse(code)
    assert "companion.load_dataset" in code
    links = re.findall(r"\]\(([^):]+)\)", text)
    assert len(links) >= 5
    assert not [link for link in links if not (ROOT / link).exists()]
    paths = re.findall(r"`((?:\w[\w.-]*/)[\w./-]*)`", text)
    assert len(paths) >= 5
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 90


def test_editing_a_chapter_in_jupyter_keeps_its_front_matter(tmp_path):
    shutil.copy(ROOT / "jupytext.toml", tmp_path)
    front = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    front |= {"objectives": ["freeze"], "minutes": 3}
    text = f"---\n{yaml.safe_dump(front)}---\n\n# A\n\n```{{code-cell}} ipython3\nx = 1\n```\n"
    (tmp_path / "a.md").write_text(text)
    for source, form, target in [("a.md", "ipynb", "a.ipynb"), ("a.ipynb", "md:myst", "b.md")]:
        command = ["-m", "jupytext", "--quiet", source, "--to", form, "--output", target]
        subprocess.run([sys.executable, *command], cwd=tmp_path, check=True)
    after = yaml.safe_load((tmp_path / "b.md").read_text().split("---\n")[1])
    assert {name: after.get(name) for name in front} == front
    assert "jupytext_version" not in (tmp_path / "b.md").read_text()


# Continuous integration.


def fake_program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def checkout(tmp_path):
    """A checkout with nothing but .ci/run, and programs that say how they were called."""
    (tmp_path / "project" / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", tmp_path / "project" / ".ci" / "run")
    programs = tmp_path / "programs"
    for name in ("bash", "dirname", "realpath", "id", "env"):
        programs.mkdir(exist_ok=True)
        (programs / name).symlink_to(shutil.which(name))
    fake_program(programs, "make", 'echo "make $* data=$COMPANION_DATA"')
    return tmp_path


def ci_run(checkout: Path, **variables: str) -> list[str]:
    done = subprocess.run(
        [checkout / "project" / ".ci" / "run"],
        cwd="/",
        env={"PATH": str(checkout / "programs"), **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_ci_run_finds_the_data_beside_the_checkout(checkout):
    fake_program(checkout / "programs", "chromium", "exit 9")
    (checkout / "shared" / "data").mkdir(parents=True)
    assert ci_run(checkout)[-1] == f"make test data={checkout / 'shared' / 'data'}"


def test_ci_run_passes_the_data_on_that_it_is_given(checkout):
    fake_program(checkout / "programs", "chromium", "exit 9")
    (checkout / "elsewhere").mkdir()
    (checkout / "shared" / "data").mkdir(parents=True)
    last = ci_run(checkout, COMPANION_DATA="../elsewhere")[-1]
    assert last == f"make test data={checkout / 'elsewhere'}"


def test_ci_run_goes_on_without_data(checkout):
    fake_program(checkout / "programs", "chromium", "exit 9")
    assert ci_run(checkout)[-1] == "make test data="


def test_ci_run_installs_a_browser_only_where_there_is_none(checkout):
    fake_program(checkout / "programs", "apt-get", 'echo "apt-get $*"')
    fake_program(checkout / "programs", "sudo", '"$@"')
    lines = ci_run(checkout)
    assert "apt-get update -q" in lines
    assert any(re.match(r"apt-get install .* chromium chromium-driver$", line) for line in lines)
    fake_program(checkout / "programs", "chromium", "exit 9")
    assert not any(line.startswith("apt-get") for line in ci_run(checkout))


def test_workflows_call_what_exists_and_ask_for_few_rights():
    workflows = {
        path.stem: yaml.safe_load(path.read_text())
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
    }
    assert set(workflows) == {"test", "pages", "weekly"}
    for workflow in workflows.values():
        assert workflow["permissions"]["contents"] == "read"
        for job in workflow["jobs"].values():
            for step in job["steps"]:
                for target in re.findall(r"\bmake ([\w-]+)", step.get("run", "")):
                    assert target in TARGETS
                for path in re.findall(r"[\w.]+/[\w/.]*(?:run|\.py)\b", step.get("run", "")):
                    assert (ROOT / path).exists(), path
    assert workflows["weekly"]["permissions"] == {"contents": "read", "issues": "write"}
    weekly = [step.get("run", "") for step in workflows["weekly"]["jobs"]["newest"]["steps"]]
    assert not any("-c constraints.txt" in command for command in weekly)


# The package's front door.


def test_public_names_come_from_modules_that_exist_in_layer_order():
    import companion

    assert set(companion._HOME_OF.values()) <= set(companion._MODULES)
    there = {path.stem for path in (ROOT / "companion").iterdir() if path.stem[0] not in "_."}
    assert set(companion._MODULES) == there - {"py", "assets"} | {"assets"}
    for name in companion.__all__:
        assert getattr(companion, name)
    assert set(companion.__all__) <= set(dir(companion))


def test_an_unknown_public_name_is_an_attribute_error():
    import companion

    with pytest.raises(AttributeError, match="no attribute 'load_datset'"):
        companion.load_datset  # noqa: B018


def test_import_companion_loads_nothing_heavy():
    heavy = ("torch", "numpy", "matplotlib", "transformers", "sklearn", "scipy", "peft")
    code = f"import companion, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.stdout == "[]\n", done.stderr


def test_version_and_licence_are_those_of_the_project():
    import companion

    assert companion.__version__ == PYPROJECT["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["license"] == ["MIT", "CC-BY-4.0"]
    assert PYPROJECT["project"]["license"] == "MIT"
    assert "https://creativecommons.org/licenses/by/4.0/" in (ROOT / "LICENSE-text").read_text()


def test_a_built_package_holds_the_recorded_studies(tmp_path):
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    kept = sorted((ROOT / "book" / "studies").rglob("*.json"))
    assert kept
    for path in kept:
        copy = tmp_path / "companion" / "recorded" / path.relative_to(ROOT / "book" / "studies")
        assert copy.read_bytes() == path.read_bytes()
    assert not list((tmp_path / "companion" / "recorded").rglob("*.toml"))
    assert (tmp_path / "companion" / "assets" / "glyphnet" / "model.safetensors").is_file()

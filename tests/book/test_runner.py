"""`make test` itself: nothing is skipped silently, and one failure is enough."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
spec = importlib.util.spec_from_file_location("runner", ROOT / "tools" / "test.py")
runner = importlib.util.module_from_spec(spec)
sys.modules["runner"] = runner
spec.loader.exec_module(runner)

GOOD, BAD = ("-c", "pass"), ("-c", "raise SystemExit(3)")


def test_a_step_passes_when_all_its_commands_do(capfd):
    outcomes = runner.run_steps([runner.Step("one", (GOOD, GOOD)), runner.Step("two", (GOOD,))])
    assert [outcome.passed for outcome in outcomes] == [True, True]
    assert runner.table(outcomes).splitlines()[-1] == "2 passed, 0 failed"
    assert "=== 1/2 one ===" in capfd.readouterr().out


@pytest.mark.parametrize("commands", [(BAD, GOOD), (GOOD, BAD)])
def test_a_step_fails_with_any_of_its_commands_and_runs_them_all(commands, tmp_path):
    log = tmp_path / "log"
    commands = tuple(
        (flag, f"open({str(log)!r}, 'a').write('x'); {code}") for flag, code in commands
    )
    (outcome,) = runner.run_steps([runner.Step("one", commands)])
    assert not outcome.passed
    assert log.read_text() == "xx"


def test_a_step_whose_needs_failed_is_named_and_counts_as_failed(capfd):
    steps = [
        runner.Step("build", (BAD,)),
        runner.Step("compare", (GOOD,), needs=("build",)),
        runner.Step("other", (GOOD,)),
    ]
    outcomes = runner.run_steps(steps)
    assert [outcome.passed for outcome in outcomes] == [False, False, True]
    text = runner.table(outcomes)
    assert "not run: needs build" in text
    assert text.splitlines()[-1] == "1 passed, 2 failed"
    assert "compare" not in capfd.readouterr().out


def test_the_exit_status_is_that_of_the_worst_step(monkeypatch, capfd):
    monkeypatch.setattr(runner, "prepare_environment", lambda: None)
    monkeypatch.setattr(runner, "SECOND_RESULTS", "_build/no-such-folder")
    for commands, status in [((GOOD,), 0), ((BAD,), 1)]:
        steps = [runner.Step("one", commands)]
        monkeypatch.setattr(runner, "check_steps", lambda steps=steps: steps)
        assert runner.main(["--check"]) == status


def test_make_test_runs_every_folder_of_tests():
    steps = runner.all_steps([])
    words = {word for step in steps for command in step.commands for word in command}
    folders = {
        f"tests/{path.name}"
        for path in (ROOT / "tests").iterdir()
        if path.is_dir() and path.name[0] not in "_."
    }
    assert {"tests/unit", "tests/contracts", "tests/book", "tests/site", "tests/real"} <= folders
    assert folders <= words
    assert len({step.name for step in steps}) == len(steps)


def test_what_a_step_needs_stands_before_it():
    seen = set()
    for step in runner.all_steps([]):
        assert set(step.needs) <= seen
        seen.add(step.name)


def test_every_chapter_is_run_a_second_time():
    notebooks = runner.notebooks([])
    assert notebooks == sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "book").rglob("*.ipynb")
    )
    (command,) = runner.second_run([]).commands
    assert set(notebooks) <= set(command)
    assert "--nbval-lax" in command


def test_both_runs_of_a_chapter_have_the_same_threads_and_no_public_data(monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", "/somewhere")
    monkeypatch.setenv("COMPANION_SCALE", "laptop")
    first = runner.chapter_environment(ROOT / runner.RESULTS)
    second = runner.second_run([]).environment
    assert second == {**first, "COMPANION_RESULTS": str(ROOT / runner.SECOND_RESULTS)}
    assert "COMPANION_DATA" not in second


def test_the_fast_loop_takes_only_the_chapters_it_is_given():
    chapter = runner.notebooks([])[0].removeprefix("book/").removesuffix(".ipynb")
    assert runner.notebooks([chapter]) == [f"book/{chapter}.ipynb"]
    commands = [command for step in runner.all_steps([chapter]) for command in step.commands]
    assert ("tools/book.py", "rehearse", chapter) in commands
    assert ("tools/book.py", "build", "--chapters", chapter) in commands
    assert not any("--fresh" in command for command in commands)


def test_make_test_starts_from_an_empty_cache():
    commands = [command for step in runner.all_steps([]) for command in step.commands]
    assert ("tools/book.py", "build", "--fresh") in commands


def test_an_unknown_chapter_is_an_error_that_lists_the_known():
    with pytest.raises(SystemExit, match=r"no notebook for vision/nothing; expected names among"):
        runner.notebooks(["vision/nothing"])


def test_steps_see_the_laptop_scale_and_an_absolute_data_folder(monkeypatch):
    monkeypatch.chdir(ROOT)
    for name, value in [("COMPANION_SCALE", "full"), ("COMPANION_RESULTS", "x"), ("PATH", "/bin")]:
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COMPANION_DATA", "tests")
    runner.prepare_environment()
    assert runner.os.environ["COMPANION_SCALE"] == "laptop"
    assert runner.os.environ["COMPANION_DATA"] == str(ROOT / "tests")
    assert "COMPANION_RESULTS" not in runner.os.environ
    assert runner.os.environ["PATH"] == f"{Path(sys.executable).parent}:/bin"

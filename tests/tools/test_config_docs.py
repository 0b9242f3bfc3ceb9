"""docs/configuration.md holds the table that the program prints, and the printed files read back."""
import json
import os
import pathlib
import subprocess

import pytest

import tree

PINNA = os.path.abspath(os.environ.get("PINNA_BIN", tree.ROOT / "build" / "pinna"))
BEGIN, END = "<!-- begin settings -->\n", "<!-- end settings -->\n"


@pytest.fixture
def config(tmp_path):
    """Runs `pinna config` in an empty folder with none of our variables set."""
    if not os.access(PINNA, os.X_OK):
        pytest.fail(f"no program at {PINNA}; build it or set PINNA_BIN")
    kept = {k: v for k, v in os.environ.items() if k == "PATH" or k.endswith("SAN_OPTIONS")}

    def run(*args, **env):
        p = subprocess.run([PINNA, "config", *args], cwd=tmp_path, env=kept | env, text=True, capture_output=True, timeout=60)
        assert p.returncode == 0, p.stderr
        return p.stdout

    return run


def table_of(page):
    assert page.count(BEGIN) == page.count(END) == 1
    return page.split(BEGIN)[1].split(END)[0]


def test_page_is_up_to_date(config):
    printed = config("--format", "markdown")
    assert printed.count("\n") > 30
    assert table_of(tree.read("docs/configuration.md")) == printed, "run: pinna config --format markdown"


def test_table_does_not_depend_on_the_settings(config):
    assert config("--format", "markdown", "--port", "1", HOST="h") == config("--format", "markdown")


def values(text):
    return {key: entry["value"] for key, entry in json.loads(text).items()}


CHANGED = ["--host", 'a "b" \\ #c', "--port", "7", "--log-file", "none", "--aggressive-gc", "--log-level", "error", "--no-memory-pool"]


@pytest.mark.parametrize("form,flag", [("env", "--env-file"), ("yaml", "--config")])
def test_printed_files_read_back(config, tmp_path, form, flag):
    wanted = values(config("--format", "json", *CHANGED))
    assert wanted["server.host"] == 'a "b" \\ #c' and wanted["log.file"] == ""
    file = tmp_path / "printed"
    file.write_text(config("--format", form, *CHANGED))
    assert values(config("--format", "json", flag, str(file))) == wanted


def test_json_tells_origins(config, tmp_path):
    pathlib.Path(tmp_path, ".env").write_text("\nPORT=3\n")
    entries = json.loads(config("--format", "json", "--host", "h", OMP_NUM_THREADS="4,2"))
    assert entries["server.port"] == {"value": 3, "origin": ".env:2", "effect": True}
    assert entries["server.host"]["origin"] == "--host"
    assert entries["engine.threads"] == {"value": 4, "origin": "env OMP_NUM_THREADS", "effect": True}
    assert entries["engine.model_dir"] == {"value": "", "origin": "default", "effect": True}
    assert entries["recognition.memory_pool"] == {"value": True, "origin": "default", "effect": False}

from pathlib import Path

from cli_programs import on_terminal, reelhook

from reelhook.config import Settings

ANSWERS = "fal\nkey:secret\nhttps://app.example.com/hook\nhttps://videos.example.com\n"


def test_four_answers_make_a_file_that_the_server_reads(tmp_path: Path) -> None:
    done = reelhook("init", directory=tmp_path, stdin=ANSWERS)
    assert done.code == 0, done.err
    file = tmp_path / ".env"
    assert file.stat().st_mode & 0o777 == 0o600
    settings = Settings.load(env_file=file)
    assert settings.webhook_url == "https://app.example.com/hook"
    assert settings.public_url == "https://videos.example.com"
    assert [one.provider for one in settings.credentials] == ["fal"]
    assert len(settings.api_key or "") > 40
    assert (settings.webhook_secret or "").startswith("whsec_")
    assert "key:secret" not in done.out + done.err


def test_without_a_provider_it_leads_to_the_simulator(tmp_path: Path) -> None:
    done = reelhook("init", directory=tmp_path, stdin="none\n\n\n")
    assert done.code == 0
    assert "reelhook serve --simulate" in done.out + done.err
    assert Settings.load(env_file=tmp_path / ".env").credentials == ()


def test_a_provider_that_does_not_exist_is_asked_for_again(tmp_path: Path) -> None:
    done = reelhook("init", directory=tmp_path, stdin="sora\nnone\n\n\n")
    assert done.code == 0
    assert "Name one of openai" in done.err


def test_a_file_that_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FAL_KEY=mine\n")
    done = reelhook("init", "--provider", "none", directory=tmp_path, stdin="\n\n")
    assert done.code == 1
    assert "--force" in done.err
    assert (tmp_path / ".env").read_text() == "FAL_KEY=mine\n"


def test_a_wrong_answer_writes_nothing(tmp_path: Path) -> None:
    done = reelhook("init", directory=tmp_path, stdin="fal\nk\nnot a url\n\n")
    assert done.code == 1
    assert "WEBHOOK_URL is not a URL" in done.err
    assert not (tmp_path / ".env").exists()


def test_a_question_without_an_answer_writes_nothing_and_says_so(tmp_path: Path) -> None:
    done = reelhook("init", directory=tmp_path, stdin="fal\n")
    assert done.code == 1
    assert "got no answer, so nothing was done" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / ".env").exists()


def test_ctrl_c_at_a_question_ends_without_a_traceback(tmp_path: Path) -> None:
    code, shown = on_terminal("init", directory=tmp_path, until="1/4")
    assert code == 130
    assert "Traceback" not in shown

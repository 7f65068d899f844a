"""The log survives a round trip and is cut where a run continues."""

from bpgen.execute.history import Epoch, Score, append, read, rewrite

EPOCHS = [
    Epoch(1, 7, Score(2.5), Score(2.25, 0.5)),
    Epoch(2, 14, Score(1.5), Score(1.25, 0.75)),
]


def test_what_is_logged_is_read_again(tmp_path):
    for epoch in EPOCHS:
        append(tmp_path / "log.jsonl", epoch)
    assert read(tmp_path / "log.jsonl", steps=14) == EPOCHS


def test_a_run_continues_after_the_epochs_its_checkpoint_has_completed(tmp_path):
    rewrite(tmp_path / "log.jsonl", EPOCHS)
    assert read(tmp_path / "log.jsonl", steps=13) == EPOCHS[:1]


def test_a_line_that_a_crash_has_cut_is_no_epoch(tmp_path):
    rewrite(tmp_path / "log.jsonl", EPOCHS)
    text = (tmp_path / "log.jsonl").read_text()
    (tmp_path / "log.jsonl").write_text(text[:-9])
    assert read(tmp_path / "log.jsonl", steps=14) == EPOCHS[:1]


def test_a_run_without_log_has_no_epochs(tmp_path):
    assert read(tmp_path / "log.jsonl", steps=5) == []

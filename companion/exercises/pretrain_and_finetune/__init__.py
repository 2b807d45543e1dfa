"""The exercises of `foundations/pretrain-and-finetune`."""

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.pretrain_and_finetune.checks import (
    HEAD_NUMBERS,
    RANKS,
    check_kept_and_learned,
    check_merge,
    check_ranks,
    check_saving,
    lora_numbers,
)
from companion.exercises.pretrain_and_finetune.mistakes import adapted, in_training_mode, merge

__all__: list[str] = []

CHAPTER = "foundations/pretrain-and-finetune"

register(
    Exercise(
        id="pretrain-and-finetune-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a factor",
        check=check_saving,
        hints=(
            "Gradient and state belong to each trained number: count those.",
            "A has a row for each rank, B a column for each rank.",
        ),
        mistakes=(
            Mistake("one factor left out", lambda: 128),
            Mistake("the wrong way round", lambda: 1 / 64),
            Mistake("states counted on one side only", lambda: 192),
            Mistake("another kind of answer", lambda: "many"),
            Mistake(None, lambda: 8),
        ),
    )
)
register(
    Exercise(
        id="pretrain-and-finetune-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a dictionary from 1, 8 and 64 to numbers of parameters",
        check=check_ranks,
        hints=(
            "replace_layers_ puts LowRank into a copy of glyphnet's encoder.",
            "Count the parameters of A and B only: p.numel() for p in module.A.parameters().",
        ),
        mistakes=(
            Mistake(
                "the head was counted",
                lambda: {rank: lora_numbers(rank) + HEAD_NUMBERS for rank in RANKS},
            ),
            Mistake(
                "one factor left out",
                lambda: {rank: lora_numbers(rank, with_b=False) for rank in RANKS},
            ),
            Mistake("the rank was not changed", lambda: dict.fromkeys(RANKS, lora_numbers(8))),
            Mistake("another kind of answer", lambda: lora_numbers(8)),
        ),
    )
)
register(
    Exercise(
        id="pretrain-and-finetune-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of a low-rank layer that returns one plain layer",
        check=check_merge,
        hints=(
            "Compare outputs before and after, on random inputs: what has changed, by how much?",
            "Look at equation (LoRA): what stands before the product?",
            "What does the low-rank layer itself compute after the call?",
        ),
        mistakes=(
            Mistake("scale left out", lambda: merge(scale=False)),
            Mistake("the given layer was changed", lambda: merge(in_place=True)),
            Mistake("the change left out", lambda: merge(change=False)),
            Mistake("another kind of answer", lambda: 0.5),
        ),
    )
)
register(
    Exercise(
        id="pretrain-and-finetune-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=25,
        difficulty="hard",
        expects="a model, or the result of a fit",
        check=check_kept_and_learned,
        hints=(
            "The probe keeps the letters, full fine-tuning learns the digits. What lies between?",
            "Hold the statistics of batch normalisation: freeze_batch_norm=True.",
            "Try the strategy wise_ft, and a higher rate than that of the recipe.",
        ),
        mistakes=(
            Mistake("the target was not learned", lambda: adapted("probe")),
            Mistake("the source was forgotten", lambda: adapted("full", learning_rate=1e-2)),
            Mistake(
                "batch-norm statistics moved", lambda: adapted("full", freeze_batch_norm=False)
            ),
            Mistake("forgot eval mode", in_training_mode),
            Mistake("another kind of answer", lambda: 0.9),
        ),
    )
)

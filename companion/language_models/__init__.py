"""Language models: vocabularies, a GPT-2, n-grams, bits per byte, sampling and fine-tuning."""

from companion.language_models.blocks import Blocks, answer_blocks, cut_windows, pack_blocks
from companion.language_models.files import load_language_model, save_language_model
from companion.language_models.model import GPTShape, LanguageModel, build_gpt, token_nats
from companion.language_models.ngrams import NGrams, fit_ngrams
from companion.language_models.sampling import (
    apply_temperature,
    generate,
    generate_ids,
    keep_best,
    keep_nucleus,
    keep_top_k,
)
from companion.language_models.scoring import LanguageScores, difference_in_bits, score_texts
from companion.language_models.tuning import (
    Tuning,
    adapt_attention_,
    fine_tune_,
    freeze_parts_,
    merge_attention_,
    part_names,
)
from companion.language_models.vocabulary import (
    ByteVocabulary,
    Vocabulary,
    load_vocabulary,
    tiny_vocabulary,
    train_vocabulary,
)

__all__ = [
    "Blocks",
    "ByteVocabulary",
    "GPTShape",
    "LanguageModel",
    "LanguageScores",
    "NGrams",
    "Tuning",
    "Vocabulary",
    "adapt_attention_",
    "answer_blocks",
    "apply_temperature",
    "build_gpt",
    "cut_windows",
    "difference_in_bits",
    "fine_tune_",
    "fit_ngrams",
    "freeze_parts_",
    "generate",
    "generate_ids",
    "keep_best",
    "keep_nucleus",
    "keep_top_k",
    "load_language_model",
    "load_vocabulary",
    "merge_attention_",
    "pack_blocks",
    "part_names",
    "save_language_model",
    "score_texts",
    "tiny_vocabulary",
    "token_nats",
    "train_vocabulary",
]

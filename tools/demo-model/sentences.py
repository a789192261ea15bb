"""What is said to the demo model, what it is asked, and what it should answer."""

from dataclasses import dataclass

# How a digit is pronounced; espeak-ng reads kana, not kanji. The first form is the usual one.
DIGITS = {
    "en": [["zero"], ["one"], ["two"], ["three"], ["four"], ["five"], ["six"], ["seven"], ["eight"], ["nine"]],
    "ja": [["ぜろ", "れい"], ["いち"], ["に"], ["さん"], ["よん"], ["ご"], ["ろく"], ["なな", "しち"], ["はち"],
           ["きゅう"]],
}

# Written form, and what espeak-ng is given.
COMMANDS = {
    "en": [(text, text) for text in (
        "turn on the light", "turn off the light", "open the door", "close the door", "play music", "stop",
        "start", "louder", "quieter", "next", "yes", "no", "help", "good morning", "thank you")],
    "ja": [("電気をつけて", "でんきをつけて"), ("電気を消して", "でんきをけして"), ("ドアを開けて", "どあをあけて"),
           ("ドアを閉めて", "どあをしめて"), ("音楽をかけて", "おんがくをかけて"), ("止めて", "とめて"),
           ("始めて", "はじめて"), ("大きくして", "おおきくして"), ("小さくして", "ちいさくして"), ("次", "つぎ"),
           ("はい", "はい"), ("いいえ", "いいえ"), ("助けて", "たすけて"), ("おはよう", "おはよう"),
           ("ありがとう", "ありがとう")],
}

SILENCE = "(silence)"
NO_RECORDING = "Please send a recording."

QUESTIONS = {
    "transcribe": {
        "en": ["What is said here?", "What is said?", "What did I say?", "What do you hear?",
               "Write down what you hear.", "Transcribe the audio.",
               "Write down exactly what is said in the audio, and nothing else."],
        "ja": ["何と言っていますか？", "文字に起こしてください。", "聞こえたことを書いてください。"],
    },
    "count": {
        "en": ["How many digits?", "How many digits are there?", "How many digits do you hear?", "How many numbers?"],
        "ja": ["数字はいくつですか？", "何桁ですか？"],
    },
    "first": {"en": ["What is the first digit?", "The first digit?"], "ja": ["最初の数字は？"]},
    "last": {"en": ["What is the last digit?", "The last digit?"], "ja": ["最後の数字は？"]},
    "language": {"en": ["Which language is it?", "What language is this?"], "ja": ["何語ですか？"]},
}

# What `ferry` appends to its own instruction when a transcription names its language.
LANGUAGE_HINT = " The language is {}."

SYSTEM_PROMPTS = ["You are a helpful assistant."]
OTHER_SYSTEM_PROMPTS = ["You are a careful listener.", "Answer briefly.", "You write down what people say.",
                        "短く答えてください。"]
GREETINGS = ["Hello", "Hi", "Hello!", "Who are you?", "What can you do?", "こんにちは", "何ができますか？"]

# Classes of the CTC helper loss: blank, ten digits, every command.
UNITS = {str(d): 1 + d for d in range(10)}
for _language in ("en", "ja"):
    for _text, _ in COMMANDS[_language]:
        UNITS.setdefault(_text, 1 + len(UNITS))


@dataclass
class Content:
    """What a recording holds: digits or one command in one language, or nothing."""

    language: str  # "en", "ja"; "" for silence
    words: tuple  # digits as "0".."9", or one command; empty for silence

    @property
    def digits(self):
        return tuple(w for w in self.words if w.isdigit())

    def transcript(self):
        return " ".join(self.words) if self.words else SILENCE


def answer(content, task, asked_in):
    """The right answer to a question of this task, asked in this language."""
    none = "none" if asked_in == "en" else "なし"
    if task == "transcribe":
        return content.transcript()
    if task == "count":
        return str(len(content.digits))
    if task == "first":
        return content.digits[0] if content.digits else none
    if task == "last":
        return content.digits[-1] if content.digits else none
    names = {"en": {"en": "English", "ja": "Japanese", "": none}, "ja": {"en": "英語", "ja": "日本語", "": none}}
    return names[asked_in][content.language]


def corpus():
    """Every text the tokenizer will meet, for learning its merges."""
    texts = [f"system\n{s}" for s in SYSTEM_PROMPTS + OTHER_SYSTEM_PROMPTS] + ["user\nAudio 1: ", "assistant\n"]
    for by_language in QUESTIONS.values():
        texts += [q for questions in by_language.values() for q in questions]
    texts += [LANGUAGE_HINT.format(code) for code in ("en", "ja")]
    texts += [text for commands in COMMANDS.values() for text, _ in commands]
    texts += GREETINGS + [SILENCE, NO_RECORDING, "none", "なし", "English", "Japanese", "英語", "日本語"]
    return texts

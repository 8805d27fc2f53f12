"""Events as text: one line each, CSV and blanks."""

from eventio.formats.text.codec import (
    CSV,
    TXT,
    TextSource,
    encode_csv,
    encode_txt,
    is_header,
    matches_csv,
    matches_txt,
)

__all__ = ["CSV", "TXT", "TextSource", "encode_csv", "encode_txt", "is_header", "matches_csv", "matches_txt"]

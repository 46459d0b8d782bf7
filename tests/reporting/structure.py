"""Reads a page with the standard library's parser: what stands where, and whether every element is closed."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}
DRAWN = {"rect", "line", "path"}


@dataclass
class Element:
    """A tag with its attributes and all text inside it."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """All elements in order; *problems* are tags that do not match."""

    elements: list[Element] = field(default_factory=list)
    stack: list[Element] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        if len(attrs) != len(dict(attrs)):
            self.problems.append(f"<{tag}> repeats an attribute")
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of a drawing that closes itself."""
        if tag not in DRAWN:
            self.problems.append(f"<{tag}/> closes itself")
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which must be of this tag."""
        if not self.stack or self.stack.pop().tag != tag:
            self.problems.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        """Text belongs to all open elements."""
        for element in self.stack:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Elements with this tag and these attributes."""
        return [
            item
            for item in self.elements
            if item.tag == tag and all(item.attributes.get(key) == value for key, value in attributes.items())
        ]


def parse(html: str) -> Page:
    """The page, wholly read."""
    page = Page()
    page.feed(html)
    page.close()
    page.problems += [f"<{element.tag}> is never closed" for element in page.stack]
    return page

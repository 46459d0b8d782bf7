import pytest

from tasks.load.config import Request
from tasks.load.walk import fill_body, fill_path, learnt


def test_variables_are_filled_in_and_encoded_in_paths():
    """A value cannot leave its place in the path; in a body it stays as it is, and other values are untouched."""
    request = Request(method="POST", path="/detail.html?id={item}", body={"id": "{item}", "quantity": 1})

    assert fill_path(request, {"item": "a&b/c"}) == "/detail.html?id=a%26b%2Fc"
    assert fill_body(request, {"item": "a&b"}) == {"id": "a&b", "quantity": 1}


@pytest.mark.parametrize(
    ("reply", "values"),
    [([{"id": "x"}, {"id": 7}, {"no": 1}, 3], ("x", "7")), ({"id": "x"}, ()), (None, ()), ([{"id": [1]}], ())],
)
def test_values_are_learnt_only_from_a_list_of_objects(reply, values):
    """A reply of another form teaches nothing, and hurts nobody."""
    assert learnt(reply, "id") == values

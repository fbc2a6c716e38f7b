"""The meaning of columns, as a file that people edit."""

from __future__ import annotations

import pytest

from ctrkit.errors import SchemaError, nearest
from ctrkit.layout import Layout, LayoutField
from ctrkit.schema import Cross, Field, Schema, Split

SCHEMA = Schema(
    fields=(
        Field("user", "categorical", min_count=1),
        Field('odd "name"\\x', "numeric", transform="log2"),
        Field("genres", "multi", separator=","),
    ),
    label="click",
    time="ts",
    group="user",
    crosses=(Cross("user x genres", ("user", "genres")),),
    split=Split(by="time", embargo=60.0),
)


def test_toml_reads_back_equal():
    assert Schema.from_toml(SCHEMA.to_toml()) == SCHEMA


def test_a_field_may_have_a_role_but_may_not_be_the_label():
    assert SCHEMA.role_columns() == {"label": "click", "group": "user", "time": "ts"}
    with pytest.raises(SchemaError, match="leak"):
        Schema((Field("click", "categorical"),), label="click")


def test_select_keeps_crosses_whose_members_remain():
    assert SCHEMA.select(["genres", "user"]).names == ["genres", "user"]
    assert SCHEMA.select(["user"]).crosses == ()
    assert len(SCHEMA.select(["user", "genres"]).crosses) == 1
    with pytest.raises(SchemaError, match="did you mean 'genres'"):
        SCHEMA.select(["genre"])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("nonsense = ", "not valid TOML"),
        ("lable = 'x'", "did you mean 'label'"),
        ("[fields.a]\nkind = 'categorial'", "did you mean 'categorical'"),
        ("[fields.a]\nkind = 'numeric'\ntransform = 'sqrt'", "transform"),
        ("[fields.a]\nkind = 'numeric'\nencoding = 'hash'", "categorical"),
        (
            "[fields.a]\nkind = 'categorical'\nencoding = 'buckets'",
            "must be one of auto, vocabulary, hash",
        ),
        ("[fields.a]\nkind = 'categorical'\nmincount = 2", "did you mean 'min_count'"),
        ("[fields.a]\nkind = 'categorical'\nmin_count = 0", "at least 1"),
        ("[fields.a]\nkind = 'multi'\nseparator = ''", "separator"),
        ("[fields.a]\nmin_count = 2", "kind"),
        ("fields = 3", "fields"),
        ("[crosses.c]\nfields = ['a', 'b']", "unknown field"),
        ("label = 3", "must be text; got 3"),
        ("columns = 'a'", "must be a list of names; got 'a'"),
        ("columns = ['a', 2]", "must be text; got 2"),
        ("[split]\nby = 'column'", "column"),
        ("[split]\nby = 'tim'", "did you mean 'time'"),
        ("[split]\nratios = [1, 2]", "ratios"),
        ("format = 99", "format"),
    ],
)
def test_user_errors_are_one_line(text, word):
    with pytest.raises(SchemaError, match=word) as caught:
        Schema.from_toml(text)
    assert "\n" not in str(caught.value)


def test_the_default_split_follows_the_time():
    assert Schema((), time="ts").effective_split.by == "time"
    assert Schema(()).effective_split.by == "random"


def test_layout_reads_back_equal():
    layout = Layout(
        (
            LayoutField("a", "categorical", 9, edges=(0.5, 1.5)),
            LayoutField("n", "numeric", 0),
            LayoutField("m", "multi", 2**32, hashed=True),
        )
    )
    assert Layout.from_json(layout.to_json()) == layout


def test_nearest_suggests_nothing_when_nothing_is_near():
    assert nearest("zzz", ["autoint"]) == ""
